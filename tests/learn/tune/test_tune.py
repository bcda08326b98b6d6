"""From a log to a changed policy, on a real log."""

import json
from pathlib import Path

import numpy as np
import pytest

from riskd.errors import ConfigError
from riskd.learn.simulate.run import Simulated
from riskd.learn.tune.change import diff
from riskd.learn.tune.choose import choose
from riskd.learn.tune.gather import ATTACK, HONEST, NEITHER, Decisions
from riskd.learn.tune.goals import LeastCost, MaxStepUp, MinCatch
from riskd.learn.tune.page import page
from riskd.learn.tune.tune import Tuned, propose
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load, parse
from tests.command import riskd

TEXT = (SHIPPED / "default.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tuned(decisions: Decisions, policy: Policy) -> Tuned:
    """The log tuned for 2 %, with deny."""
    return propose(decisions, policy, TEXT, MaxStepUp(0.02), within=0.02, max_deny=0.004)


def test_the_change_does_what_is_promised(tuned: Tuned, decisions: Decisions) -> None:
    """Judged at the thresholds written, exactly the promised number of honest decisions is not allowed."""
    file = parse(tuned.after.encode(), "p").file
    step_up, deny = np.empty(len(decisions.place)), np.empty(len(decisions.place))
    for number, place in enumerate(decisions.places):
        rules = file.actions[str(place.path[1])] if place.path[:1] == ("actions",) else file
        own = rules.thresholds or file.thresholds
        step_up[decisions.place == number], deny[decisions.place == number] = own.step_up * 10, own.deny * 10
    honest = decisions.said == HONEST
    troubled = decisions.turns(np.round(deny).astype(int)) >= np.round(step_up).astype(int)
    names = {name for choice in tuned.chosen.tuned for name in (choice.shared_by or (choice.place.name,))}
    those = honest & np.isin(decisions.place, [n for n, p in enumerate(decisions.places) if p.name in names])
    assert troubled[those].sum() == tuned.chosen.then.troubled.hits
    assert tuned.chosen.then.troubled.share <= 0.021
    assert all(choice.then.troubled.share <= 0.02 for choice in tuned.chosen.tuned)


def test_large_classes_have_their_own_threshold_and_small_ones_share(tuned: Tuned) -> None:
    """Logins are known well; changes of a password are not, and share the threshold at the top."""
    by_name = {choice.place.name: choice for choice in tuned.chosen.tuned}
    assert not by_name["login"].shared_by
    assert "password_change" in by_name["other"].shared_by
    assert all(choice.place.step_up == 50 for choice in tuned.chosen.choices)


def test_a_log_too_small_says_how_much_more(decisions: Decisions, policy: Policy) -> None:
    """Two tenths of a point take more decisions than there are, and it is said how many."""
    with pytest.raises(ConfigError, match=r"about [\d,]+ more of [\d,]+ more subjects are needed"):
        choose(decisions, policy, MaxStepUp(0.01), within=0.002)


def test_floors_above_the_goal_are_named(decisions: Decisions, policy: Policy) -> None:
    """Where every other login is forced, one in a hundred cannot be had, and the signal is named."""
    login = [place.name for place in decisions.places].index("login")
    of = decisions.only(decisions.place == login)
    of.steps_up[::2] = 32_767
    of.floor[::2] = len(of.floors) - 1
    with pytest.raises(ConfigError, match=rf"at any threshold: {of.floors[-1]} "):
        choose(of, policy, MaxStepUp(0.01), within=0.02)


def test_attacks_too_few_to_catch(decisions: Decisions, policy: Policy) -> None:
    """Catching 99 % takes a hundred labelled attacks."""
    few = decisions.only((decisions.said == HONEST) | (np.arange(len(decisions.said)) < 200))
    with pytest.raises(ConfigError, match="labelled attacks in the log"):
        choose(few, policy, MinCatch(0.99))


def test_costs_decide(decisions: Decisions, policy: Policy) -> None:
    """The dearer a missed attack, the more honest decisions are stepped up and attacks caught."""
    attacked = decisions.only(decisions.said >= HONEST)
    attacked.said[attacked.said == NEITHER] = ATTACK  # most of what nobody vouches for is
    cheap = choose(attacked, policy, LeastCost(1, 0.1), within=0.5)
    dear = choose(attacked, policy, LeastCost(1, 1000), within=0.5)
    assert dear.then.troubled.hits > cheap.then.troubled.hits
    assert dear.then.caught.share > cheap.then.caught.share


def test_only_what_is_asked_for(decisions: Decisions, policy: Policy) -> None:
    """The others are kept, and a name that does not exist is refused with those that do."""
    found = propose(decisions, policy, TEXT, MaxStepUp(0.02), within=0.02, only=frozenset({"login"}))
    assert [choice.place.name for choice in found.chosen.tuned] == ["login"]
    assert diff(TEXT, found.after, "p").count("\n+") == 2
    with pytest.raises(ConfigError, match="no thresholds are called 'logn'; there are other, login"):
        choose(decisions, policy, MaxStepUp(0.02), only=frozenset({"logn"}))


def test_a_class_keeps_what_it_found_when_the_top_changes(decisions: Decisions, policy: Policy) -> None:
    """Its threshold is written even where it is the one in force, or the class would follow."""
    found = propose(decisions, policy, TEXT, MaxStepUp(0.02), within=0.02)
    login = next(choice for choice in found.chosen.tuned if choice.place.name == "login")
    text = TEXT.replace("step_up: 50", f"step_up: {login.step_up:g}", 1)
    second = propose(decisions, parse(text.encode(), "p"), text, MaxStepUp(0.02), within=0.02)
    file = parse(second.after.encode(), "p").file
    assert file.thresholds.step_up != login.step_up
    assert file.actions["login"].thresholds is not None
    assert file.actions["login"].thresholds.step_up == login.step_up


def test_what_is_not_asked_for_does_not_follow_the_top(decisions: Decisions, policy: Policy) -> None:
    """Where only the top is tuned, classes with decisions keep the thresholds they had of it."""
    other = decisions.only(decisions.said == HONEST)
    other.place[other.place == [place.name for place in other.places].index("read")] = 0  # of no class, say
    found = propose(other, policy, TEXT, MaxStepUp(0.02), within=0.02, only=frozenset({"other"}))
    file = parse(found.after.encode(), "p").file
    assert file.thresholds.step_up != 50
    assert file.actions["login"].thresholds is not None
    assert file.actions["login"].thresholds.step_up == 50


def test_the_curve_rises(tuned: Tuned) -> None:
    """More step-ups never catch less, and every place's share falls with its threshold."""
    assert [p.caught.hits for p in tuned.points] == sorted(p.caught.hits for p in tuned.points)
    assert [p.troubled.hits for p in tuned.points] == sorted(p.troubled.hits for p in tuned.points)
    for steps in tuned.steps:
        assert list(steps.shares) == sorted(steps.shares, reverse=True)


def test_the_page_needs_nothing_else(tuned: Tuned) -> None:
    """No script and nothing from elsewhere; names of the policy are escaped; the diff is in it."""
    shown = page(tuned, diff(tuned.before, tuned.after, "p"), "<b>.yaml")
    assert "<script" not in shown
    assert "http" not in shown
    assert "&lt;b&gt;.yaml" in shown
    assert "+  step_up:" in shown
    assert shown.count("<svg") == 1 + len(tuned.steps)


def test_the_command(simulated: Simulated, policy_file: Path) -> None:
    """It prints the diff and leaves the file; with `--write` it changes it, and `riskd check` takes it."""
    text = policy_file.read_text().replace("missing: refuse", "missing: rules_only")
    policy_file.write_text(text + "anomaly: {missing: rules_only}\n")
    before, home = policy_file.read_text(), policy_file.parent
    asked = ("tune", "--max-step-up", "2%", "--within", "2%", "--log", simulated.log.parent, "--policy", "riskd.yaml")
    told = riskd(*asked, "--html", "report.html", cwd=home)
    assert told.returncode == 0, told.stderr
    assert "+++ b/riskd.yaml" in told.stdout
    assert "95 % prediction interval" in " ".join(told.stdout.split())
    assert policy_file.read_text() == before
    assert (home / "report.html").read_text().endswith("</html>\n")
    written = riskd(*asked, "--write", "--json", cwd=home)
    found = json.loads(written.stdout)
    assert found["written"]
    assert found["promise"]["then"]["troubled"]["share"] <= 0.021
    assert diff(before, policy_file.read_text(), "riskd.yaml") == found["diff"]
    assert load(policy_file).revision != parse(before.encode(), "p").revision
    assert riskd("check", "riskd.yaml", cwd=home).returncode == 0
    assert "has these thresholds already" in riskd(*asked, cwd=home).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say one goal"),
        (("--max-step-up", "1%", "--min-catch", "95%"), "say one goal"),
        (("--cost-missed", "5"), "go together"),
        (("--max-step-up", "ten"), "is no share"),
        (("--max-step-up", "150%"), "not between"),
    ],
)
def test_a_goal_is_one_goal(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """Anything else leaves with one line and code 2."""
    done = riskd("tune", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", "").split())
