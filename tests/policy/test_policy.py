"""What holds for which action on which resource, and how signals are tuned there."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import Outcome, StepUp
from riskd.policy import Plan, Policy, Question
from riskd.policy.load import SHIPPED, load, parse
from riskd.policy.policy import MAX_PLANS, OTHER, _bind, _path_matcher, glob_matcher
from riskd.signals import SIGNALS
from tests.attempts import NOON

LADDER = """
version: 1
assurance:
  levels:
    - {level: 1, acr: {oidc: [one]}, amr: [pwd], max_age: 12h}
    - {level: 2, acr: {oidc: [two]}, amr: [otp], max_age: 15m}
    - {level: 3, acr: {oidc: [three]}, amr: [hwk], max_age: 5m}
"""
LAYERED = (
    LADDER
    + """
thresholds: {step_up: 40, deny: 80}
limits: {EUR: 100}
signals:
  new_country: {weight: 0.2, memory_days: 90}
actions:
  login:
    names: [login, sign_in]
  payment:
    names: [pay]
    thresholds: {step_up: 30, deny: 70}
    limits: {EUR: 50}
    daily_limits: {EUR: 500}
    sensitive: true
    fail_mode: deny
    change: recipient
    signals:
      new_country: {weight: 0.4}
      tor_exit: {enabled: false}
  robot:
    names: [call]
    interactive: false
resources:
  - name: open
    match: {endpoint: ["/public/**"], method: [GET]}
    fail_mode: allow
  - name: vault
    match: {endpoint: ["/public/vault", "/vault/*"]}
    level: 3
    requires: {max_age: 1m}
    signals:
      new_country: {memory_days: 10}
      tor_exit: {enabled: true, floor: deny}
  - name: documents
    match: {type: [document]}
    sensitive: true
"""
)


def policy(text: str) -> Policy:
    """Compile a policy."""
    return parse(text.encode(), "test.yaml")


POLICY = policy(LAYERED)
STEP_UP = StepUp(
    level=2,
    acr_values=("two",),
    amr_values=("otp",),
    methods=("totp",),
    max_age=900,
    expires_at=NOON,
)


def plan(action: str, path: str | None = None, method: str | None = None, kind: str | None = None) -> Plan:
    """The layered policy's plan for an attempt."""
    return POLICY.plan(action, path, method, kind)


def found(glob: str, path: str) -> bool:
    """Whether an endpoint glob matches, as the policy asks it."""
    matches = _path_matcher((glob,))
    assert matches is not None
    return matches(path)


def question(its_plan: Plan, code: str) -> Question | None:
    """One signal as a plan asks it."""
    return next((q for q in its_plan.questions if q.code == code), None)


def test_classes() -> None:
    """An action belongs to the class that names it, any other to none."""
    assert POLICY.plan("sign_in", None, None, None).action == "login"
    assert POLICY.plan("unheard_of", None, None, None).action == "other"
    assert plan("pay").action == "payment"
    assert plan("pay").change == "recipient"
    assert plan("login").change is None


def test_what_an_action_does_not_say_it_inherits() -> None:
    """Each rule comes from the most specific place that sets it: resource, then action, then the top."""
    assert (plan("login").step_up_at, plan("login").deny_at) == (40, 80)
    assert (plan("pay").step_up_at, plan("pay").deny_at) == (30, 70)
    assert (plan("login").fail_mode, plan("pay").fail_mode) == (Outcome.STEP_UP, Outcome.DENY)
    assert plan("pay", "/public/a", "GET").fail_mode is Outcome.ALLOW
    assert plan("pay", "/public/a", "GET").step_up_at == 30
    assert plan("login").level == 2
    assert plan("login", "/vault/gold").level == 3
    assert not plan("login").sensitive
    assert plan("pay").sensitive
    assert plan("login", kind="document").sensitive


def test_one_threshold_leaves_the_other() -> None:
    """A class that sets one threshold or requirement inherits the other, and does not fall back to a laxer default."""
    rules = """
thresholds: {step_up: 20, deny: 40}
requires: {level: 2, max_age: 1h}
actions:
  pay: {names: [pay], thresholds: {step_up: 10}, requires: {max_age: 5m}}
resources: [{name: vault, match: {endpoint: [/vault]}, thresholds: {deny: 30}}]
"""
    found = policy(LADDER + rules)
    its_plan = found.plan("pay", None, None, None)
    assert (its_plan.step_up_at, its_plan.deny_at) == (10, 40)
    assert (its_plan.level, its_plan.max_age) == (2, timedelta(minutes=5))
    weak = question(its_plan, "weak_authentication")
    assert weak is not None
    assert weak.ask("one")
    vault = found.plan("pay", "/vault", None, None)
    assert (vault.step_up_at, vault.deny_at) == (10, 30)


def test_the_first_resource_that_matches_wins() -> None:
    """Rules are tried in their order, and every part of a match must hold."""
    assert plan("login", "/public/vault", "GET").level == 2
    assert plan("login", "/public/vault", "POST").level == 3
    assert plan("login", "/public/vault", None).level == 3
    assert plan("login", "/vault/a/b").level == 2  # `*` stays within a segment
    assert plan("login", None).level == 2


def test_tuning_adds_up_over_the_layers() -> None:
    """A knob or weight comes from the most specific layer that sets it, each on its own."""
    top, action, resource = (question(p, "new_country") for p in (plan("login"), plan("pay"), plan("pay", "/vault/a")))
    assert top is not None
    assert action is not None
    assert resource is not None
    assert (top.weight, action.weight, resource.weight) == (0.2, 0.4, 0.4)
    assert [bool(q.ask(80.0)) for q in (top, action, resource)] == [False, False, True]
    assert [bool(q.ask(91.0)) for q in (top, action, resource)] == [True, True, True]


def test_a_signal_may_be_off_and_on() -> None:
    """A signal that is off is not asked; a more specific layer may turn it on again, with a floor."""
    assert question(plan("pay"), "tor_exit") is None
    found = question(plan("pay", "/vault/a"), "tor_exit")
    assert found is not None
    assert found.floor is Outcome.DENY


def test_limits_reach_their_signals() -> None:
    """An action's limits, class and kind are bound into the signals that ask for them."""
    over, daily = question(plan("pay"), "amount_over_limit"), question(plan("pay"), "cumulative_amount")
    assert over is not None
    assert daily is not None
    assert over.ask(60.0, "EUR")
    assert not over.ask(60.0, "USD")
    assert daily.ask(501.0, "EUR")
    at_top = question(plan("login"), "amount_over_limit")
    assert at_top is not None
    assert not at_top.ask(60.0, "EUR")
    robot, person = question(plan("call"), "hosting_network"), question(plan("login"), "hosting_network")
    assert robot is not None
    assert person is not None
    assert not robot.ask(1.0, 3650.0)
    assert person.ask(1.0, 3650.0)


def test_a_step_up_asks_for_no_less_than_the_action_requires() -> None:
    """Level and age that an action requires of every session bind its step-up too, so that one never loops."""
    rules = "actions: {wire: {names: [wire], requires: {level: 3, max_age: 1m}}}"
    found = policy(f"{LADDER}\n{rules}\n").plan("wire", None, None, None)
    assert (found.level, found.max_age) == (3, timedelta(minutes=1))
    assert (plan("login").level, plan("login").max_age) == (2, timedelta(minutes=15))
    lax = policy(f"{LADDER}\nrequires: {{max_age: 1d}}\n").plan("wire", None, None, None)
    assert lax.max_age == timedelta(minutes=15)


def test_every_signal_is_asked_once() -> None:
    """A plan asks every signal once: with one input the fast way, with several the other."""
    its_plan = policy(LADDER).plan("x", None, None, None)
    assert sorted(q.code for q in its_plan.questions) == sorted(SIGNALS)
    asked = [q.code for _, _, q in its_plan.single] + [q.code for _, _, q in its_plan.several]
    assert sorted(asked) == sorted(SIGNALS)


def test_tuning_does_not_touch_the_declaration() -> None:
    """Two policies tune the same signal apart, and the catalogue keeps its defaults."""
    lax = policy(f"{LADDER}\nsignals: {{impossible_travel: {{max_speed_kmh: 5000}}}}\n").plan("x", None, None, None)
    found = question(lax, "impossible_travel")
    assert found is not None
    assert not found.ask(1000.0)
    assert SIGNALS["impossible_travel"].ask(1000.0)


def test_only_functions_are_bound() -> None:
    """A question that is no plain function cannot take knobs, and is refused."""
    with pytest.raises(TypeError, match="not a plain function"):
        _bind(len, {})


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/admin/**", "/admin/users", True),
        ("/admin/**", "/admin/", True),
        ("/admin/**", "/admin/a/b/c", True),
        ("/admin/**", "/administrator", False),
        ("/admin/**", "/x/admin/users", False),
        ("/*/export", "/users/export", True),
        ("/*/export", "/a/b/export", False),
        ("/*/export", "/users/export/all", False),
        ("/a.b", "/axb", False),
        ("/a", "/a\n", False),
        ("/**", "/a\nb", True),
        ("/v[12]/x", "/v1/x", False),
        ("/v[12]/x", "/v[12]/x", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    """`*` stays within a segment, `**` crosses segments, all else is taken literally, and the whole path counts."""
    assert found(glob, path) is matches


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_glob_is_a_pattern(glob: str, path: str) -> None:
    """Whatever stands in a policy, it compiles, and without stars it matches itself alone."""
    assert "*" in glob or found(glob, path) is (glob == path)


STARRED = st.lists(st.sampled_from(["/", "a", "b", "*", "**", "\n", "."]), max_size=6).map("".join)


@given(STARRED, st.text("/ab.\n", max_size=8))
def test_the_short_ways_match_like_the_pattern(glob: str, path: str) -> None:
    """A plain path and `/all/beneath/**`, which go without a regular expression, match what theirs would."""
    assert found(glob, path) is (glob_matcher(glob)(path) is not None)


HOSTILE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
from riskd.policy.load import parse
from riskd.policy.policy import glob_matcher
policy = parse(sys.stdin.buffer.read(), "riskd.yaml")
print([policy.plan("login", "/a" * 2047 + end, None, None).sensitive for end in ("", "/b", "/c")])
print([glob_matcher("/" + "*a" * 30 + "b")("/" + "a" * 4094 + end) is not None for end in ("", "b", "c")])
"""


def test_no_path_keeps_a_glob_busy() -> None:
    """Thirty stars against a path of 4 KB end within a processor's half minute; backtracking, they never would."""
    rules = f'resources: [{{name: odd, match: {{endpoint: ["{"/**/a" * 30}/b"]}}, sensitive: true}}]\n'
    told = subprocess.run(
        [sys.executable, "-c", HOSTILE],
        input=(LADDER + rules).encode(),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, b"")
    assert told.stdout == b"[False, True, False]\n" * 2


def test_one_of_several_globs_is_enough() -> None:
    """A path that any glob matches is matched, whichever kind it is of; none given means no question of the path."""
    matches = _path_matcher(("/a", "/b/**", "/c/*"))
    assert matches is not None
    assert [path for path in ("/a", "/a/x", "/b/x/y", "/c/x", "/c/x/y", "") if matches(path)] == [
        "/a",
        "/b/x/y",
        "/c/x",
    ]
    assert _path_matcher(()) is None


def test_plans_are_made_when_asked_for_and_few_are_kept() -> None:
    """Of the pairs of classes and resource rules only those that were asked for are compiled, and only so many kept."""
    classes = "".join(f"  c{n}: {{names: [a{n}]}}\n" for n in range(400))
    rules = "".join(f"  - {{name: {kind}, match: {{type: [{kind}]}}, level: 3}}\n" for kind in "stu")
    many = policy(f"{LADDER}actions:\n{classes}resources:\n{rules}")
    assert many._plan_of.cache_info().currsize == 0
    assert many.plan("a7", None, None, None) is many.plan("a7", None, None, None)
    for kind in "stu":
        assert all(many.plan(f"a{n}", None, None, kind).level == 3 for n in range(400))
    assert many._plan_of.cache_info().currsize == MAX_PLANS
    assert many.plan("a7", None, None, None).action == "c7"


def test_an_action_called_other_is_of_its_own_class() -> None:
    """A caller's action of the name that unnamed actions' class has is judged by the class that names it."""
    its = policy(f"{LADDER}actions: {{login: {{names: [other], sensitive: true}}}}\n")
    assert its.plan("other", None, None, None).action == "login"
    assert its.plan("whatever", None, None, None).action == OTHER
    assert not its.plan("whatever", None, None, None).sensitive


def test_obligations() -> None:
    """An obligation is due at its outcomes, and where it names signals, only when one of them hit."""
    rules = """
obligations:
  - {id: always, type: notification, outcomes: [allow, deny], properties: {to: soc}}
  - {id: theft, type: session_termination, outcomes: [deny], signals: [session_hop, tor_exit]}
"""
    found = policy(LADDER + rules)
    assert [o.id for o in found.obligations(Outcome.ALLOW, {"tor_exit"}, None)] == ["always"]
    assert [o.id for o in found.obligations(Outcome.DENY, {"tor_exit"}, None)] == ["always", "theft"]
    assert [o.id for o in found.obligations(Outcome.DENY, {"new_ip"}, None)] == ["always"]
    assert found.obligations(Outcome.STEP_UP, set(), None) == ()
    assert [o.id for o in found.obligations(Outcome.STEP_UP, set(), STEP_UP)] == ["step-up"]
    assert found.obligations(Outcome.ALLOW, set(), None)[0].properties == {"to": "soc"}


@pytest.mark.parametrize(("acr_values", "first"), [(("two", "three"), {"acr_value": "two"}), ((), {})])
def test_a_step_up_is_an_obligation(acr_values: tuple[str, ...], first: dict[str, str]) -> None:
    """A step-up comes as an obligation with its preferred `acr`, where the dialect has one, its methods and its age."""
    asked = STEP_UP.model_copy(update={"acr_values": acr_values})
    (found,) = POLICY.obligations(Outcome.STEP_UP, set(), asked)
    assert (found.id, found.type) == ("step-up", "step-up")
    assert found.properties == {**first, "amr_values": ["otp"], "max_age": 900}


def test_a_knob_set_to_null_keeps_what_it_had() -> None:
    """A key written without a value is as good as not written."""
    found = question(policy(f"{LADDER}signals: {{new_ip: {{weight: null}}}}\n").plan("x", None, None, None), "new_ip")
    assert found is not None
    assert found.weight == SIGNALS["new_ip"].weight


def test_words_that_the_policy_spells() -> None:
    """Names, methods, types and path segments of the policy are words that no caller can hide a secret in."""
    assert {"login", "pay", "two", "hwk", "document", "GET", "vault"} <= POLICY.words
    assert {"webauthn", "administration", "urn:riskd:loa:2"} - load(SHIPPED / "default.yaml").words == {
        "administration"
    }
