"""The attackers of the literature, each of whom takes the place of one real login of a victim.

Naive, VPN, targeted and very targeted attackers after Freeman et al. (NDSS 2016, doi 10.14722/ndss.2016.23240) and
Wiefling et al. (ACM TOPS 2022, doi 10.1145/3546069). Victims are drawn uniformly from the logins of people with an
earlier one. What the attacker shows is borrowed from a later login of somebody else, so no address, network or browser
is one that only attackers have; the device id alone is new. The attack stands at the moment of the login that it
replaces, or, `off_rhythm`, at a moment when anybody might have logged in.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from riskd.learn.simulate.attempt import ADD_PAYEE, TRANSFER, Attempt
from riskd.learn.simulate.scene import Scene

RARE_SHARE = 0.01
"""The rarest networks, which together make this share of all logins, are where a very targeted attacker comes from:
real takeovers came from beyond the 99th percentile of honest rarity (median 12.2 nats, honest 2.1, p99 10.9)."""
NO_HISTORY_SHARE = 0.35
"""Of real takeovers that hit accounts without a login before."""
Finish = Callable[[Attempt, Attempt, str, str], Attempt]
"""Makes the attacker's attempt out of a base, a donor, a label and the name of the sequence."""
Payout = Callable[[Attempt], Attempt]
"""Makes an attempt a payment to a mule."""
_Find = Callable[[Attempt], Attempt | None]


@dataclass(frozen=True, slots=True)
class Craft:
    """What attackers of all kinds do alike."""

    finish: Finish
    payout: Payout
    off_rhythm: bool = False


def naive(scene: Scene, count: int, craft: Craft) -> None:
    """The right password from a machine anywhere in the world."""
    _each(scene, count, craft, "naive", lambda base: scene.donor(base, lambda _: True))


def vpn(scene: Scene, count: int, craft: Craft) -> None:
    """The right password from any machine in the country where the victim was."""
    _each(scene, count, craft, "vpn", _among(scene, lambda login: login.origin.city.country))


def targeted(scene: Scene, count: int, craft: Craft) -> None:
    """The right password from the victim's own network and country, with the victim's browser."""
    found = _among(scene, lambda login: (login.origin.network.asn, login.origin.city.country))
    _each(scene, count, craft, "targeted", found, victims_device=True)


def very_targeted(scene: Scene, count: int, craft: Craft) -> None:
    """The right password and the victim's browser, from a network that hardly anybody uses, in another country.

    This is what real takeovers of the RBA data set look like; a good third of the accounts has no history.
    """
    fresh = round(count * NO_HISTORY_SHARE)
    rare = scene.rare_networks(RARE_SHARE)

    def find(base: Attempt) -> Attempt | None:
        away = {base.home.code, base.origin.city.country}
        return scene.donor_among(base, rare, lambda login: login.origin.city.country not in away)

    _each(scene, fresh, craft, "very_targeted", find, victims_device=True, known=False)
    _each(scene, count - fresh, craft, "very_targeted", find, victims_device=True, first_number=fresh)


def clone(scene: Scene, count: int, craft: Craft) -> None:
    """The victim's password, address, browser, device id and round-trip time; only the hour is somebody else's.

    No detector can do better here than its friction: this kind is the floor that others are compared with.
    """
    for number, (login, *_) in enumerate(_victims(scene, count)):
        made = craft.finish(login, login, "clone", f"clone-{number}")
        made.device_id, made.time = login.device_id, scene.off_rhythm(login)
        scene.replace(_session(login), [(login, made)])


def payout(scene: Scene, count: int, craft: Craft) -> None:
    """The right password from anywhere, a new payee, and a payment to it of several times the usual."""
    for number, (login, *rest) in enumerate(_victims(scene, count, least_actions=2)):
        donor = scene.donor(login, lambda _: True)
        if donor is None:
            continue
        entry = craft.finish(login, donor, "payout", f"payout-{number}")
        named, paid = (
            replace(entry, time=base.time, auth_time=base.auth_time, action=step, rtt_ms=None)
            for base, step in zip(rest, (ADD_PAYEE, TRANSFER), strict=False)
        )
        paid = craft.payout(paid)
        named.recipient = paid.recipient
        scene.replace(_session(login), [(login, entry), (rest[0], named), (rest[1], paid)])


def _each(
    scene: Scene,
    count: int,
    craft: Craft,
    label: str,
    find: _Find,
    *,
    victims_device: bool = False,
    known: bool = True,
    first_number: int = 0,
) -> None:
    """Attack until `count` logins are replaced or no victim is left; where there is no donor there is no attack."""
    done = 0
    for login, *_ in _victims(scene, None, known=known):
        if done >= count:
            return
        # Who has no history yet keeps his moment: any other might come after a first login of his own.
        at = scene.off_rhythm(login) if craft.off_rhythm and known else login.time
        donor = find(replace(login, time=at))
        if donor is None:
            continue
        made = craft.finish(login, donor, label, f"{label}-{first_number + done}")
        made.time = at
        if victims_device:
            made.device = login.device
        scene.replace(_session(login), [(login, made)])
        done += 1


def _among(scene: Scene, key: Callable[[Attempt], Hashable]) -> _Find:
    """Return a search for donors that are alike in `key`, looked up so that those of rare networks find theirs too."""
    groups = scene.logins_by(key)
    return lambda base: scene.donor_among(base, groups[key(base)], lambda _: True)


def _victims(scene: Scene, count: int | None, *, least_actions: int = 0, known: bool = True) -> list[list[Attempt]]:
    """Draw sessions to take, uniformly; all of them, in random order, without a count."""
    bases = scene.bases(least_actions=least_actions, known=known)
    return scene.rng.sample(bases, len(bases) if count is None else min(count, len(bases)))


def _session(attempt: Attempt) -> str:
    assert attempt.session is not None  # noqa: S101 - every successful login opens one
    return attempt.session
