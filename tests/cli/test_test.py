"""The command `riskd test`, run as a person runs it."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from riskd.policy.load import SHIPPED
from tests.command import riskd

CASES = """\
attempts:
  home:
    subject: {id: alice}
    action: {name: login}
    context: {ip: 81.2.69.142, network: {asn: 20712}, place: {country: GB}, device_id: laptop}
cases:
  - name: The known laptop walks in.
    history: [{confirmed: 12, every: 2d, like: home}]
    request: {like: home}
    expect: {decision: allow}
  - name: '[red]A report[/red] asks.'
    history: [{confirmed: 12, every: 2d, like: home}, {reported: 1, ago: 1h, like: home}]
    request: {like: home}
    expect: {decision: step_up, reasons: [reported]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy that needs no model, and cases beside it."""
    shutil.copy(SHIPPED / "default.yaml", tmp_path / "riskd.yaml")
    with (tmp_path / "riskd.yaml").open("a", encoding="utf-8") as policy:
        policy.write("\nanomaly: {missing: rules_only}\n")
    (tmp_path / "riskd.cases.yaml").write_text(CASES, encoding="utf-8")
    return tmp_path


def riskd_test(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `riskd test` in a folder."""
    return riskd("test", *arguments, cwd=folder, DATA_DIR=folder / "data")


def test_all_is_well(folder: Path) -> None:
    """Cases beside the policy that would serve are found and judged; nothing is left behind, and nothing is red."""
    done = riskd_test(folder)
    *lines, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines == ["✓ The known laptop walks in.", "✓ [red]A report[/red] asks."]
    assert last.startswith("2 passed in ")
    assert last.endswith("no model)")
    assert not (folder / "data").exists()


def test_what_a_change_breaks(folder: Path) -> None:
    """A policy that says otherwise fails its cases: a diff tells what was expected, what came, and why."""
    policy = folder / "riskd.yaml"
    policy.write_text(f"{policy.read_text('utf-8')}\nsignals: {{reported: {{weight: 0.3, floor: deny}}}}\n", "utf-8")
    done = riskd_test(folder, "riskd.yaml", "riskd.cases.yaml")
    assert done.returncode == 1
    passed, failed, *diff, last = done.stdout.splitlines()
    assert passed == "✓ The known laptop walks in."
    assert failed == "✗ [red]A report[/red] asks.  riskd.cases.yaml:11"
    assert diff[:2] == ["    - decision: step_up", "    + decision: deny"]
    assert diff[2].startswith("    score 30 (range 30 to ")
    assert diff[2].endswith("); login: step_up from 50, deny from 85")
    assert diff[3:] == ["    why: reported 30 (floor deny)"]
    assert last.startswith("1 passed, 1 failed in ")


def test_for_programs(folder: Path) -> None:
    """`--json` tells the same as one document, decisions and differences included."""
    cases = folder / "riskd.cases.yaml"
    cases.write_text(CASES.replace("decision: allow", "decision: allow, score: {min: 50}"), encoding="utf-8")
    done = riskd_test(folder, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["passed"], report["failed"], report["error"]) == (1, 1, 0)
    assert report["model_version"] is None
    failed, passed = report["cases"]
    assert (failed["status"], failed["line"]) == ("failed", 7)
    assert failed["differences"] == [{"what": "score", "expected": "50 to 100", "got": 0.0}]
    assert passed["decision"]["reasons"][0]["code"] == "reported"
    assert report["policy_revision"] == passed["decision"]["policy_revision"]


def test_for_build_servers(folder: Path) -> None:
    """`--junit` writes the results beside what is printed."""
    cases = folder / "riskd.cases.yaml"
    cases.write_text(CASES.replace("decision: allow", "decision: deny"), encoding="utf-8")
    done = riskd_test(folder, "--junit", "out.xml")
    assert done.returncode == 1
    (suite,) = ET.parse(folder / "out.xml").getroot()  # noqa: S314 - our own
    assert suite.get("name") == "riskd.cases.yaml"
    failed, passed = suite
    assert (failed.get("name"), passed.get("name")) == ("The known laptop walks in.", "[red]A report[/red] asks.")
    assert failed[0].text is not None
    assert "- decision: deny\n+ decision: allow\n" in failed[0].text
    assert len(passed) == 0


def test_some_of_them(folder: Path) -> None:
    """`-k` judges the cases with these letters in their name, small or large; none is a mistake."""
    done = riskd_test(folder, "-k", "LAPTOP")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "✓ The known laptop walks in.")
    assert "report" not in done.stdout
    done = riskd_test(folder, "-k", "tablet")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "riskd: no case has 'tablet' in its name\n")


def test_mistakes_in_the_files(folder: Path) -> None:
    """Mistakes of all files of cases are told at once, as those of a policy are, and nothing is judged."""
    more = folder / "cases" / "riskd"
    more.mkdir(parents=True)
    (more / "more.yaml").write_text("cases: [{name: a, expct: {}}]\n", encoding="utf-8")
    cases = folder / "riskd.cases.yaml"
    cases.write_text(CASES.replace("[reported]", "[reportd]"), encoding="utf-8")
    done = riskd_test(folder)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        "riskd.cases.yaml:14:43: cases.1.expect.reasons.0: no such signal: 'reportd'; did you mean reported?",
        "cases/riskd/more.yaml:1:9: cases.0.request: is missing",
        "cases/riskd/more.yaml:1:9: cases.0.expect: is missing",
        "cases/riskd/more.yaml:1:19: cases.0.expct: no such key: 'expct'; did you mean expect?",
    ]
    told = json.loads(riskd_test(folder, "--json").stdout)["mistakes"]
    assert [(mistake["line"], mistake["column"]) for mistake in told] == [(14, 43), (1, 9), (1, 9), (1, 19)]
    assert told[0]["nearest"] == ["reported"]


def test_mistakes_of_the_policy(folder: Path) -> None:
    """A policy that cannot be used is told with its mistakes; so is one that is not there."""
    with (folder / "riskd.yaml").open("a", encoding="utf-8") as policy:
        policy.write("\nthreshold: 3\n")
    done = riskd_test(folder)
    assert done.returncode == 78
    assert "threshold: no such key: 'threshold'; did you mean thresholds?" in done.stderr
    done = riskd_test(folder, "nowhere.yaml")
    assert (done.returncode, done.stderr) == (78, "nowhere.yaml: cannot be read: No such file or directory\n")


def test_nothing_to_judge_and_nowhere_to_write(folder: Path) -> None:
    """Without cases the way out is told; so is a file that cannot be written."""
    done = riskd_test(folder, "--junit", "no/such/folder.xml")
    assert (done.returncode, done.stderr) == (
        2,
        "riskd: no/such/folder.xml cannot be written: No such file or directory\n",
    )
    (folder / "riskd.cases.yaml").unlink()
    done = riskd_test(folder)
    assert (done.returncode, done.stderr) == (2, "riskd: no cases: write riskd.cases.yaml, or name a file\n")


def test_without_the_model_that_a_policy_wants(folder: Path) -> None:
    """A policy that refuses to serve without a model is judged without one only when that is asked for."""
    shutil.copy(SHIPPED / "default.yaml", folder / "riskd.yaml")
    done = riskd_test(folder)
    assert done.returncode == 78
    assert "with --no-model the declared signals decide alone" in done.stderr
    assert riskd_test(folder, "--no-model").returncode == 0


def test_shipped_cases_are_found() -> None:
    """A shipped policy finds the cases that come with it."""
    done = riskd_test(SHIPPED, "payments.yaml", "-k", "coffee", "--no-model")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "✓ A coffee is paid without a word.")
