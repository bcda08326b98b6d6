"""Every source of outside knowledge in use, with its age and licence: for `/readyz`, `riskd data list` and docs."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import INSTALLED_ASNS
from riskd.enrich.install import Installed, installed
from riskd.enrich.origins import load_origins

NAMED = "lists.named."
"""Begins the name of a named list among the sources."""


class Source(Struct, frozen=True, kw_only=True):
    """One source in use."""

    name: str
    holds: str
    version: str
    built: date | None = None
    """Day its publisher built it; None where the publisher does not say."""
    age_days: int | None = None
    licence: str
    attribution: str | None = None
    """What pages that show its results must show."""
    path: str | None = None
    entries: int | None = None


def sources(enricher: Enricher, data_dir: Path, now: datetime) -> tuple[Source, ...]:
    """List the sources that an enricher uses, at `now` (aware)."""
    today = now.astimezone(UTC).date()
    return (*_databases(enricher, installed(data_dir), today), *_built_in(enricher, today), *_lists(enricher))


def _databases(enricher: Enricher, notes: dict[str, Installed], today: date) -> Iterator[Source]:
    geo_files = [(database.path, database) for database in enricher.geo.databases()]
    for path, database in geo_files:
        note = notes.get(path.name)
        yield Source(
            name=database.kind,
            holds=", ".join(sorted(database.roles)),
            version=note.version if note else database.built.date().isoformat(),
            built=database.built.date(),
            age_days=(today - database.built.date()).days,
            licence=note.licence if note else "yours",
            attribution=note.attribution if note else None,
            path=str(path),
        )
    note = notes.get(INSTALLED_ASNS)
    table = enricher.geo.asn_table
    if table is not None:
        yield Source(
            name="ASN table",
            holds="asn",
            version=note.version if note else "unknown",
            built=note.date if note else None,
            age_days=(today - note.date).days if note and note.date else None,
            licence=note.licence if note else "yours",
            attribution=note.attribution if note else None,
            path=str(table.path),
            entries=len(table),
        )


def _built_in(enricher: Enricher, today: date) -> Iterator[Source]:
    built_at, ranges = load_origins()
    built = built_at.date()
    yield Source(
        name="iporigin",
        holds="hosting, VPN, Tor, relay, CDN and crawler ranges",
        version=version("iporigin"),
        built=built,
        age_days=(today - built).days,
        licence="MIT",
        entries=ranges,
    )
    yield Source(
        name="iptocc",
        holds="country of registration" + (", where no city database knows more" if enricher.geo.has_cities else ""),
        version=version("iptocc"),
        licence="MIT or Apache-2.0",
    )
    yield Source(
        name="countries",
        holds="centre, radius and clocks of each country",
        version=version("riskd"),
        licence="public domain (Natural Earth, IANA time zones)",
    )
    yield Source(
        name="disposable-email-domains",
        holds="domains of disposable e-mail",
        version=version("disposable-email-domains"),
        licence="MIT",
    )
    yield Source(
        name="ua-parser", holds="user agent patterns", version=version("ua-parser-builtins"), licence="Apache-2.0"
    )
    yield Source(name="crawlerdetect", holds="crawler patterns", version=version("crawlerdetect"), licence="MIT")


def _lists(enricher: Enricher) -> Iterator[Source]:
    for named in enricher.named.sources():
        yield Source(
            name=f"{NAMED}{named.name}",
            holds=f"{named.declared.kind} list of {named.declared.of}",
            version="",
            licence="yours",
            path=None if named.file is None else str(named.file.path),
            entries=sum(named.counts().values()),
        )
    for name, path, entries in enricher.lists.files():
        yield Source(name=name, holds="deny list", version="", licence="yours", path=str(path), entries=entries)
    if enricher.leaked.path is not None:
        path = enricher.leaked.path
        yield Source(
            name="leaked credentials", holds="hashes of passwords", version="", licence="yours", path=str(path)
        )
