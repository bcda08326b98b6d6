"""Logs of sshd: what is read, what a line may claim, and what the real one comes to."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from riskd.contract import Reported
from riskd.learn.importing.row import Reading, Row
from riskd.learn.importing.sshd import HOSTS, MOST_REPEATS, NAMELESS, sshd_rows
from riskd.policy.load import load
from tests.learn.importing.conftest import DATA, NOW, Log, judged

Write = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """The real log, judged by the policy for hosts."""
    reading = Reading()
    rows = sshd_rows(DATA / "elastic_auth.log.gz", reading, now=NOW)
    return judged(rows, reading, tmp_path_factory.mktemp("sshd") / "out", load(HOSTS))


def rows_of(path: Path, **options: object) -> list[Row]:
    """All rows of a log."""
    return list(sshd_rows(path, Reading(), now=NOW, **options))  # type: ignore[arg-type]


def who(row: Row) -> tuple[str, str]:
    """The account and the address of an attempt."""
    body = msgspec.json.decode(row.request)
    return body["subject"]["id"], body["context"]["ip"]


def test_the_real_log_is_read(real: Log) -> None:
    """Of 7,121 lines all 226 accepted logins come in, every guess with its repeats, and nothing is unusable."""
    reading = real.done.reading
    assert reading.lines == 7121
    assert not reading.unusable
    assert sum(real.done.judged["succeeded"].values()) == 226
    assert sum(real.done.judged["failed"].values()) == 1124
    assert reading.rows == real.done.decisions == len(real.decisions) == 1350


def test_few_accepted_logins_are_flagged(real: Log) -> None:
    """At most 2 of the 226 are stepped up or denied."""
    judged_so = real.done.judged["succeeded"]
    assert judged_so["step_up"] + judged_so["deny"] <= 2


def test_guessing_is_flagged(real: Log) -> None:
    """No address fails ten times in an hour without being flagged; a spray is flagged whenever it is seen."""
    failed = [d for d in real.decisions if real.outcomes[d.decision_id][0].outcome is Reported.LOGIN_FAILED]
    by_hour: dict[tuple[str | None, datetime], list[str]] = {}
    for decision in failed:
        hour = decision.facts.time.replace(minute=0, second=0, microsecond=0)
        by_hour.setdefault((decision.facts.network.ip, hour), []).append(decision.outcome)
    guessers = [outcomes for outcomes in by_hour.values() if len(outcomes) >= 10]
    assert len(guessers) >= 10
    assert all(set(outcomes) != {"allow"} for outcomes in guessers)
    spray = [d for d in failed if "password_spray" in d.hits]
    assert len(spray) > 50
    assert all(decision.outcome != "allow" for decision in spray)


def test_a_year_is_found(real: Log) -> None:
    """Without a year the log ends at its latest possible time before now."""
    assert real.done.first is not None
    assert (real.done.first.year, real.done.first.month) == (2026, 3)


def test_a_new_year_begins(tmp_path: Path, write: Write) -> None:
    """January after December is the next year; the year that is said is the first line's."""
    line = "{} host sshd[1]: Accepted password for a from 192.0.2.1 port 5 ssh2\n"
    log = write("auth.log", line.format("Dec 31 23:59:59") + line.format("Jan  1 00:00:01"))
    years = [datetime.fromtimestamp(row.time, UTC).year for row in rows_of(log)]
    assert years == [2025, 2026]
    assert [datetime.fromtimestamp(row.time, UTC).year for row in rows_of(log, year=2019)] == [2019, 2020]
    assert tmp_path.exists()


def test_times_with_a_year_and_a_zone(write: Write) -> None:
    """The form of rsyslog says all of it; the process of newer releases has another name."""
    log = write(
        "auth.log",
        "2024-03-27T13:08:09.123456+01:00 host sshd-session[7]: Accepted publickey for a from 2001:db8::1 port 5 "
        "ssh2: ED25519 SHA256:abc\n",
    )
    (row,) = rows_of(log)
    assert datetime.fromtimestamp(row.time, UTC) == datetime(2024, 3, 27, 12, 8, 9, 123456, UTC)
    assert msgspec.json.decode(row.request)["context"]["device_id"] == "ED25519 SHA256:abc"


def test_an_account_may_not_lie_about_the_address(write: Write) -> None:
    """A stranger who calls himself `root from 192.0.2.9 port 22 ssh2` comes from where he comes from."""
    log = write(
        "auth.log",
        "Mar 27 13:08:09 h sshd[1]: Failed password for invalid user root from 192.0.2.9 port 22 ssh2 from "
        "198.51.100.7 port 40000 ssh2\n",
    )
    assert [who(row) for row in rows_of(log)] == [("root from 192.0.2.9 port 22 ssh2", "198.51.100.7")]


def test_one_attempt_in_two_lines_counts_once(write: Write) -> None:
    """`Invalid user` and the failure that follows are one; a refused key is none; repeats are as many as they say."""
    log = write(
        "auth.log",
        "Mar 27 13:00:00 h sshd[1]: Invalid user pi from 192.0.2.1\n"
        "Mar 27 13:00:01 h sshd[1]: Failed password for invalid user pi from 192.0.2.1 port 9 ssh2\n"
        "Mar 27 13:00:02 h sshd[1]: Failed password for invalid user pi from 192.0.2.1 port 9 ssh2\n"
        "Mar 27 13:00:03 h sshd[2]: Failed publickey for root from 192.0.2.1 port 9 ssh2: RSA SHA256:x\n"
        "Mar 27 13:00:04 h sshd[3]: message repeated 5 times: [ Failed password for root from 192.0.2.1 port 9 ssh2]\n"
        "Mar 27 13:00:05 h sshd[4]: Failed password for invalid user  from 192.0.2.1 port 9 ssh2\n"
        "Mar 27 13:00:06 h sshd[5]: message repeated 999999999 times: [ Failed password for x from 192.0.2.1 port 9 "
        "ssh2]\n",
    )
    counts = Counter(who(row)[0] for row in rows_of(log))
    assert counts == {"pi": 2, "root": 5, NAMELESS: 1, "x": MOST_REPEATS}


def test_lines_that_are_none_are_passed_over(write: Write) -> None:
    """Nonsense is counted, never raised: no date, an address that is none, a name with control characters."""
    log = write(
        "auth.log",
        "nonsense\n\n"
        "Feb 30 13:00:00 h sshd[1]: Failed password for root from 192.0.2.1 port 9 ssh2\n"
        "Mar 27 13:00:00 h sshd[1]: Failed password for root from UNKNOWN port 9 ssh2\n"
        "Mar 27 13:00:00 h sshd[1]: Failed password for ro\x07ot from 192.0.2.1 port 9 ssh2\n"
        f"Mar 27 13:00:00 h sshd[1]: Failed password for {'x' * 300} from 192.0.2.1 port 9 ssh2\n" + "y" * 200_000,
    )
    reading = Reading()
    assert not list(sshd_rows(log, reading, now=NOW))
    assert reading.unusable == {"time": 1, "context.ip": 1, "subject.id": 2, "line: too long": 1}
    assert reading.passed_over == 2


def test_the_policy_for_hosts_is_whole() -> None:
    """It names only signals of places and of people at browsers to leave out."""
    off = re.findall(r"(\w+): \{enabled: false\}", HOSTS.read_text(encoding="utf-8"))
    assert set(off) == {
        *(
            "impossible_travel",
            "new_country",
            "far_from_usual",
            "new_city",
            "unusual_hour",
            "rare_for_subject",
            "anomalous",
        ),
    }
