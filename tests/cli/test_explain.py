"""`riskd explain`, told of attempts whose words look like markup."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riskd.cli import decide as _decide_commands  # noqa: F401 - declares its commands
from riskd.cli.root import app, console
from riskd.policy.load import SHIPPED
from tests.app.riskd import amend


@pytest.mark.parametrize("note", ["[/boom] ends nothing", "[bold]shown[/bold] as it is", "a :id: b"])
def test_what_a_caller_sent_is_shown_as_it_was_sent(note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attribute that a signal read is no markup: it neither vanishes nor keeps anybody from reading the story."""
    policy = tmp_path / "riskd.yaml"
    policy.write_bytes((SHIPPED / "default.yaml").read_bytes())
    signal = {"code": "own_note", "when": "attributes.note.size() > 3", "weight": 0.3, "text": "A long note."}
    amend(policy, attributes={"note": "text"}, custom_signals=[signal])
    monkeypatch.setenv("RISKD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RISKD_POLICY", str(policy))
    monkeypatch.setattr(console, "width", 200)
    request = {
        "subject": {"id": "ada"},
        "action": {"name": "login"},
        "context": {"ip": "81.2.69.142", "attributes": {"note": note}},
    }
    decided = CliRunner().invoke(app, ["decide"], input=json.dumps(request))
    assert decided.exit_code == 0, decided.output
    told = CliRunner().invoke(app, ["explain", json.loads(decided.stdout)["decision_id"]])
    assert told.exit_code == 0, told.exception
    assert f"attributes.note={note}" in told.stdout
