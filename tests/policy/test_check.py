"""`riskd check`, for people and for editors."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riskd.cli import policy as _policy_commands  # noqa: F401 - declares its commands
from riskd.cli.root import app, console
from riskd.policy.load import SHIPPED
from tests.app.riskd import amend

WRONG = """\
version: 1
level: 3
assurance:
  levels:
    - {level: 2, acr: {oidc: [two]}, amr: [otp], max_age: 15m}
actions:
  login: {names: [login]}
  other: {names: [wire, login]}
"""
SAID = [
    (2, 8, "level", ["2"]),
    (8, 3, "actions.other", []),
    (8, 25, "actions.other.names.1", []),
]


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Return a policy whose parts contradict each other."""
    path = tmp_path / "riskd.yaml"
    path.write_text(WRONG, encoding="utf-8")
    return path


def test_every_mistake_is_a_line_that_editors_can_follow(wrong: Path) -> None:
    """Mistakes over the whole file have line and column like all others, top to bottom, and the exit status is 1."""
    told = CliRunner().invoke(app, ["check", str(wrong)])
    assert (told.exit_code, told.stdout) == (1, "")
    lines = told.stderr.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        [f"{wrong}:{line}:{column}", at] for line, column, at, _ in SAID
    ]
    assert lines[0].endswith("level 3 is not on the assurance ladder; did you mean 2?")


def test_json_has_the_same(wrong: Path) -> None:
    """As JSON every mistake carries file, line, column, path, message and the nearest right words."""
    told = CliRunner().invoke(app, ["check", "--json", str(wrong), str(SHIPPED / "default.yaml")])
    assert told.exit_code == 1
    bad, good = json.loads(told.stdout)
    assert bad["file"] == str(wrong)
    found = [(m["line"], m["column"], m["path"], m["nearest"]) for m in bad["mistakes"]]
    assert found == SAID
    assert all(mistake["message"] for mistake in bad["mistakes"])
    assert (good["mistakes"], len(good["revision"])) == ([], 12)


def test_a_mistake_of_the_whole_file_has_no_line(tmp_path: Path) -> None:
    """A file that is not there, and a list that is not there, are told of without a line."""
    gone = tmp_path / "gone.yaml"
    listed = tmp_path / "listed.yaml"
    listed.write_bytes((SHIPPED / "default.yaml").read_bytes())
    amend(listed, lists={"feeds": [{"name": "tor", "file": "tor.txt"}]})
    told = CliRunner().invoke(app, ["check", "--json", str(gone), str(listed)])
    assert told.exit_code == 1
    for report in json.loads(told.stdout):
        (mistake,) = report["mistakes"]
        assert (mistake["line"], mistake["column"]) == (0, 0)


def test_what_a_policy_declares_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Custom signals and velocities are told with what they weigh, force and read, as tables and as JSON."""
    path = tmp_path / "riskd.yaml"
    path.write_bytes((SHIPPED / "default.yaml").read_bytes())
    amend(
        path,
        custom_signals=[
            {"code": "large", "when": "action.amount > 500.0", "weight": 0.4, "text": "Large.", "actions": ["payment"]}
        ],
        velocities=[
            {"name": "payouts_24h", "count": "attempts", "per": "recipient", "window": "24h", "limit": 5},
            {"name": "spent_1h", "sum": "amount", "per": "subject", "window": "1h"},
        ],
    )
    (told,) = json.loads(CliRunner().invoke(app, ["check", "--json", str(path)]).stdout)
    (signal,), (payouts, spent) = told["custom_signals"], told["velocities"]
    assert (signal["code"], signal["reads"], signal["floor"]) == ("large", ["action.amount"], "allow")
    assert (payouts["velocity"], payouts["signal"]) == ("velocity.payouts_24h", "velocity_payouts_24h")
    assert (spent["counts"], spent["window_s"], spent["limit"], spent["signal"]) == ("sum of amount", 3600, None, None)
    monkeypatch.setattr(console, "_width", 200)
    shown = CliRunner().invoke(app, ["check", str(path)]).stdout
    assert "action.amount > 500.0" in shown
    assert "velocity.payouts_24h" in shown
    assert "86400 s" in shown
    assert "velocities" not in CliRunner().invoke(app, ["check", str(SHIPPED / "default.yaml")]).stdout


def test_what_looks_like_markup_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of actions and expressions are printed as the policy spells them, brackets and all."""
    path = tmp_path / "riskd.yaml"
    path.write_bytes((SHIPPED / "default.yaml").read_bytes())
    when = "action.name in [attributes.plan]"
    amend(
        path,
        attributes={"plan": "text"},
        custom_signals=[{"code": "own_plan", "when": when, "weight": 0.1, "text": "Named as the plan."}],
        actions={"odd": {"names": ["[/]", "[bold]pay[/bold]"]}},
    )
    monkeypatch.setattr(console, "width", 200)
    told = CliRunner().invoke(app, ["check", str(path)])
    assert told.exit_code == 0, told.exception
    assert "[/], [bold]pay[/bold]" in told.stdout
    assert when in told.stdout


def test_a_candidate_is_looked_at_too(tmp_path: Path) -> None:
    """What a policy names to be tried must be there and be right; the mistake names the candidate's file."""
    path, candidate = tmp_path / "riskd.yaml", tmp_path / "candidate.yaml"
    path.write_bytes((SHIPPED / "default.yaml").read_bytes())
    amend(path, rollout={"policy": "candidate.yaml", "percent": 5})
    for content, says in ((None, "cannot be read"), ("version: 1\nlevl: 2\n", "candidate.yaml:2:1: levl")):
        if content is not None:
            candidate.write_text(content, encoding="utf-8")
        told = CliRunner().invoke(app, ["check", str(path)])
        assert (told.exit_code, told.stdout) == (1, "")
        assert says in told.stderr
    candidate.write_bytes((SHIPPED / "default.yaml").read_bytes())
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
