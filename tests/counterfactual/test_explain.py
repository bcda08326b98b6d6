"""`riskd explain` prints what would have turned a decision, and tells the same in JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riskd.cli.decide import explain_command
from riskd.cli.root import app
from riskd.contract import DecideRequest
from riskd.policy.load import SHIPPED
from tests.conftest import NOON, Live


@pytest.fixture
def explained(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, str]]:
    """Run `riskd explain` on the log of the live engine, as text and as JSON."""
    monkeypatch.setenv("RISKD_DATA_DIR", str(live.log.parent))
    monkeypatch.setenv("RISKD_POLICY", str(SHIPPED / "default.yaml"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(decision_id: str) -> tuple[str, str]:
        runs = [CliRunner().invoke(app, ["explain", decision_id, *more]) for more in ([], ["--json"])]
        assert [run.exit_code for run in runs] == [0, 0], runs[0].output
        return runs[0].output, runs[1].output

    assert explain_command in [command.callback for command in app.registered_commands]
    return run


async def test_a_step_up_is_told_with_what_would_have_turned_it(
    live: Live, make_request: Callable[..., DecideRequest], explained: Callable[[str], tuple[str, str]]
) -> None:
    """A payload replayed from another subject: with a payload of its own it would have been allowed."""
    await live.engine.decide(make_request(context={"device_digest": "d1"}), now=NOON)
    replayed = make_request(subject={"id": "bob"}, context={"device_digest": "d1"})
    decision = await live.engine.decide(replayed, now=NOON)
    assert decision.decision == "step_up"
    text, told = explained(decision.decision_id)
    assert "allowed with a device payload of its own" in text
    turns = json.loads(told)["explanation"]["counterfactuals"]
    turn = next(turn for turn in turns if turn["text"] == "allowed with a device payload of its own")
    assert turn["decision"] == "allow"
    assert [change["code"] for change in turn["changes"]] == ["own_payload"]


async def test_an_allow_has_nothing_to_turn(
    live: Live, make_request: Callable[..., DecideRequest], explained: Callable[[str], tuple[str, str]]
) -> None:
    """Of an allow no such table is printed, and the JSON list is empty."""
    decision = await live.engine.decide(make_request(action={"name": "view"}), now=NOON)
    assert decision.decision == "allow"
    text, told = explained(decision.decision_id)
    assert "would have" not in text
    assert json.loads(told)["explanation"]["counterfactuals"] == []


async def test_that_nothing_would_have_turned_it_is_said(
    live: Live,
    make_request: Callable[..., DecideRequest],
    explained: Callable[[str], tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under a policy that denies the country nothing that is known of a newcomer would have done."""
    decision = await live.engine.decide(make_request(), now=NOON)
    denying = tmp_path / "denying.yaml"
    shipped = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
    denying.write_text(f"{shipped}\nsignals:\n  denied_country: {{countries: [GB], floor: deny}}\n", encoding="utf-8")
    monkeypatch.setenv("RISKD_POLICY", str(denying))
    text, _ = explained(decision.decision_id)
    assert "No single or double change of what was known would have turned it." in " ".join(text.split())
