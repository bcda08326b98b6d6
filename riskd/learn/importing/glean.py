"""What one process does of a backfill: reads a block of lines, and takes from each record what can teach a store.

It holds no keys: what only they can settle (whether an id was sealed here, what an address that was kept plain is
called) is left as it was kept, and `Plan` settles it.
"""

import re
from collections import Counter
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from riskd.contract import Reported
from riskd.facts import PlaceFacts
from riskd.outcome import CONFIRMED_BY
from riskd.record.schema import DecisionRecord, decode_all
from riskd.store import Attempt

REPORTS: Final = frozenset({Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER})
TELLING: Final = REPORTS | {Reported.CONFIRMED_LEGITIMATE}
"""Outcomes that teach after any verdict: reports, and what sets them aside."""
MAX_FAMILY: Final = 128
"""Characters of the longest family that is taught."""
HASH = re.compile(r"[0-9a-f]{24}")
_NETWORK = re.compile(r"AS\d{1,10}|[0-9a-f]{24}")
_COUNTRY, _LANGUAGE, _CURRENCY = re.compile(r"[A-Z]{2}"), re.compile(r"[a-z]{2,8}"), re.compile(r"[A-Z]{3}")
_CLIENT, _KIND = re.compile(r"[^\x00-\x1f]{1,256}"), re.compile(r"[a-z]{1,16}")
_MAY_TEACH = TELLING | CONFIRMED_BY.keys()


class Outline(Struct, frozen=True, array_like=True):
    """A decision, as far as it can teach."""

    decision_id: str
    time: datetime
    token: str | None
    """Of its subject; None for nobody."""
    request: str | None
    """Keyed hash of the caller's id of the attempt."""
    asked: tuple[str, str | None, str | None, str | None]
    """Name, path and method of the action, and type of the resource: the policy says what they are."""
    attempt: Attempt
    """As it was counted, as far as its record still says; address and device are as they were kept."""


class Gleaned(Struct, frozen=True):
    """What was on a block of lines."""

    decisions: bytes
    """`Outline`s in the order of the log, packed."""
    outcomes: list[tuple[str, float, Reported]]
    """Those that may teach: id of the decision, when (s), and what was reported."""
    refused: Counter[str]
    """Lines that are no record, by reason."""


def glean(block: bytes) -> Gleaned:
    """Read a block of lines; lines that are no record are counted."""
    decisions: list[Outline] = []
    outcomes: list[tuple[str, float, Reported]] = []
    refused: Counter[str] = Counter()
    for record in decode_all(block.splitlines(), refused):
        if isinstance(record, DecisionRecord):
            decisions.append(_outline(record))
        elif record.outcome in _MAY_TEACH:
            outcomes.append((record.decision_id, record.at.timestamp(), record.outcome))
    return Gleaned(msgspec.msgpack.encode(decisions), outcomes, refused)


def _outline(record: DecisionRecord) -> Outline:
    facts = record.facts
    action, network, place, device = facts.action, facts.network, facts.place, facts.device
    located = _is_place(place)
    currency = form(_CURRENCY, action.currency)
    attempt = Attempt(
        decision_id="",
        now=facts.time.timestamp(),
        token=facts.subject.token or "",
        subject="",
        address=network.ip,
        network=form(_NETWORK, network.key),
        device=device.id,
        family=_family(device.family),
        country=form(_COUNTRY, place.country),
        language=form(_LANGUAGE, device.language),
        recipient=form(HASH, action.recipient),
        session=form(HASH, facts.subject.session),
        latitude=place.latitude if located else None,
        longitude=place.longitude if located else None,
        accuracy_km=place.accuracy_km if located else None,
        vague=bool(network.tor or network.proxy or network.relay or network.mobile),
        rtt_ms=device.rtt_ms,
        amount=action.amount if currency is not None else None,
        currency=currency,
        client=None if _family(device.family) is None else form(_CLIENT, device.client),
        os_family=_family(device.os_family),
        kind=form(_KIND, device.kind),
        browser_major=device.browser_major if 0 <= (device.browser_major or 0) < 10**6 else None,
    )
    asked = action.name, action.path, action.method, action.resource_type
    return Outline(record.decision_id, facts.time, facts.subject.token, record.request_id, asked, attempt)


def form(pattern: re.Pattern[str], text: str | None) -> str | None:
    """Return a text that has the form; None for any other."""
    return text if text is not None and pattern.fullmatch(text) else None


def _family(family: str | None) -> str | None:
    """Return a family; None for one that was masked in the record: a store does not know it by that."""
    return None if family is None or len(family) > MAX_FAMILY or HASH.fullmatch(family) else family


def _is_place(place: PlaceFacts) -> bool:
    if place.latitude is None or place.longitude is None:
        return False
    return abs(place.latitude) <= 90 and abs(place.longitude) <= 180 and (place.accuracy_km or 0) >= 0
