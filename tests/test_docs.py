"""What is said twice is said alike: documents against the declarations they are written from."""

import json
import re
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator
from ruamel.yaml import YAML

from riskd.app.cases.document import cases_schema
from riskd.contract import Subject
from riskd.features import FEATURES
from riskd.metrics import Family, Metrics
from riskd.policy.load import SHIPPED
from riskd.policy.schema import ActionRules, PolicyFile
from riskd.policy.text import read
from riskd.reference import DURATION, field_docs, policy_schema, reference
from riskd.settings import Settings
from riskd.signals import SIGNALS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_the_reference_is_what_the_declarations_say() -> None:
    """docs/reference.md is what `riskd reference` prints."""
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == reference()


def test_the_schema_is_what_the_declarations_say() -> None:
    """docs/policy.schema.json is what `riskd schema` prints."""
    assert json.loads((DOCS / "policy.schema.json").read_text(encoding="utf-8")) == policy_schema()


def test_the_schema_of_cases_is_what_the_declarations_say() -> None:
    """docs/cases.schema.json is what `riskd schema --cases` prints."""
    assert json.loads((DOCS / "cases.schema.json").read_text(encoding="utf-8")) == cases_schema()


@pytest.mark.parametrize("path", sorted((SHIPPED / "cases").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_of_cases_takes_the_shipped_ones(path: Path) -> None:
    """An editor that follows the schema has nothing to say against the cases that riskd ships."""
    told = Draft202012Validator(cases_schema()).iter_errors(read(path.read_text(encoding="utf-8")))
    assert [error.message for error in told] == []


@pytest.mark.parametrize(
    ("cases", "wrong"),
    [
        ("attempts: {a: {like: b, subject: {auth_time: 20s ago, acr: null}, context: {ip: null, place: null}}}", ()),
        ("attempts: {a: {subject: {auth_time: 1790000000, type: service}, resource: {endpoint: {path: /}}}}", ()),
        ("attempts: {a: {subject: {auth_time: 20 ages ago}}}", ("attempts", "a", "subject")),
        ("attempts: {a: {subjekt: {id: x}}}", ("attempts", "a")),
        ("attempts: {a: {action: {nam: login}}}", ("attempts", "a", "action")),
        ("attempts: {a: {context: {place: {country: 49}}}}", ("attempts", "a", "context")),
        ("at: 12", ("at",)),
    ],
)
def test_the_schema_of_cases_knows_requests(cases: str, wrong: tuple[str, ...]) -> None:
    """What stands of a request is checked field by field: a part of one, null to take away, times that are ago."""
    sound = "cases: [{name: x, request: {like: a}, expect: {decision: deny}}]\n"
    told = Draft202012Validator(cases_schema(), validate_formats=True).iter_errors(read(sound + cases))
    assert [tuple(error.instance_path) for error in told] == ([wrong] if wrong else [])


def test_everything_is_in_the_reference() -> None:
    """Every signal, feature, metric and environment variable is named, and every signal's false alarms are."""
    text = reference()
    metrics = [family.name for family in vars(Metrics()).values() if isinstance(family, Family)]
    variables = [f"RISKD_{name.upper()}" for name in Settings.model_fields]
    for name in (*SIGNALS, *FEATURES, *metrics, *variables):
        assert f"`{name}`" in text
    assert all(declared.doc in text for declared in SIGNALS.values())
    assert "\n\n\n" not in text


def test_every_key_of_a_policy_is_in_the_reference() -> None:
    """Each key that the shipped policies use stands in the table of keys."""
    text = reference()
    for path in SHIPPED.glob("*.yaml"):
        for key in YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")):
            assert f"`{key}" in text


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_takes_the_durations_that_policies_write(path: Path) -> None:
    """An editor that follows the schema does not complain about a duration as policies write them."""
    text = path.read_text(encoding="utf-8")
    written = re.findall(r"(?:max_age|retain|rotate_every|outcome_window|step_up_expires|store): (\w+)", text)
    assert written
    assert all(re.match(DURATION["anyOf"][0]["pattern"], duration) for duration in written)
    assert "docs/policy.schema.json" in text.partition("\n")[0]


def test_prose_of_fields_is_inherited() -> None:
    """The text beside a field is found in the class that declares it, and below it."""
    assert field_docs(Subject)["acr"].startswith("Authentication context class")
    assert field_docs(ActionRules)["level"] == "Assurance level that a step-up must reach."
    assert field_docs(PolicyFile)["actions"].startswith("Classes of actions")


def test_the_schema_describes_its_keys() -> None:
    """Sections and keys carry their prose, knobs their defaults, and titles that repeat the key are left out."""
    schema = policy_schema()
    assert schema["properties"]["level"]["description"] == "Assurance level that a step-up must reach."
    knob = schema["$defs"]["Signal_impossible_travel"]["properties"]["max_speed_kmh"]
    assert knob["description"] == "Default: 900.0."
    assert "title" not in schema["properties"]["level"]
    assert schema["$defs"]["Requires"]["properties"]["max_age"]["anyOf"] == DURATION["anyOf"]
