"""Hands the policy's velocities to the script: declarations once per class of actions, values once per attempt.

The velocities of an entity are kept together at it. What the attempt's own entities do not cover, recipients and
attributes, are entities beside them, with a letter each in the script's layout.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import compress
from typing import Any, Final

import msgspec
from msgspec import Struct

from riskd.errors import StoreUnavailable
from riskd.features.velocity import AMOUNT, Counted, Counts, Velocity
from riskd.store.keys import Keys

LETTERS: Final = {"subject": "s", "ip": "i", "network": "n", "device": "d", "recipient": "r"}
"""Letters of entities in a layout; attributes have those from `A` on."""
_FIRST: Final = ord("A")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode


class Part(Struct, frozen=True):
    """Velocities that one script call counts."""

    declared: bytes
    """As the script reads them: letter, key, kind and seconds of each."""
    chosen: tuple[bool, ...]
    """Which of all they are."""


class Prepared(Struct, frozen=True):
    """Velocities that are counted together, as the script takes them."""

    velocities: tuple[Velocity, ...]
    """Those of one entity one after the other."""
    whole: Part
    parts: dict[str, Part]
    """By letter, for a cluster."""
    beside: tuple[tuple[str, str], ...]
    """Entities that an attempt does not have of itself: letter, and what they are called in `Counts.keys`."""


def _kind(velocity: Velocity) -> str:
    return "money" if (velocity.kind, velocity.of) == ("sum", AMOUNT) else velocity.kind


@lru_cache(maxsize=256)
def prepared(counted: Counted) -> Prepared:
    """Return velocities as the script takes them; `counted` is known again by its identity."""
    words = dict.fromkeys(velocity.per for velocity in counted.velocities)
    velocities = tuple(velocity for word in words for velocity in counted.velocities if velocity.per == word)
    attributes = [word for word in words if word not in LETTERS]
    letters = {**LETTERS, **{word: chr(_FIRST + number) for number, word in enumerate(attributes)}}

    def part(*only: str) -> Part:
        chosen = tuple(not only or velocity.per in only for velocity in velocities)
        flat: list[Any] = []
        for velocity in compress(velocities, chosen):
            flat += (letters[velocity.per], velocity.key, _kind(velocity), velocity.window_s)
        return Part(_encode(flat), chosen)

    return Prepared(
        velocities=velocities,
        whole=part(),
        parts={letters[word]: part(word) for word in words},
        beside=tuple((letters[word], word) for word in words if word == "recipient" or word in attributes),
    )


def sets_of(kept: bytes | None) -> list[str]:
    """Return the ids of the velocities of an entity that may have a set of their own, from what is kept at it."""
    try:
        return [] if kept is None else list(_decode(kept))
    except msgspec.DecodeError as error:
        raise StoreUnavailable(f"the store holds what riskd did not write ({error})") from error


def _values(velocities: tuple[Velocity, ...], counts: Counts) -> list[str | float | None]:
    """Return what an attempt adds to each velocity; None where it does not say."""
    found: list[str | float | None] = []
    for velocity in velocities:
        if velocity.kind == "count":
            found.append(1)
        else:
            found.append((counts.keys if velocity.kind == "distinct" else counts.amounts).get(velocity.of))
    return found


def together(counts: Counts, keys: Keys) -> tuple[str, list[str], tuple[bytes, bytes]]:
    """Return layout and keys of the entities beside the attempt's own, and the script's last two arguments."""
    made = prepared(counts.counted)
    layout, names = "", []
    for letter, word in made.beside:
        if (name := counts.keys.get(word)) is not None:
            layout += letter
            names.append(keys.entity("r" if letter == "r" else "a", name))
    return layout, names, (made.whole.declared, _encode(_values(made.velocities, counts)))


def apart(counts: Counts, keys: Keys) -> tuple[list[tuple[str, str]], dict[str, tuple[bytes, bytes]]]:
    """Return letters and keys of the entities beside the attempt's own, and the last two arguments by letter."""
    made = prepared(counts.counted)
    found = _values(made.velocities, counts)
    beside = [
        (letter, keys.entity("r" if letter == "r" else "a", name))
        for letter, word in made.beside
        if (name := counts.keys.get(word)) is not None
    ]
    arguments = {
        letter: (part.declared, _encode(list(compress(found, part.chosen)))) for letter, part in made.parts.items()
    }
    return beside, arguments


def joined(counts: Counts | None, told: Iterable[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return what the parts of an answer tell together: unknown what none of them tells."""
    found: dict[str, float | None] = {}
    if counts is not None:
        found = dict.fromkeys((velocity.key for velocity in counts.counted.velocities), None)
        for part in told:
            found.update(part)
    return found
