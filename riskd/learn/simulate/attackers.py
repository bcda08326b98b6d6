"""Attacks on one victim each: stolen password, targeted login, stolen session, fraudulent payment, takeover."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from riskd.learn.simulate import published
from riskd.learn.simulate.attempt import (
    ADD_PAYEE,
    CHANGE_EMAIL,
    CHANGE_PASSWORD,
    CHANGE_PHONE,
    LOGIN,
    REMOVE_FACTOR,
    TRANSFER,
    Attempt,
)
from riskd.learn.simulate.campaigns import CAMPAIGNS, Campaign, campaigns
from riskd.learn.simulate.published import Craft
from riskd.learn.simulate.scene import Scene

_MULES = 60
"""Accounts that stolen money goes to."""
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class AttackRates:
    """How much is attacked: per thousand honest logins, far above real life, so that catches can be measured."""

    stolen_password: float = 8.0
    targeted: float = 6.0
    session_theft: float = 5.0
    payment_fraud: float = 5.0
    takeover: float = 5.0
    campaigns: tuple[Campaign, ...] = CAMPAIGNS
    naive: float = 0.0
    vpn: float = 0.0
    in_network: float = 0.0
    """Of the literature's targeted attacker, who comes from the victim's own network; `targeted` comes from the
    country. Both are labelled `targeted`, and nobody plays both."""
    very_targeted: float = 0.0
    clone: float = 0.0
    payout: float = 0.0
    off_rhythm: bool = False
    """Let those of the literature attack when anybody might log in, not when the victim would have."""


def attack(attempts: list[Attempt], *, until: float, rates: AttackRates, rng: Random) -> list[Attempt]:
    """Return the attempts, in the order of time as given, with attacks in the place of some before `until`."""
    scene = Scene(attempts, until, rng)
    logins = len(scene.logins_between(0.0, until))
    for kind, rate in (
        (_takeover, rates.takeover),
        (_payment_fraud, rates.payment_fraud),
        (_session_theft, rates.session_theft),
        (_targeted, rates.targeted),
        (_stolen_password, rates.stolen_password),
    ):
        kind(scene, round(logins * rate / 1000))
    craft = Craft(partial(_as_attacker, scene), partial(_payout, scene), rates.off_rhythm)
    for attacker, rate in (
        (published.payout, rates.payout),
        (published.very_targeted, rates.very_targeted),
        (published.targeted, rates.in_network),
        (published.vpn, rates.vpn),
        (published.naive, rates.naive),
        (published.clone, rates.clone),
    ):
        if count := round(logins * rate / 1000):
            attacker(scene, count, craft)
    campaigns(scene, rates.campaigns)
    return scene.result()


def _as_attacker(scene: Scene, base: Attempt, donor: Attempt, label: str, sequence: str) -> Attempt:
    """Return the base attempt made from the donor's machine and address with a new device id."""
    return replace(
        base,
        origin=donor.origin,
        device=donor.device,
        device_id=scene.new_device_id(),
        language=donor.language,
        zone=donor.zone,
        rtt_ms=donor.rtt_ms if base.action == LOGIN else None,
        passes_step_up=False,
        label=label,
        sequence=sequence,
        disowned_after_s=_disowned(scene.rng),
    )


def _disowned(rng: Random) -> float | None:
    """Four owners in five notice, within three days (invented)."""
    return rng.uniform(1, 72) * _HOUR_S if rng.random() < 0.8 else None


def _stolen_password(scene: Scene, count: int) -> None:
    """The right password from a new device in a country that is not the victim's.

    A pair of victim and donor is kept with a chance that makes attackers come from each country as often as honest
    people do; otherwise the rare countries alone would give them away.
    """
    bases = scene.bases()
    homes = Counter(session[0].home.code for session in bases)
    foreign = {code: 1 - share / len(bases) for code, share in homes.items()}
    least = min(foreign.values(), default=1.0)
    done, tries = 0, 0
    while bases and done < count and tries < 200 * count:
        tries += 1
        index = scene.rng.randrange(len(bases))
        base = bases[index][0]
        donor = scene.donor(base, lambda _: True, tries=1)
        country = donor.origin.city.country if donor else base.home.code
        if donor is None or country in {base.home.code, base.origin.city.country}:
            continue
        if scene.rng.random() < least / foreign.get(country, 1.0):
            made = _as_attacker(scene, base, donor, "stolen_password", f"stolen_password-{done}")
            scene.replace(_session(base), [(base, made)])
            bases[index] = bases[-1]
            bases.pop()
            done += 1


def _targeted(scene: Scene, count: int) -> None:
    """The right password from the victim's country, with the victim's kind of browser."""
    for number, session in enumerate(_drawn(scene, count)):
        base = session[0]
        donor = scene.donor(base, lambda login, at=base.origin.city.country: login.origin.city.country == at)  # type: ignore[misc]
        if donor is not None:
            made = _as_attacker(scene, base, donor, "targeted", f"targeted-{number}")
            scene.replace(_session(base), [(base, replace(made, device=base.device))])


def _session_theft(scene: Scene, count: int) -> None:
    """A running session is used from elsewhere, half the time with the stolen device cookie too; its owner goes on."""
    for number, session in enumerate(_drawn(scene, count, least_actions=2)):
        base = scene.rng.choice(session[1:])
        donor = scene.donor(base, lambda _: True)
        if donor is not None:
            made = _as_attacker(scene, base, donor, "session_theft", f"session_theft-{number}")
            if scene.rng.random() < 0.5:
                made.device_id = base.device_id
            scene.replace(_session(base), [(base, made)], keep_rest=True)


def _payment_fraud(scene: Scene, count: int) -> None:
    """A payment, larger than usual, to a stranger: from the victim's own infected device, or after a targeted login."""
    paying = [session for session in scene.bases(least_actions=1) if any(a.action == TRANSFER for a in session)]
    for number, session in enumerate(scene.rng.sample(paying, min(count, len(paying)))):
        login, sequence = session[0], f"payment_fraud-{number}"
        payment = next(attempt for attempt in session if attempt.action == TRANSFER)
        fraud = _payout(scene, replace(payment, passes_step_up=False, label="payment_fraud", sequence=sequence))
        fraud.disowned_after_s = _disowned(scene.rng)
        if scene.rng.random() < 0.5:
            scene.replace(_session(login), [(payment, fraud)], keep_rest=True)
            continue
        donor = scene.donor(login, lambda d, at=login.origin.city.country: d.origin.city.country == at)  # type: ignore[misc]
        if donor is not None:
            entry = _as_attacker(scene, login, donor, "payment_fraud", sequence)
            inside = replace(
                fraud, origin=entry.origin, device=entry.device, device_id=entry.device_id, language=entry.language,
                zone=entry.zone,
            )  # fmt: skip
            scene.replace(_session(login), [(login, entry), (payment, inside)])


def _takeover(scene: Scene, count: int) -> None:
    """The right password from a new device, then contact, password, factor or payee, and the payout."""
    for number, session in enumerate(_drawn(scene, count, least_actions=4)):
        login = session[0]
        near = scene.rng.random() < 0.5
        home = login.origin.city.country
        donor = scene.donor(login, lambda d, near=near, at=home: not near or d.origin.city.country == at)  # type: ignore[misc]
        if donor is None:
            continue
        entry = _as_attacker(scene, login, donor, "takeover", f"takeover-{number}")
        steps = (
            entry.action,
            scene.rng.choice((CHANGE_EMAIL, CHANGE_PHONE)),
            CHANGE_PASSWORD,
            scene.rng.choice((REMOVE_FACTOR, ADD_PAYEE)),
            TRANSFER,
        )
        made = [
            (
                base,
                replace(
                    entry,
                    time=base.time,
                    auth_time=base.auth_time,
                    action=step,
                    amount=None,
                    currency=None,
                    recipient=None,
                ),
            )
            for base, step in zip(session, steps, strict=False)
        ]
        payout = _payout(scene, made[-1][1])
        if steps[3] == ADD_PAYEE:
            made[3][1].recipient = payout.recipient
        made[-1] = (made[-1][0], payout)
        scene.replace(_session(login), made)


def _payout(scene: Scene, attempt: Attempt) -> Attempt:
    """Return a payment of several times the usual to one of the mules."""
    usual = attempt.amount if attempt.amount is not None else attempt.home.money * 45.0
    return replace(
        attempt,
        amount=round(usual * scene.rng.uniform(4, 25), 2),
        currency=attempt.home.currency,
        recipient=f"mule-{scene.rng.randrange(_MULES)}",
    )


def _drawn(scene: Scene, count: int, *, least_actions: int = 0) -> list[list[Attempt]]:
    bases = scene.bases(least_actions=least_actions)
    return scene.rng.sample(bases, min(count, len(bases)))


def _session(attempt: Attempt) -> str:
    assert attempt.session is not None  # noqa: S101 - every successful login opens one
    return attempt.session
