"""A mistake in a policy by the path to it, before it is known on which line that stands."""

from typing import NamedTuple

from riskd.policy.text import Path


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


__all__ = ["Finding"]
