"""A mistake in a policy by the path to it, before it is known on which line that stands; and what was meant instead."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, NamedTuple

from riskd.policy.text import Path

LONGEST_WORD: Final = 100
"""Characters of a wrong word that the right ones are compared with."""


class Finding(NamedTuple):
    """A mistake and the path to the value that makes it one."""

    path: Path
    message: str
    nearest: tuple[str, ...] = ()
    """The nearest right words, best first."""
    of_key: bool = False
    """The key is wrong, not its value."""
    offset: int | None = None
    """Where in the text of the value, counted in characters from 0; None for the value as a whole."""


def nearest(word: str, right: Iterable[str], likeness: float = 0.55) -> tuple[str, ...]:
    """Return the two right words at most that are written most like a wrong one, best first; 1 is the same word."""
    return tuple(get_close_matches(word[:LONGEST_WORD], list(right), n=2, cutoff=likeness))
