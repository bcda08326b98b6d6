"""What with: device identity, contradictions within it, age and rarity of the client."""

from datetime import UTC, datetime

from riskd.facts import DeviceFacts, Facts
from riskd.features.feature import DAY_S, days_since, feature, flag, signal_feature
from riskd.features.population import Population

PHONE_MAX_CSS_PX = 600
"""Smallest side of a screen above which it is no phone, and below which it is no desktop (CSS pixels)."""

# A release of a four-weekly browser and its day; from there versions and days map onto each other.
_FOUR_WEEKLY = {
    "Chrome": (100, datetime(2022, 3, 29, tzinfo=UTC)),
    "Chrome Mobile": (100, datetime(2022, 3, 29, tzinfo=UTC)),
    "Chrome Mobile iOS": (100, datetime(2022, 3, 29, tzinfo=UTC)),
    "Chrome Mobile WebView": (100, datetime(2022, 3, 29, tzinfo=UTC)),
    "Edge": (100, datetime(2022, 4, 1, tzinfo=UTC)),
    "Edge Mobile": (100, datetime(2022, 4, 1, tzinfo=UTC)),
    "Firefox": (100, datetime(2022, 5, 3, tzinfo=UTC)),
    "Firefox Mobile": (100, datetime(2022, 5, 3, tzinfo=UTC)),
}
RELEASE_DAYS = 28.0
FAMILIAR_WITHIN_DAYS = 180.0
"""Longest time since device and network were last confirmed for both to count as familiar."""
FAMILIAR_AFTER_DAYS = 1.0
"""Least time for which the device must have been known: one that a guesser has just got confirmed explains nothing."""
YEAR_DAYS = 365.25


@feature
def device_unseen_days(facts: Facts) -> float | None:
    """Days since the device id was last part of a confirmed success of the subject; 3650 = never."""
    history = facts.history
    if history is None or facts.device.id is None or not history.known_devices:
        return None
    return days_since(history.device_age_s)


@signal_feature
def device_known_days(facts: Facts) -> float | None:
    """Days since the device id first became known to the subject; unknown for a device that is not."""
    history = facts.history
    if history is None or history.device_known_age_s is None:
        return None
    return history.device_known_age_s / DAY_S


@signal_feature
def familiar(facts: Facts) -> float | None:
    """1 when device and network are old acquaintances of the subject, else 0; unknown only while the store is down.

    Both were part of confirmed successes within 180 days, and the device has been known for a day. It only explains
    away what others can do to an account or address from elsewhere: who withholds the device id, and a subject of whom
    nothing is known, explain nothing.
    """
    history = facts.history
    if history is None and "store" in facts.down:
        return None
    if history is None or facts.device.id is None or history.device_known_age_s is None:
        return 0.0
    if history.device_age_s is None or history.network_age_s is None:
        return 0.0
    unseen_days = max(history.device_age_s, history.network_age_s) / DAY_S
    return float(unseen_days <= FAMILIAR_WITHIN_DAYS and history.device_known_age_s >= FAMILIAR_AFTER_DAYS * DAY_S)


@feature
def family_unseen_days(facts: Facts) -> float | None:
    """Days since this OS and browser family was last part of a confirmed success of the subject; 3650 = never."""
    history = facts.history
    if history is None or facts.device.family is None or not history.known_families:
        return None
    return days_since(history.family_age_s)


@feature
def device_family_changed(facts: Facts) -> float | None:
    """1 when a known device id comes with another OS or browser family than it was confirmed with."""
    history = facts.history
    if history is None or history.device_family is None or facts.device.family is None:
        return None
    return float(history.device_family != facts.device.family)


@feature
def device_contradictions(facts: Facts) -> float | None:
    """How many pairs of device attributes contradict each other; unknown when no pair can be compared."""
    d = facts.device
    pairs = (
        _differ(d.hint_os_family, d.os_family),
        _differ(d.platform_os_family, d.os_family),
        _differ(d.hint_browser_family, d.browser_family),
        _hint_contradicts_kind(d),
        _screen_contradicts_kind(d),
    )
    return float(pairs.count(True)) if True in pairs or False in pairs else None


def _differ(a: str | None, b: str | None) -> bool | None:
    return None if a is None or b is None else a != b


def _hint_contradicts_kind(d: DeviceFacts) -> bool | None:
    if d.hint_mobile is None or d.kind not in {"mobile", "desktop"}:
        return None
    return d.hint_mobile != (d.kind == "mobile")


def _screen_contradicts_kind(d: DeviceFacts) -> bool | None:
    if d.screen_width is None or d.screen_height is None or d.kind not in {"mobile", "desktop"}:
        return None
    small = min(d.screen_width, d.screen_height) <= PHONE_MAX_CSS_PX
    return small != (d.kind == "mobile")


@feature
def bot(facts: Facts) -> float | None:
    """1 when the user agent names a crawler, headless browser or scripted HTTP client."""
    return flag(facts.device.bot)


@signal_feature
def user_agent_faults(facts: Facts) -> float | None:
    """1 when a user agent was sent but is empty or of no browser the parser knows."""
    d = facts.device
    if d.user_agent_present is None:
        return None
    return float(not d.user_agent_present or d.user_agent_parsed is False)


@feature
def browser_age_years(facts: Facts) -> float | None:
    """How old the browser version is at the time of the attempt, years; known for four-weekly browsers only."""
    d = facts.device
    if d.browser_major is None or d.browser_family not in _FOUR_WEEKLY:
        return None
    version, day = _FOUR_WEEKLY[d.browser_family]
    released_days_after = (d.browser_major - version) * RELEASE_DAYS
    return max(0.0, ((facts.time - day).total_seconds() / DAY_S - released_days_after) / YEAR_DAYS)


@feature
def family_rarity_nats(facts: Facts, population: Population) -> float | None:
    """Rarity of the OS and browser family among everybody's honest attempts, nats."""
    if population.empty or not population.native or facts.device.family is None:
        return None
    return population.family.nats(facts.device.family)


@feature
def language_unseen_days(facts: Facts) -> float | None:
    """Days since the first Accept-Language tag was last part of a confirmed success; 3650 = never."""
    history = facts.history
    if history is None or facts.device.language is None or not history.known_languages:
        return None
    return days_since(history.language_age_s)
