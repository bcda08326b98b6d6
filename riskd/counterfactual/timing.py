"""The same attempt at another time."""

from datetime import datetime, timedelta
from math import atan2, hypot, pi
from typing import Any

from msgspec.structs import replace

from riskd.counterfactual.change import DAY_S, Change
from riskd.facts import Facts
from riskd.features.timing import MIN_HOUR_CONCENTRATION, MIN_HOUR_COUNT

LATER: tuple[tuple[str, float], ...] = (
    ("15 minutes", 900.0),
    ("2 hours", 7_200.0),
    ("25 hours", 90_000.0),
    ("15 days", 15 * DAY_S),
)
"""Each past another of the windows in which things are counted: of ten minutes, an hour, a day, and a report's two
weeks. The day's amounts are summed by hours, so its window takes up to 25."""
WINDOWS_S = {"_5m": 300.0, "_10m": 600.0, "_1h": 3_600.0, "_24h": 90_000.0}
"""What a count's name ends in → after how long nothing of today's is in it, s."""
PRESENT = ("attempts_", "ips_", "sensitive_", "subjects_")
"""Counts that count the present attempt too; the others count failures."""


def later(facts: Facts) -> Change | None:
    """The same attempt some time later, with nothing in between: everything known has aged, the authentication too."""
    if facts.history is None and facts.address_counts is None and facts.device_counts is None:
        return None

    def at(step: int) -> Change:
        words, seconds = LATER[step - 1]
        return Change("later", f"{words} later", lambda facts: _later(facts, seconds), value=seconds, steps=step, at=at)

    return at(len(LATER))


def usual_hour(facts: Facts) -> Change | None:
    """At the subject's mean hour of the day, where there is a usual one."""
    history = facts.history
    if history is None or history.hour_count < MIN_HOUR_COUNT:
        return None
    if not hypot(history.hour_sin, history.hour_cos) >= MIN_HOUR_CONCENTRATION * history.hour_count:
        return None
    mean_minutes = round(atan2(history.hour_sin, history.hour_cos) * 12 / pi * 60) % 1440
    hour, minute = divmod(mean_minutes, 60)
    return Change(
        "usual_hour",
        f"at a usual hour (about {hour:02}:{minute:02} UTC)",
        lambda facts: replace(facts, time=facts.time.replace(hour=hour, minute=minute)),
        value=f"{hour:02}:{minute:02}",
    )


def _later(facts: Facts, seconds: float) -> Facts:
    subject, amount = facts.subject, facts.action.amount
    if subject.account_age_days is not None:
        subject = replace(subject, account_age_days=subject.account_age_days + seconds / DAY_S)
    if subject.auth_age_s is not None:
        subject = replace(subject, auth_age_s=subject.auth_age_s + seconds)
    history = facts.history
    if history is not None:
        history = replace(
            _aged(history, seconds),
            places=tuple(replace(place, age_s=place.age_s + seconds) for place in history.places),
            sessions=tuple(_aged(session, seconds) for session in history.sessions),
        )
        if seconds >= WINDOWS_S["_24h"]:
            history = replace(history, amount_24h=amount or 0.0)
    return replace(
        facts,
        time=_after(facts.time, seconds),
        subject=subject,
        history=history,
        address_counts=facts.address_counts and _aged(facts.address_counts, seconds),
        network_counts=facts.network_counts and _aged(facts.network_counts, seconds),
        device_counts=facts.device_counts and _aged(facts.device_counts, seconds),
    )


def _aged(group: Any, seconds: float) -> Any:  # noqa: ANN401 - any group of facts with ages and counts
    """The group when its ages have grown, and of its counts only the present attempt is left."""
    changed: dict[str, object] = {}
    for name in group.__struct_fields__:
        value = getattr(group, name)
        if value is None:
            continue
        if name.endswith("_age_s"):
            changed[name] = value + seconds
        elif seconds >= WINDOWS_S.get(name[name.rfind("_") :], seconds + 1) and name != "amount_24h":
            changed[name] = min(value, 1) if name.startswith(PRESENT) else 0
    return replace(group, **changed)


def _after(time: datetime, seconds: float) -> datetime:
    try:
        return time + timedelta(seconds=seconds)
    except OverflowError:
        return time
