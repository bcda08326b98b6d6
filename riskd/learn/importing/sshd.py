"""Authentication logs of OpenSSH, as syslog and rsyslog write them.

A login is one attempt of the account that was named, wherever it was tried; the host is recorded as the resource. What
a stranger types as a user name stands in the line, too, so the address is the one behind the *last* `from`.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

from riskd.learn.importing.lines import read_lines
from riskd.learn.importing.row import Reading, Row, Unusable, make_row

MOST_REPEATS: Final = 1000
"""Attempts that one `message repeated` line may stand for."""
NAMELESS: Final = "(no name)"
"""The account of attempts that named none: guesses at it are counted like any other's."""
HOSTS: Final = Path(__file__).with_name("hosts.yaml")
"""The policy for accounts of hosts, for who has none."""
_PROCESSES: Final = 4096
"""Connections remembered for the second line about the same attempt."""
_BACK: Final = timedelta(days=180)
"""A line that is so much earlier than the one before begins a new year."""
_OFFERED: Final = frozenset({"none", "publickey"})
"""A client offers its keys one after another before it asks for a password: a refused one is no failed login."""
_LINE = re.compile(
    r"(?P<stamp>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,24}) "
    r"(?P<host>\S{1,255}) sshd(?:-session)?\[(?P<process>\d{1,10})\]: (?P<said>.*)"
)
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ (.*)\]")
_TRIED = re.compile(
    r"(?P<verdict>Accepted|Failed) (?P<method>\S{1,64}) for (?P<unknown>invalid user )?(?P<account>.*) "
    r"from (?P<address>\S+) port \d{1,5}(?: ssh\d?)?(?:: (?P<key>.*))?"
)
_UNKNOWN = re.compile(r"Invalid user (?P<account>.*) from (?P<address>\S+?)(?: port \d{1,5})?")


def sshd_rows(
    path: Path, reading: Reading, *, now: datetime, year: int | None = None, zone: tzinfo = UTC, vouch: bool = False
) -> Iterator[Row]:
    """Yield the logins of a log, failed ones included.

    Syslog leaves the year out: `year` is that of the first line; without it the latest year that puts no line into the
    future. `zone` is that of the host's clock. `vouch` says that what succeeded was honest.
    Raises ConfigError for a file that cannot be opened.
    """
    clock = _Clock(year or _first_year(read_lines(path, Reading()), now, zone), zone)
    processes: OrderedDict[str, None] = OrderedDict()
    for line in read_lines(path, reading):
        found = _LINE.fullmatch(line)
        at = None if found is None else clock.read(found["stamp"])
        attempt, times = (None, 0) if found is None else _attempt(found, processes)
        if found is None or attempt is None:
            reading.passed_over += 1
            continue
        try:
            row = _row(attempt, at, found["host"], now, vouch=vouch)
        except Unusable as unusable:
            reading.unusable[unusable.reason] += times
            continue
        reading.rows += times
        for _ in range(times):
            yield row


def _attempt(line: re.Match[str], processes: OrderedDict[str, None]) -> tuple[re.Match[str] | None, int]:
    """Return the attempt that a line tells of and how many times it was made; None for another line."""
    said, times = line["said"], 1
    if repeated := _REPEATED.fullmatch(said):
        said, times = repeated[2], min(int(repeated[1]), MOST_REPEATS)
    process = f"{line['host']} {line['process']}"
    if unknown := _UNKNOWN.fullmatch(said):  # what follows of this connection begins with the same attempt
        processes[process] = None
        if len(processes) > _PROCESSES:
            processes.popitem(last=False)
        return unknown, times
    tried = _TRIED.fullmatch(said)
    if tried and tried["verdict"] == "Failed" and tried["method"] in _OFFERED:
        return None, 0
    if tried and tried["unknown"] and process in processes:
        del processes[process]
        times -= 1
    return tried, times


def _row(attempt: re.Match[str], at: datetime | None, host: str, now: datetime, *, vouch: bool) -> Row:
    if at is None:
        raise Unusable("time")
    succeeded = attempt.groupdict().get("verdict") == "Accepted"
    body = _body(attempt["account"], attempt["address"], host, attempt.groupdict().get("key"))
    return make_row(at.timestamp(), body, now=now.timestamp(), succeeded=succeeded, vouched=vouch and succeeded)


def _body(account: str, address: str, host: str, key: str | None) -> dict[str, Any]:
    """Return the request; what a client shows of its machine is its key, or else where it comes from."""
    name = account.strip() or NAMELESS
    return {
        "subject": {"id": name},
        "action": {"name": "login"},
        "resource": {"type": "host", "id": host},
        "context": {"ip": address, "device_id": (key or f"{name} {address}")[:256]},
    }


class _Clock:
    """Reads time stamps without a year, in the order in which they were written."""

    def __init__(self, year: int, zone: tzinfo) -> None:
        self.year = year
        self._zone = zone
        self._last: datetime | None = None

    def read(self, stamp: str) -> datetime | None:
        """Return the instant of a stamp; None for one that is none, e.g. the 29th of February of this year."""
        try:
            if stamp[0].isdigit():
                at = datetime.fromisoformat(stamp)
                return at if at.tzinfo is not None else at.replace(tzinfo=self._zone)
            at = self._in(self.year, stamp)
            if self._last is not None and at < self._last - _BACK:
                self.year += 1
                at = self._in(self.year, stamp)
        except (ValueError, OverflowError):
            return None
        self._last = at
        return at

    def _in(self, year: int, stamp: str) -> datetime:
        return datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S").replace(tzinfo=self._zone)


def _first_year(lines: Iterable[str], now: datetime, zone: tzinfo) -> int:
    """Return the latest year in which the log can begin."""
    clock = _Clock(2000, zone)  # a leap year
    last = None
    for line in lines:
        if (found := _LINE.fullmatch(line)) and not found["stamp"][0].isdigit():
            last = clock.read(found["stamp"]) or last
    if last is None:
        return now.year
    local, begun = now.astimezone(zone), clock.year - 2000
    fits = (last.month, last.day, last.hour, last.minute) <= (local.month, local.day, local.hour, local.minute)
    return local.year - begun - (0 if fits else 1)
