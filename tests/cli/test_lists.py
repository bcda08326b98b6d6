"""`riskd lists` and `riskd exemptions`, on a store of their own."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from riskd.cli import lists as _list_commands
from riskd.cli import policy as _policy_commands
from riskd.cli.root import app, console
from riskd.errors import RequestError
from riskd.policy.load import SHIPPED
from riskd.record.audit import decode
from tests.app.riskd import amend

assert _list_commands
assert _policy_commands


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, with a policy that has lists."""
    policy = tmp_path / "riskd.yaml"
    policy.write_bytes((SHIPPED / "default.yaml").read_bytes())
    named = {
        "people": {"kind": "deny", "of": "subject", "store": True},
        "office": {"kind": "allow", "of": "network", "entries": ["203.0.113.0/24"], "exempts": ["new_ip"]},
    }
    amend(policy, lists={"deny": {"networks": ["AS64500"]}, "named": named})
    monkeypatch.setenv("RISKD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RISKD_POLICY", str(policy))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "data"


def run(*words: str) -> Any:  # noqa: ANN401 - parsed JSON, or text
    """Run a command that is right; what it prints, read as JSON where it asks for that."""
    told = CliRunner().invoke(app, list(words))
    assert told.exit_code == 0, (told.output, told.exception)
    return json.loads(told.stdout) if "--json" in words else told.stdout


def test_lists_from_the_command_line(data_dir: Path) -> None:
    """Entries are added, shown and removed, and the audit trail names who did it from the command line."""
    assert run("lists", "add", "people", "mallory", "trudy", "--reason", "fraud", "--days", "7").count("added") == 2
    shown = run("lists", "show", "people", "--json")
    assert {entry["reason"] for entry in shown} == {"fraud"}
    assert all(entry["author"].startswith("cli") for entry in shown)
    assert "203" not in run("lists", "show")
    states = {state["name"]: state for state in run("lists", "show", "--json")}
    assert states["people"]["entries"] == {"policy": 0, "store": 2}
    assert states["office"]["exempts"] == ["new_ip"]
    assert run("lists", "remove", "people", "mallory", "--reason", "mistake").startswith("removed")
    assert len(run("lists", "show", "people", "--json")) == 1
    assert "fraud" in run("lists", "show", "people")
    lines = (data_dir / "audit" / "changes.jsonl").read_bytes().splitlines()
    assert [decode(line).change for line in lines] == ["entry_added", "entry_added", "entry_removed"]


def test_exemptions_from_the_command_line(data_dir: Path) -> None:
    """An exemption is granted, shown and withdrawn."""
    assert "new_country counts nothing" in run("exemptions", "grant", "ada", "new_country", "--reason", "moved")
    (shown,) = run("exemptions", "show", "--json")
    assert (shown["code"], shown["reason"]) == ("new_country", "moved")
    assert "moved" in run("exemptions", "show")
    assert "counts again" in run("exemptions", "withdraw", "ada", "new_country", "--reason", "back")
    assert run("exemptions", "show", "--json") == []
    assert (data_dir / "audit" / "changes.jsonl").exists()


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize("reason", ["[ticket 4711] card testing", "[/red] closes nothing", "[bold]a[/bold] :id:"])
def test_a_reason_is_shown_as_it_was_given(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets and colons are no markup: nothing of a reason vanishes, and none ends the command."""
    monkeypatch.setattr(console, "width", 200)
    run("lists", "add", "people", "mallory", "--reason", reason)
    run("exemptions", "grant", "ada", "new_country", "--reason", reason)
    assert reason in run("lists", "show", "people")
    assert reason in run("exemptions", "show")


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lists", "add", "nowhere", "x", "--reason", "y"], "no list of this name"),
        (["lists", "add", "office", "1.2.3.4", "--reason", "y"], "store: true"),
        (["lists", "remove", "people", "x" * 300, "--reason", "y"], "values.0"),
        (["exemptions", "grant", "ada", "reported", "--reason", "y"], "nothing is exempt from reported"),
        (["exemptions", "withdraw", "ada", "new_ip", "--reason", "y"], "no such exemption"),
    ],
)
def test_what_is_wrong_is_told(words: list[str], said: str) -> None:
    """A wrong name, value or code is told in words, and the command fails."""
    told = CliRunner().invoke(app, words)
    assert told.exit_code != 0
    assert said in f"{told.output}{told.exception}"
    assert told.exception is None or isinstance(told.exception, RequestError | SystemExit)


def test_check_prints_the_precedence(data_dir: Path) -> None:
    """`riskd check` shows lists in the order of precedence, with what each does."""
    told = run("check", str(data_dir.parent / "riskd.yaml"))
    order = [told.index(word) for word in ("lists.deny.networks", "people", "office")]
    assert order == sorted(order)
    assert "lifts new_ip" in told
    (report,) = run("check", "--json", str(data_dir.parent / "riskd.yaml"))
    assert [(one["list"], one["kind"]) for one in report["lists"]] == [
        ("lists.deny.networks", "deny"),
        ("people", "deny"),
        ("office", "allow"),
    ]
