"""What an entry of a list looks like, by what the list is of: in the policy, in a file, and in the store alike.

What follows `#` is a comment; one that begins with `until 2026-12-31` lets the entry lapse after that day (UTC).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from riskd.policy.finding import Finding
from riskd.policy.named import Of
from riskd.policy.text import Path

MAX_LINE: Final = 1_000
"""Characters of a line; no honest entry and comment is longer."""
MAX_ENTRY: Final = 256
"""Characters of an entry, as of an id that a caller sends."""
FOREVER: Final = (1 << 24) - 1
"""The last day of an entry that does not expire, as a proleptic ordinal."""
_ASN = re.compile(r"AS([0-9]{1,10})", re.IGNORECASE)
_COUNTRY = re.compile(r"[A-Z]{2}", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_UNTIL = re.compile(r"[#;]\s*until\s+(\S+)", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s)#")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BITS = {4: 32, 6: 128}
_FAMILIES = {4: AF_INET, 6: AF_INET6}

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
        return inet_ntop(_FAMILIES[version], packed) + ("" if length == _BITS[version] else f"/{length}")
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


def dated(of: Of, line: str) -> tuple[str, int]:
    """Split a line into its entry, which may be empty, and the entry's last day; raises ValueError for a wrong day.

    An id may hold `;` and `#`; among networks both begin a comment wherever they stand.
    """
    if of == "network":
        if "#" not in line and ";" not in line:
            return line.strip(), FOREVER
        entry = line.partition("#")[0].partition(";")[0].strip()
        return entry, last_day(line) if entry else FOREVER
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


_MAPPED: Final = bytes(10) + b"\xff\xff"


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
        packed = inet_pton(_FAMILIES[version], text)
    except (OSError, ValueError):
        raise ValueError(f"{entry[:60]!r} is no address, prefix or ASN (as in AS64500)") from None
    if not slash:
        return _unmapped(version, packed, bits)
    length = int(length_text) if length_text.isdecimal() and len(length_text) <= 3 else bits + 1
    if length > bits:
        raise ValueError(f"{entry[:60]!r}: the prefix length is not within 0 and {bits}")
    if int.from_bytes(packed, "big") & ((1 << (bits - length)) - 1):
        raise ValueError(f"{entry[:60]!r} has bits set after its prefix; is a single address or a wider network meant?")
    return _unmapped(version, packed, length)


def _unmapped(version: int, packed: bytes, length: int) -> tuple[int, bytes, int]:
    """Return an IPv4 prefix written as IPv6 (RFC 4291, 2.5.5.2) as what it is: addresses come as IPv4 alone."""
    mapped = version == 6 and length >= 96 and packed.startswith(_MAPPED)
    return (4, packed[12:], length - 96) if mapped else (version, packed, length)


def ascii_domain(domain: str) -> str:
    """Return a domain in the spelling of the DNS; as it is where none can be."""
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:  # no name that could be registered, so no listed one either
        return domain


def unsound_entries(path: Path, of: Of, entries: Iterable[str]) -> Iterator[Finding]:
    """Yield every mistake in entries that stand in the policy, at `path`."""
    for number, text in enumerate(entries):
        try:
            entry, _ = dated(of, text)
            if entry:
                canonical(of, entry, lambda _of, text: text)
        except ValueError as error:
            yield Finding((*path, number), str(error))


__all__ = [
    "FOREVER",
    "MAX_ENTRY",
    "MAX_LINE",
    "Hash",
    "ascii_domain",
    "asn",
    "canonical",
    "dated",
    "last_day",
    "prefix",
    "unsound_entries",
]
