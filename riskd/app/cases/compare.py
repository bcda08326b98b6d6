"""What came out otherwise than expected; pure."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from msgspec import Struct

from riskd.app.cases.schema import Expectation, WantedStepUp
from riskd.contract import Decision, StepUp


class Difference(Struct, frozen=True):
    """One thing that came out otherwise."""

    what: str
    """Key of the expectation, e.g. `decision` or `step_up.level`."""
    expected: Any
    """What the case says; of reasons those that are missing, or should not be there."""
    got: Any


def differences(expect: Expectation, decision: Decision) -> tuple[Difference, ...]:
    """Compare a decision with all that a case says of it."""
    return tuple(_differences(expect, decision))


def _differences(expect: Expectation, decision: Decision) -> Iterator[Difference]:
    reasons = [reason.code for reason in decision.reasons]
    obligations = [obligation.id for obligation in decision.obligations]
    if expect.decision not in {None, decision.decision}:
        yield Difference("decision", expect.decision, decision.decision)
    yield from _lacking("reasons", expect.reasons, reasons)
    if unwelcome := [code for code in expect.not_reasons if code in reasons]:
        yield Difference("not_reasons", unwelcome, reasons)
    if "step_up" in expect.model_fields_set:
        yield from _step_up(expect.step_up, decision.step_up)
    yield from _lacking("obligations", expect.obligations, obligations)
    if expect.degraded is not None and set(expect.degraded) != set(decision.degraded):
        yield Difference("degraded", list(expect.degraded), list(decision.degraded))
    score = expect.score
    if score is not None and not score.min <= decision.score <= score.max:
        yield Difference("score", f"{score.min:g} to {score.max:g}", decision.score)


def _lacking(what: str, expected: Iterable[str], got: list[str]) -> Iterator[Difference]:
    if missing := [word for word in expected if word not in got]:
        yield Difference(what, missing, got)


def _step_up(expected: WantedStepUp | None, got: StepUp | None) -> Iterator[Difference]:
    if expected is None or got is None:
        if expected is not None:
            yield Difference("step_up", {name: _plain(getattr(expected, name)) for name in _said(expected)}, None)
        elif got is not None:
            yield Difference("step_up", None, {"level": got.level, "methods": list(got.methods)})
        return
    for name in _said(expected):
        wanted, found = _plain(getattr(expected, name)), _plain(getattr(got, name))
        if wanted != found:
            yield Difference(f"step_up.{name}", wanted, found)


def _said(expected: WantedStepUp) -> list[str]:
    return [name for name in WantedStepUp.model_fields if getattr(expected, name) is not None]


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return list(value) if isinstance(value, tuple) else value
