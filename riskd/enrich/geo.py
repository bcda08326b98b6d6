"""Where an address is and whose network it belongs to: the user's databases, installed ones, or the built-in tables."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import iptocc
from msgspec import Struct
from msgspec.structs import replace

from riskd.enrich.address import Address, parse_address
from riskd.enrich.asn import AsnTable
from riskd.enrich.countries import country_place
from riskd.enrich.mmdb import Mmdb, open_copy
from riskd.enrich.origins import load_origins, origin_of
from riskd.enrich.records import KnownNetwork, Record, anonymity_of, asn_of, place_of
from riskd.enrich.watched import Watched
from riskd.errors import DataError
from riskd.facts import PlaceFacts

T = TypeVar("T")
INSTALLED_CITIES = {4: "city-ipv4.mmdb", 6: "city-ipv6.mmdb"}
INSTALLED_ASNS = "asn.table"
CACHED_ADDRESSES = 16_384
"""Addresses that are kept at hand with all that is known of them, some 300 bytes each."""
_CACHED_ANSWERS = 4_096
"""Places and networks that are kept as one object for all addresses they share."""
_NOWHERE = PlaceFacts()
_NOBODY = KnownNetwork()


class Located(Struct, frozen=True, gc=False):
    """All that is known of one address."""

    address: Address
    place: PlaceFacts | None
    """None: what would tell could not be read."""
    network: KnownNetwork | None
    """None: what would tell could not be read."""


class _PartlyRead(Exception):
    """Carries what could be found out of an address some of whose sources failed: not to be remembered."""

    def __init__(self, located: Located) -> None:
        super().__init__()
        self.located = located


class Geo:
    """The sources in use. Addresses found are remembered; `refresh` takes changed files over without a pause."""

    def __init__(
        self,
        data_dir: Path,
        *,
        city: Path | None = None,
        asn: Path | None = None,
        anonymous: Path | None = None,
    ) -> None:
        """Open everything; raises DataError when a configured file is missing, or any is damaged or of another kind.

        Without `city` and `asn`, what is installed in `data_dir` is used, else the tables that come with riskd.
        """
        installed = data_dir / "geo"
        live = installed / "live"

        def own(path: Path, role: str) -> Watched[Mmdb]:
            return Watched(path, partial(_open, role=role, reader=partial(open_copy, live=live)), required=True)

        def ready(name: str) -> Watched[Mmdb]:
            return Watched(installed / name, partial(_open, role="city", reader=Mmdb), required=False)

        self._city = {version: ready(name) for version, name in INSTALLED_CITIES.items()}
        if city is not None:
            self._city = dict.fromkeys(INSTALLED_CITIES, own(city, "city"))
        self._asn = own(asn, "asn") if asn is not None else None
        self._asn_table = Watched(installed / INSTALLED_ASNS, AsnTable, required=False) if asn is None else None
        self._anonymous = own(anonymous, "anonymous") if anonymous is not None else None
        load_origins()  # now, so that the first lookup does not wait for it
        self._start_cache()

    def _start_cache(self) -> None:
        self._remembered: Callable[[str], Located] = lru_cache(CACHED_ADDRESSES)(self._found)

    def find(self, text: str) -> Located:
        """Return all that is known of an address, from memory where it came before.

        Raises RequestError (422) for a text that is no address, and nothing else.
        """
        try:
            return self._remembered(text)
        except _PartlyRead as partly:
            return partly.located

    def refresh(self) -> tuple[str, ...]:
        """Take over files that changed; return one line per file that is not in use as it stands now.

        Copies and reads files: call it from a thread, every few seconds.
        """
        if any([watched.refresh() for watched in self._watched()]):  # noqa: C419 - each one, not up to the first
            self._start_cache()
        return self.problems()

    def problems(self) -> tuple[str, ...]:
        """Return one line per file that is not in use as it stands now."""
        return tuple(watched.problem for watched in self._watched() if watched.problem)

    def databases(self) -> Iterator[Mmdb]:
        """Yield the databases in use, each once."""
        seen = {id(watched): watched.value for watched in self._watched() if isinstance(watched.value, Mmdb)}
        yield from seen.values()

    @property
    def has_cities(self) -> bool:
        """Whether places are better known than by country tables."""
        return any(watched.value is not None for watched in self._city.values())

    @property
    def asn_table(self) -> AsnTable | None:
        """The installed ASN table, None when it is not in use."""
        return self._asn_table.value if self._asn_table else None

    def _watched(self) -> list[Watched[Mmdb] | Watched[AsnTable]]:
        unique = {id(watched): watched for watched in self._city.values()}
        others = (self._asn, self._asn_table, self._anonymous)
        return [*unique.values(), *(watched for watched in others if watched is not None)]

    def _found(self, text: str) -> Located:
        address = parse_address(text)
        located = Located(address, _unless_failed(self.place, address), _unless_failed(self.network, address))
        if located.place is None or located.network is None:
            raise _PartlyRead(located)
        return located

    def place(self, address: Address) -> PlaceFacts:
        """Return where an address is. What fails to read raises, whatever it is."""
        if address.private:
            return _NOWHERE
        record = _lookup(self._city[address.version].value, address)
        place = place_of(record) if record else _NOWHERE
        return _registered(address) if place == _NOWHERE else _shared(place)

    def network(self, address: Address) -> KnownNetwork:
        """Return whose network an address belongs to and what hides behind it; raises like `place`."""
        if address.private:
            return _NOBODY
        owner = self._owner(address)
        seen = origin_of(address)
        record = _lookup(self._anonymous.value, address) if self._anonymous else None
        return _joined(owner, seen, anonymity_of(record) if record else _NOBODY)

    def _owner(self, address: Address) -> KnownNetwork:
        if self.asn_table is not None:
            found = self.asn_table.find(address)
            return KnownNetwork(*found) if found else _NOBODY
        database = self._asn.value if self._asn else self._city[address.version].value
        record = _lookup(database, address) if database and "asn" in database.roles else None
        return asn_of(record) if record else _NOBODY


def _open(path: Path, *, role: str, reader: Callable[[Path], Mmdb]) -> Mmdb:
    database = reader(path)
    if role not in database.roles:
        held = " and ".join(sorted(database.roles)) or "nothing riskd knows"
        raise DataError(f"{path}: {database.kind} holds {held} data, not {role} data")
    return database


def _lookup(database: Mmdb | None, address: Address) -> Record | None:
    if database is None or database.version < address.version:
        return None
    return database.get(address.text)


def _registered(address: Address) -> PlaceFacts:
    """Return the country where the address block is registered: right for about 95 of 100 addresses.

    Blocks of a privacy relay are registered with their operator, wherever its customer sits: unknown.
    """
    if origin_of(address).relay:
        return _NOWHERE
    return country_place(iptocc.country_code(address.text))


def _unless_failed(look_up: Callable[[Address], T], address: Address) -> T | None:
    try:
        return look_up(address)
    except Exception:  # noqa: BLE001 - whatever a reader dies of, the attempt is judged without it
        return None


@lru_cache(_CACHED_ANSWERS)
def _joined(owner: KnownNetwork, seen: KnownNetwork, told: KnownNetwork) -> KnownNetwork:
    """Join the owner of a network with what published ranges and a database say; equal answers are one object."""
    if seen.relay:  # the relay explains what else a database makes of it
        return replace(seen, asn=owner.asn, organization=owner.organization)
    tor, proxy = bool(seen.tor or told.tor), bool(seen.proxy or told.proxy)
    hosting, relay = bool(seen.hosting or told.hosting or owner.kind == "hosting"), bool(told.relay)
    kinds = (("tor", tor), ("relay", relay), (told.kind or seen.kind or "proxy", proxy), ("hosting", hosting))
    kind = next((kind for kind, holds in kinds if holds), owner.kind)
    return KnownNetwork(owner.asn, owner.organization, kind, tor, proxy, hosting, relay)


@lru_cache(_CACHED_ANSWERS)
def _shared(place: PlaceFacts) -> PlaceFacts:
    """Return the one object that stands for all equal places: a city has many addresses."""
    return place
