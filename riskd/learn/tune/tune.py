"""Tuning, from a log and a policy file to a proposed change."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from riskd.errors import ConfigError
from riskd.evaluation import Scorer
from riskd.learn.tune.change import changed
from riskd.learn.tune.choose import NOT_ASKED, Choice, Chosen, Rates, choose
from riskd.learn.tune.curve import Point, Steps, curve, steps
from riskd.learn.tune.gather import ATTACK, HONEST, NEITHER, Decisions, gather
from riskd.learn.tune.goals import Goal
from riskd.learn.tune.places import TOP, places
from riskd.learn.tune.predict import Prediction
from riskd.policy import Policy
from riskd.policy.load import parse
from riskd.policy.text import Path
from riskd.record.schema import Record


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning proposes, and on what grounds."""

    chosen: Chosen
    points: tuple[Point, ...]
    """The friction-catch curve."""
    steps: tuple[Steps, ...]
    before: str
    """The policy file's text."""
    after: str
    """The text with the thresholds chosen; the same when they are in force already."""
    begins: datetime
    ends: datetime
    """The first and last decision."""
    honest: int
    attacks: int
    neither: int
    """Decisions that count as neither: a wrong password, an abandoned step-up, a deny that nobody vouched for."""
    unproven_denies: int
    """The denies among them."""
    unanswered: dict[str, int]
    """Decisions left out because their records cannot answer this policy, by why."""

    @property
    def span(self) -> timedelta:
        """The period seen, and as long a one that is promised."""
        return self.ends - self.begins

    def to_json(self) -> dict[str, Any]:
        """Return all but the texts as plain values."""
        chosen = self.chosen
        return {
            "begins": self.begins.isoformat(),
            "ends": self.ends.isoformat(),
            "decisions": {
                "honest": self.honest,
                "attacks": self.attacks,
                "neither": self.neither,
                "denies_nobody_vouched_for": self.unproven_denies,
                "not_rejudgeable": self.unanswered,
            },
            "promise": {"within": chosen.within, "now": _rates(chosen.now), "then": _rates(chosen.then)},
            "thresholds": [_choice(choice) for choice in chosen.choices],
            "curve": [
                {"asked": p.asked, "troubled": _prediction(p.troubled), "caught": _prediction(p.caught)}
                for p in self.points
            ],
        }


def tune(
    records: Iterable[Record],
    text: str,
    source: str,
    model: Scorer | None,
    goal: Goal,
    *,
    within: float | None = None,
    max_deny: float | None = None,
    only: frozenset[str] = frozenset(),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Tuned:
    """Judge a log, from `since` to before `until`, under a policy's text, and choose its thresholds for a goal.

    Raises PolicyError for a text that is no policy, ConfigError where the log or the floors allow no promise.
    """
    policy = parse(text.encode(), source)
    return propose(
        gather(records, policy, model, since=since, until=until),
        policy,
        text,
        goal,
        within=within,
        max_deny=max_deny,
        only=only,
    )


def propose(
    decisions: Decisions,
    policy: Policy,
    text: str,
    goal: Goal,
    *,
    within: float | None = None,
    max_deny: float | None = None,
    only: frozenset[str] = frozenset(),
) -> Tuned:
    """Choose thresholds on judged decisions, and say what they mean for a policy's text."""
    if not len(decisions.when):
        why = ", ".join(f"{why}: {many:,}" for why, many in decisions.unanswered.most_common())
        raise ConfigError(f"no decision of the log can be judged under this policy ({why or 'there is none'})")
    chosen = choose(decisions, policy, goal, within=within, max_deny=max_deny, only=only)
    said = decisions.said
    return Tuned(
        chosen=chosen,
        points=curve(decisions, chosen),
        steps=steps(decisions, chosen),
        before=text,
        after=changed(text, _wanted(chosen, policy), policy.source),
        begins=datetime.fromtimestamp(float(decisions.when.min()), UTC),
        ends=datetime.fromtimestamp(float(decisions.when.max()), UTC),
        honest=int(np.count_nonzero(said == HONEST)),
        attacks=int(np.count_nonzero(said == ATTACK)),
        neither=int(np.count_nonzero(said == NEITHER)),
        unproven_denies=decisions.unproven_denies,
        unanswered=dict(decisions.unanswered.most_common()),
    )


def _wanted(chosen: Chosen, policy: Policy) -> dict[Path, dict[str, float]]:
    """Return the thresholds to write, by place."""
    wanted: dict[Path, dict[str, float]] = {}
    for choice in chosen.tuned:
        place = choice.place
        for key, value, in_force in (("step_up", choice.step_up, place.step_up), ("deny", choice.deny, place.deny)):
            if value != in_force:
                wanted.setdefault(place.path, {})[key] = value
    # Where the top changes, classes must not follow that found their own, or that keep the one they inherit.
    chosen_at = {choice.place.path: choice for choice in chosen.choices if choice.kept in {None, NOT_ASKED}}
    for key in wanted.get(TOP, ()):
        for place in places(policy).values():
            if place.path[:1] != ("actions",):
                continue
            own = policy.file.actions[str(place.path[1])].thresholds
            inherits = own is None or key not in own.model_fields_set
            if place.path in chosen_at and inherits:
                wanted.setdefault(place.path, {}).setdefault(key, getattr(chosen_at[place.path], key))
            elif own is not None and inherits:
                wanted.setdefault(place.path, {})[key] = getattr(place, key)
    return wanted


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "place": choice.place.name,
        "shared_by": list(choice.shared_by),
        "step_up": {"now": choice.place.step_up, "then": choice.step_up},
        "deny": {"now": choice.place.deny, "then": choice.deny},
        "kept": choice.kept,
        "now": _rates(choice.now),
        "then": _rates(choice.then),
        "floors": {floored.by: floored.share for floored in choice.floors},
    }


def _rates(rates: Rates) -> dict[str, Any]:
    return {
        "troubled": _prediction(rates.troubled),
        "denied": _prediction(rates.denied),
        "caught": _prediction(rates.caught),
    }


def _prediction(found: Prediction) -> dict[str, Any]:
    return {
        "hits": found.hits,
        "total": found.total,
        "subjects": found.subjects,
        "share": found.share,
        "interval": [found.low, found.high],
        "trend": found.trend,
    }
