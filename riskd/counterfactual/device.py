"""Another device, or the same one otherwise."""

from msgspec.structs import replace

from riskd.counterfactual.change import Change, in_history, is_fresh, known_age_s, share
from riskd.facts import DeviceCounts, DeviceFacts, Facts, SubjectHistory

ALONE = DeviceCounts(subjects_1h=1, subjects_24h=1, subjects_30d=1)
"""What is counted on a device of one's own."""


def known_device(facts: Facts) -> Change | None:
    """From a device that the subject is known by, with its usual browser and language, used by nobody else."""
    history = facts.history
    if history is None or not history.known_devices or is_fresh(history.device_age_s):
        return None

    def apply(facts: Facts) -> Facts:
        device = replace(_sound(facts.device), id=facts.device.id or "known")
        known = replace(facts, device=device, device_counts=facts.device_counts and ALONE)
        return known if known.history is None else in_history(known, **_client(known, known.history) | _device(known))

    return Change("known_device", "from a known device", apply)


def settled_device(facts: Facts) -> Change | None:
    """From the same device, had it been known since the subject's first confirmed success."""
    if facts.history is None or not is_fresh(facts.history.device_age_s):
        return None
    return Change(
        "settled_device", "from a device known for long", lambda facts: in_history(facts, **_device(facts, same=True))
    )


def usual_browser(facts: Facts) -> Change | None:
    """With a browser, version and language that the subject is known to use, in which nothing contradicts itself."""
    device, history = facts.device, facts.history
    if device.family is None and device.user_agent_present is None:
        return None
    if history is not None and not history.known_families:
        return None

    def apply(facts: Facts) -> Facts:
        past = facts.history
        usual = replace(facts, device=_sound(facts.device))
        return usual if past is None else in_history(usual, **_client(usual, past))

    return Change("usual_browser", "with the usual browser", apply)


def own_device(facts: Facts) -> Change | None:
    """From a device that no other subject uses."""
    if facts.device_counts is None or facts.device_counts.subjects_30d <= 1:
        return None
    return Change(
        "own_device",
        "from a device that nobody else uses",
        lambda facts: replace(facts, device_counts=facts.device_counts and ALONE),
    )


def fitting_clock(facts: Facts) -> Change | None:
    """With a clock that is set to the time zone of the address."""
    claimed, place = facts.device.utc_offset_minutes, facts.place
    earliest, latest = place.utc_offset_min_minutes, place.utc_offset_max_minutes
    if claimed is None or earliest is None or latest is None or earliest <= claimed <= latest:
        return None

    def apply(facts: Facts) -> Facts:
        offset = facts.place.utc_offset_min_minutes
        return facts if offset is None else replace(facts, device=replace(facts.device, utc_offset_minutes=offset))

    return Change("fitting_clock", "with a clock set to the place's time zone", apply)


def _device(facts: Facts, *, same: bool = False) -> dict[str, object]:
    """History of a device that was there from the first confirmed success to the last."""
    history = facts.history
    if history is None:
        return {}
    last_s = known_age_s(history)
    ages = (last_s, history.first_confirmed_age_s, history.device_known_age_s)
    kept = history.device_family if same else facts.device.family
    return {
        "device_age_s": min(last_s, history.device_age_s or last_s) if same else last_s,
        "device_known_age_s": max(age for age in ages if age is not None),
        "device_family": kept,
    }


def _client(facts: Facts, history: SubjectHistory) -> dict[str, object]:
    """History of a usual browser and language."""
    last_s, device = known_age_s(history), facts.device
    changed: dict[str, object] = {}
    if device.family is not None:
        changed["family_age_s"] = last_s
        changed["family_count"] = max(history.family_count, share(history, history.known_families))
    if device.client is not None and history.known_clients:
        count = share(history, history.known_clients)
        changed |= {"client_age_s": last_s, "client_count": max(history.client_count, count)}
        changed |= {"os_count": max(history.os_count, count), "kind_count": max(history.kind_count, count)}
    if history.device_family is not None:
        changed["device_family"] = device.family
    if device.language is not None and history.known_languages:
        changed["language_age_s"] = last_s
    return changed


def _sound(device: DeviceFacts) -> DeviceFacts:
    """A browser of a person, in which nothing contradicts itself; what was not told stays untold."""
    told = device.user_agent_present is not None
    return replace(
        device,
        user_agent_present=True if told else None,
        user_agent_parsed=True if told else None,
        bot=None if device.bot is None else False,
        browser_major=None,
        hint_os_family=None if device.hint_os_family is None else device.os_family,
        hint_browser_family=None if device.hint_browser_family is None else device.browser_family,
        hint_mobile=None if device.hint_mobile is None else device.kind == "mobile",
        platform_os_family=None if device.platform_os_family is None else device.os_family,
        screen_width=None,
        screen_height=None,
    )
