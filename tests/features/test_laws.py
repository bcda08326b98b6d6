"""What holds for every feature."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from riskd import features
from riskd.facts import Facts
from riskd.features import FEATURES, MODEL_FEATURES, Extractor, Fault, Feature, schema_hash
from riskd.features.feature import feature, signal_feature
from riskd.features.population import Population, Table
from tests.attempts import attempt, history

POPULATION = Population(country=Table.of(["NO", "SE"]), network=Table.of(["AS1"]), family=Table.of(["Windows|Chrome"]))
UNITS = {
    "5m", "10m", "1h", "24h", "1d", "30d", "days", "hours", "minutes", "years", "s", "km", "kmh", "nats", "ratio", "sd",
}  # fmt: skip
FLAGS_AND_TEXTS = {
    "country", "network_kind", "tor", "proxy", "hosting", "address_denied", "bot", "currency", "leaked", "endpoint",
    "email_disposable", "action_name", "auth_context", "path_obfuscated", "device_family_changed", "user_agent_faults",
    "familiar", "deny_lists",
}  # fmt: skip
COUNTS_AND_AMOUNTS = {
    "lists_naming_ip", "device_contradictions", "confirmed_successes", "amount", "confirmed_subjects_on_ip",
    "confirmed_subjects_on_network",
}  # fmt: skip
NEVER_UNKNOWN = {"action_name", "familiar", "deny_lists"}
"""An action always has a name; what explains hits away is 0 where nothing is known; without lists none names it."""


@pytest.mark.parametrize("declared", FEATURES.values(), ids=FEATURES.keys())
def test_unknown_when_nothing_is_known(declared: Feature) -> None:
    """Of an attempt with nothing but a time and an action name, all features but those three are unknown."""
    facts = attempt()
    value = declared.compute(facts, Population()) if declared.needs_population else declared.compute(facts)
    assert value is None or declared.name in NEVER_UNKNOWN


@pytest.mark.parametrize("declared", FEATURES.values(), ids=FEATURES.keys())
def test_unknown_without_history_is_not_zero(declared: Feature) -> None:
    """An anonymous subject, or a store that is down, leaves every feature of the history unknown."""
    unlearned = attempt(history=history())
    anonymous = attempt(history=None)
    extract = {True: Extractor(POPULATION), False: Extractor(Population())}[declared.needs_population]
    position = extract.names.index(declared.name)
    before, after = extract(unlearned)[0][position], extract(anonymous)[0][position]
    assert after is None or after == before


@pytest.mark.parametrize("declared", FEATURES.values(), ids=FEATURES.keys())
def test_a_name_says_its_unit(declared: Feature) -> None:
    """A feature is a flag, a text or a plain count that is listed here, or its name ends in its unit or window."""
    plain = FLAGS_AND_TEXTS | COUNTS_AND_AMOUNTS
    assert declared.name in plain or not UNITS.isdisjoint(declared.name.split("_"))


def test_a_new_subject_has_no_habits_to_break() -> None:
    """A history in which nothing is confirmed makes no device, place, network, language or payee new."""
    facts = attempt(
        history={},
        subject={"token": "t", "session": "s"},
        action={"amount": 10.0, "currency": "EUR", "recipient": "r"},
        network={"ip": "i", "key": "AS1"},
        place={"country": "NO", "latitude": 59.9, "longitude": 10.7},
        device={"id": "d", "family": "Windows|Chrome", "language": "nb", "rtt_ms": 20.0},
    )
    values, faulty = Extractor(POPULATION)(facts)
    known = dict(zip(FEATURES, values, strict=True))
    assert not faulty
    novel = [name for name in FEATURES if name.endswith("unseen_days") or "deviation" in name or "ratio" in name]
    assert [name for name in novel if known[name] is not None] == []


def test_every_module_is_imported() -> None:
    """A family that `riskd.features` forgets to import would not be computed."""
    modules = {path.stem for path in Path(features.__file__).parent.glob("*.py")}
    assert modules - {"__init__", "declared", "feature", "population"} <= set(features.__all__)


def test_the_model_reads_numbers_only() -> None:
    """Texts, and what is declared for signals alone, are not in the model's vector."""
    assert all(FEATURES[name].numeric and FEATURES[name].model for name in MODEL_FEATURES)
    assert {"country", "endpoint", "tor"}.isdisjoint(MODEL_FEATURES)
    assert len(set(MODEL_FEATURES)) == len(MODEL_FEATURES)


def test_schema_hash_follows_names_and_order() -> None:
    """The fingerprint of a feature list changes with every name and with the order."""
    assert schema_hash(["a", "b"]) == schema_hash(("a", "b"))
    assert len({schema_hash(names) for names in (["a", "b"], ["b", "a"], ["a"], ["ab"], [])}) == 5


def test_two_of_one_name() -> None:
    """A second declaration of a feature is refused."""

    def country(facts: Facts) -> str | None:
        """Country of the attempt."""
        return facts.place.country

    with pytest.raises(ValueError, match="declared twice"):
        signal_feature(country)


def test_no_docstring() -> None:
    """A feature without a docstring is refused, and not kept."""

    def undescribed(facts: Facts) -> float | None:
        return facts.action.amount

    with pytest.raises(ValueError, match="no docstring"):
        feature(undescribed)
    assert "undescribed" not in FEATURES


@dataclass
class Broken:
    """Facts of which one group cannot be read."""

    time: datetime
    good: Facts
    touched: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        """Every group but `device`."""
        if name == "device":
            raise OSError("unreadable")
        return getattr(self.good, name)


def test_a_raising_feature_costs_no_other() -> None:
    """A feature that raises becomes a fault that names it and the error; all others keep their values."""
    good = attempt(place={"country": "NO"}, history={"attempts_1h": 3}, device={"bot": False})
    values, faulty = Extractor(Population())(Broken(good.time, good))  # type: ignore[arg-type]
    assert faulty
    known = dict(zip(FEATURES, values, strict=True))
    assert known["bot"] == Fault("bot", "OSError")
    assert known["country"] == "NO"
    assert known["attempts_1h"] == 3.0
    expected = dict(zip(FEATURES, Extractor(Population())(good)[0], strict=True))
    assert {name: v for name, v in known.items() if not isinstance(v, Fault)}.items() <= expected.items()
    assert all(fault.feature == name for name, fault in known.items() if isinstance(fault, Fault))


def test_sound_facts_have_no_fault() -> None:
    """Without a failing feature the second answer is False."""
    assert Extractor(POPULATION)(attempt(history={}))[1] is False
