"""The RBA data set: its exact rows, rows that a spreadsheet damaged, and logs in the columns of Freeman's code."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskd.contract import Reported
from riskd.errors import ConfigError
from riskd.learn.importing.rba import rba_rows
from riskd.learn.importing.row import Reading
from riskd.policy import Policy
from tests.learn.importing.conftest import DATA, NOW, Log, judged


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory, default_policy: Policy) -> Log:
    """The damaged rows, judged."""
    reading = Reading()
    rows = rba_rows(DATA / "rba_first2000_lossy.csv.gz", reading, now=NOW)
    return judged(rows, reading, tmp_path_factory.mktemp("rba") / "out", default_policy)


def test_damaged_rows_are_mended_and_counted(lossy: Log) -> None:
    """All 2,000 rows come in, in their order, and it is said what was lost of them."""
    reading = lossy.done.reading
    assert (reading.lines, reading.rows, lossy.done.decisions) == (2000, 2000, 2000)
    assert reading.mended["Login Timestamp: lost its hour"] == 2000
    assert reading.mended["User ID: rounded, may stand for several people"] == 1333
    assert reading.mended_rows == 2000
    assert sum(lossy.done.judged["succeeded"].values()) == 1054
    assert lossy.done.first == datetime(2020, 2, 3, 12, 43, 30, 800_000, UTC)
    assert lossy.done.last is not None
    assert lossy.done.last.hour == 13


def test_unusable_rows_are_counted_by_reason(tmp_path: Path) -> None:
    """Damaged on purpose: each row that cannot be an attempt is left out under its reason, the others come in."""
    lines = gzip.decompress((DATA / "rba_first2000_lossy.csv.gz").read_bytes()).decode().splitlines()[:11]
    changed = [
        lines[0],
        lines[1].replace("43:30.8", "99:99.9"),
        lines[2].replace("29695", "many").replace("60117", "many"),
        lines[3].replace("TRUE,FALSE,FALSE", "MAYBE,FALSE,FALSE"),
        lines[4] + ",one,more",
        *lines[5:],
    ]
    (tmp_path / "rba.csv").write_text("\n".join(changed))
    reading = Reading()
    rows = list(rba_rows(tmp_path / "rba.csv", reading, now=NOW))
    assert reading.unusable == {
        "Login Timestamp": 1, "ASN": 1, "Login Successful": 1, "row: other number of columns": 1,
    }  # fmt: skip
    assert len(rows) == reading.rows == 6


def test_strict_leaves_damaged_rows_out() -> None:
    """Who wants no guess gets none."""
    reading = Reading()
    assert not list(rba_rows(DATA / "rba_first2000_lossy.csv.gz", reading, now=NOW, strict=True))
    assert reading.unusable == {"Login Timestamp: lost its hour": 2000}


def test_rows_tell_network_place_and_device(tmp_path: Path, default_policy: Policy) -> None:
    """What the row says stands in for look-ups: country, AS number, browser and system; the address is only a name."""
    reading = Reading()
    log = judged(rba_rows(DATA / "rba_first18_exact.csv", reading, now=NOW), reading, tmp_path / "out", default_policy)
    facts = log.decisions[0].facts
    assert facts.time == datetime(2020, 2, 3, 12, 43, 30, 772_000, UTC)
    assert (facts.place.country, facts.network.key) == ("NO", "AS29695")
    assert (facts.device.family, facts.device.browser_major, facts.device.os_major) == ("iOS|Firefox", 20, 13)
    assert facts.device.kind == "mobile"
    assert facts.network.private is False
    assert facts.subject.token is None  # the id of all whose account does not exist


def test_takeovers_are_reported_a_day_later(tmp_path: Path, default_policy: Policy) -> None:
    """A labelled takeover succeeds first, and is confirmed as fraud when its owner finds out."""
    text = (DATA / "rba_first18_exact.csv").read_text()
    lines = text.splitlines()
    good = next(line for line in lines[1:] if line.endswith("True,False,False"))
    (tmp_path / "rba.csv").write_text(f"{lines[0]}\n{good.removesuffix('False')}True\n")
    reading = Reading()
    log = judged(rba_rows(tmp_path / "rba.csv", reading, now=NOW), reading, tmp_path / "out", default_policy)
    (decision,) = log.decisions
    told = log.outcomes[decision.decision_id]
    assert [one.outcome for one in told] == [Reported.LOGIN_SUCCEEDED, Reported.CONFIRMED_FRAUD]
    assert (told[1].at - told[0].at).total_seconds() == 86_400
    assert log.done.judged.keys() == {"fraud"}


def test_a_log_in_the_columns_of_freemans_code(tmp_path: Path, default_policy: Policy) -> None:
    """Generated logs carry addresses that are none, a browser and a system: they are judged by these."""
    head = (
        "ts,userid,requestXRealIP,ipASN,ipCountry,trackingdatauserAgent,browser_name_version,os_name_version,"
        "device_type,rtt,attack\n"
    )
    row = "{},7,1000.14,1000,NO,Edge/71 (Windows 10; m2),Edge 71,Windows 10,desktop,838.7,0\n"
    (tmp_path / "log.csv").write_text(head + row.format(1580689992.03) + row.format(1580776392.03))
    reading = Reading()
    log = judged(rba_rows(tmp_path / "log.csv", reading, now=NOW), reading, tmp_path / "out", default_policy)
    first, second = (decision.facts for decision in log.decisions)
    assert (second.device.family, second.device.browser_major, second.network.asn) == ("Windows|Edge", 71, 1000)
    assert second.history is not None
    assert first.subject.token == second.subject.token
    assert (second.history.confirmed, second.history.ip_age_s, second.history.family_count) == (1, 86_400.0, 1)


def test_another_file_is_refused(write: Callable[[str, str], Path]) -> None:
    """A CSV of something else names the column it lacks and the way out."""
    with pytest.raises(ConfigError, match=r"lacks the column 'Login Timestamp'.*riskd import csv"):
        rba_rows(write("other.csv", "a,b\n1,2\n"), Reading(), now=NOW)
    with pytest.raises(ConfigError, match="is empty"):
        rba_rows(write("empty.csv", ""), Reading(), now=NOW)
