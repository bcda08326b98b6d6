"""What a change is: facts that might have been otherwise, in words that a person understands."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from riskd.facts import Facts, SubjectHistory

DAY_S = 86_400.0
STALE_S = 90 * DAY_S
"""Age beyond which a known thing is worth less than one of the last confirmed success: half of the store's memory."""


class Change(Struct, frozen=True):
    """One thing that might have been otherwise, and all that goes with it: changed facts fit each other."""

    code: str
    """Stable name."""
    text: str
    """Ends the sentence "allowed …"."""
    apply: Callable[[Facts], Facts]
    """Makes the facts as they would have been."""
    value: float | str | None = None
    """How far it goes, where it may go more or less far; its meaning is in the text."""
    steps: int = 1
    """How many sizes it comes in; this one is the largest."""
    at: Callable[[int], "Change"] | None = None
    """The change in a smaller size, 1 to `steps`; None when it has only one."""


def known_age_s(history: SubjectHistory) -> float:
    """Age of what was part of the last confirmed success, s; a day when none is dated."""
    return DAY_S if history.last_confirmed_age_s is None else history.last_confirmed_age_s


def is_fresh(age_s: float | None) -> bool:
    """Return True for the age of a known thing that was confirmed lately; None is a thing that never was."""
    return age_s is not None and age_s <= STALE_S


def share(history: SubjectHistory, kinds: int) -> int:
    """Confirmed successes that one of `kinds` known things has had, were all as usual as each other; at least 1."""
    return max(1, history.confirmed // max(1, kinds))


def in_history(facts: Facts, **changed: object) -> Facts:
    """Facts with a changed history; as they are without one."""
    return facts if facts.history is None else replace(facts, history=replace(facts.history, **changed))
