"""Cases judged by the real engine: what each kind of history does, what is out of order, what cannot have been."""

from pathlib import Path

import pytest

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.cases.run import Result
from riskd.features import MODEL_FEATURES
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, parse
from tests.app.cases.conftest import Judge

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def model() -> Model:
    """The model that comes with riskd."""
    return load_model(MODELS, MODEL_FEATURES)


def amended(more: str) -> Policy:
    """The shipped policy with sections more."""
    return parse((SHIPPED / "default.yaml").read_bytes() + more.encode(), "riskd.yaml")


def detail(result: Result, code: str) -> dict[str, object]:
    """What a signal that hit has read."""
    assert result.decision is not None, result.trouble
    return next(dict(reason.detail) for reason in result.decision.reasons if reason.code == code)


def assert_passed(results: list[Result]) -> None:
    """Every case passed; what did not says what differs."""
    assert {r.case.name: (r.differences, r.trouble) for r in results if r.status != "passed"} == {}


def test_confirmed_attempts_are_habits(judge: Judge) -> None:
    """Only what was confirmed is known: neither failures nor mere attempts make a device an old acquaintance."""
    told = """
  - name: confirmed
    history: [{confirmed: 12, every: 2d, like: home}]
    request: {like: home}
    expect: {decision: allow, not_reasons: [new_device, learning_period]}
"""
    for outcome in ("failed", "tried"):
        told += f"""
  - name: {outcome}
    history: [{{confirmed: 12, every: 2d, like: home}}, {{{outcome}: 2, ago: 1h, like: abroad}}]
    request: {{like: abroad}}
    expect: {{reasons: [new_device, new_country, new_network]}}
"""
    assert_passed(judge(told))


def test_counts_are_those_of_the_case(judge: Judge) -> None:
    """So many failures from so many addresses, attempts and subjects are counted as the history says."""
    failed, tried, shared = judge("""
  - name: failed
    history:
      - {failed: 7, within: 10m, like: abroad, different: [ip]}
      - {failed: 5, ago: 30m, like: abroad}
      - {failed: 3, ago: 2h, like: abroad}
    request: {like: home}
    expect: {decision: step_up}
  - name: tried
    history: [{tried: 30, within: 4m, like: request}]
    request: {like: home}
    expect: {reasons: [event_burst]}
  - name: shared
    history: [{tried: 12, within: 1h, like: home, different: [subject]}]
    request: {like: home}
    expect: {reasons: [users_per_ip]}
""")
    assert detail(failed, "failed_logins") == {"failures_10m": 7.0, "failures_1h": 12.0, "familiar": 0.0}
    assert detail(failed, "distributed_failures")["failure_ips_1h"] == 8.0
    assert detail(tried, "event_burst")["attempts_5m"] == 31.0
    assert detail(shared, "users_per_ip")["subjects_on_ip_1h"] == 13.0


def test_reports_and_what_answers_them(judge: Judge) -> None:
    """A report or fraud asks for a step-up, until an investigation vouches for the subject or a step-up is passed."""
    cases = ""
    for name, more, expected in (
        ("reported", "", "reasons: [reported]"),
        ("vouched", ", {legitimate: 1, ago: 1h, like: home}", "not_reasons: [reported]"),
        ("answered", ", {confirmed: 1, ago: 1h, like: home}", "not_reasons: [reported]"),
    ):
        for outcome in ("reported", "fraud"):
            cases += f"""
  - name: {name} {outcome}
    history: [{{confirmed: 12, every: 2d, like: home}}, {{{outcome}: 1, ago: 6h, like: abroad}}{more}]
    request: {{like: home}}
    expect: {{{expected}}}
"""
    assert_passed(judge(cases))


def test_evidence_counts_in_a_history(judge: Judge) -> None:
    """A device let in on fresh proof of a second factor is known afterwards, as it is live."""
    assert_passed(
        judge("""
  - name: proved
    history:
      - {confirmed: 12, every: 2d, like: home}
      - {tried: 1, ago: 1h, like: abroad, subject: {acr: mfa, auth_time: 5s ago}}
    request: {like: abroad}
    expect: {not_reasons: [new_device, new_country]}
  - name: not proved
    history:
      - {confirmed: 12, every: 2d, like: home}
      - {tried: 1, ago: 1h, like: abroad, subject: {acr: "1", auth_time: 5s ago}}
    request: {like: abroad}
    expect: {reasons: [new_device, new_country]}
""")
    )


def test_what_is_denied_cannot_be_confirmed(judge: Judge) -> None:
    """A history that the policy would never have let be is told, not judged as if it had been."""
    denies = amended("\nsignals: {denied_country: {countries: [BR], floor: deny}}\n")
    told, good = judge(
        """
  - name: impossible
    history: [{confirmed: 3, every: 1d, like: abroad}]
    request: {like: home}
    expect: {decision: allow}
  - name: possible
    history: [{failed: 3, every: 1d, like: abroad}]
    request: {like: home}
    expect: {decision: allow}
""",
        denies,
    )
    assert (told.status, told.decision) == ("error", None)
    assert told.trouble.startswith(
        "history: number 1 of 3 confirmed attempts, at 2026-10-30 12:00:00, is denied (score"
    )
    assert "denied_country" in told.trouble
    assert good.status == "passed"


def test_what_is_out_of_order(judge: Judge, model: Model) -> None:
    """Store and model can be down for the request alone; the history was made while they were well."""
    cases = """
  - name: store
    down: [store]
    history: [{confirmed: 12, every: 2d, like: home}]
    request: {like: home}
    expect: {decision: step_up, degraded: [store], not_reasons: [new_device]}
  - name: model
    down: [model]
    history: [{confirmed: 12, every: 2d, like: home}]
    request: {like: home}
    expect: {decision: step_up, degraded: [model]}
  - name: both
    down: [store, model]
    request: {like: home}
    expect: {degraded: [store, model]}
  - name: well again
    history: [{confirmed: 12, every: 2d, like: home}]
    request: {like: home}
    expect: {decision: allow, degraded: []}
"""
    assert_passed(judge(cases, model=model))
    statuses = [(result.status, result.trouble) for result in judge(cases)]
    none = ("error", "down: there is no model that could be out of order")
    assert statuses == [("passed", ""), none, none, ("passed", "")]


def test_cases_know_nothing_of_each_other(judge: Judge) -> None:
    """The same subject, address and request id in two cases are two stories."""
    assert_passed(
        judge("""
  - name: first
    history: [{failed: 20, within: 5m, like: home}]
    request: {like: home, request_id: r-1}
    expect: {reasons: [failed_logins]}
  - name: second
    request: {like: home, request_id: r-1, action: {name: read}}
    expect: {decision: allow, not_reasons: [failed_logins]}
""")
    )


def test_attempts_before_have_no_request_id(judge: Judge) -> None:
    """A history that is like the request counts each attempt, though the request has an id."""
    (result,) = judge("""
  - name: counted
    history: [{failed: 4, within: 5m, like: request}]
    request: {like: home, request_id: r-1}
    expect: {reasons: [failed_logins]}
""")
    assert detail(result, "failed_logins")["failures_10m"] == 4.0


def test_the_time_of_a_case(judge: Judge) -> None:
    """A case happens when it says, else always on the same day, so that no browser grows old in it."""
    assert_passed(
        judge("""
  - name: then
    request: {like: home}
    expect: {not_reasons: [outdated_user_agent]}
  - name: years later
    at: 2032-01-01T12:00:00Z
    request: {like: home}
    expect: {reasons: [outdated_user_agent]}
""")
    )


def test_a_slow_machine_fails_no_case(judge: Judge, model: Model) -> None:
    """The policy's own deadlines are the service's matter: a case is waited for."""
    hurried = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
    start = hurried.index("deadlines:")
    policy = parse(f"{hurried[:start]}deadlines: {{decision: 0s, store: 0s, model: 0s}}\n".encode(), "riskd.yaml")
    cases = """
  - name: patient
    history: [{confirmed: 12, every: 2d, like: home}]
    request: {like: home}
    expect: {decision: allow, degraded: []}
"""
    assert_passed(judge(cases, policy, model))


def test_signals_of_the_policy_itself(judge: Judge) -> None:
    """What a policy declares works in a case as it does live."""
    policy = amended("""
attributes: {plan: text}
custom_signals:
  - code: free_and_new
    when: attributes.plan == "free" && features.confirmed_successes < 3.0
    weight: 0.6
    text: A free account without habits.
""")
    cases = """
  - name: hit
    request: {like: home, context: {attributes: {plan: free}}}
    expect: {decision: step_up, reasons: [free_and_new]}
  - name: clear
    history: [{confirmed: 3, every: 1d, like: request}]
    request: {like: home, context: {attributes: {plan: free}}}
    expect: {decision: allow, not_reasons: [free_and_new]}
"""
    (_, clear) = results = judge(cases, policy)
    assert [result.status for result in results] == ["passed", "passed"], clear.trouble


def test_velocities_of_the_policy_itself(judge: Judge) -> None:
    """Attempts with a card of their own each are so many different cards for a velocity that counts them."""
    policy = amended("""
attributes: {card: text}
velocities:
  - {name: cards_1h, distinct: attributes.card, per: ip, window: 1h, limit: 5, weight: 0.7}
""")
    results = judge(
        """
  - name: card testing
    history: [{tried: 5, within: 10m, like: request, different: [subject, attributes.card]}]
    request: {like: home, context: {attributes: {card: c}}}
    expect: {decision: step_up, reasons: [velocity_cards_1h]}
  - name: one card again and again
    history: [{tried: 5, within: 10m, like: request, different: [subject]}]
    request: {like: home, context: {attributes: {card: c}}}
    expect: {decision: allow, not_reasons: [velocity_cards_1h]}
  - name: long ago
    history: [{tried: 5, within: 10m, ago: 2h, like: request, different: [subject, attributes.card]}]
    request: {like: home, context: {attributes: {card: c}}}
    expect: {decision: allow, not_reasons: [velocity_cards_1h]}
""",
        policy,
    )
    assert_passed(results)


def test_lists_of_the_policy_itself(judge: Judge, tmp_path: Path) -> None:
    """Named lists hold in a case, those in files beside the policy included."""
    named = """named:
    thieves: {kind: deny, of: subject, entries: [mallory]}
    branch: {kind: allow, of: network, file: branch.txt}
"""
    (tmp_path / "branch.txt").write_text("AS28573\n", encoding="utf-8")
    text = (SHIPPED / "default.yaml").read_text(encoding="utf-8").replace("  feeds: []", f"  {named}")
    results = judge(
        """
  - name: thief
    request: {like: home, subject: {id: mallory}}
    expect: {decision: deny, reasons: [deny_listed]}
  - name: branch office
    history: [{confirmed: 12, every: 2d, like: home}]
    request: {like: abroad}
    expect: {not_reasons: [new_country, new_network, new_ip, deny_listed]}
""",
        parse(text.encode(), "riskd.yaml"),
    )
    assert_passed(results)


def test_the_service_is_left_alone(judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the service's store nor its data folder is touched, wherever the environment says they are."""
    monkeypatch.setenv("RISKD_REDIS_URL", "redis://127.0.0.1:1/0")
    assert_passed(judge("  - {name: alone, request: {like: home}, expect: {decision: allow}}\n"))
    assert not (tmp_path / "service").exists()
