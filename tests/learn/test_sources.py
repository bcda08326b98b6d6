"""Where a log is read from: every way to name it gives the same records."""

import bz2
import gzip
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from riskd.errors import ConfigError
from riskd.learn.blocks import Local, Log
from riskd.learn.sift import Sift
from riskd.learn.sources import Reading, lines_of, log_sources, sources
from riskd.record.files import name
from riskd.record.parquet import export
from riskd.record.reader import ReadReport, read
from riskd.record.schema import MAX_LINE, decode, encode, encode_lines
from tests.learn.logs import BEGIN, decision
from tests.learn.s3 import served

RECORDS = [decision(n) for n in range(30)]
LINES = encode_lines(RECORDS)


def ids(*asked: str | Path) -> tuple[list[str], Counter[str]]:
    """The decisions that are read, in order, and what could not be read."""
    refused: Counter[str] = Counter()
    return [str(decode(line).decision_id) for line in lines_of(sources(asked), refused)], refused


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three files in three forms: as the service writes it, that compressed, and Zstandard."""
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)
    (folder / name(BEGIN, 1, 0)).write_bytes(encode_lines(RECORDS[:10]))
    (folder / (name(BEGIN, 1, 1) + ".gz")).write_bytes(gzip.compress(encode_lines(RECORDS[10:20])))
    (folder / "zz-more.jsonl.zst").write_bytes(pa.compress(encode_lines(RECORDS[20:]), codec="zstd", asbytes=True))
    (folder / "notes.txt").write_text("no log")
    return folder


@pytest.mark.parametrize(
    "named",
    [
        lambda log: [f"{log}/*.jsonl*"],
        lambda log: [f"{log.parent}/**/*.jsonl*"],
        lambda log: [f"file://{log}/*.jsonl*"],
        lambda log: [f"file://{log.parent}/**/*.jsonl*"],
        lambda log: [f"file://{log.parent}/l*/*.jsonl*"],
        lambda log: sorted(path for path in log.iterdir() if path.suffix != ".txt"),
        lambda log: [f"{log}/riskd-*", f"file://{log}/zz-more.jsonl.zst", f"{log}/riskd-*"],
    ],
)
def test_every_way_to_name_a_log(log: Path, named: Callable[[Path], list[str | Path]]) -> None:
    """Globs, URIs, URIs with globs, and files one by one: each record once."""
    found, refused = ids(*named(log))
    assert sorted(found) == sorted(record.decision_id for record in RECORDS)
    assert not refused


def test_a_folder_is_its_log_files(log: Path) -> None:
    """A folder that the service writes to stands for the service's files, as for replay; also named by its parent."""
    named = (log, log.parent, f"file://{log}", f"file://{log.parent}")
    assert [len(ids(one)[0]) for one in named] == [20] * 4


@pytest.mark.parametrize(
    "name_of", ["x.jsonl", "x.jsonl.gz", "x.jsonl.bz2", "x.jsonl.zst", "x.jsonl.lz4", "day=1/x.parquet"]
)
def test_what_is_a_log_for_one_command_is_one_for_all(tmp_path: Path, name_of: str) -> None:
    """A folder of files under other names holds the same records for who reads blocks and who reads in order."""
    path = tmp_path / name_of
    path.parent.mkdir(exist_ok=True)
    codec = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}.get(path.suffix)
    if path.suffix == ".parquet":
        export(LINES.splitlines(keepends=True), path)
    elif codec:
        with pa.CompressedOutputStream(str(path), codec) as out:
            out.write(LINES)
    else:
        path.write_bytes(LINES)
    report = ReadReport()
    assert list(read(log_sources([tmp_path]), report=report)) == RECORDS
    assert not report.refused
    assert ids(tmp_path) == ([record.decision_id for record in RECORDS], Counter())


@pytest.mark.parametrize("remote", [False, True])
def test_parquet_partitions_and_compressed_lines_have_one_digest(tmp_path: Path, remote: bool) -> None:
    """What was read is named by its lines: plain, gzip, bzip2 and Parquet in a partition have the same digest."""
    (tmp_path / "plain.jsonl").write_bytes(LINES)
    (tmp_path / "z.jsonl.gz").write_bytes(gzip.compress(LINES))
    (tmp_path / "b.jsonl.bz2").write_bytes(bz2.compress(LINES))
    (tmp_path / "parts" / "day=1").mkdir(parents=True)
    export(LINES.splitlines(keepends=True), tmp_path / "parts" / "day=1" / "x.parquet")
    prefix = "file://" if remote else ""
    digests = set()
    for what in ("plain.jsonl", "z.jsonl.gz", "b.jsonl.bz2", "parts"):
        (source,) = sources([f"{prefix}{tmp_path / what}"])
        reading = Reading(pickle.loads(pickle.dumps(source)))  # noqa: S301 - as it travels to a worker
        assert [decode(line).decision_id for line in reading] == [record.decision_id for record in RECORDS]
        digests.add(reading.digest)
    assert len(digests) == 1


@pytest.mark.parametrize("asked", ["nothing", "nothing/*.jsonl", "file:///nothing/at/all", "ftp://no/such", "s4://x"])
def test_what_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """A log that is not there, or behind a scheme that nobody speaks, is named."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        sources([asked])
    assert str(refused.value).startswith(f"{asked}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("remote", [False, True])
def test_hostile_files_are_counted(tmp_path: Path, remote: bool) -> None:
    """Other versions, damaged, endless and half lines, cut archives and foreign Parquet are counted, and no more."""
    good = encode(RECORDS[0]) + b"\n"
    (tmp_path / "a.jsonl").write_bytes(
        good
        + good.replace(b'"v":1', b'"v":0').replace(b'"v": 1', b'"v": 0')
        + good.replace(b'"v":1', b'"v":2')
        + b"[" * 60_000 + b"\n" + b"\xff\xfe\n" + b"x" * (5 * MAX_LINE) + b"\n" + good[: len(good) // 2]
    )  # fmt: skip
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(good * 2000)[:-30])
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "d.parquet")
    prefix = "file://" if remote else ""
    log, sift = Log(sources([f"{prefix}{tmp_path}/*"])), Sift(now=None, since=None, until=None, kinds=None)
    sifted = [one for _, one in Local(1).over(log, sift)]
    assert log.refused == {"unreadable": 3, "too_long": 1, "torn": 1}
    assert sum((one.refused for one in sifted), Counter()) == {"version": 2, "damaged": 2}
    assert sum(one.records for one in sifted) >= 1


@pytest.mark.parametrize(
    "uri",
    ["s4://AKIA:SECRETPW@bucket/log", "http://ada:SECRETPW@host/log", "s3://AKIA:SECRETPW@buck et/log?region=SECRETPW"],
)
def test_errors_keep_secrets(uri: str) -> None:
    """What is wrong with a URI is told without its account and options."""
    with pytest.raises(ConfigError) as refused:
        sources([uri])
    assert "SECRETPW" not in str(refused.value)
    assert "AKIA" not in str(refused.value)


def test_a_log_behind_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a glob and a file of a bucket, compressed and in Parquet, over S3's own protocol."""
    for variable, value in (("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = tmp_path / "bucket" / "team" / "log"
    folder.mkdir(parents=True)
    (folder / f"{name(BEGIN, 1, 0)}.gz").write_bytes(gzip.compress(encode_lines(RECORDS[:20])))
    export(LINES.splitlines(keepends=True)[20:], folder / "rest.parquet")
    with served(tmp_path) as options:
        for asked in (["s3://bucket/team/log/*"], ["s3://bucket/team", "s3://bucket/team/log/rest.parquet"]):
            found, refused = ids(*(f"{one}?{options}" for one in asked))
            assert sorted(found) == sorted(record.decision_id for record in RECORDS)
            assert not refused
        (source,) = sources([f"s3://key:secret@bucket/team/log/rest.parquet?{options}"])
        assert source.name == "s3://bucket/team/log/rest.parquet"
        with pytest.raises(ConfigError, match="no decision log is there"):
            sources([f"s3://bucket/nothing?{options}"])
