"""A generated log of logins, in the columns of `rba_like_seed1.csv.gz`, as facts with what a store would answer."""

import csv
import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from riskd.facts import ActionFacts, DeviceFacts, Facts, NetworkFacts, PlaceFacts, SubjectFacts
from riskd.learn.likelihood.past import Past


def read(path: Path) -> list[Facts]:
    """Read the log in the order of time, every login confirmed; `attack` must be 0."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        facts = [_facts(row) for row in csv.DictReader(lines)]
    facts.sort(key=lambda one: one.time)
    return with_histories(facts)


def with_histories(facts: Sequence[Facts]) -> list[Facts]:
    """Give each attempt the history that the store would answer, had all before it been confirmed."""
    pasts: dict[str, Past] = {}
    out = []
    for one in facts:
        token = one.subject.token or ""
        past = pasts.setdefault(token, Past(token))
        out.append(replace(one, history=past.answer(one)))
        past.learn(one)
    return out


def _facts(row: dict[str, str]) -> Facts:
    if row["attack"] != "0":
        raise ValueError("the log is of honest logins only")
    browser, major = row["browser_name_version"].rsplit(" ", 1)
    os = row["os_name_version"].rsplit(" ", 1)[0]
    agent = row["trackingdatauserAgent"]
    rtt_ms = float(row["rtt"]) if row["rtt"] else 0.0
    return Facts(
        time=datetime.fromtimestamp(float(row["ts"]), UTC),
        subject=SubjectFacts(token=row["userid"]),
        action=ActionFacts(name="login"),
        network=NetworkFacts(ip=row["requestXRealIP"], key=row["ipASN"]),
        place=PlaceFacts(country=row["ipCountry"]),
        device=DeviceFacts(
            family=f"{os}|{browser}", os_family=os, browser_family=browser, browser_major=int(major),
            kind=row["device_type"], model=agent[agent.rindex(" ") + 1 : -1], rtt_ms=rtt_ms if rtt_ms > 0 else None,
        ),
    )  # fmt: skip
