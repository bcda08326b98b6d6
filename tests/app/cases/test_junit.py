"""Results as JUnit XML: what build servers accept, and nothing a case can break out of."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from riskd.app.cases.junit import junit
from riskd.app.cases.run import Result
from tests.app.cases.conftest import Judge

BEGUN = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
COUNTS = {"name", "tests", "failures", "errors", "time"}
ALLOWED = {
    "testsuites": COUNTS,
    "testsuite": COUNTS | {"skipped", "timestamp", "hostname"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}
"""Attributes that every common schema of JUnit's has; the first name is required everywhere."""


@pytest.fixture
def results(judge: Judge) -> list[Result]:
    """One case that passes, one that fails and one that cannot be judged."""
    return judge("""
  - {name: good, request: {like: home}, expect: {decision: allow}}
  - {name: 'bad <&> "case"', request: {like: home}, expect: {decision: deny}}
  - {name: no model, down: [model], request: {like: home}, expect: {decision: deny}}
""")


def test_the_document(results: list[Result]) -> None:
    """There is a suite for each file and a test for each case, with counts that add up and what there is to say."""
    elsewhere = replace(results[0], case=replace(results[0].case, file=Path("policies/cases/other.yaml")))
    told = ["", "- decision: deny\n+ decision: allow <&>", "trouble", ""]
    root = ET.fromstring(junit([*results, elsewhere], told, BEGUN))  # noqa: S314 - our own
    for element in root.iter():
        assert set(element.attrib) == ALLOWED[element.tag]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "1")
    one, other = root
    assert [test.get("name") for test in one] == ["good", 'bad <&> "case"', "no model"]
    assert (one.get("tests"), one.get("failures"), one.get("errors"), one.get("skipped")) == ("3", "1", "1", "0")
    assert one.get("timestamp") == "2026-11-02T12:00:00"
    good, bad, trouble = one
    assert len(good) == 0
    assert [(found.tag, found.get("message")) for found in (*bad, *trouble)] == [
        ("failure", "decision"),
        ("error", "down: there is no model that could be out of order"),
    ]
    assert bad[0].text == f"{results[1].case.file}:{results[1].case.line}\n{told[1]}"
    assert other[0].get("classname") == "policies.cases.other"


def test_what_xml_cannot_hold(results: list[Result]) -> None:
    """Characters that XML has no way to write are replaced, whatever a file is called or a message says."""
    nasty = "a\x00b\x1bc\ufffed\ud800]]></testcase>"
    result = replace(results[1], case=replace(results[1].case, name=nasty, file=Path(nasty)), trouble=nasty)
    root = ET.fromstring(junit([result], [nasty], BEGUN))  # noqa: S314
    (test,) = root.iter("testcase")
    assert test.get("name") == "a\ufffdb\ufffdc\ufffdd\ufffd]]></testcase>"
    assert [child.tag for child in test] == ["error"]
