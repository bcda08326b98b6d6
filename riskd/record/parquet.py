"""The decision log as Parquet: one row per record, its main fields as typed columns beside the exact JSON line.

The line loses nothing, so such a file is read wherever a log is; the columns are for whoever asks questions of it with
DuckDB, Spark or pandas. Written and read in row groups of bounded size. Needs pyarrow, which a service does without.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from riskd.errors import ConfigError
from riskd.record.schema import MAX_LINE, DecisionRecord, LineError, Record, decode

PARQUET = ".parquet"
ROWS = 8_192
"""Rows of a group: some 20 MB, which is what a reader or writer holds."""
LINE = "line"
_BUFFER = 1 << 20
_TOGETHER = 16
"""Rows read at once: a few bytes of a file may stand for many long values, and what is read at once is held."""


class Exported:
    """What an export wrote, and what it left out."""

    def __init__(self) -> None:
        self.records = 0
        self.refused: Counter[str] = Counter()
        """Lines that are no record, by reason."""


def export(
    lines: Iterable[bytes], path: Path, *, since: datetime | None = None, until: datetime | None = None
) -> Exported:
    """Write the records on these lines with `since` ≤ time < `until` to a new file.

    Lines that are no record are left out and counted. The file appears whole or not at all. Raises ConfigError when it
    cannot be written, FileExistsError when it is there.
    """
    pa, pq = _pyarrow()
    if path.exists():
        raise FileExistsError(f"{path} is there already")
    part = path.with_name(f"{path.name}.part")
    schema = _schema(pa)
    done = Exported()
    try:
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for rows in _groups(lines, since, until, done.refused):
                columns = [pa.array([row[i] for row in rows], type=field.type) for i, field in enumerate(schema)]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=ROWS)
                done.records += len(rows)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    return done


def lines(path: Path | BinaryIO) -> Iterator[bytes]:
    """Yield the exact lines of a file that `export` wrote, each with its newline; an open file must allow seeking.

    Raises OSError for a file that cannot be read, ValueError for one that is no such log.
    """
    pa, pq = _pyarrow()
    # Buffered: else all the column of a row group is read at once, and another writer's may be as long as the log.
    with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
        _refuse_others(path, file.metadata)
        for batch in file.iter_batches(batch_size=_TOGETHER, columns=[LINE], use_threads=False):
            yield from (line + b"\n" for line in _plain(pa, batch.column(0)))


def _refuse_others(path: Path | BinaryIO, said: Any) -> None:  # noqa: ANN401 - pyarrow's
    """Raise ValueError for a file without lines, and for one whose lines are longer than any record's.

    Pages of such would be held whole, however few bytes of the file they are.
    """
    columns = [number for number in range(said.num_columns) if said.schema.column(number).path == LINE]
    if not columns:
        raise ValueError(f"{path}: no column {LINE!r}: not a decision log")
    for group in map(said.row_group, range(said.num_row_groups)):
        if group.column(columns[0]).total_uncompressed_size > _BUFFER + MAX_LINE * group.num_rows:
            raise ValueError(f"{path}: lines longer than {MAX_LINE:,} bytes: not a decision log")


def _plain(pa: Any, column: Any) -> Iterator[bytes]:  # noqa: ANN401 - pyarrow's
    """Yield the values of a column one by one, text as bytes; raises ValueError for any other."""
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    if values.type not in (pa.binary(), pa.large_binary(), pa.string(), pa.large_string()):
        raise ValueError(f"column {LINE!r} is {values.type}, not binary: not a decision log")
    for value in column:
        line = value.as_py()
        if line is None:
            raise ValueError(f"column {LINE!r} has a value that is missing: not a decision log")
        yield line.encode() if isinstance(line, str) else line


def _groups(
    lines: Iterable[bytes], since: datetime | None, until: datetime | None, refused: Counter[str]
) -> Iterator[list[tuple[Any, ...]]]:
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        try:
            record = decode(line)
        except LineError as failure:
            refused[failure.reason] += 1
            continue
        if (since is None or record.when >= since) and (until is None or record.when < until):
            rows.append((*_columns(record), line.rstrip(b"\n")))
        if len(rows) == ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def _columns(record: Record) -> tuple[Any, ...]:
    """Return the values of a row's columns but the line, in the order of `_schema`."""
    if not isinstance(record, DecisionRecord):
        reported = (record.outcome.value, record.source, record.confirms)
        return "outcome", record.decision_id, record.when, record.caller, record.subject, *reported, *(None,) * 15
    facts = record.facts
    action, network = facts.action, facts.network
    return (
        "decision",
        record.decision_id,
        record.when,
        record.caller,
        facts.subject.token,
        *(None, None, None),
        action.name,
        action.amount,
        action.currency,
        action.path,
        facts.place.country,
        network.asn,
        facts.device.kind,
        record.outcome,
        record.score,
        record.anomaly,
        [code for code, _ in record.reasons],
        record.unknown,
        record.degraded,
        record.policy_revision,
        record.model_version,
    )


def _schema(pa: Any) -> Any:  # noqa: ANN401 - of the module, which may not be installed
    text, texts = pa.string(), pa.list_(pa.string())
    return pa.schema(
        [
            pa.field("record", text, nullable=False),
            pa.field("decision_id", text, nullable=False),
            pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
            pa.field("caller", text),
            pa.field("subject", text),
            pa.field("reported", text),
            pa.field("source", text),
            pa.field("confirms", pa.bool_()),
            pa.field("action", text),
            pa.field("amount", pa.float64()),
            pa.field("currency", text),
            pa.field("path", text),
            pa.field("country", text),
            pa.field("asn", pa.int64()),
            pa.field("device_kind", text),
            pa.field("outcome", text),
            pa.field("score", pa.float64()),
            pa.field("anomaly", pa.float64()),
            pa.field("reasons", texts),
            pa.field("unknown", texts),
            pa.field("degraded", texts),
            pa.field("policy_revision", text),
            pa.field("model_version", text),
            pa.field(LINE, pa.binary(), nullable=False),
        ]
    )


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise ConfigError("Parquet needs pyarrow: pip install 'riskd[learn]'") from None
