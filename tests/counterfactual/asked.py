"""Asks what would have turned a decision, for the tests of this folder."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from riskd.counterfactual import Change, Counterfactual, counterfactuals
from riskd.evaluation import Scorer, evaluate
from riskd.facts import Facts
from riskd.policy import Policy
from riskd.policy.schema import PolicyFile
from tests.test_cases import policy

KNOWN: dict[str, Any] = {
    "confirmed": 40, "first_confirmed_age_s": 3e7, "last_confirmed_age_s": 3600.0, "known_devices": 1,
    "known_families": 1, "known_ips": 1, "known_networks": 1, "known_countries": 1, "known_languages": 1,
    "known_recipients": 2, "country_age_s": 3600.0, "network_age_s": 3600.0,
}  # fmt: skip
"""History of a subject of some standing."""


def strict(**changed: Any) -> Policy:  # noqa: ANN401 - any section
    """The default policy with a step-up for the least hit, and other sections changed."""
    file = policy("default").file.model_dump(exclude_unset=True)
    return Policy(PolicyFile.model_validate({**file, "thresholds": {"step_up": 1, "deny": 100}, **changed}), "test")


def told(facts: Facts, its_policy: Policy, model: Scorer | None = None) -> list[Counterfactual]:
    """What would have turned the decision."""
    return list(counterfactuals(facts, its_policy, model, evaluate(facts, its_policy, model)))


def texts(found: Sequence[Counterfactual]) -> list[str]:
    """The sentences."""
    return [way.text for way in found]


def sized(change: Change, step: int) -> Change:
    """A change in one of its sizes."""
    return change if change.at is None else change.at(step)


def step_of(change: Change, value: float | str | None) -> int | None:
    """Which size of a change goes as far as `value`."""
    if change.at is None or not isinstance(value, float):
        return 1 if change.value == value else None
    up = 1 if change.code == "later" else -1
    sizes = range(1, change.steps + 1)
    at = bisect_left(sizes, up * value, key=lambda step: up * change.at(step).value)
    return sizes[at] if at < len(sizes) and change.at(sizes[at]).value == value else None


POLICIES = [*(policy(name) for name in ("default", "payments", "admin_console", "sensitive_api")), strict()]
PERSONAL = strict(signals={"sensitive_endpoint": {"enabled": False}})
"""The default policy with a step-up for the least that is odd of a person, whatever is at stake."""
