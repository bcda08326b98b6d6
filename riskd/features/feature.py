"""What a feature is: a named value computed from facts, or None when unknown.

    @feature
    def travel_speed_kmh(facts: Facts) -> float | None:
        \"\"\"Speed needed to get here from the last confirmed place, km/h.\"\"\"

Function name = feature name, its unit in the name · docstring = published text · a second parameter `population` asks
for the learned tables · a `str` return type makes it a text feature, which signals may read and the model does not.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from types import FunctionType, MappingProxyType
from typing import Any, get_type_hints

from msgspec import Struct

from riskd.facts import Facts
from riskd.features.declared import DeclaredInput
from riskd.features.population import Population

Value = float | str
"""What a feature yields when known; a flag is 1.0 or 0.0."""

NEVER_DAYS = 3650.0
"""Days since something that never happened: ten years, beyond every memory the store keeps."""
DAY_S = 86_400.0


def days_since(age_s: float | None) -> float:
    """Days since something that is `age_s` seconds ago; `NEVER_DAYS` for None, which never happened."""
    return NEVER_DAYS if age_s is None else age_s / DAY_S


def flag(value: bool | None) -> float | None:
    """1 for True, 0 for False; what is unknown stays so."""
    return None if value is None else float(value)


class Fault(Struct, frozen=True):
    """Stands in the vector for a feature that failed; every signal reading it is in error, not unknown."""

    feature: str
    error: str


class Feature(Struct, frozen=True):
    """One declared feature."""

    name: str
    doc: str
    compute: Callable[..., Value | None]
    numeric: bool
    """False for text: read by signals, not by the model."""
    model: bool
    """The anomaly model reads it."""
    needs_population: bool


_features: dict[str, Feature] = {}
FEATURES: Mapping[str, Feature] = MappingProxyType(_features)
"""Every declared feature by name, in order of declaration, which is the order of the vector."""


def feature(compute: Callable[..., Value | None]) -> Callable[..., Value | None]:
    """Declare a feature that signals and the anomaly model read."""
    return _declare(compute, model=True)


def signal_feature(compute: Callable[..., Value | None]) -> Callable[..., Value | None]:
    """Declare a feature that only signals read: text, flags that lists decide, what the model could not generalise."""
    return _declare(compute, model=False)


def _declare(compute: Callable[..., Value | None], *, model: bool) -> Callable[..., Value | None]:
    name = compute.__name__
    if name in _features:
        raise ValueError(f"feature {name!r} is declared twice")
    if not compute.__doc__:
        raise ValueError(f"feature {name!r} has no docstring")
    numeric = str not in getattr(get_type_hints(compute)["return"], "__args__", ())
    _features[name] = Feature(
        name=name,
        doc=" ".join(compute.__doc__.split()),
        compute=compute,
        numeric=numeric,
        model=model and numeric,
        needs_population="population" in signature(compute).parameters,
    )
    return compute


def schema_hash(names: Sequence[str]) -> str:
    """Fingerprint of a feature list, order included: 12 hex digits; model and record name the one they are made for."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


class Extractor:
    """Computes the vector of an attempt; built once per model, since the model carries the population."""

    def __init__(self, population: Population, declared: Sequence[DeclaredInput] = ()) -> None:
        """`declared` are what the model reads beside the features."""
        self.names = tuple(FEATURES)
        self.declared = tuple(declared)
        self._computes = tuple(_bind(f, population) for f in FEATURES.values())

    def __call__(self, facts: Facts) -> tuple[list[Any], bool]:
        """Compute every feature.

        Returns the values in the order of `names`, each a number, a text, None or a Fault, and whether any is a Fault.
        """
        try:
            return [compute(facts) for compute in self._computes], False
        except Exception:  # noqa: BLE001 - whatever one feature raises must not cost the others
            computes = zip(self.names, self._computes, strict=True)
            return [_guarded(name, compute, facts) for name, compute in computes], True


def _bind(declared: Feature, population: Population) -> Callable[[Facts], Value | None]:
    compute = declared.compute
    if not declared.needs_population:
        return compute
    if not isinstance(compute, FunctionType):
        raise TypeError(f"{compute!r} is not a plain function")
    # The population as the default of a copy: calling it costs no more than calling the original.
    return FunctionType(compute.__code__, compute.__globals__, compute.__name__, (population,), compute.__closure__)


def _guarded(name: str, compute: Callable[[Facts], Value | None], facts: Facts) -> Value | Fault | None:
    try:
        return compute(facts)
    except Exception as error:  # noqa: BLE001 - named in `degraded` and counted by the engine
        return Fault(feature=name, error=type(error).__name__)
