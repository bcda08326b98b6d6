"""Named lists in the policy: how they are declared, what they do, and which of them a record can answer.

    lists:
      named:
        sanctioned: {kind: deny, of: country, entries: [KP]}
        fraudsters: {kind: deny, of: subject, store: true}
        office: {kind: allow, of: network, file: office.txt, exempts: [new_ip, new_network]}

Precedence, strongest first:

1. What nothing lifts, `NEVER_EXEMPT`: the policy's own denials (deny lists, `lists.deny.networks`, denied countries),
   what it requires of every session, and what says that the account or session is in somebody else's hands.
2. Exemptions of the subject and allow lists: the signals they name count nothing, neither weight nor floor.
3. All other signals, threat feeds among them.

So deny goes before allow, however specific either entry is, and an allow list lifts no more than the signals it names.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from riskd.contract import ShortText, Text
from riskd.facts import Facts
from riskd.policy.finding import Finding, nearest
from riskd.policy.section import Section

MAX_LISTS: Final = 50
MAX_INLINE: Final = 10_000
MAX_GLOBS: Final = 200
"""Endpoint globs of one list, each of which is tried: some 30 µs at most."""

Of = Literal["network", "country", "subject", "device", "email_domain", "endpoint"]

NEVER_EXEMPT: Final = frozenset(
    {
        *("deny_listed", "denied_network", "denied_country", "weak_authentication", "stale_authentication"),
        *("leaked_credential", "session_hop", "replayed_request", "takeover_started", "takeover_sequence", "reported"),
    }
)
"""Signals that no allow list and no exemption lifts: take the entry off the deny list, or mend what is wrong."""

_PLACE = ("new_country", "new_city", "impossible_travel", "far_from_usual", "timezone_mismatch", "rtt_mismatch")
DEFAULT_EXEMPTS: Final[Mapping[Of, tuple[str, ...]]] = {
    "network": (
        *("new_ip", "new_network", "tor_exit", "anonymous_proxy", "hosting_network", "listed_ip"),
        *_PLACE,
    ),
    "country": ("new_country",),
    "email_domain": ("disposable_email",),
}
"""What an allow list lifts that does not say `exempts`, by what it is of; lists of anything else must say."""


class NamedList(Section):
    """A list of your own: what it names is denied, or exempt from some signals."""

    kind: Literal["deny", "allow"]
    """`deny`: signal deny_listed hits. `allow`: the signals in `exempts` count nothing. Deny goes before allow."""
    of: Of
    """What its entries are. `network`: CIDRs, addresses, ASNs (`AS64496`). `country`: ISO codes. `subject`, `device`:
    ids as callers send them, kept as keyed hashes. `email_domain`: domains, those below each included. `endpoint`:
    globs on the normalised path, `*` within a segment and `**` across segments."""
    entries: Annotated[tuple[Text, ...], Field(max_length=MAX_INLINE)] = ()
    """Entries, in the policy itself."""
    file: Text | None = None
    """File of entries, relative to the policy file, hot-reloaded: one a line, `# until 2026-12-31` to expire."""
    store: bool = False
    """Entries are added and removed through `/lists` and kept in the store."""
    exempts: Annotated[tuple[ShortText, ...], Field(max_length=200)] | None = None
    """Allow lists: signals that count nothing for what the list names. Unset: for networks those of network and place
    (feeds among them: listed_ip), for countries new_country, for e-mail domains disposable_email."""


ListName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]


def exempts(declared: NamedList) -> frozenset[str]:
    """Return the codes of the signals that an allow list lifts; none for a deny list."""
    if declared.kind == "deny":
        return frozenset()
    return frozenset(DEFAULT_EXEMPTS.get(declared.of, ()) if declared.exempts is None else declared.exempts)


def unsound_lists(named: Mapping[str, NamedList], codes: Collection[str]) -> Iterator[Finding]:
    """Yield every mistake in named lists that no key shows alone; `codes` are those of all the policy's signals."""
    for name, declared in named.items():
        path = ("lists", "named", name)
        if declared.kind == "deny" and declared.exempts is not None:
            yield Finding((*path, "exempts"), "is for allow lists: a deny list lifts nothing", of_key=True)
        elif declared.kind == "allow" and declared.exempts is None and declared.of not in DEFAULT_EXEMPTS:
            said = f"must say in `exempts` which signals it lifts: a list of the kind {declared.of!r} has no default"
            yield Finding(path, said, of_key=True)
        for number, code in enumerate(declared.exempts or ()):
            if why := not_exemptible(code, codes):
                yield Finding((*path, "exempts", number), why, () if code in codes else nearest(code, codes))
        if declared.of == "endpoint" and len(declared.entries) > MAX_GLOBS:
            yield Finding((*path, "entries"), f"has more than {MAX_GLOBS} globs, each of which is tried", of_key=True)
        if not (declared.entries or declared.file or declared.store):
            yield Finding(path, "has no entries: give `entries`, a `file` or `store: true`", of_key=True)


def not_exemptible(code: str, codes: Collection[str]) -> str | None:
    """Return why nothing can be exempt from a signal, in words; None when something can."""
    if code not in codes:
        return f"no such signal (got {code!r})"
    if code in NEVER_EXEMPT:
        return f"nothing is exempt from {code}: the policy's own denials and signs of a takeover always count"
    return None


def answered_by(declared: NamedList, facts: Facts) -> bool:
    """Whether a record's facts hold all that a list must know to be asked again, its entries being at hand.

    Countries, ASNs and paths are recorded, an address where the policy keeps it plain. Subjects, devices and e-mail
    domains are not recorded, or as hashes that only their installation can make. What the store holds is not at hand.
    """
    if declared.store:
        return False
    if declared.of == "endpoint":  # a segment that the policy itself does not spell may have been masked
        segments = (facts.action.path or "").split("/")
        return declared.file is None or not any(_MASKED.fullmatch(segment) for segment in segments)
    if declared.of != "network":
        return declared.of == "country"
    text = facts.network.ip
    if text is None or ("/" not in text and ("." in text or ":" in text)):
        return True
    return declared.file is None and all(_ASN.match(entry) for entry in declared.entries)


_MASKED = re.compile(r"[0-9a-f]{24}")
_ASN = re.compile(r"\s*AS\d", re.IGNORECASE)


__all__ = [
    "DEFAULT_EXEMPTS",
    "MAX_GLOBS",
    "MAX_INLINE",
    "MAX_LISTS",
    "NEVER_EXEMPT",
    "ListName",
    "NamedList",
    "Of",
    "answered_by",
    "exempts",
    "not_exemptible",
    "unsound_lists",
]
