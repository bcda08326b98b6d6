"""The RBA data set (Wiefling et al., ACM TOPS 2022, doi 10.1145/3546069), and logs in the columns of Freeman's code.

Addresses in either are no addresses of the internet any more, so a stand-in takes their place, and country, city, AS
number, browser and system are taken by the row's own word.

A spreadsheet that the data set went through leaves `43:30.8` of a time and `-4.32E+18` of an id. Such rows are mended,
and counted: the hour goes on from the row before (the data set begins on 3 February 2020 at 12:43 UTC), the id stays as
it is, though several people may share one. `strict` leaves them out.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from riskd.errors import ConfigError
from riskd.learn.importing.row import Reading, Row, Unusable, make_row
from riskd.learn.importing.table import Table, Values
from riskd.learn.importing.told import stand_in, told_device

BEGINS: Final = datetime(2020, 2, 3, 12, tzinfo=UTC)
"""The hour in which the data set begins."""
NOBODY: Final = frozenset({"-4324475583306591935", "-4.32E+18"})
"""The one id of the data set under which all attempts stand whose account does not exist."""
PUBLISHED: Final = (
    "Login Timestamp", "User ID", "Round-Trip Time [ms]", "IP Address", "Country", "City", "ASN", "User Agent String",
    "Browser Name and Version", "OS Name and Version", "Device Type", "Login Successful", "Is Attack IP",
    "Is Account Takeover",
)  # fmt: skip
FREEMAN: Final = (
    "ts", "userid", "requestXRealIP", "ipASN", "ipCountry", "trackingdatauserAgent", "browser_name_version",
    "os_name_version", "device_type", "rtt", "attack",
)  # fmt: skip
_CLOCK = re.compile(r"(\d{1,2}):(\d{2}(?:\.\d{1,6})?)")
_ROUNDED = re.compile(r"-?\d(?:\.\d+)?E\+\d+")
_HOUR_S: Final = 3600.0
_BACK_S: Final = 1800.0
"""A minute that is so much earlier than the one before belongs to the next hour."""


def rba_rows(
    path: Path, reading: Reading, *, now: datetime, begins: datetime = BEGINS, strict: bool = False
) -> Iterator[Row]:
    """Return the rows of a file in either form; raises ConfigError for one in neither, naming what it lacks.

    `begins` is the hour in which the first row lies whose time lost its hour.
    """
    table = Table(path, reading)
    for columns, reader in ((PUBLISHED, _Published(begins, strict=strict).row), (FREEMAN, _freeman)):
        if set(columns) <= set(table.columns):
            return _rows(table, reader, reading, now.timestamp())
    lacking = [name for name in PUBLISHED if name not in table.columns]
    raise ConfigError(
        f"{path}: lacks the column {lacking[0]!r} of the RBA data set; import another CSV with `riskd import csv` and "
        "a mapping"
    )


_Reader = Callable[[Values, list[str], float], Row]
"""Makes a row; notes what of it was lost."""


def _rows(table: Table, reader: _Reader, reading: Reading, now: float) -> Iterator[Row]:
    for values in table.rows():
        lost: list[str] = []
        try:
            row = reader(values, lost, now)
        except Unusable as unusable:
            reading.unusable[unusable.reason] += 1
        else:
            reading.take(lost)
            yield row


class _Published:
    """Reads rows of the published data set, in their order."""

    def __init__(self, begins: datetime, *, strict: bool) -> None:
        self._hour = begins.astimezone(UTC).replace(minute=0, second=0, microsecond=0).timestamp()
        self._last = 0.0
        """Seconds into the hour of the row before."""
        self._strict = strict

    def row(self, values: Values, lost: list[str], now: float) -> Row:
        """Return a row, and note in `lost` what is guessed of it; raises Unusable."""
        time, whole = self._time(values["Login Timestamp"])
        who = values["User ID"].strip()
        rounded = who not in NOBODY and _ROUNDED.fullmatch(who) is not None
        if self._strict and not whole:
            raise Unusable("Login Timestamp: lost its hour")
        if self._strict and (rounded or _ROUNDED.fullmatch(who)):
            raise Unusable("User ID: rounded")
        succeeded = _flag(values, "Login Successful")
        attack, takeover = _flag(values, "Is Attack IP"), _flag(values, "Is Account Takeover")
        if not whole:
            lost.append("Login Timestamp: lost its hour")
        if rounded:
            lost.append("User ID: rounded, may stand for several people")
        return make_row(
            time,
            _body(
                None if who in NOBODY else who,
                address=values["IP Address"],
                country=values["Country"],
                city=values["City"],
                asn=values["ASN"],
                agent=values["User Agent String"],
                rtt=values["Round-Trip Time [ms]"],
            ),
            now=now,
            succeeded=succeeded,
            fraud=takeover,
            vouched=succeeded and not attack and not takeover,
            device=told_device(
                _said(values["Browser Name and Version"]),
                _said(values["OS Name and Version"]),
                _said(values["Device Type"]),
            ),
        )

    def _time(self, text: str) -> tuple[float, bool]:
        """Return the instant, and whether the row itself says all of it."""
        if clock := _CLOCK.fullmatch(text.strip()):
            into = int(clock[1]) * 60 + float(clock[2])
            if not into < _HOUR_S:
                raise Unusable("Login Timestamp")
            if into < self._last - _BACK_S:
                self._hour += _HOUR_S
            self._last = into
            return self._hour + into, False
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError:
            raise Unusable("Login Timestamp") from None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        self._hour, self._last = hour.timestamp(), (at - hour) / timedelta(seconds=1)
        return at.timestamp(), True


def _freeman(values: Values, _lost: list[str], now: float) -> Row:
    """Return a row in the columns of the published code: successful logins, an attacker's marked."""
    attack = _flag(values, "attack")
    return make_row(
        _number(values["ts"], "ts"),
        _body(
            values["userid"].strip(),
            address=values["requestXRealIP"],
            country=values["ipCountry"],
            city=None,
            asn=values["ipASN"],
            agent=values["trackingdatauserAgent"],
            rtt=values["rtt"],
        ),
        now=now,
        succeeded=True,
        fraud=attack,
        vouched=not attack,
        device=told_device(
            _said(values["browser_name_version"]), _said(values["os_name_version"]), _said(values["device_type"])
        ),
    )


def _body(
    who: str | None, *, address: str, country: str, city: str | None, asn: str, agent: str, rtt: str
) -> dict[str, Any]:
    context: dict[str, Any] = {"ip": stand_in(address.strip())} if _said(address) else {}
    place = {"country": _said(country), "city": _said(city)}
    if any(place.values()):
        context["place"] = place
    if (number := _said(asn)) is not None:
        if not number.isdecimal() or len(number) > 10:
            raise Unusable("ASN")
        context["network"] = {"asn": int(number)}
    if agent:
        context["user_agent"] = agent
    if _said(rtt) is not None:
        context["rtt_ms"] = _number(rtt, "Round-Trip Time")
    return {"subject": {} if who is None else {"id": who}, "action": {"name": "login"}, "context": context}


def _said(text: str | None) -> str | None:
    """Return a text; None for an empty one and for the dash that stands for nothing."""
    return None if text is None or text.strip() in {"", "-"} else text.strip()


def _flag(values: Values, column: str) -> bool:
    word = values[column].strip().lower()
    if word not in {"true", "false", "1", "0"}:
        raise Unusable(column)
    return word in {"true", "1"}


def _number(text: str, column: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unusable(column) from None
