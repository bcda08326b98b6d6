"""What a signal is: a documented question about features, with three answers.

    @signal(weight=0.5)
    def impossible_travel(travel_speed_kmh: float, *, max_speed_kmh: float = 900.0) -> bool:
        \"\"\"The last two logins are further apart than an airliner could cover.

        False alarms: VPN exits, mobile-carrier gateways, coarse GeoIP.\"\"\"

Function name = reason code · positional parameters = the features it reads · keyword-only parameters = what policy may
tune, default beside it · docstring = published text with its false alarms. The answer is a yes or no, or the share of
the weight that applies, 0..1. A feature that is None gives UNKNOWN, decided once in `Signal.check`, never in a rule.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from riskd.contract import Outcome
from riskd.features import FEATURES, Fault

ANOMALY_SCORE = "anomaly_score"
"""The one input that is no feature: the model's 0..1 over all of them. It stands after the vector."""
INPUTS: tuple[str, ...] = (*FEATURES, ANOMALY_SCORE)


class State(StrEnum):
    """The three answers, and what an evaluation that failed is."""

    HIT = "hit"
    CLEAR = "clear"
    UNKNOWN = "unknown"
    ERROR = "error"


class Signal(Struct, frozen=True):
    """One declared signal."""

    code: str
    family: str
    """Module that declares it."""
    weight: float
    """Share of the score when it hits with full strength, 0 ≤ w < 1."""
    reads: tuple[str, ...]
    knobs: Mapping[str, Any]
    """What policy may tune, with defaults."""
    text: str
    """First sentence of the docstring: the reason in words."""
    doc: str
    floor: Outcome
    """Least outcome a hit forces by default; ALLOW forces nothing."""
    statistical: bool
    """It weighs the attempt as a whole, as the sum of the others does: it is compared with that sum, not added."""
    dated_by: str | None
    """Feature that holds the age of the hit, s: evidence from before the hit cannot answer it."""
    ask: Callable[..., bool | float]

    def check(self, inputs: Mapping[str, Any], **tuned: Any) -> tuple[State, float]:  # noqa: ANN401 - knobs vary
        """Answer for inputs by name: the state, and the strength 0..1 of a hit (0 otherwise)."""
        return answer(self.ask, [inputs.get(name) for name in self.reads], {**self.knobs, **tuned})


def answer(ask: Callable[..., bool | float], values: Iterable[Any], knobs: Mapping[str, Any]) -> tuple[State, float]:
    """Put one question: unknown without every value, error when a value is a fault or the question raises."""
    values = tuple(values)
    if None in values:
        return State.UNKNOWN, 0.0
    if any(value.__class__ is Fault for value in values):
        return State.ERROR, 0.0
    try:
        strength = min(1.0, float(ask(*values, **knobs)))
    except Exception:  # noqa: BLE001 - a failing signal is an error of that signal, named in `degraded`
        return State.ERROR, 0.0
    return (State.HIT, strength) if strength > 0 else (State.CLEAR, 0.0)


_signals: dict[str, Signal] = {}
SIGNALS: Mapping[str, Signal] = MappingProxyType(_signals)
"""Every declared signal by code."""


def catalogue_revision() -> str:
    """Fingerprint of every code, weight, floor, input and knob declared: 12 hex digits."""
    lines = [
        f"{s.code} {s.weight} {s.floor.word} {s.reads} {sorted((k, str(v)) for k, v in s.knobs.items())}"
        for s in sorted(SIGNALS.values(), key=lambda s: s.code)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def signal(
    *, weight: float, floor: Outcome = Outcome.ALLOW, statistical: bool = False, dated_by: str | None = None
) -> Callable[[Callable[..., bool | float]], Signal]:
    """Declare a signal; refuses a second declaration, a missing docstring and a feature nobody declares."""

    def declare(ask: Callable[..., bool | float]) -> Signal:
        code = ask.__name__
        parameters = inspect.signature(ask).parameters.values()
        reads = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        if code in _signals:
            raise ValueError(f"signal {code!r} is declared twice")
        if missing := [name for name in reads if name not in INPUTS]:
            raise ValueError(f"signal {code!r} reads features that nobody declares: {missing}")
        if not ask.__doc__ or "False alarms:" not in ask.__doc__:
            raise ValueError(f"signal {code!r} needs a docstring that names its false alarms")
        if not 0 <= weight < 1:
            raise ValueError(f"signal {code!r}: weight {weight} is not in [0, 1)")
        text, _, rest = ask.__doc__.partition("\n")
        _signals[code] = Signal(
            code=code,
            family=ask.__module__.rpartition(".")[2],
            weight=weight,
            reads=reads,
            knobs={p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY},
            text=text.strip(),
            doc=" ".join(rest.split()),
            floor=floor,
            statistical=statistical,
            dated_by=dated_by,
            ask=ask,
        )
        return _signals[code]

    return declare
