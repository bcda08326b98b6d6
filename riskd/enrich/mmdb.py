"""MaxMind DB files: opened and validated once, then read by the C reader straight from the memory map."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import maxminddb
from geoip2.models import ASN, AnonymousIP, City, Country, Enterprise

from riskd.enrich.records import Record, roles_of
from riskd.errors import DataError

_SAMPLED_RECORDS = 32
_MODELS: dict[str, Callable[..., object]] = {
    "Enterprise": lambda record, address: Enterprise(["en"], **record, ip_address=address),
    "City": lambda record, address: City(["en"], **record, ip_address=address),
    "Country": lambda record, address: Country(["en"], **record, ip_address=address),
    "Anonymous-IP": lambda record, address: AnonymousIP(address, **record),
    "ASN": lambda record, address: ASN(address, **record),
}
"""How geoip2 reads the kinds of database that MaxMind names in `database_type`, e.g. `GeoLite2-City`."""


class Mmdb:
    """One open database. Readers stay valid while a newer file takes over; the last reference closes the map."""

    def __init__(self, path: Path, named: Path | None = None) -> None:
        """Open and validate; raises DataError, one clear line, for anything that is no usable database.

        `named` is what to call the file when `path` is a copy of it.
        """
        self.path = named or path
        try:
            self._reader = maxminddb.open_database(path, maxminddb.MODE_MMAP_EXT)
            metadata = self._reader.metadata()
            sample = [
                (str(network.network_address), record) for network, record in islice(self._reader, _SAMPLED_RECORDS)
            ]
        except (maxminddb.InvalidDatabaseError, OSError, ValueError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: not a readable mmdb file, or damaged ({error})") from None
        self.kind = metadata.database_type
        """What the file calls itself, e.g. `GeoLite2-City`."""
        self.built = datetime.fromtimestamp(metadata.build_epoch, UTC)
        """When its publisher built it."""
        self.version = metadata.ip_version
        """4: IPv4 only; 6: both, or IPv6 only."""
        self.roles: frozenset[str] = frozenset()
        """What it can tell: `city`, `asn`, `anonymous`."""
        for address, record in sample:
            self._validate(address, record)

    def get(self, address: str) -> Record | None:
        """Return the record of an address, None when there is none; raises InvalidDatabaseError where it is damaged."""
        record = self._reader.get(address)
        return record if isinstance(record, dict) else None

    def _validate(self, address: str, record: object) -> None:
        if not isinstance(record, dict):
            raise DataError(f"{self.path}: {self.kind} holds {type(record).__name__} records; riskd reads maps")
        self.roles |= roles_of(record)
        model = next((model for word, model in _MODELS.items() if word in self.kind), None)
        if model is not None:
            try:
                model(record, address)
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                raise DataError(f"{self.path}: calls itself {self.kind} but has other records ({error})") from None


def open_copy(path: Path, live: Path) -> Mmdb:
    """Open a private copy of a database that somebody else may overwrite in place.

    Memory-mapped pages vanish when their file is cut, and the process dies with them; so users' files are copied to
    `live` first, once per version of the file, shared by all workers. Older copies go; who still reads one keeps it.
    """
    try:
        before = path.stat()
        family = blake2b(str(path.absolute()).encode(), digest_size=8).hexdigest()
        copy = live / f"{family}-{before.st_ino}-{before.st_mtime_ns}-{before.st_size}.mmdb"
        if not copy.exists():
            _copy(path, copy)
        opened = Mmdb(copy, path)
        for old in live.glob(f"{family}-*.mmdb"):
            if old != copy:
                old.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    return opened


def _copy(path: Path, copy: Path) -> None:
    """Copy a good database whole or not at all, whatever other workers do at the same time."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat()
    with TemporaryDirectory(dir=copy.parent) as scratch:
        beside = Path(scratch) / copy.name
        shutil.copyfile(path, beside)
        after = path.stat()
        if (after.st_mtime_ns, after.st_size) != (before.st_mtime_ns, before.st_size):
            raise DataError(f"{path}: still being written")
        Mmdb(beside, path)
        beside.replace(copy)
