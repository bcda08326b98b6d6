"""Results as JUnit XML, which build servers read."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from riskd.app.cases.run import Result

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, however it is escaped (§2.2)."""


def junit(results: Sequence[Result], told: Sequence[str], begun: datetime) -> bytes:
    """Return the document: a suite for each file, a test for each case; `told` is what there is to say of each."""
    root = ET.Element("testsuites", _counted("riskd test", results))
    for path, group in groupby(zip(results, told, strict=True), key=lambda pair: pair[0].case.file):
        pairs = list(group)
        suite = ET.SubElement(root, "testsuite", _counted(str(path), [result for result, _ in pairs]))
        suite.set("skipped", "0")
        suite.set("timestamp", f"{begun.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")
        suite.set("hostname", "localhost")
        for result, text in pairs:
            _add(suite, result, text)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add(suite: ET.Element, result: Result, text: str) -> None:
    case = result.case
    attributes = {"name": _text(case.name), "classname": _class(case.file), "time": f"{result.seconds:.3f}"}
    test = ET.SubElement(suite, "testcase", attributes)
    if result.status == "passed":
        return
    tag, kind = ("error", "CaseError") if result.status == "error" else ("failure", "CaseFailure")
    what = result.trouble or ", ".join(difference.what for difference in result.differences)
    told = ET.SubElement(test, tag, {"message": _text(what), "type": kind})
    told.text = _text(f"{case.file}:{case.line}\n{text}")


def _counted(name: str, results: Sequence[Result]) -> dict[str, str]:
    return {
        "name": _text(name),
        "tests": str(len(results)),
        "failures": str(sum(result.status == "failed" for result in results)),
        "errors": str(sum(result.status == "error" for result in results)),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _class(path: Path) -> str:
    """Return what build servers group by: dots there make packages."""
    return _text(".".join(part for part in path.with_suffix("").parts if part not in {"/", ".", ".."}))


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
