"""A threshold for every class of actions that the log knows well enough, and one for all the others together.

A class has its own threshold when its own interval is at most `OWN` times as wide as the one asked for. Classes that
the log knows less, and that have no thresholds of their own in the file, share the one at the top, which is tuned on
them together; what has thresholds of its own and is known too little keeps them. So does what floors alone step up too
often. The promise is about all decisions whose thresholds were tuned, together.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from riskd.errors import ConfigError
from riskd.learn.tune.gather import ALWAYS, ATTACK, HONEST, Decisions, Flags, Ints, tenths
from riskd.learn.tune.goals import Goal, turned
from riskd.learn.tune.places import TOP, Place, highest_step_up
from riskd.learn.tune.predict import Prediction, predict
from riskd.policy import Policy

OWN = 2.0
LEAST_WITHIN = 0.005
"""Where neither a person nor the goal says how wide the interval may be: ± half a point, or half of the share."""
NOT_ASKED = "not asked for"
"""Why a place keeps its thresholds that a person left out; where they are those of the top, they stay when it moves."""
HIGHEST = 1000
"""Tenths of a point."""


@dataclass(frozen=True, slots=True)
class Floored:
    """Honest decisions that are stepped up or denied at any threshold."""

    by: str
    """Signals whose floors force it, or the fail mode."""
    share: float
    """Of the honest decisions of the place."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What thresholds do to some decisions."""

    troubled: Prediction
    """Honest ones stepped up or denied."""
    denied: Prediction
    """Honest ones denied."""
    caught: Prediction
    """Labelled attacks stepped up or denied."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen for one place of the file, or why nothing is."""

    place: Place
    shared_by: tuple[str, ...]
    """Classes that share the threshold at the top, because the log knows each of them too little."""
    now: Rates
    then: Rates
    step_up: float
    """The thresholds chosen, or in force where none are."""
    deny: float
    floors: tuple[Floored, ...]
    """The most frequent first."""
    kept: str | None = None
    """Why the thresholds stay as they are, in words."""

    @property
    def changed(self) -> bool:
        """A threshold is to be written."""
        return self.kept is None and (self.step_up, self.deny) != (self.place.step_up, self.place.deny)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What tuning found."""

    choices: tuple[Choice, ...]
    now: Rates
    """All decisions whose thresholds were tuned, together, at the thresholds in force."""
    then: Rates
    """The promise: the same at the thresholds chosen."""
    within: float
    """How wide the promised interval may be, ±."""

    @property
    def tuned(self) -> tuple[Choice, ...]:
        """Choices with a threshold that was chosen, even where it is the one in force."""
        return tuple(choice for choice in self.choices if choice.kept is None)


class _Small(Exception):
    """Too little is known of some decisions for a threshold of their own."""


class _Fixed(Exception):
    """No threshold reaches the goal."""


def choose(
    decisions: Decisions,
    policy: Policy,
    goal: Goal,
    *,
    within: float | None = None,
    max_deny: float | None = None,
    only: frozenset[str] = frozenset(),
) -> Chosen:
    """Choose thresholds for a goal.

    `within` is how wide, ±, the interval of the promise may be; `max_deny` the share of honest decisions that may be
    denied, by which deny thresholds are chosen too. Both and all shares are 0 to 1. `only` names the places that may be
    tuned, all where it is empty. Raises ConfigError for a name that no place has, and when nothing can be promised: the
    log is too small, or floors alone exceed the goal.
    """
    names = [place.name for place in decisions.places]
    if unknown := only.difference(names):
        raise ConfigError(f"no thresholds are called {min(unknown)!r}; there are {', '.join(names)}")
    run = _Run(decisions, policy, goal, within or goal.within, max_deny)
    shared: list[int] = []
    for number in np.unique(decisions.place).tolist():
        place = decisions.places[number]
        if only and place.name not in only:
            run.kept[number] = NOT_ASKED
            continue
        try:
            run.set(place, decisions.place == number)
        except _Small as small:
            if place.follows or place.path == TOP:
                shared.append(number)
            else:
                run.kept[number] = str(small)
        except _Fixed as fixed:
            run.kept[number] = str(fixed)
    if shared:
        run.share(shared)
    return run.result()


@dataclass(slots=True)
class _Run:
    """One run: which thresholds every decision has by now."""

    decisions: Decisions
    policy: Policy
    goal: Goal
    within: float | None
    max_deny: float | None
    step_up: Ints = field(init=False)
    deny: Ints = field(init=False)
    tuned: Flags = field(init=False)
    kept: dict[int, str] = field(default_factory=dict)
    """Number of a place → why it keeps its thresholds."""
    shared: list[int] = field(default_factory=list)
    """Numbers of the places that share the threshold at the top."""

    def __post_init__(self) -> None:
        self.step_up, self.deny = self.decisions.step_up.copy(), self.decisions.deny.copy()
        self.tuned = np.zeros(len(self.step_up), dtype=np.bool_)

    def set(self, place: Place, which: Flags) -> None:
        """Choose the thresholds of some decisions; raises _Small or _Fixed, and then leaves them as they are."""
        step_up, deny = self._found(place, which)
        before = self.step_up[which], self.deny[which]
        self.step_up[which] = step_up
        if deny is not None:
            self.deny[which] = deny
        found = rates(self.decisions, which, self.step_up, self.deny, chosen=1).troubled
        try:
            _demand(found, OWN * self.allowed(found))
        except _Small:
            self.step_up[which], self.deny[which] = before
            raise
        self.tuned |= which

    def share(self, numbers: list[int]) -> None:
        """Choose the thresholds at the top, for the decisions of the places that share them."""
        top = next(place for place in self.decisions.places if place.path == TOP)
        which = np.isin(self.decisions.place, numbers)
        try:
            self.set(top, which)
        except (_Small, _Fixed) as why:
            self.kept |= dict.fromkeys(numbers, f"together with all that follow the top: {why}")
            return
        self.shared = numbers
        # What follows the top without having been tuned on goes where it goes.
        at = np.flatnonzero(which)[0]
        for number, place in enumerate(self.decisions.places):
            if place.follows and self.kept.get(number, NOT_ASKED) != NOT_ASKED:
                those = self.decisions.place == number
                self.step_up[those], self.deny[those] = self.step_up[at], self.deny[at]
                self.kept[number] += "; it follows the top"

    def _found(self, place: Place, which: Flags) -> tuple[int, int | None]:
        those, goal = self.decisions.only(which), self.goal
        honest, attacks = those.said == HONEST, those.said == ATTACK
        if not honest.any():
            raise _Small("no honest decision in the log")
        if (known := int(attacks.sum())) < goal.attacks_needed:
            raise _Small(f"{known} labelled attacks in the log, {goal.attacks_needed - known} more needed")
        deny, highest = None, tenths(highest_step_up(self.policy, place.path))
        if self.max_deny is not None:
            few = np.flatnonzero(turned(those.denies[honest], HIGHEST) <= self.max_deny * honest.sum())
            if not len(few):
                raise _Fixed(f"over {100 * self.max_deny:g} % of honest decisions are denied by {_in_words(those)}")
            deny = highest = int(few[0])
        turns = those.turns(those.deny if deny is None else deny)
        step_up = settle(goal, those, turns, highest)
        if step_up is None:
            why = goal.unreached(turns[honest], turns[attacks], highest)
            if why is None:
                raise _Small(f"{int(honest.sum())} honest decisions are too few to tell such a share from none")
            raise _Fixed(f"{why}: {_in_words(those)}")
        return step_up, deny

    def allowed(self, found: Prediction) -> float:
        """Return how wide, ±, the interval of a share may be."""
        return self.within or max(LEAST_WITHIN, found.share / 2)

    def result(self) -> Chosen:
        """Return all that was found; raises ConfigError when there is nothing to promise."""
        decisions = self.decisions
        if not self.tuned.any():
            raise ConfigError(f"nothing to tune: {self._whys() or 'no decision in the log'}")
        alone = set(np.unique(decisions.place[self.tuned]).tolist()) - set(self.shared)
        chosen = len(alone) + bool(self.shared)
        then = rates(decisions, self.tuned, self.step_up, self.deny, chosen=chosen)
        within = self.allowed(then.troubled)
        try:
            _demand(then.troubled, within)
        except _Small as small:
            raise ConfigError(f"the log is too small for a promise of ± {100 * within:.2g} points: {small}") from None
        now = rates(decisions, self.tuned, decisions.step_up, decisions.deny)
        choices = [self._choice((number,)) for number in self.kept]
        choices += [self._choice((number,)) for number in alone]
        if self.shared:
            choices.append(self._choice(tuple(self.shared)))
        choices.sort(key=lambda choice: (choice.kept is not None, -choice.now.troubled.total))
        return Chosen(tuple(choices), now, then, within)

    def _whys(self) -> str:
        """Say why places keep their thresholds, each reason once."""
        of: dict[str, list[str]] = {}
        for number, why in self.kept.items():
            of.setdefault(why, []).append(self.decisions.places[number].name)
        return "; ".join(f"{', '.join(names)}: {why}" for why, names in of.items())

    def _choice(self, numbers: tuple[int, ...]) -> Choice:
        decisions = self.decisions
        which = np.isin(decisions.place, numbers)
        places = [decisions.places[number] for number in numbers]
        share = numbers == tuple(self.shared)
        place = next(place for place in decisions.places if place.path == TOP) if share else places[0]
        kept = self.kept.get(numbers[0])
        stays = kept is not None and (kept == NOT_ASKED or not place.follows)
        at = np.flatnonzero(which)[0]
        return Choice(
            place=place,
            shared_by=tuple(place.name for place in places) if share else (),
            now=rates(decisions, which, decisions.step_up, decisions.deny),
            then=rates(decisions, which, self.step_up, self.deny, chosen=int(kept is None)),
            step_up=place.step_up if stays else _points(int(self.step_up[at]), place.step_up),
            deny=place.deny if stays or self.max_deny is None else _points(int(self.deny[at]), place.deny),
            floors=floors(decisions.only(which)),
            kept=kept,
        )


def settle(goal: Goal, decisions: Decisions, turns: Ints, highest: int) -> int | None:
    """Return the goal's threshold for decisions that turn at `turns`, in tenths; None when none reaches it.

    How many decisions go together shows only beyond a threshold, so it is chosen, and then chosen again.
    """
    honest, attacks = decisions.said == HONEST, decisions.said == ATTACK
    found = goal.choose(turns[honest], turns[attacks], highest)
    if found is None:
        return None
    beyond = predict(turns[honest] >= found, decisions.subject[honest], decisions.when[honest])
    return goal.choose(turns[honest], turns[attacks], highest, beyond.effect)


def rates(decisions: Decisions, which: Flags, step_up: Ints, deny: Ints, *, chosen: int = 0) -> Rates:
    """Predict what thresholds, in tenths and one a decision, do to some decisions; `chosen` of them on these very."""
    troubled = decisions.turns(deny) >= step_up
    honest, attacks = which & (decisions.said == HONEST), which & (decisions.said == ATTACK)

    def predicted(hit: Flags, those: Flags, chosen: int = 0) -> Prediction:
        return predict(hit[those], decisions.subject[those], decisions.when[those], chosen=chosen)

    return Rates(
        troubled=predicted(troubled, honest, chosen),
        denied=predicted(decisions.denies >= deny, honest),
        caught=predicted(troubled, attacks),
    )


def floors(decisions: Decisions) -> tuple[Floored, ...]:
    """Return what steps up or denies honest decisions at any step_up threshold, most frequent first."""
    honest = decisions.said == HONEST
    many = max(1, int(honest.sum()))
    forced = honest & (decisions.steps_up == ALWAYS)
    count = np.bincount(decisions.floor[forced], minlength=len(decisions.floors))
    found = [Floored(decisions.floors[i], int(count[i]) / many) for i in np.flatnonzero(count)]
    denied = int((honest & ~forced & (decisions.denies >= decisions.deny)).sum())
    if denied:
        found.append(Floored("a score above deny", denied / many))
    return tuple(sorted(found, key=lambda floored: (-floored.share, floored.by)))


def _in_words(decisions: Decisions) -> str:
    return ", ".join(f"{floored.by} {100 * floored.share:.2f} %" for floored in floors(decisions)) or "no floor"


def _demand(found: Prediction, within: float) -> None:
    """Raise _Small, saying what is lacking, unless an interval is no wider than ± `within`."""
    if found.half_width <= within:
        return
    known = f"{found.total:,} honest decisions of {found.subjects:,} subjects"
    said = f"{known} tell it to ± {100 * found.half_width:.2g} points"
    needed = found.needed(within)
    if needed is None:
        raise _Small(f"{said}, and no number of them to ± {100 * within:.2g}, since shares drift")
    subjects = math.ceil(found.subjects * needed / max(1, found.total))
    raise _Small(
        f"{said}; about {needed - found.total:,} more of {subjects - found.subjects:,} more subjects are needed"
    )


def _points(threshold: int, in_force: float) -> float:
    """Return tenths as the file says them; the threshold in force as it stands there."""
    return in_force if tenths(in_force) == threshold else threshold / 10
