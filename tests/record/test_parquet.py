"""A log as Parquet: every line comes back, and the columns say what the record says."""

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from riskd.errors import ConfigError
from riskd.record import parquet
from riskd.record.parquet import export, lines
from riskd.record.reader import ReadReport, find, read, read_lines
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record, decode, encode

Make = Callable[..., DecisionRecord]
MakeOutcome = Callable[..., OutcomeRecord]


@pytest.fixture
def records(decision: Make, outcome: MakeOutcome, noon: datetime) -> list[Record]:
    """Thirty decisions, a minute apart, each with an outcome."""
    made: list[Record] = []
    for number in range(30):
        made.append(decision(noon + timedelta(minutes=number), number))
        made.append(outcome(noon + timedelta(minutes=number, seconds=30), number))
    return made


@pytest.fixture
def log(records: list[Record], tmp_path: Path) -> Path:
    """The records as a plain file, with a line that is none."""
    path = tmp_path / "plain.jsonl"
    path.write_bytes(b"".join(encode(record) + b"\n" for record in records) + b"nonsense\n")
    return path


def test_nothing_is_lost(log: Path, records: list[Record], tmp_path: Path) -> None:
    """Each record's exact line comes back in its order, and a line that is none is counted."""
    out = tmp_path / "log.parquet"
    done = export(read_lines(log), out)
    assert (done.records, dict(done.refused)) == (len(records), {"damaged": 1})
    assert list(lines(out)) == [encode(record) + b"\n" for record in records]
    assert list(read(out)) == records
    assert list(read_lines([out])) == list(lines(out))


def test_columns_say_what_the_record_says(log: Path, records: list[Record], tmp_path: Path) -> None:
    """Main fields are typed columns: text, numbers, instants in UTC, lists."""
    out = tmp_path / "log.parquet"
    export(read_lines(log), out)
    table = pq.read_table(out)
    assert len(table) == len(records)
    for row, record in zip(table.to_pylist(), records, strict=True):
        assert (row["decision_id"], row["time"]) == (record.decision_id, record.when)
        if isinstance(record, DecisionRecord):
            facts = record.facts
            said = (row["record"], row["outcome"], row["score"], row["action"], row["country"], row["degraded"])
            wanted = ("decision", record.outcome, record.score, facts.action.name, facts.place.country)
            assert said == (*wanted, list(record.degraded))
            assert row["reasons"] == [code for code, _ in record.reasons]
        else:
            assert (row["record"], row["reported"], row["score"]) == ("outcome", record.outcome.value, None)


def test_groups_are_bounded(log: Path, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long log is written and read in row groups, and none is lost between them."""
    monkeypatch.setattr(parquet, "ROWS", 16)
    out = tmp_path / "log.parquet"
    export(read_lines(log), out)
    assert pq.ParquetFile(out).num_row_groups == -(-len(records) // 16)
    assert list(read(out)) == records


def test_a_span_is_exported(log: Path, records: list[Record], noon: datetime, tmp_path: Path) -> None:
    """Only records with since ≤ time < until are written."""
    out = tmp_path / "log.parquet"
    since, until = noon + timedelta(minutes=5), noon + timedelta(minutes=9)
    done = export(read_lines(log), out, since=since, until=until)
    assert done.records == 8
    assert list(read(out)) == [record for record in records if since <= record.when < until]


def test_a_file_appears_whole_or_not_at_all(log: Path, tmp_path: Path) -> None:
    """A file that is there stays, and one that cannot be written leaves nothing behind."""
    out = tmp_path / "log.parquet"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="already"):
        export(read_lines(log), out)
    assert out.read_text() == "mine"
    with pytest.raises(ConfigError, match="No such file"):
        export(read_lines(log), tmp_path / "nowhere" / "log.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.parquet", "plain.jsonl"]


def test_a_damaged_file_is_counted(tmp_path: Path, records: list[Record]) -> None:
    """What is no such log is given up and told, as any unreadable file is."""
    (tmp_path / "noise.parquet").write_bytes(b"PAR1 is not enough PAR1")
    report = ReadReport()
    assert list(read(tmp_path / "noise.parquet", report=report)) == []
    assert list(read_lines([tmp_path / "gone.parquet"], report=report)) == []
    pq.write_table(pa.table({"other": [1, 2]}), tmp_path / "foreign.parquet")
    assert list(read([tmp_path / "foreign.parquet"], report=report)) == []
    assert report.refused["unreadable"] == 3
    assert find([tmp_path / "noise.parquet"], records[0].decision_id) is None


def test_lines_of_another_writer(log: Path, records: list[Record], tmp_path: Path) -> None:
    """A column of text is read as one of bytes; one of numbers, or with holes, is told, and nothing is raised else."""
    said = log.read_bytes().splitlines()[:-1]
    for name, column in (
        ("text", pa.array([line.decode() for line in said])),
        ("large", pa.array(said, pa.large_binary())),
    ):
        pq.write_table(pa.table({"line": column}), tmp_path / f"{name}.parquet")
        assert [decode(line) for line in lines(tmp_path / f"{name}.parquet")] == records
    for column in (pa.array([1, 2]), pa.array([b"{}", None])):
        pq.write_table(pa.table({"line": column}), tmp_path / "other.parquet")
        with pytest.raises(ValueError, match="not a decision log"):
            list(lines(tmp_path / "other.parquet"))


@pytest.mark.parametrize("over_and_over", [True, False])
def test_a_few_bytes_take_little_memory(tmp_path: Path, over_and_over: bool) -> None:
    """A file of some kilobytes is 300 MB of long lines, one of them again and again or each another: little is held."""
    path = tmp_path / "bomb.parquet"
    long = [b"x" * (1 << 20) + (b"" if over_and_over else b"%d" % number) for number in range(300)]
    pq.write_table(pa.table({"line": pa.array(long)}), path, use_dictionary=over_and_over, compression="zstd")
    assert path.stat().st_size < 100_000
    code = (
        "import sys; from pathlib import Path; from riskd.record.reader import ReadReport, read_lines\n"
        "report = ReadReport(); read = sum(1 for _ in read_lines([Path(sys.argv[1])], report=report))\n"
        "print(read, report.refused['unreadable'], Path('/proc/self/status').read_text())"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    assert told.split()[:2] == (["300", "0"] if over_and_over else ["0", "1"])
    peak_kb = int(told.partition("VmHWM:")[2].split()[0])
    assert peak_kb < 200_000
