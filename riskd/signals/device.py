"""The device is new, contradicts itself, or is no device of a person."""

from riskd.signals.signal import signal


@signal(weight=0.28)
def new_device(
    device_unseen_days: float,
    family_unseen_days: float,
    *,
    memory_days: float = 180.0,
    known_family_strength: float = 0.7,
) -> float:
    """The device is not among the subject's confirmed devices.

    False alarms: cleared cookies, a new phone; a familiar OS and browser lowers the strength.
    """
    if device_unseen_days <= memory_days:
        return 0.0
    return known_family_strength if family_unseen_days <= memory_days else 1.0


@signal(weight=0.22)
def fresh_device(
    device_known_days: float,
    history_days: float,
    *,
    days: float = 1.0,
    min_history_days: float = 7.0,
    sensitive: bool = False,
) -> bool:
    """A sensitive action comes from a device that became known only lately, on an account with older habits.

    False alarms: the first day with a new phone.
    """
    return sensitive and device_known_days < days and history_days >= min_history_days


@signal(weight=0.40)
def device_partial_match(device_family_changed: float) -> bool:
    """A known device id comes from another OS or browser than before.

    False alarms: a device id that the caller shares between browsers; a browser that renamed itself.
    """
    return device_family_changed > 0


@signal(weight=0.30)
def device_mismatch(device_contradictions: float) -> float:
    """Attributes of the device contradict each other.

    False alarms: privacy browsers that mask the OS, desktop mode on tablets.
    """
    return min(1.0, 0.6 * device_contradictions)


@signal(weight=0.50)
def bot_user_agent(bot: float) -> bool:
    """The user agent is a crawler, a headless browser or a scripted HTTP client.

    False alarms: service accounts and health checks; give those an action of their own.
    """
    return bot > 0


@signal(weight=0.15)
def bad_user_agent(user_agent_faults: float) -> bool:
    """The user agent is empty or of no browser that is known.

    False alarms: privacy proxies, brand-new or exotic browsers.
    """
    return user_agent_faults > 0


@signal(weight=0.12)
def outdated_user_agent(browser_age_years: float, *, max_age_years: float = 2.0) -> bool:
    """The browser is years out of date, as scripted clients with a copied user agent are.

    False alarms: old tablets, kiosks, long-term-support desktops.
    """
    return browser_age_years > max_age_years


@signal(weight=0.10)
def rare_user_agent(family_rarity_nats: float, family_unseen_days: float, *, min_rarity_nats: float = 6.0) -> bool:
    """The OS and browser are rare in this population and new for the subject.

    False alarms: enthusiasts trying a new browser.
    """
    return family_rarity_nats > min_rarity_nats and family_unseen_days > 180


@signal(weight=0.10)
def language_changed(language_unseen_days: float, *, memory_days: float = 180.0) -> bool:
    """The preferred language was never part of a confirmed success of this subject.

    False alarms: a freshly installed browser, a borrowed computer.
    """
    return language_unseen_days > memory_days
