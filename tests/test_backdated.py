"""An attempt that is presented later than it happened is let off by nothing that has lapsed since."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from riskd.contract import DecideRequest
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.held import Mirror
from riskd.enrich.named import NamedLists, hashed_by
from riskd.store import Entry, News
from tests.conftest import IDENTITY, NOON, Live

MakeRequest = Callable[..., DecideRequest]
LAPSED = NOON - timedelta(minutes=10)
"""When the exemption ended."""


def exempting(tmp_path: Path) -> Enricher:
    """Return an enricher that knows one exemption: of alice from tor_exit."""
    mirror = Mirror()
    of_alice = IDENTITY.listed("alice", "user")
    entry = Entry(LAPSED.timestamp(), "ops", "a journalist", 0, subject=of_alice, code="tor_exit")
    mirror.exemptions.take(News(1, whole=True, changes=[("e1", entry)]))
    return Enricher(IDENTITY, Geo(tmp_path), named=NamedLists({}, tmp_path, hashed_by(IDENTITY), mirror))


async def test_a_lapsed_exemption_is_not_dated_back(live: Live, make_request: MakeRequest, tmp_path: Path) -> None:
    """It lifts its signal until it lapses, for an attempt of before as for one of now, and never after."""
    live.engine._enricher = exempting(tmp_path)
    before = LAPSED - timedelta(minutes=5)
    context = {"ip": "81.2.69.142", "network": {"kind": "tor"}, "time": before.isoformat()}
    for presented, exempt in ((before, ("tor_exit",)), (LAPSED - timedelta(seconds=1), ("tor_exit",)), (NOON, ())):
        decision = await live.engine.decide(make_request(subject={"id": "alice"}, context=context), now=presented)
        assert decision.exempt == exempt


async def test_a_repeat_is_judged_as_of_its_first(live: Live, make_request: MakeRequest, tmp_path: Path) -> None:
    """The exemption that held when the request came first holds for its repeat; the one that had lapsed has lapsed."""
    live.engine._enricher = exempting(tmp_path)
    context = {"ip": "81.2.69.142", "network": {"kind": "tor"}, "time": (LAPSED - timedelta(minutes=5)).isoformat()}
    for first_at, exempt in ((LAPSED - timedelta(seconds=1), ("tor_exit",)), (NOON, ())):
        request = make_request(subject={"id": "alice"}, context=context, request_id=f"at-{first_at:%H%M%S}")
        first = await live.engine.decide(request, now=first_at)
        again = await live.engine.decide(request, now=NOON + timedelta(minutes=1))
        assert (first.exempt, again) == (exempt, first)
