"""Reads the decision log: the one way in for replay, training, explaining and erasure.

Lazy and in constant memory: a file is opened when the merge reaches its time, and what cannot be read is counted in a
`ReadReport` and skipped, never raised.
"""

import heapq
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from riskd.record.files import EPOCH, SLACK, LogFile, log_file, log_files, open_file
from riskd.record.parquet import PARQUET
from riskd.record.parquet import lines as parquet_lines
from riskd.record.schema import MAX_LINE, DecisionRecord, LineError, Record, decode

REORDER = 256
"""Records of one file that are held back to put them in order: a process has some hundred decisions under way."""


class ReadReport:
    """What one reading met."""

    def __init__(self) -> None:
        self.records = 0
        """Records read well, those outside the asked span included."""
        self.refused: Counter[str] = Counter()
        """Lines skipped, by reason: `torn` (the half line of a killed process), `too_long`, `version`, `damaged`;
        and files given up: `unreadable`."""


def read(
    source: Path | Iterable[Path],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    report: ReadReport | None = None,
) -> Iterator[Record]:
    """Yield the records with `since` ≤ time < `until` of a directory or of single files, in the order of time.

    Files of several processes are merged. Single files may have any name; those not named as the log names them are
    taken to begin before all others.
    """
    report = report if report is not None else ReadReport()
    waiting = [file for file in reversed(_files(source)) if file.may_hold(since, until)]
    # (time of its next record, tie-breaker, that record, the rest of its file)
    heads: list[tuple[datetime, int, Record, Iterator[Record]]] = []
    opened = 0
    while waiting or heads:
        while waiting and (not heads or waiting[-1].opened - SLACK <= heads[0][0]):
            opened += 1
            _advance(heads, opened, _ordered(_records(waiting.pop(), report)))
        if heads:
            when, tie, record, rest = heapq.heappop(heads)
            _advance(heads, tie, rest)
            if (since is None or when >= since) and (until is None or when < until):
                yield record


def read_lines(
    source: Path | Iterable[Path],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    report: ReadReport | None = None,
) -> Iterator[bytes]:
    """Yield the raw lines of a directory or of single files, each with its newline, file after file, oldest first.

    For whoever decodes elsewhere: nothing is decoded or put in order. Files that hold no record with `since` ≤ time <
    `until` are left out; in the others every line is yielded. `report.records` stays 0.
    """
    report = report if report is not None else ReadReport()
    for file in _files(source):
        if file.may_hold(since, until):
            yield from _lines(file, report)


def find(source: Path | Iterable[Path], decision_id: str) -> DecisionRecord | None:
    """Return the record of one decision, or None; the time in its UUIDv7 says which files to look into."""
    made = _made(decision_id)
    if made is None:
        return None
    needle = b'"' + decision_id.encode() + b'"'
    near = [file for file in _files(source) if file.may_hold(made, made + timedelta(milliseconds=1))]
    for file in reversed(near):  # the latest file that had begun by then is nearly always the one
        for line in _lines(file, ReadReport()):
            if needle in line:
                try:
                    record = decode(line)
                except LineError:
                    continue
                if type(record) is DecisionRecord and record.decision_id == decision_id:
                    return record
    return None


def _files(source: Path | Iterable[Path]) -> list[LogFile]:
    if isinstance(source, Path):
        if not source.is_file():
            return log_files(source)
        source = (source,)
    return sorted(
        {
            log_file(path) or LogFile(EPOCH, path.with_name(path.name.removesuffix(".gz")), named=False)
            for path in source
        }
    )


def _made(decision_id: str) -> datetime | None:
    try:
        value = UUID(decision_id)
        return datetime.fromtimestamp((value.int >> 80) / 1000, UTC) if value.version == 7 else None
    except (ValueError, OverflowError, OSError):
        return None


def _advance(heads: list[tuple[datetime, int, Record, Iterator[Record]]], tie: int, records: Iterator[Record]) -> None:
    record = next(records, None)
    if record is not None:
        heapq.heappush(heads, (record.when, tie, record, records))


def _ordered(records: Iterator[Record]) -> Iterator[Record]:
    """Put a file's records in order by holding `REORDER` of them back; lines were written as decisions ended."""
    held: list[tuple[datetime, int, Record]] = []
    for number, record in enumerate(records):
        heapq.heappush(held, (record.when, number, record))
        if len(held) > REORDER:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


def _records(file: LogFile, report: ReadReport) -> Iterator[Record]:
    for line in _lines(file, report):
        try:
            record = decode(line)
        except LineError as refused:
            report.refused[refused.reason] += 1
        else:
            report.records += 1
            yield record


def _lines(file: LogFile, report: ReadReport) -> Iterator[bytes]:
    """Yield whole lines of at most `MAX_LINE` bytes; longer ones are passed over without being held."""
    if file.path.suffix == PARQUET:
        try:
            yield from parquet_lines(file.path)
        except (OSError, ValueError):  # gone, forbidden, damaged or no log
            report.refused["unreadable"] += 1
        return
    try:
        with open_file(file) as stream:
            yield from whole_lines(stream, report)
    except (OSError, EOFError, zlib.error):  # gone, forbidden, or a damaged archive
        report.refused["unreadable"] += 1


def whole_lines(stream: BinaryIO, report: ReadReport) -> Iterator[bytes]:
    """Yield the whole lines of an open file; those that are torn or longer than `MAX_LINE` are counted, never held."""
    while line := stream.readline(MAX_LINE):
        if line.endswith(b"\n"):
            yield line
        elif len(line) < MAX_LINE:
            report.refused["torn"] += 1
        else:
            report.refused["too_long"] += 1
            _pass_over(stream)


def _pass_over(stream: BinaryIO) -> None:
    while line := stream.readline(MAX_LINE):
        if line.endswith(b"\n"):
            return
