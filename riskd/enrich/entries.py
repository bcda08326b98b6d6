"""Lists as they are read, line by line, and what an attempt shows of what stands in them."""

from collections.abc import Callable, Iterable
from time import sleep

from msgspec import Struct

from riskd.enrich.address import Address
from riskd.errors import DataError, Mistake
from riskd.policy.entry import MAX_LINE, ascii_domain
from riskd.policy.named import Of

MAX_ENTRIES = 1_000_000
GIVE_WAY = 256
"""Lines after which a reader lets go of the interpreter: of its own accord it would keep the event loop waiting 5 ms
at every turn, for as long as a long list is read."""
_SHOWN_MISTAKES = 10


class Presented(Struct, frozen=True):
    """What an attempt shows to lists; None is unknown."""

    address: Address | None = None
    asn: int | None = None
    country: str | None = None
    subject: str | None = None
    """Keyed hash of the id, as lists keep it."""
    device: str | None = None
    """Keyed hash of the id."""
    email_domain: str | None = None
    path: str | None = None
    """Normalised; an attempt without one is on no endpoint."""


def keys_of(of: Of, presented: Presented) -> tuple[str, ...] | None:
    """Return what may stand in a list of this kind for an attempt, in the canonical spelling; None when unknown.

    An attempt in nobody's name is known to be on no list of subjects.
    """
    if of == "country":
        value = presented.country
    elif of == "subject":
        value = presented.subject
    elif of == "device":
        value = presented.device
    else:
        value = presented.email_domain
        if value is not None:
            labels = ascii_domain(value.strip().rstrip(".").lower()).split(".")
            return tuple(".".join(labels[start:]) for start in range(len(labels)))
    if value is None:
        return () if of == "subject" else None
    return (value,)


def read_entries(lines: Iterable[str], source: str, add: Callable[[str], int], most: int = MAX_ENTRIES) -> int:
    """Hand every line to `add`, which returns how many entries it had; return the number of entries.

    `add` raises ValueError for a line that is wrong. Raises DataError that names the first ten mistakes by line.
    """
    mistakes: list[Mistake] = []
    entries = 0
    for number, line in enumerate(lines, 1):
        if number % GIVE_WAY == 0:
            sleep(0)
        try:
            if len(line) > MAX_LINE:
                raise ValueError(f"longer than {MAX_LINE} characters")  # noqa: TRY301 - told like the others
            entries += add(line)
        except ValueError as error:
            mistakes.append(Mistake(number, "", str(error)))
        if entries > most:
            mistakes.append(Mistake(number, "", f"more than {most:,} entries"))
        if len(mistakes) == _SHOWN_MISTAKES or entries > most:
            break
    if mistakes:
        raise DataError(f"{source}: " + "; ".join(map(str, mistakes)))
    return entries


__all__ = ["GIVE_WAY", "MAX_ENTRIES", "Presented", "keys_of", "read_entries"]
