"""The attackers of the literature, and attackers by name."""

import hashlib
from collections import Counter, defaultdict

import pytest

from riskd.errors import ConfigError
from riskd.learn.simulate.attempt import ADD_PAYEE, KINDS, LOGIN, MORE_KINDS, TRANSFER, Attempt
from riskd.learn.simulate.chosen import GATE_NAMES, NAMES, names_in, rates_of
from riskd.learn.simulate.people import Habits
from riskd.learn.simulate.published import NO_HISTORY_SHARE
from riskd.learn.simulate.stream import Size, honest_attempts, simulate_stream
from riskd.learn.truth import HONEST

SIZE = Size(subjects=3000, days=150, seed=4)
ASKED = ("naive", "vpn", "targeted", "very-targeted", "clone", "payout")
Moments = dict[tuple[str, float], Attempt]


@pytest.fixture(scope="module")
def stream() -> list[Attempt]:
    """A small world in which those attack."""
    return list(simulate_stream(SIZE, rates=rates_of(ASKED, rate=20)))


@pytest.fixture(scope="module")
def replaced() -> Moments:
    """Every honest attempt by whose and when."""
    return {(attempt.subject, attempt.time): attempt for attempt in honest_attempts(SIZE, Habits())}


def of(stream: list[Attempt], label: str) -> list[Attempt]:
    """Return the attacks of a kind; there are some."""
    found = [attempt for attempt in stream if attempt.label == label]
    assert len(found) > 20
    return found


def first_logins(stream: list[Attempt]) -> dict[str, Attempt]:
    """Return the first login of each subject, whoever made it."""
    found: dict[str, Attempt] = {}
    for attempt in stream:
        if attempt.action == LOGIN and attempt.password_right:
            found.setdefault(attempt.subject, attempt)
    return found


def test_who_attacks_by_default_is_as_it_was() -> None:
    """The stream of the default attackers, which the shipped model and its figures come from, is the same."""
    said = hashlib.sha256()
    for attempt in simulate_stream(Size(subjects=600, days=200, seed=1)):
        words = (attempt.subject, attempt.origin.ip, attempt.device_id, attempt.label, attempt.sequence, attempt.action)
        said.update(repr(words).encode())
    assert said.hexdigest()[:16] == "b4744e13981ecf2a"


def test_only_those_attack_who_are_named(stream: list[Attempt]) -> None:
    """Every named attacker comes, and nobody else; without a name nobody does."""
    assert {attempt.label for attempt in stream} == {HONEST, *(name.replace("-", "_") for name in ASKED)}
    alone = simulate_stream(Size(subjects=500, days=60, seed=4), rates=rates_of(()))
    assert {attempt.label for attempt in alone} == {HONEST}


def test_every_name_has_its_label() -> None:
    """Names are labels with hyphens, and each label that the simulation knows has one."""
    assert {name.replace("-", "_") for name in NAMES} == {*KINDS, *MORE_KINDS}
    assert set(GATE_NAMES) <= set(NAMES)


def test_each_stands_at_the_moment_of_an_honest_login_that_is_gone(stream: list[Attempt], replaced: Moments) -> None:
    """All but the clone keep the victim's time, and no moment is there twice."""
    for attempt in stream:
        assert attempt.label == "clone" or (attempt.subject, attempt.time) in replaced
    moments = Counter((attempt.subject, attempt.time) for attempt in stream if attempt.label != "clone")
    assert max(moments.values()) == 1


def test_each_borrows_from_a_later_login(stream: list[Attempt], replaced: Moments) -> None:
    """What an attacker shows is what somebody else shows later; the device id is nobody's."""
    logins = [attempt for attempt in replaced.values() if attempt.action == LOGIN]
    later = defaultdict(list)
    for login in logins:
        later[login.origin.ip].append(login)
    owned = {login.device_id for login in logins}
    for label in ("naive", "vpn", "targeted", "very_targeted"):
        for attempt in of(stream, label):
            assert any(o.time > attempt.time and o.subject != attempt.subject for o in later[attempt.origin.ip])
            assert attempt.device_id not in owned


def test_victims_have_a_history(stream: list[Attempt]) -> None:
    """Nearly every victim logged in before; of the very targeted a good third did not, as published."""
    first = first_logins(stream)
    for label in ("naive", "vpn", "targeted", "payout"):
        attacks = [attempt for attempt in of(stream, label) if attempt.action == LOGIN]
        assert sum(first[attempt.subject] is attempt for attempt in attacks) <= 0.05 * len(attacks)
    attacks = of(stream, "very_targeted")
    fresh = sum(first[attempt.subject] is attempt for attempt in attacks) / len(attacks)
    assert fresh == pytest.approx(NO_HISTORY_SHARE, abs=0.05)


def test_a_vpn_attacker_is_in_the_victims_country(stream: list[Attempt], replaced: Moments) -> None:
    """Where the victim was at that moment, not only where he lives."""
    for attempt in of(stream, "vpn"):
        assert attempt.origin.city.country == replaced[attempt.subject, attempt.time].origin.city.country


def test_a_targeted_attacker_is_in_the_victims_network(stream: list[Attempt], replaced: Moments) -> None:
    """The same network and country, and the victim's browser."""
    for attempt in of(stream, "targeted"):
        base = replaced[attempt.subject, attempt.time]
        assert attempt.origin.network.asn == base.origin.network.asn
        assert attempt.origin.city.country == base.origin.city.country
        assert attempt.device == base.device


def test_a_very_targeted_attacker_comes_from_a_rare_network_abroad(stream: list[Attempt], replaced: Moments) -> None:
    """Another country, the victim's browser, and networks that together make one login in a hundred."""
    networks = Counter(attempt.origin.network.asn for attempt in replaced.values() if attempt.action == LOGIN)
    for attempt in of(stream, "very_targeted"):
        base = replaced[attempt.subject, attempt.time]
        assert attempt.origin.city.country not in {base.home.code, base.origin.city.country}
        assert attempt.device == base.device
        assert networks[attempt.origin.network.asn] < 0.01 * networks.total()


def test_a_clone_shows_everything_of_the_victim_but_the_hour(stream: list[Attempt]) -> None:
    """Address, browser, device id and language are the victim's, after a first login of his own."""
    shown = {
        (attempt.subject, attempt.origin.ip, attempt.device_id) for attempt in honest_attempts(SIZE, Habits())
    }  # fmt: skip
    for attempt in of(stream, "clone"):
        assert (attempt.subject, attempt.origin.ip, attempt.device_id) in shown


def test_a_payout_is_a_login_a_payee_and_a_payment(stream: list[Attempt]) -> None:
    """In this order, in one session, from one machine, and the payee is the one who is paid."""
    sequences = defaultdict(list)
    for attempt in of(stream, "payout"):
        sequences[attempt.sequence].append(attempt)
    for steps in sequences.values():
        assert [attempt.action for attempt in steps] == [LOGIN, ADD_PAYEE, TRANSFER]
        assert len({(attempt.subject, attempt.session, attempt.device_id) for attempt in steps}) == 1
        assert steps[1].recipient == steps[2].recipient
        assert steps[2].amount is not None


def test_off_rhythm_attackers_come_when_anybody_might(replaced: Moments) -> None:
    """Their moments are not the victim's, their victims have a history, and they borrow from later logins still."""
    stream = list(simulate_stream(SIZE, rates=rates_of(("naive", "targeted"), rate=20, off_rhythm=True)))
    first = first_logins(stream)
    uses = defaultdict(list)
    for (subject, time), attempt in replaced.items():
        uses[attempt.origin.ip].append((subject, time))
    for label in ("naive", "targeted"):
        attacks = of(stream, label)
        assert not any((attempt.subject, attempt.time) in replaced for attempt in attacks)
        assert sum(first[attempt.subject] is attempt for attempt in attacks) <= 0.05 * len(attacks)
        for attempt in attacks:
            assert any(s != attempt.subject and time > attempt.time for s, time in uses[attempt.origin.ip])


def test_names_are_read_as_people_write_them() -> None:
    """Spaces, capitals and underscores do not matter, and nobody comes twice."""
    assert names_in(" Naive,very_targeted, naive") == ("naive", "very-targeted")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("naive,vnp", "'vnp'; did you mean vpn"),
        ("take-over", "'take-over'; did you mean takeover"),
        ("", "''; there are naive, vpn"),
        ("x" * 100_000, "'xxx"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(text: str, told: str) -> None:
    """The word, cut where it is long, and the right ones that are like it, or all of them."""
    with pytest.raises(ConfigError, match="no such attacker") as refused:
        names_in(text)
    assert told in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_world_too_small_for_donors_has_no_attack() -> None:
    """Where nobody else logs in later, nobody is borrowed from, and so nobody attacks."""
    stream = simulate_stream(Size(subjects=1, days=362, seed=2), rates=rates_of(ASKED, rate=50))
    assert {attempt.label for attempt in stream} <= {HONEST, "clone"}
