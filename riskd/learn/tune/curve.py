"""What could be had: friction against catch, and the share stepped up by threshold."""

from dataclasses import dataclass

import numpy as np

from riskd.learn.tune.choose import Choice, Chosen, rates, settle
from riskd.learn.tune.gather import HONEST, Decisions, Flags, tenths
from riskd.learn.tune.goals import MaxStepUp, turned
from riskd.learn.tune.predict import Prediction

LADDER = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of honest decisions stepped up that the curve is drawn through."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the curve: every tuned place at its lowest threshold that keeps to a share."""

    asked: float
    """The share that no place exceeds, but where floors alone do."""
    troubled: Prediction
    caught: Prediction


@dataclass(frozen=True, slots=True)
class Steps:
    """For one place, the share of honest decisions stepped up or denied at each step_up threshold."""

    choice: Choice
    shares: tuple[float, ...]
    """At threshold 0, 1, 2 … 100."""


def curve(decisions: Decisions, chosen: Chosen) -> tuple[Point, ...]:
    """Return the friction-catch curve of the tuned places together."""
    all_deny, tuned = decisions.deny.copy(), np.zeros(len(decisions.deny), dtype=np.bool_)
    groups: list[tuple[Flags, int]] = []
    for choice in chosen.tuned:
        which = decisions_of(decisions, choice)
        if choice.deny != choice.place.deny:
            all_deny[which] = tenths(choice.deny)
        tuned |= which
        groups.append((which, int(all_deny[which].min())))
    turns = decisions.turns(all_deny)
    points = []
    for share in LADDER:
        step_up = decisions.step_up.copy()
        for which, highest in groups:
            found = settle(MaxStepUp(share), decisions.only(which), turns[which], highest)
            step_up[which] = highest if found is None else found
        there = rates(decisions, tuned, step_up, all_deny, chosen=len(groups))
        points.append(Point(share, there.troubled, there.caught))
    return tuple(points)


def steps(decisions: Decisions, chosen: Chosen) -> tuple[Steps, ...]:
    """Return each tuned place's share stepped up by threshold, the largest place first."""
    found = []
    for choice in chosen.tuned:
        which = decisions_of(decisions, choice) & (decisions.said == HONEST)
        deny = decisions.deny if choice.deny == choice.place.deny else tenths(choice.deny)
        turns = decisions.turns(deny)[which]
        found.append(Steps(choice, tuple((turned(turns, 1000)[::10] / len(turns)).tolist())))
    return tuple(found)


def decisions_of(decisions: Decisions, choice: Choice) -> Flags:
    """Return which decisions a choice is about."""
    names = choice.shared_by or (choice.place.name,)
    return np.isin(decisions.place, [number for number, place in enumerate(decisions.places) if place.name in names])
