"""CSV and JSON Lines by a mapping: mistakes with their places, rows with their fields, hostile files."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from riskd.errors import ConfigError, PolicyError
from riskd.learn.importing.mapping import load_mapping, mapped_rows
from riskd.learn.importing.row import Reading, Row
from riskd.policy import Policy
from tests.learn.importing.conftest import NOW, judged

Write = Callable[[str, str], Path]
PLAIN = "columns:\n  when: time\n  who: subject.id\n  ip: context.ip\n  result: outcome.succeeded\n"


def rows_of(path: Path, mapping: Path, form: str = "csv") -> tuple[list[Row], Reading]:
    """All rows of a file and what was met."""
    reading = Reading()
    rows = mapped_rows(path, load_mapping(mapping), reading, now=NOW, form=form)  # type: ignore[arg-type]
    return list(rows), reading


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("columns: {when: time, who: subject.idd}", r"map.yaml:1:28: .*'subject.idd'; did you mean subject.id"),
        ("columns:\n  when: time\ncolums: {}", r"map.yaml:3:1: colums: no such key: 'colums'; did you mean columns\?"),
        ("columns:\n  who: subject.id", r"map.yaml:1:1: columns: no column is the time"),
        ("columns: {a: time, b: time}", r"'time' is filled by another column already"),
        ("columns: {a: time}\ntime: {format: '%d %d'}", r"map.yaml:2:16: time.format: .*no form of strptime"),
        ("columns: {a: time}\ntime: {format: isoo}", r"'isoo' does not tell day and year"),
        ("columns: {a: time}\ntime: {format: '(('}", r"does not tell day and year"),
        ("columns: {a: time}\ntime: {format: '%Q'}", r"none of iso, unix, unix_ms and no form of strptime"),
        ("columns: {a: time}\ntime: {zone: Norway/Oslo}", r"map.yaml:2:14: time.zone: no such time zone"),
        ("columns: {a: time}\nalways: {action.nam: login}", r"no such field: 'action.nam'; did you mean action.name"),
        ("columns: {a: time}\nalways: {place.latitude: north}", r"always.place.latitude: cannot be 'north'"),
        ("columns: {a: time}\naddresses: fake", r"map.yaml:2:12: addresses"),
        ("- a list", r"must be a mapping; it begins with `columns:`"),
    ],
)
def test_mistakes_have_a_place_and_a_way_out(write: Write, text: str, told: str) -> None:
    """Each mistake names its line, the word, and the nearest right ones."""
    with pytest.raises(PolicyError, match=told):
        load_mapping(write("map.yaml", text))


def test_a_column_that_the_file_lacks(write: Write) -> None:
    """The mapping is checked against the header, with the nearest columns that there are."""
    mapping = write("map.yaml", PLAIN)
    with pytest.raises(PolicyError, match=r"map.yaml:4:3: columns.ip: no such column: 'ip'; did you mean ip4\?"):
        rows_of(write("a.csv", "when,who,ip4,result\n"), mapping)


def test_fields_reach_the_decision(write: Write, tmp_path: Path, default_policy: Policy) -> None:
    """A row's own network, place, device and amount stand in the facts; times are of the zone that the file says."""
    mapping = write(
        "map.yaml",
        "columns:\n  t: time\n  u: subject.id\n  ip: context.ip\n  asn: network.asn\n  cc: place.country\n"
        "  browser: device.browser\n  os: device.os\n  what: action.name\n  sum: action.amount\n"
        "  cur: action.currency\n  ok: outcome.succeeded\n"
        'time: {format: "%d.%m.%Y %H:%M", zone: Europe/Oslo}\naddresses: names\ndelimiter: ";"\nsucceeded: [gut]\n',
    )
    table = write(
        "a.csv",
        "t;u;ip;asn;cc;browser;os;what;sum;cur;ok\n"
        "01.07.2026 12:00;anna;host-17;AS1000;no;Firefox 141;Windows 11;transfer;12.50;nok;gut\n",
    )
    reading = Reading()
    rows = mapped_rows(table, load_mapping(mapping), reading, now=NOW, form="csv")
    log = judged(rows, reading, tmp_path / "out", default_policy)
    facts = log.decisions[0].facts
    assert facts.time == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert (facts.network.key, facts.place.country, facts.device.family) == ("AS1000", "NO", "Windows|Firefox")
    assert (facts.action.name, facts.action.amount, facts.action.currency) == ("transfer", 12.5, "NOK")
    assert log.done.judged.keys() == {"succeeded"}


def test_rows_come_in_the_order_of_time(write: Write, tmp_path: Path, default_policy: Policy) -> None:
    """However the file is sorted, histories build up as they were lived."""
    lines = [f"2026-10-{day:02d}T08:00:00Z,alice,81.2.69.142,ok" for day in (9, 3, 7, 1, 5)]
    table = write("a.csv", "\n".join(["when,who,ip,result", *lines]))
    reading = Reading()
    rows = mapped_rows(table, load_mapping(write("map.yaml", PLAIN)), reading, now=NOW, form="csv")
    log = judged(rows, reading, tmp_path / "out", default_policy)
    histories = [decision.facts.history for decision in log.decisions]
    assert [history.confirmed for history in histories if history is not None] == [0, 1, 2, 3, 4]
    assert [decision.facts.time.day for decision in log.decisions] == [1, 3, 5, 7, 9]
    with pytest.raises(ConfigError, match="holds a log already"):
        judged([], Reading(), tmp_path / "out", default_policy)
    with pytest.raises(ConfigError, match="no attempt among 0 lines"):
        judged([], Reading(), tmp_path / "other", default_policy)


def test_members_of_members(write: Write) -> None:
    """JSON Lines are mapped by dotted path; numbers, flags and lists are taken as they are."""
    mapping = write(
        "map.yaml",
        "columns:\n  '@timestamp': time\n  user.id: subject.id\n  source.ip: context.ip\n  amr: subject.amr\n"
        "  event.success: outcome.succeeded\n  score: context.attributes.score\ntime: {format: unix_ms}\n",
    )
    line = {
        "@timestamp": 1_790_000_000_000, "user": {"id": 42}, "source": {"ip": "2001:db8::1"}, "amr": ["pwd", "otp"],
        "event": {"success": True}, "score": 0.5, "other": [1, {"deep": {}}],
    }  # fmt: skip
    rows, reading = rows_of(write("a.jsonl", json.dumps(line) + "\n"), mapping, "jsonl")
    assert not reading.unusable
    assert rows[0].time == 1_790_000_000.0
    assert rows[0].succeeded is True
    body = json.loads(rows[0].request)
    assert body["subject"] == {"id": "42", "amr": ["pwd", "otp"]}
    assert body["context"] == {"ip": "2001:db8::1", "attributes": {"score": 0.5}}


def test_attributes_are_of_the_kind_that_the_policy_declares(write: Write) -> None:
    """A number becomes one, a flag one, a text stays; what is no such is left out and counted, the row is not lost."""
    mapping = write(
        "map.yaml",
        "columns:\n  t: time\n  km: context.attributes.km\n  own: context.attributes.own\n"
        "  shop: context.attributes.shop\n  zip: context.attributes.zip\ntime: {format: unix}\n"
        "always: {context.attributes.floor: '3'}\n",
    )
    table = write(
        "a.csv",
        "t,km,own,shop,zip\n"
        "1790000000,12.5,yes,7,0150\n"
        "1790000001,far,perhaps,books,0150\n"
        "1790000002,nan,,books,\n"
        "1790000003,,no,,\n"
        f"1790000004,{'9' * 400},1,books,1\n"
        "1,far,yes,books,1\n",
    )
    reading = Reading()
    kinds = {"km": "number", "own": "flag", "shop": "text", "floor": "number", "never": "number"}
    rows = list(mapped_rows(table, load_mapping(mapping, kinds), reading, now=NOW, form="csv"))
    assert [json.loads(row.request)["context"]["attributes"] for row in rows] == [
        {"floor": 3.0, "km": 12.5, "own": True, "shop": "7", "zip": "0150"},
        {"floor": 3.0, "shop": "books", "zip": "0150"},
        {"floor": 3.0, "shop": "books"},
        {"floor": 3.0, "own": False},
        {"floor": 3.0, "own": True, "shop": "books", "zip": "1"},
    ]
    assert reading.mended == {"context.attributes.km: no number": 3, "context.attributes.own: no flag": 1}
    assert reading.mended_rows == 3
    assert reading.unusable == {"time: before 1990": 1}


def test_members_that_are_no_number_are_unknown(write: Write) -> None:
    """Of JSON Lines a list, a flag or a text is no number, and a number no flag; the row stays."""
    mapping = write("map.yaml", "columns: {t: time, km: context.attributes.km, own: context.attributes.own}\n"
                    "time: {format: unix}\n")  # fmt: skip
    told: list[tuple[object, object]] = [(2, True), ([2], 7), (True, "y"), ({}, None)]
    lines = [{"t": 1_790_000_000, "km": km, "own": own} for km, own in told]
    table = write("a.jsonl", "\n".join(map(json.dumps, lines)))
    reading = Reading()
    loaded = load_mapping(mapping, {"km": "number", "own": "flag"})
    rows = list(mapped_rows(table, loaded, reading, now=NOW, form="jsonl"))
    read = [json.loads(row.request).get("context", {}).get("attributes", {}) for row in rows]
    assert read == [{"km": 2.0, "own": True}, {}, {"own": True}, {}]
    assert reading.mended == {"context.attributes.km: no number": 2, "context.attributes.own: no flag": 1}


def test_hostile_rows_are_counted(write: Write) -> None:
    """Nothing in a file raises: each row is an attempt or counted under a reason of few words."""
    good = "2026-10-01T08:00:00Z,alice,81.2.69.142,ok\n"
    table = write(
        "a.csv",
        "when,who,ip,result\n"
        + good
        + "2026-10-01T08:00:00Z,alice,81.2.69.999,ok\n"
        + "2999-10-01T08:00:00Z,alice,81.2.69.142,ok\n"
        + "0001-01-01T00:00:00+14:00,alice,81.2.69.142,ok\n"
        + "yesterday,alice,81.2.69.142,ok\n"
        + ",alice,81.2.69.142,ok\n"
        + "2026-10-01T08:00:00Z,al\x1bice,81.2.69.142,ok\n"
        + "2026-10-01T08:00:00Z,alice,81.2.69.142,perhaps\n"
        + f"2026-10-01T08:00:00Z,{'a' * 300},81.2.69.142,ok\n"
        + f"2026-10-01T08:00:00Z,{'a' * 70_000},81.2.69.142,ok\n"
        + "2026-10-01T08:00:00Z,alice\n"
        + good,
    )
    rows, reading = rows_of(table, write("map.yaml", PLAIN))
    assert len(rows) == 2
    assert reading.unusable == {
        "context.ip": 1, "time: in the future": 1, "time": 2, "time: is missing": 1, "subject.id": 2,
        "outcome.succeeded": 1, "line: too long": 1, "row: other number of columns": 1,
    }  # fmt: skip


def test_a_quote_that_never_closes(write: Write) -> None:
    """It costs what it swallows, and no memory."""
    good = "2026-10-01T08:00:00Z,alice,81.2.69.142,ok\n"
    table = write("a.csv", "when,who,ip,result\n" + good + '2026-10-01T08:00:00Z,"' + good * 20_000)
    rows, reading = rows_of(table, write("map.yaml", PLAIN))
    assert rows
    assert reading.unusable["row: not CSV"] >= 1


def test_hostile_json_is_counted(write: Write) -> None:
    """No object, no JSON, nested without end, wrong kinds of values."""
    mapping = write("map.yaml", PLAIN)
    lines = ["[]", "{", "[" * 60_000, '{"when": [1], "who": {"a": 1}}', '{"when": "2026-10-01T08:00:00Z", "who": [1]}']
    rows, reading = rows_of(write("a.jsonl", "\n".join(lines)), mapping, "jsonl")
    assert not rows
    assert sum(reading.unusable.values()) == 5


def test_archives_are_read_by_what_is_in_them(write: Write, tmp_path: Path) -> None:
    """Both gzip and Zstandard are read whatever the name; a torn archive ends where it is torn, and is counted."""
    mapping = write("map.yaml", PLAIN)
    text = ("when,who,ip,result\n" + "2026-10-01T08:00:00Z,alice,81.2.69.142,ok\n" * 3000).encode()
    packed = gzip.compress(text)
    (tmp_path / "a").write_bytes(packed)
    (tmp_path / "b").write_bytes(pa.compress(text, codec="zstd", asbytes=True))
    (tmp_path / "c").write_bytes(packed[: len(packed) // 2])
    assert len(rows_of(tmp_path / "a", mapping)[0]) == 3000
    assert len(rows_of(tmp_path / "b", mapping)[0]) == 3000
    rows, reading = rows_of(tmp_path / "c", mapping)
    assert len(rows) < 3000
    assert reading.unusable["file: damaged from here on"] == 1
    with pytest.raises(ConfigError, match="No such file"):
        rows_of(tmp_path / "none", mapping)
