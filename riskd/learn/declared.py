"""What a head may read beside the features, learned from labelled attempts: amount, hour, velocities, attributes.

Velocities are read as features are: a count says the same of everybody. Any other input is read only where it holds:
fitted on the earlier attacks it has to find more of the later ones, on subjects who were not attacked before, than
chance would. So a number that merely names who was attacked is left out, and so is
one whose meaning moves, such as a category that the honest took to after the attacks.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

import numpy as np
import numpy.typing as npt

from riskd.facts import Facts
from riskd.features.declared import AmountInput, AttributeInput, DeclaredInput, HourInput, VelocityInput, encoded
from riskd.features.velocity import AMOUNT, Velocity
from riskd.learn.head import Labelled, Matrix, fit_head

TEXT: Final = "text"
PRIOR: Final = 20.0
"""Attempts that a category's own share of attacks is weighed against: one with fewer says little of its own."""
MOST_CATEGORIES: Final = 1000
"""Values of a text attribute that are learned, the most frequent ones; others are unknown."""
LEAST_AMOUNTS: Final = 30
"""Honest amounts of a currency below which nothing is called usual in it."""
LEAST_LATER: Final = 10
"""Subjects attacked later below which nobody can say whether an input holds; then none is read."""
LEAST_GAIN: Final = 2.0
"""What an input has to gain, in standard errors: one in forty that says nothing gains as much by chance."""
FALSE_ALARMS: Final = 0.05
"""Beyond this share of false alarms nothing counts as found."""
_FITTED: Final = 2 / 3
"""Share of the attacks, the earlier ones, that inputs are tried on."""
_ROUNDS: Final = 60
_MOST_HONEST: Final = 10_000
"""Earlier honest attempts that inputs are tried on, drawn by chance."""
_LARGEST: Final = float(np.finfo(np.float32).max)

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a policy declares that a head may read."""

    attributes: Mapping[str, str]
    """By name: `number`, `text` or `flag`."""
    velocities: Sequence[Velocity]


@dataclass(frozen=True, slots=True)
class Learned:
    """One input as it was learned."""

    input: DeclaredInput
    direction: int
    """1 when more is riskier, 0 when that is not known beforehand."""

    @property
    def always(self) -> bool:
        """It is read whether or not it was seen to hold."""
        return isinstance(self.input, VelocityInput)


Learn = Callable[[Sequence[Facts], Flags], Learned | None]
"""Learns an input from attempts, of which some are attacks; None where they do not tell enough."""


def candidates(declared: Declared) -> list[Learn]:
    """Return all that may be read, in the order of a manifest: amount, hour, the policy's velocities and attributes."""
    return [
        _amount,
        _hour,
        *(_velocity(one) for one in declared.velocities),
        *(_attribute(name, kind) for name, kind in declared.attributes.items()),
    ]


def columns(inputs: Sequence[DeclaredInput], facts: Sequence[Facts]) -> Matrix:
    """Return what inputs say of attempts, a column each; NaN is unknown, and no number exceeds a float32."""
    read = np.array([encoded(inputs, one) for one in facts], dtype=np.float64).reshape(len(facts), len(inputs))
    return np.clip(read, -_LARGEST, _LARGEST).astype(np.float32)


def learned(
    declared: Declared, facts: Sequence[Facts], features: Matrix, attack: Flags, weight: Numbers, *,
    seed: int,
) -> tuple[Learned, ...]:  # fmt: skip
    """Return velocities and the inputs that hold, learned on all these attempts, which are in the order of time."""
    tried = candidates(declared)
    held = _holding(tried, facts, features, attack, weight, seed)
    found = (learn(facts, attack) for learn in tried)
    return tuple(one for one in found if one is not None and (one.always or one.input.label in held))


def _holding(
    tried: Sequence[Learn],
    facts: Sequence[Facts],
    features: Matrix,
    attack: Flags,
    weight: Numbers,
    seed: int,
) -> set[str]:
    """Try one after the other beside velocities and those that hold, and the rest again while that finds another."""
    earlier = np.cumsum(attack) <= attack.sum() * _FITTED
    known = {one.subject.token for one in compress(facts, attack & earlier)} - {None}
    later = ~earlier & ~(attack & np.array([one.subject.token in known for one in facts], dtype=bool))
    honest = np.flatnonzero(earlier & ~attack)
    if len(honest) > _MOST_HONEST:
        earlier[np.random.default_rng(seed).choice(honest, len(honest) - _MOST_HONEST, replace=False)] = False
    attacked = [one.subject.token or "" for one in compress(facts, attack & later)]
    if len(set(attacked)) < LEAST_LATER or not (~attack & later).any():
        return set()
    before, after = list(compress(facts, earlier)), list(compress(facts, later))

    _, subject = np.unique(attacked, return_inverse=True)
    every = [one for learn in tried if (one := learn(before, attack[earlier])) is not None]
    more_before, more_after = (columns([one.input for one in every], of) for of in (before, after))

    def found(read: Sequence[int]) -> Numbers:
        directions = tuple(every[number].direction for number in read)
        fitted = np.concatenate((features[earlier], more_before[:, read]), axis=1)
        head = fit_head(Labelled(fitted, attack[earlier], weight[earlier], directions), seed=seed, rounds=_ROUNDS)
        margins = head.margins(np.concatenate((features[later], more_after[:, read]), axis=1))
        return standing(margins, attack[later], weight[later])

    read = [number for number, one in enumerate(every) if one.always]
    best, added = found(read), True
    while added:
        added = False
        for number in range(len(every)):
            if number not in read and gains((reached := found([*read, number])) - best, subject):
                best, added = reached, True
                read.append(number)
    return {every[number].input.label for number in read}


def standing(margins: Numbers, attack: Flags, weight: Numbers) -> Numbers:
    """Return for each attack how clearly it stands out: 1 above all honest attempts, 0 among `FALSE_ALARMS` of them.

    The mean is the area under the ROC curve up to there, as a share of the whole.
    """
    order = np.argsort(margins[~attack])
    honest, of_honest = margins[~attack][order], np.concatenate(([0.0], np.cumsum(weight[~attack][order])))
    above = 1 - of_honest[np.searchsorted(honest, margins[attack], "left")] / of_honest[-1]
    clear: Numbers = np.maximum(0.0, 1 - above / FALSE_ALARMS)
    return clear


def gains(gained: Numbers, subject: npt.NDArray[np.intp]) -> bool:
    """Whether attacks stand out more clearly than chance explains; those on one subject count as one."""
    of_subject = np.bincount(subject, weights=gained) / np.bincount(subject)
    error = float(of_subject.std()) / math.sqrt(len(of_subject))
    return float(of_subject.mean()) > LEAST_GAIN * error


def _amount(facts: Sequence[Facts], attack: Flags) -> Learned | None:
    """Neither more nor less is riskier beforehand: thieves try a card with little, and empty an account with much."""
    usual = usual_amounts(facts, attack)
    return Learned(AmountInput(usual), 0) if usual else None


def _hour(_facts: Sequence[Facts], _attack: Flags) -> Learned:
    return Learned(HourInput(), 0)


def _velocity(velocity: Velocity) -> Learn:
    """A count may only raise the risk, and so may a sum of money; a sum of an attribute may be of anything."""

    def learn(facts: Sequence[Facts], attack: Flags) -> Learned | None:
        if velocity.kind != "sum":
            return Learned(VelocityInput(velocity.key), 1)
        if velocity.of != AMOUNT:
            return Learned(VelocityInput(velocity.key), 0)
        usual = usual_amounts(facts, attack)
        return Learned(VelocityInput(velocity.key, usual), 1) if usual else None

    return learn


def _attribute(name: str, kind: str) -> Learn:
    def learn(facts: Sequence[Facts], attack: Flags) -> Learned:
        if kind == TEXT:
            return Learned(learned_categories(name, [one.attributes.get(name) for one in facts], attack), 1)
        return Learned(AttributeInput(name), 0)

    return learn


def usual_amounts(facts: Sequence[Facts], attack: Flags) -> dict[str, float]:
    """Return by currency the median amount of the honest attempts, where there are `LEAST_AMOUNTS` of them."""
    amounts: dict[str, list[float]] = {}
    for one, is_attack in zip(facts, attack, strict=True):
        if not is_attack and one.action.currency is not None and one.action.amount:
            amounts.setdefault(one.action.currency, []).append(one.action.amount)
    return {currency: float(np.median(of)) for currency, of in sorted(amounts.items()) if len(of) >= LEAST_AMOUNTS}


def learned_categories(name: str, values: Sequence[object], attack: Flags) -> AttributeInput:
    """Learn log odds of an attack for each value of a text attribute, drawn to all attempts' by `PRIOR`."""
    texts = [value if isinstance(value, str) else None for value in values]
    share = (attack.sum() + 0.5) / (len(attack) + 1.0)
    of_all, of_attacks = Counter(texts), Counter(text for text, is_one in zip(texts, attack, strict=True) if is_one)
    odds = {}
    for text, count in of_all.most_common(MOST_CATEGORIES + 1):
        if text is not None:
            risk = (of_attacks[text] + PRIOR * share) / (count + PRIOR)
            odds[text] = round(math.log(risk / (1 - risk)), 6)
    return AttributeInput(name, odds)
