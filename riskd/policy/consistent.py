"""Mistakes that no key shows alone: what parts of a policy say against each other."""

from collections.abc import Iterable, Iterator

from riskd.policy.custom import unsound_signals
from riskd.policy.entry import unsound_entries
from riskd.policy.finding import Finding, nearest
from riskd.policy.named import unsound_lists
from riskd.policy.schema import OTHER, Feed, Method, PolicyFile, ResourceRules, Rules, Thresholds
from riskd.policy.section import inherited
from riskd.policy.text import Path
from riskd.policy.velocities import unsound_velocities
from riskd.signals import SIGNALS


def inconsistencies(file: PolicyFile) -> Iterator[Finding]:
    """Yield every contradiction in a file each of whose keys is sound."""
    yield from _ladder(file)
    yield from _actions(file)
    yield from _twice("resource", ("resources",), file.resources)
    yield from _twice("feed", ("lists", "feeds"), file.lists.feeds)
    yield from _twice("method", ("assurance", "methods"), file.assurance.methods)
    yield from unsound_signals(file)
    codes = [*SIGNALS, *(rule.code for rule in file.custom_signals)]
    yield from unsound_velocities(file.velocities, [*file.actions, OTHER], file.attributes, codes)
    yield from unsound_lists(file.lists.named, _codes(file))
    yield from unsound_entries(("lists", "deny", "networks"), "network", file.lists.deny.networks)
    for name, declared in file.lists.named.items():
        yield from unsound_entries(("lists", "named", name, "entries"), declared.of, declared.entries)
    yield from _obligations(file)
    if file.shadow is not None and file.shadow.policy is None and file.shadow.model is None:
        yield Finding(("shadow",), "names neither a policy nor a model to judge by")
    for path, rules in _places(file):
        yield from _levels(path, rules, file)
        yield from _thresholds(path, rules, file)
    after = file.learning.mature_after
    if after is not None and after >= file.learning.outcome_window:
        yield Finding(
            ("learning", "mature_after"), "must be shorter than outcome_window, after which no outcome is taken"
        )


def _places(file: PolicyFile) -> Iterator[tuple[Path, Rules]]:
    yield (), file
    yield from ((("actions", kind), rules) for kind, rules in file.actions.items())
    yield from ((("resources", number), rules) for number, rules in enumerate(file.resources))


def _actions(file: PolicyFile) -> Iterator[Finding]:
    if OTHER in file.actions:
        said = "is what actions of no class are called; their rules stand at the top level, so choose another name"
        yield Finding(("actions", OTHER), said, of_key=True)
    seen: dict[str, str] = {}
    for kind, rules in file.actions.items():
        for number, name in enumerate(rules.names):
            if name in seen:
                where = f"twice in {kind}" if seen[name] == kind else f"in two classes: {seen[name]} and {kind}"
                yield Finding(("actions", kind, "names", number), f"action {name!r} is {where}")
            seen.setdefault(name, kind)


def _codes(file: PolicyFile) -> list[str]:
    """Codes of all signals, the policy's own among them."""
    limits = (rule.code for rule in file.velocities if rule.limit is not None)
    return [*SIGNALS, *(rule.code for rule in file.custom_signals), *limits]


def _obligations(file: PolicyFile) -> Iterator[Finding]:
    codes = _codes(file)
    for number, rule in enumerate(file.obligations):
        for at, code in enumerate(rule.signals):
            if code not in codes:
                said = f"no such signal (got {code!r})"
                yield Finding(("obligations", number, "signals", at), said, nearest(code, codes))


def _twice(kind: str, path: Path, named: Iterable[ResourceRules | Feed | Method]) -> Iterator[Finding]:
    seen: set[str] = set()
    for number, part in enumerate(named):
        if part.name in seen:
            yield Finding((*path, number, "name"), f"two {kind}s are called {part.name!r}")
        seen.add(part.name)


def _ladder(file: PolicyFile) -> Iterator[Finding]:
    below = 0
    for number, step in enumerate(file.assurance.levels):
        if step.level <= below:
            yield Finding(
                ("assurance", "levels", number, "level"),
                f"levels must ascend without repeats; {step.level} comes after {below}",
            )
        below = step.level


def _levels(path: Path, rules: Rules, file: PolicyFile) -> Iterator[Finding]:
    steps = [step.level for step in file.assurance.levels]
    wanted: list[tuple[Path, int | None]] = [((*path, "level"), rules.level)]
    if rules.requires is not None:
        wanted.append(((*path, "requires", "level"), rules.requires.level or None))
    for at, level in wanted:
        if level is None or level in steps:
            continue
        if at == ("level",) and "level" not in rules.model_fields_set:
            said = f"lack {level}, which a step-up must reach unless `level` names another"
            yield Finding(("assurance", "levels"), said)
        else:
            near = sorted(steps, key=lambda step: abs(step - level))[:2]
            yield Finding(at, f"level {level} is not on the assurance ladder", tuple(map(str, near)))


def _thresholds(path: Path, rules: Rules, file: PolicyFile) -> Iterator[Finding]:
    """Compare what a place sets with what it gets of the other: resources get theirs from actions."""
    own = rules.thresholds
    if own is None:
        return
    beneath = [("", file.thresholds)]
    if path[:1] == ("resources",):
        beneath += [
            (f" in class {kind}", inherited(action.thresholds, file.thresholds))
            for kind, action in file.actions.items()
            if action.thresholds is not None
        ]
    for where, other in beneath:
        at: Thresholds = inherited(own, other)
        if at.step_up <= at.deny:
            continue
        key = "step_up" if "step_up" in own.model_fields_set else "deny"
        whose = "deny" if own.model_fields_set >= {"step_up", "deny"} else ""
        said = (
            f"must not exceed {whose or f'the deny it gets{where}'} ({at.deny:g})"
            if key == "step_up"
            else f"must not be below the step_up it gets{where} ({at.step_up:g})"
        )
        yield Finding((*path, "thresholds", key), f"{key} ({getattr(at, key):g}) {said}")
        return
