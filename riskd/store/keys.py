"""The key scheme. All keys of one entity share a hash tag, so a cluster keeps them on one node.

| key | what | kept |
|---|---|---|
| `riskd:epoch` | which history this is | 400 d |
| `riskd:{q:<request id>}` | digest and answer of a request, for a repeat | 24 h |
| `riskd:{q:<request id>}:<decision id>` | tells the recorded answer from others; empty: its record was lost | 24 h |
| `riskd:{o:<decision id>}` | the attempt whose outcome may be reported; its first decision's | outcome window |
| `riskd:{o:<decision id>}:r` | outcomes reported of the attempt, by its first decision | outcome window |
| `riskd:{s:<subject>}` | hash: token, last times, habits (these count 180 d) | 400 d once confirmed, else as above |
| `…:a` `:i` `:v` | attempts, addresses, sensitive attempts of a day | 24 h |
| `…:t` | hash: amounts attempted, one sum per hour and currency, at most 125 | 25 h |
| `…:f` `:g` | failures, addresses of failures | 1 h |
| `…:s` `:l` `:z` | up to 8 sessions, amounts confirmed, decisions settled | 7 d, 180 d, outcome window |
| `…:b` | what a backfill taught: hashes of decisions with their outcomes | 400 d |
| `riskd:{i:<address>}:u` | subjects | 24 h |
| `riskd:{i:…}`, `riskd:{n:<network>}` + `:f` `:g` `:c` | failures, failed subjects, confirmed ones | 1 h, 1 h, 30 d |
| `riskd:{d:<device>}:u` | subjects | 30 d |
| `riskd:{p:<payload>}` | who sent this payload first | 7 d |
| `riskd:{…}:y`, `:y<id>` | what the policy's velocities count on the entity | their longest window, its window |
| `riskd:{l:<list>}` | hash: entries of a named list, or of all exemptions | 400 d since it was followed |
| `…:n` `:c` | how often the list changed; its latest changes, some 4,096 | as the list |
| `riskd:{k:<rotation>}` | new names of subjects, while a rotation of identity moves them | its end, at most 180 d |

On a cluster each entity keeps its own answer for a repeat, under `riskd:{…}:q:<request id>`. So of a request id used
with another body each knows only what it was asked itself: the request's own entry refuses it, but what the first body
did not name, an address, device, payload, recipient, attribute or subject, has counted it by then.

A velocity is kept at the entity that it is per: at the subject, address, network or device, or at
`riskd:{r:<recipient>}` or `riskd:{a:<attribute>}`. All of one entity are one text, `:y`: of a count or sum up to 61
buckets of a 60th of its window, of a sum of amounts nine series of these at most (eight currencies, and one for all
others), of a distinct count up to 16 members. One with more members has a set of its own, `:y<id>`, of up to 256.

A subject's habits are fields of its hash, `time|count|more` each, of what was part of confirmed successes: up to 50
addresses, 20 networks, countries, devices, families and clients (what a client looks like at any version, with the
newest browser major confirmed), 10 languages and operating systems, 5 kinds of device, 100 payees. The least recently
confirmed leave first.

A day's amounts are those of the hour that runs and the 24 whole hours before it: 24 to 25 hours, in a bounded number of
sums that no flood of small amounts can push a large one out of. Of eight sessions those that a confirmed success
settled leave last.
"""

from collections.abc import Sequence
from typing import Final

from riskd.store.attempt import Attempt

ENTITIES: Final = (("s", "subject"), ("i", "address"), ("n", "network"), ("d", "device"), ("p", "payload"))
"""Letter in the key and in the script's layout, field of the attempt; the order of an observation's groups."""

VELOCITIES: Final = ":y"
"""End of the key of an entity's velocities."""

SUBJECT_PARTS: Final = ("", ":a", ":b", ":i", ":v", ":t", ":f", ":g", ":s", ":l", ":z", VELOCITIES)
"""Ends of all keys of one subject, but for the sets of velocities that the last of them tells."""


class Keys:
    """Makes keys under a prefix. A layout names, letter by letter, what each key of a script call is."""

    def __init__(self, prefix: str = "riskd") -> None:
        self._prefix = prefix
        self.epoch = f"{prefix}:epoch"
        self.probe = f"{prefix}:probe"

    def entity(self, letter: str, name: str) -> str:
        """Return the key of an entity, e.g. `riskd:{s:1f…}`."""
        return f"{self._prefix}:{{{letter}:{name}}}"

    def pending(self, decision_id: str) -> str:
        """Return the key under which an attempt waits for its outcome."""
        return f"{self._prefix}:{{o:{decision_id}}}"

    def answered(self, request_id: str, decision_id: str) -> str:
        """Return the key under which it is noted what a decision on a request was."""
        return f"{self._prefix}:{{q:{request_id}}}:{decision_id}"

    def moved(self, rotation: str) -> str:
        """Return the key of the new names that a rotation has given so far."""
        return self.entity("k", rotation)

    def listed(self, name: str) -> tuple[str, str, str]:
        """Return the keys of a list: its entries, how often it changed, its latest changes."""
        key = self.entity("l", name)
        return key, f"{key}:n", f"{key}:c"

    def subject(self, subject: str) -> tuple[str, ...]:
        """Return all keys of a subject."""
        return tuple(self.entity("s", subject) + part for part in SUBJECT_PARTS)

    def together(self, attempt: Attempt) -> tuple[str, list[str]]:
        """Return layout and keys of an attempt for a store where one script reaches all."""
        prefix = self._prefix
        layout = "eo"
        keys = [self.epoch, f"{prefix}:{{o:{attempt.decision_id}}}"]
        if attempt.request_id is not None:
            layout += "q"
            keys.append(f"{prefix}:{{q:{attempt.request_id}}}")
        if attempt.instead is not None:
            layout += "f"
            keys.append(f"{prefix}:{{o:{attempt.instead}}}")
        if attempt.subject is not None:
            layout += "s"
            keys.append(f"{prefix}:{{s:{attempt.subject}}}")
        if attempt.address is not None:
            layout += "i"
            keys.append(f"{prefix}:{{i:{attempt.address}}}")
        if attempt.network is not None:
            layout += "n"
            keys.append(f"{prefix}:{{n:{attempt.network}}}")
        if attempt.device is not None:
            layout += "d"
            keys.append(f"{prefix}:{{d:{attempt.device}}}")
        if attempt.payload is not None:
            layout += "p"
            keys.append(f"{prefix}:{{p:{attempt.payload}}}")
        return layout, keys

    def apart(self, attempt: Attempt, beside: Sequence[tuple[str, str]] = ()) -> list[tuple[str, list[str]]]:
        """Return layouts and keys of an attempt for a cluster: one script call per slot, whole request first.

        `beside` are letters and keys of entities that the attempt has for its velocities only.
        """
        request = attempt.request_id
        calls = [] if request is None else [("q", [self.entity("q", request)])]
        calls += [("e", [self.epoch]), ("o", [self.pending(attempt.decision_id)])]
        own = [(letter, name) for letter, field in ENTITIES if (name := getattr(attempt, field)) is not None]
        for letter, key in (*((letter, self.entity(letter, name)) for letter, name in own), *beside):
            calls.append((letter, [key]) if request is None else (letter + "q", [key, f"{key}:q:{request}"]))
        return calls
