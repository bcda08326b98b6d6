"""What is read of a log's lines, hostile ones included, and what is true of them."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from riskd.contract import Reported
from riskd.errors import ConfigError
from riskd.learn.blocks import Local, Log
from riskd.learn.evaluate.gather import OTHER, Gathered
from riskd.learn.evaluate.labelled import HONEST_KIND, UNSAID, Kinds, joined, true_of, truths
from riskd.learn.evaluate.scan import DECIDED, HIT, TENTHS, printable, scan
from riskd.learn.replay.labels import TOLD, key
from riskd.learn.sources import sources
from riskd.record.schema import MAX_LINE, DecisionRecord, OutcomeRecord, encode
from tests.conftest import NOON
from tests.learn.evaluate.conftest import World


def changed(record: DecisionRecord, **more: Any) -> bytes:  # noqa: ANN401 - fields of a record
    """The line of a record with other values."""
    return encode(msgspec.structs.replace(record, **more)) + b"\n"


def outcome(decision_id: str, word: Reported, at: datetime) -> OutcomeRecord:
    """A report."""
    return OutcomeRecord(decision_id=decision_id, recorded_at=at, at=at, outcome=word, source="reported")


def test_a_row_says_what_the_record_says(world: World) -> None:
    """Score, outcome, history, tail and names of every decision are those of its record."""
    records = [record for record, _ in world.decisions[:300]]
    found = scan(b"".join(encode(record) + b"\n" for record in records))
    rows = np.frombuffer(found.decided, DECIDED)
    assert found.decisions == len(rows) == 300
    for row, record in zip(rows, records, strict=True):
        assert row["id"] == key(record.decision_id)
        assert row["score"] / 10 == pytest.approx(record.score, abs=0.0501)
        assert ("allow", "step_up", "deny")[row["outcome"]] == record.outcome
        assert record.anomaly is not None
        assert row["tail"] == pytest.approx(1 - record.anomaly, rel=1e-5)
        assert found.names["country"][row["country"]] == record.facts.place.country
        assert found.names["action"][row["action"]] == record.facts.action.name
    stopped = [r for r in records if r.outcome != "allow" and r.facts.action.name == "login"]
    assert len(np.frombuffer(found.hits, HIT)) == sum(len(record.reasons) for record in stopped)


def test_hostile_lines_harm_nothing(world: World) -> None:
    """Scores beyond reason are cut, names that a terminal would obey are made harmless, the rest is counted."""
    record = world.decisions[0][0]
    shouting = "\x1b[2J" + "a" * 500
    action = msgspec.structs.replace(record.facts, action=msgspec.structs.replace(record.facts.action, name=shouting))
    lines = [
        changed(record, score=1e300, anomaly=-5.0),
        changed(record, score=-1e300, anomaly=1e300),
        changed(record, facts=action, model_version=shouting, anomaly=None),
        b"[" * 3000 + b"\n",
        b'{"record":"decision"}\n',
        b"\xff\xfe\n",
    ]
    found = scan(b"".join(lines))
    rows = np.frombuffer(found.decided, DECIDED)
    assert rows["score"].tolist()[:2] == [TENTHS, 0]
    assert np.isnan(rows["tail"]).tolist() == [False, False, True]
    assert ((rows["tail"][:2] > 0) & (rows["tail"][:2] <= 1)).all()
    assert found.refused.total() == 3
    assert all(len(name) <= 64 and name.isprintable() for names in found.names.values() for name in names)
    assert all(name.isprintable() for name in found.models)
    assert printable("\x00Å") == "\N{REPLACEMENT CHARACTER}Å"


def test_names_are_bounded(world: World, tmp_path: Path) -> None:
    """A log that invents a country, a model and a reason in every line costs no more than a few hundred names."""
    record, path = world.decisions[0][0], tmp_path / "log.jsonl"
    lines = (
        changed(
            record,
            decision_id=f"id-{number}",
            facts=msgspec.structs.replace(
                record.facts, place=msgspec.structs.replace(record.facts.place, country=f"c{number}")
            ),
            model_version=f"m{number}",
        )
        for number in range(1500)
    )
    path.write_bytes(b"".join(lines))
    gathered = Gathered()
    try:
        gathered.read(Log(sources([path])), Local(1), lambda _done: None)
        assert len(gathered.names["country"]) <= 257
        assert gathered.names["country"][-1] == OTHER
        assert len(gathered.models) <= 65
        assert gathered.models.total() == gathered.decisions == 1500
    finally:
        gathered.close()


def test_the_weightiest_outcome_is_what_is_true() -> None:
    """An analyst outweighs the owner, who outweighs a success; a wrong password says nothing."""
    kinds = Kinds()
    later = NOON + timedelta(days=1)
    told = [
        outcome("a", Reported.LOGIN_SUCCEEDED, NOON),
        outcome("a", Reported.REPORTED_BY_USER, later),
        outcome("b", Reported.CONFIRMED_LEGITIMATE, NOON),
        outcome("b", Reported.REPORTED_BY_USER, later),
        outcome("c", Reported.LOGIN_FAILED, NOON),
        outcome("d", Reported.CONFIRMED_LEGITIMATE, NOON),
        outcome("d", Reported.CONFIRMED_FRAUD, later),
    ]
    found = scan(b"".join(encode(record) + b"\n" for record in told))
    decided = np.zeros(4, DECIDED)
    decided["id"] = [key(name) for name in "abcd"]
    kind = joined(decided, true_of(np.frombuffer(found.told, TOLD), kinds))["kind"].tolist()
    assert [kinds.names[number] if number > 0 else number for number in kind] == [
        "reported_by_user", HONEST_KIND, UNSAID, "confirmed_fraud",
    ]  # fmt: skip


def test_truth_is_bounded_and_checked(tmp_path: Path) -> None:
    """Kinds beyond a few dozen are one, the last line of a decision counts, and a damaged line is named."""
    path = tmp_path / "truth.jsonl"
    path.write_text("".join(f'{{"decision_id": "d{n}", "label": "kind\\u001b{n}"}}\n' for n in range(100)))
    kinds = Kinds()
    rows = np.concatenate(list(truths(path, kinds)))
    assert len(rows) == 100
    assert len(kinds.names) <= 26
    assert all(name.isprintable() for name in kinds.names)
    path.write_text('{"decision_id": "a", "label": "spray"}\n{"decision_id": "a", "label": "honest"}\n')
    decided = np.zeros(1, DECIDED)
    decided["id"] = key("a")
    assert joined(decided, np.concatenate(list(truths(path, kinds))))["kind"].tolist() == [HONEST_KIND]
    for bad in ('{"decision_id": 3}', "[" * 5000, '{"decision_id": "a", "label": "' + "x" * (MAX_LINE + 10) + '"}'):
        path.write_text(f'{{"decision_id": "a", "label": "honest"}}\n{bad}\n')
        with pytest.raises(ConfigError, match="line 2: no line of truth"):
            list(truths(path, kinds))
