"""Attacks on many accounts, mostly failing: stuffing from a botnet, password spraying from a few addresses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from riskd.learn.simulate.attempt import Attempt
from riskd.learn.simulate.scene import Scene

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """What campaigns of one kind are like (invented; the shape follows public reports)."""

    label: str
    a_month: float
    hours: tuple[float, float]
    """How long one lasts."""
    addresses: tuple[int, int]
    """How many addresses it comes from."""
    each: tuple[int, int]
    """Attempts from each of them."""
    right: float
    """Share of existing accounts whose password is guessed."""
    accounts_hit: float = 0.3
    """Share of the logins of the time that are replaced; all other attempts go to accounts that do not exist."""


CAMPAIGNS = (
    Campaign("stuffing", 4.0, hours=(2, 6), addresses=(3, 10), each=(60, 160), right=0.04),
    Campaign("spray", 4.0, hours=(1, 8), addresses=(1, 2), each=(120, 300), right=0.01),
)


def campaigns(scene: Scene, kinds: Sequence[Campaign]) -> None:
    """Run the campaigns of the days before `scene.until`."""
    months = (scene.until - scene.first_time) / (30 * 24 * _HOUR_S)
    for kind in kinds:
        for number in range(round(kind.a_month * months)):
            _run(scene, kind, f"{kind.label}-{number}")


def _run(scene: Scene, kind: Campaign, name: str) -> None:
    """Run one campaign from a random login's time on."""
    rng = scene.rng
    begin = scene.any_login_time()
    end = min(begin + rng.uniform(*kind.hours) * _HOUR_S, scene.until)
    honest = scene.logins_between(begin, end)
    if not honest:
        return
    bots = [
        bot for _ in range(rng.randint(*kind.addresses)) if (bot := scene.donor(honest[0], lambda _: True)) is not None
    ]
    if not bots:
        return
    keeps_id = rng.random() < 0.4  # some tools keep the cookies that they get
    ids = [scene.new_device_id() for _ in bots]

    def attempt(base: Attempt, time: float) -> Attempt:
        index = rng.randrange(len(bots))
        bot = bots[index]
        return replace(
            base,
            time=time,
            origin=bot.origin,
            device=bot.device,
            device_id=ids[index] if keeps_id else scene.new_device_id(),
            language=bot.language,
            zone=bot.zone,
            rtt_ms=None,
            session=None,
            password_right=False,
            passes_step_up=False,
            label=kind.label,
            sequence=name,
        )

    victims = [login for login in honest if rng.random() < kind.accounts_hit]
    for victim in victims:
        made = attempt(victim, victim.time)
        made.password_right = rng.random() < kind.right
        assert victim.session is not None  # noqa: S101 - every successful login opens one
        scene.replace(victim.session, [(victim, made)])
    for number in range(max(0, len(bots) * rng.randint(*kind.each) - len(victims))):
        made = attempt(rng.choice(honest), rng.uniform(begin, end))
        made.subject = f"unknown-{name}-{number}"
        made.registered = made.time
        made.factors = ()
        scene.add(made)
