"""What stands in a list: entries one a line, what each kind of them looks like, and what an attempt shows of it.

What follows `#` is a comment; one that begins with `until 2026-12-31` lets the entry lapse after that day (UTC).
"""

import re
import socket
from collections.abc import Callable, Iterable
from datetime import date
from time import sleep

from msgspec import Struct

from riskd.enrich.address import Address
from riskd.enrich.email import ascii_domain
from riskd.errors import DataError, Mistake
from riskd.policy.named import Of

MAX_ENTRIES = 1_000_000
MAX_LINE = 1_000
"""Characters of a line; no honest entry and comment is longer."""
MAX_ENTRY = 256
"""Characters of an entry, as of an id that a caller sends."""
FOREVER = (1 << 24) - 1
"""The last day of an entry that does not expire, as a proleptic ordinal."""
GIVE_WAY = 256
"""Lines after which a reader lets go of the interpreter: of its own accord it would keep the event loop waiting 5 ms
at every turn, for as long as a long list is read."""
_SHOWN_MISTAKES = 10
_ASN = re.compile(r"AS([0-9]{1,10})", re.IGNORECASE)
_COUNTRY = re.compile(r"[A-Z]{2}", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_UNTIL = re.compile(r"[#;]\s*until\s+(\S+)", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s)#")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BITS = {4: 32, 6: 128}


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


Hash = Callable[[Of, str], str]
"""The keyed hash by which lists keep a subject's or device's id."""


def canonical(of: Of, text: str, keyed: Hash) -> str:
    """Return an entry as lists keep it: in its one spelling, a subject or device as the hash that `keyed` makes of it.

    Raises ValueError, in words, for what is no entry of this kind.
    """
    text = text.strip()
    if not text or len(text) > MAX_ENTRY or _CONTROL.search(text):
        raise ValueError(f"an entry has 1 to {MAX_ENTRY} characters and no control characters")
    if of == "network":
        if named := _ASN.fullmatch(text):
            return f"AS{int(named[1])}"
        version, packed, length = prefix(text)
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        return socket.inet_ntop(family, packed) + ("" if length == _BITS[version] else f"/{length}")
    if of == "country":
        if not _COUNTRY.fullmatch(text):
            raise ValueError(f"{text[:60]!r} is no country: write its two letters (ISO 3166-1), as in DE")
        return text.upper()
    if of == "email_domain":
        domain = ascii_domain(text.removeprefix("@").rstrip(".").lower())
        if len(domain) > 253 or not _DOMAIN.fullmatch(domain):
            raise ValueError(f"{text[:60]!r} is no e-mail domain; write what stands after the @")
        return domain
    if of == "endpoint":
        if not text.startswith(("/", "*")):
            raise ValueError(f"{text[:60]!r} is no path: it begins with / (or with a glob, as in **/admin)")
        return text
    return keyed(of, text)


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


def dated(line: str) -> tuple[str, int]:
    """Split a line into its entry, which may be empty, and the entry's last day; an id may hold `;` and `#`."""
    found = _COMMENT.search(line)
    entry = line if found is None else line[: found.start()]
    return entry.strip(), FOREVER if found is None else last_day(line[found.start() :])


def last_day(line: str) -> int:
    """Return the last day that a line's comment names, as an ordinal; raises ValueError for what is no date."""
    until = _UNTIL.search(line)
    if until is None:
        return FOREVER
    try:
        return date.fromisoformat(until[1]).toordinal()
    except ValueError:
        raise ValueError(f"{until[1]!r} is no date; write `# until 2026-12-31`") from None


def asn(entry: str) -> int | None:
    """Return the number of an ASN; None for anything else."""
    named = _ASN.fullmatch(entry)
    return None if named is None else int(named[1])


def prefix(entry: str) -> tuple[int, bytes, int]:
    """Read an address or prefix: version, first address, prefix length; raises ValueError."""
    text, slash, length_text = entry.partition("/")
    version = 6 if ":" in text else 4
    bits = _BITS[version]
    try:
        packed = socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, text)
    except (OSError, ValueError):
        raise ValueError(f"{entry[:60]!r} is no address, prefix or ASN (as in AS64500)") from None
    if not slash:
        return version, packed, bits
    length = int(length_text) if length_text.isdecimal() and len(length_text) <= 3 else bits + 1
    if length > bits:
        raise ValueError(f"{entry[:60]!r}: the prefix length is not within 0 and {bits}")
    if int.from_bytes(packed, "big") & ((1 << (bits - length)) - 1):
        raise ValueError(f"{entry[:60]!r} has bits set after its prefix; is a single address or a wider network meant?")
    return version, packed, length
