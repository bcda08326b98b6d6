"""The cases that come with riskd: they hold, they tell the policies apart, and they are worth reading."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.cases.load import Ready, beside, load
from riskd.app.cases.run import Result, open_rehearsal
from riskd.features import MODEL_FEATURES
from riskd.policy import Policy
from riskd.policy.load import SHIPPED
from riskd.policy.load import load as load_policy
from riskd.settings import Settings

NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
MODELS = Path(__file__).parents[3] / "models"


def judged(cases: Sequence[Ready], policy: Policy, tmp_path: Path, model: Model | None = None) -> list[Result]:
    """Judge cases by a policy."""

    async def run() -> list[Result]:
        settings = Settings(data_dir=tmp_path)
        async with open_rehearsal(settings, policy, SHIPPED / "default.yaml", model) as rehearsal:
            return [await rehearsal.judge(case) for case in cases]

    return asyncio.run(run())


def cases_of(name: str, policy: Policy) -> list[Ready]:
    """The cases that come with a policy."""
    (path,) = beside(SHIPPED / f"{name}.yaml")
    return load(path, policy)


@pytest.mark.parametrize("with_model", [False, True], ids=["signals alone", "with the model"])
@pytest.mark.parametrize("name", NAMES)
def test_shipped_cases_hold(name: str, with_model: bool, tmp_path: Path) -> None:
    """Each shipped policy says what its cases expect, with the shipped model and without."""
    policy = load_policy(SHIPPED / f"{name}.yaml")
    model = load_model(MODELS, MODEL_FEATURES) if with_model else None
    results = judged(cases_of(name, policy), policy, tmp_path, model)
    assert {r.case.name: (r.differences, r.trouble) for r in results if r.status != "passed"} == {}


@pytest.mark.parametrize("name", NAMES)
def test_shipped_cases_read_well(name: str) -> None:
    """There are some for every outcome, each told in a sentence that no other has."""
    cases = cases_of(name, load_policy(SHIPPED / f"{name}.yaml"))
    assert 8 <= len(cases) <= 20
    assert {case.expect.decision for case in cases} == {"allow", "step_up", "deny"}
    assert all(case.name.endswith(".") and case.name[0].isupper() for case in cases)


def test_another_policy_fails_the_case(default_policy: Policy, tmp_path: Path) -> None:
    """What the default policy expects of an export, the policy for payments does not say."""
    (case,) = [case for case in cases_of("default", default_policy) if "export" in case.name]
    assert [r.status for r in judged([case], default_policy, tmp_path)] == ["passed"]
    (result,) = judged([case], load_policy(SHIPPED / "payments.yaml"), tmp_path)
    assert [(d.what, d.expected, d.got) for d in result.differences] == [
        ("decision", "step_up", "allow"),
        ("reasons", ["stale_authentication"], []),
    ]
