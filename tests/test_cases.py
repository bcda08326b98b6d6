"""Whole decisions, each a story: who attempts what, and what the shipped policy makes of it.

A case in `cases/<story>.yaml` (default policy) or `cases/<policy>/<story>.yaml` takes a person's usual facts from
`people/`, changes some, and says the outcome and the reasons it is about, never the whole list and never a score.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from riskd.answer import answer
from riskd.contract import Decision, Outcome
from riskd.decision_id import new_base
from riskd.evaluation import Evaluation, evaluate
from riskd.facts import Facts
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from tests.attempts import NOON, attempt
from tests.models import BrokenModel, FixedModel

CASES = Path(__file__).parent / "cases"
PEOPLE = Path(__file__).parent / "people"
PATHS = sorted(CASES.rglob("*.yaml"))
Tree = dict[str, Any]


def read(path: Path) -> Tree:
    """Read a YAML file."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


@cache
def policy(name: str) -> Policy:
    """A shipped policy."""
    return load(SHIPPED / f"{name}.yaml")


def changed(usual: Tree, changes: Mapping[str, Any]) -> Tree:
    """The usual facts with some of them changed; a group that is null is gone."""
    merged = dict(usual)
    for name, change in changes.items():
        was = merged.get(name)
        merged[name] = {**was, **change} if isinstance(was, dict) and isinstance(change, dict) else change
    return merged


def facts_of(case: Tree) -> Facts:
    """The facts of a case."""
    return attempt(**changed(read(PEOPLE / f"{case['like']}.yaml"), case.get("facts", {})))


def judged(case: Tree, its_policy: Policy) -> tuple[Evaluation, Decision]:
    """Judge a case, with a model when it names one."""
    said = case.get("model")
    model: Any = None if said is None else BrokenModel() if said == "broken" else FixedModel(said)
    facts = facts_of(case)
    evaluation = evaluate(facts, its_policy, model)
    base = new_base(int(NOON.timestamp() * 1000))
    return evaluation, answer(evaluation, facts, its_policy, decision_id=base, model_version=None, at=NOON)


@pytest.mark.parametrize("path", PATHS, ids=[str(path.relative_to(CASES).with_suffix("")) for path in PATHS])
def test_story(path: Path) -> None:
    """Each story ends as it says, for the reasons it names, and the answer is one the contract allows."""
    case = read(path)
    want = dict(case["want"])
    folder = path.parent.name
    evaluation, decision = judged(case, policy("default" if folder == CASES.name else folder))
    codes = {reason.code for reason in decision.reasons}
    assert Decision.model_validate_json(decision.model_dump_json(), strict=False)
    if "decision" in want:
        assert (decision.decision, sorted(codes)) == (want.pop("decision"), sorted(codes))
    else:
        assert evaluation.outcome >= Outcome.of(want.pop("decision_at_least"))
    assert set(want.pop("reasons", ())) <= codes
    assert codes.isdisjoint(want.pop("not_reasons", ()))
    assert (decision.step_up is None) is (decision.decision != "step_up")
    for check, wanted in want.items():
        CHECKS[check](wanted, evaluation, decision)


def _step_up(want: Tree | None, _: Evaluation, decision: Decision) -> None:
    found = None if decision.step_up is None else decision.step_up.model_dump(mode="json")
    assert found == want if found is None or want is None else found.items() >= want.items()


def _degraded(want: list[str], _: Evaluation, decision: Decision) -> None:
    assert list(decision.degraded) == want


def _evidence_met(want: bool, evaluation: Evaluation, _: Decision) -> None:
    assert evaluation.evidence_met is want


def _obligations(want: list[str], _: Evaluation, decision: Decision) -> None:
    assert [obligation.id for obligation in decision.obligations] == want


def _floor(want: dict[str, str], _: Evaluation, decision: Decision) -> None:
    assert {r.code: r.detail.get("floor") for r in decision.reasons}.items() >= want.items()


def _wide_range(_: bool, __: Evaluation, decision: Decision) -> None:
    low, high = decision.score_range
    assert low == decision.score
    assert high > decision.score + 10


def _wide_down(_: bool, __: Evaluation, decision: Decision) -> None:
    assert decision.score_range[0] < decision.score


CHECKS = {
    "step_up": _step_up,
    "degraded": _degraded,
    "evidence_met": _evidence_met,
    "obligations": _obligations,
    "floor": _floor,
    "wide_range": _wide_range,
    "wide_down": _wide_down,
}


def test_every_shipped_policy_has_cases() -> None:
    """Each policy that comes with riskd has whole decisions, with every outcome among them."""
    by_policy: dict[str, set[str]] = {}
    for path in PATHS:
        name = "default" if path.parent == CASES else path.parent.name
        by_policy.setdefault(name, set()).add(read(path)["want"].get("decision"))
    assert set(by_policy) == {path.stem for path in SHIPPED.glob("*.yaml")}
    assert all({"allow", "step_up", "deny"} <= outcomes for outcomes in by_policy.values())


def test_every_case_tells_its_story() -> None:
    """A case says in one sentence what happens, and no two say the same."""
    stories = [read(path)["story"] for path in PATHS]
    assert all(story.endswith(".") for story in stories)
    assert len(set(stories)) == len(stories)
