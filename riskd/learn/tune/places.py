"""Where a policy file says its thresholds: at the top for all, in a class of actions, in a resource."""

from dataclasses import dataclass

from riskd.facts import ActionFacts
from riskd.policy import Policy
from riskd.policy.schema import Rules, Thresholds
from riskd.policy.section import inherited
from riskd.policy.text import Path

TOP: Path = ()
"""What every class without thresholds of its own follows; its decisions are of the class `other`."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the file that decisions get, or could get, their thresholds from."""

    path: Path
    """Keys from the top of the file to the mapping that holds, or would hold, `thresholds`."""
    name: str
    """What people call it: the class of actions, or `resource NAME`."""
    follows: bool
    """It sets no thresholds itself and has those of the top."""
    step_up: float
    """The step_up threshold in force, 0 to 100."""
    deny: float
    """The deny threshold in force; step_up cannot be above it."""


def places(policy: Policy) -> dict[Path, Place]:
    """Return every place of a policy by its path, `other` first."""
    file = policy.file
    found = [_place(TOP, "other", file, file.thresholds)]
    found += [_place(("actions", kind), kind, rules, file.thresholds) for kind, rules in file.actions.items()]
    found += [
        _place(("resources", number), f"resource {rules.name}", rules, file.thresholds)
        for number, rules in enumerate(file.resources)
        if rules.thresholds is not None
    ]
    return {place.path: place for place in found}


def place_of(policy: Policy, action: ActionFacts, kind: str) -> Path:
    """Return the place that an attempt of a class gets its thresholds from: a resource's go before its action's."""
    number = policy.resource(action.path, action.method, action.resource_type)
    if number is not None and policy.file.resources[number].thresholds is not None:
        return ("resources", number)
    return ("actions", kind) if kind in policy.file.actions else TOP


def highest_step_up(policy: Policy, path: Path) -> float:
    """Return how high the step_up of a place may be set: no place that inherits it may deny below it."""
    file = policy.file
    bounds = [_in_force(_rules(policy, path), file.thresholds).deny]
    heirs: list[Rules] = [] if path[:1] == ("resources",) else list(file.resources)
    if path == TOP:
        heirs += file.actions.values()
    for rules in heirs:
        own = rules.thresholds
        if own is not None and "step_up" not in own.model_fields_set and "deny" in own.model_fields_set:
            bounds.append(own.deny)
    return min(bounds)


def _place(path: Path, name: str, rules: Rules, top: Thresholds) -> Place:
    at = _in_force(rules, top)
    return Place(path, name, follows=bool(path) and rules.thresholds is None, step_up=at.step_up, deny=at.deny)


def _in_force(rules: Rules, top: Thresholds) -> Thresholds:
    return top if rules.thresholds is None else inherited(rules.thresholds, top)


def _rules(policy: Policy, path: Path) -> Rules:
    if not path:
        return policy.file
    section, which = path
    return policy.file.actions[str(which)] if section == "actions" else policy.file.resources[int(which)]
