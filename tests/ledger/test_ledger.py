"""Changes of lists and exemptions on a real store: checked, audited, made, followed by every process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from riskd.enrich.held import Mirror
from riskd.enrich.identity import Pseudonyms
from riskd.enrich.named import NamedLists, hashed_by
from riskd.errors import RecordUnavailable, RequestError, StoreUnavailable
from riskd.ledger import Ledger
from riskd.ledger.wire import Additions, ExemptSubject, Grant, Removals, Withdrawal
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, parse
from riskd.record.audit import Change, Trail, decode
from riskd.store import Store
from riskd.store import parse as parse_target

IDENTITY = Pseudonyms(b"k" * 32)
NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
WEEK = NOW + timedelta(days=7)
LISTS = """  feeds: []
  named:
    places: {kind: deny, of: country, entries: [KP], store: true}
    people: {kind: deny, of: subject, store: true}
    office: {kind: allow, of: network, store: true}
    fixed: {kind: deny, of: country, entries: [SY]}
"""


@dataclass
class Process:
    """One process that follows the store."""

    ledger: Ledger
    mirror: Mirror
    trail: Path

    def changes(self) -> list[Change]:
        """What the audit trail says."""
        return [decode(line) for line in self.trail.read_bytes().splitlines()] if self.trail.exists() else []

    def known(self, name: str) -> set[str]:
        """Return the entries that this process knows of a list."""
        return set(self.mirror.followed()[name]._until)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The shipped policy with lists of its own."""
    text = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
    return parse(text.replace("  feeds: []\n", LISTS).encode(), "riskd.yaml")


@pytest.fixture
async def process(valkey: str, policy: Policy, tmp_path: Path) -> AsyncIterator[Callable[[], Process]]:
    """Make processes on one store."""
    prefix, stores = f"t{uuid4().hex[:8]}", []

    def make(url: str = valkey) -> Process:
        store = Store(parse_target(url), tmp_path / f"epoch{len(stores)}", budget_s=5.0, prefix=prefix)
        stores.append(store)
        mirror, trail = Mirror(), Trail(tmp_path / "audit")
        named = NamedLists(policy.file.lists.named, tmp_path, hashed_by(IDENTITY), mirror)
        made = Ledger(
            entries=store.entries, mirror=mirror, trail=trail, pseudonyms=IDENTITY, policy=policy, named=named
        )
        return Process(made, mirror, trail.path)

    yield make
    for store in stores:
        await store.close()


async def refused(work: Awaitable[object], status: int) -> str:
    """Return why something is refused with a status."""
    with pytest.raises(RequestError) as caught:
        await work
    assert caught.value.status == status
    return str(caught.value)


async def test_entries_come_and_go_everywhere(process: Callable[[], Process]) -> None:
    """What one process adds or removes another knows after its next look, each with its line in the audit trail."""
    here, there = process(), process()
    asked = Additions(values=("ir", "IR", "cu"), until=WEEK, reason="sanctions")
    receipt = await here.ledger.add("places", asked, author="ops", now=NOW)
    assert [(one.entry, one.status) for one in receipt.entries] == [("IR", "added"), ("CU", "added")]
    assert here.known("country.places") == {"IR", "CU"}
    await there.ledger.follow(NOW)
    assert there.known("country.places") == {"IR", "CU"}
    again = await there.ledger.add("places", Additions(values=("CU",), reason="still"), author="eve", now=NOW)
    assert again.entries[0].status == "changed"
    page = await here.ledger.entries("places", 0)
    shown = {one.entry: (one.until, one.author, one.reason, one.added_at) for one in page.entries}
    assert shown == {"IR": (WEEK, "ops", "sanctions", NOW), "CU": (None, "eve", "still", NOW)}
    gone = await here.ledger.remove("places", Removals(values=("CU", "ES"), reason="over"), author="ops", now=NOW)
    assert [(one.entry, one.status) for one in gone.entries] == [("CU", "removed"), ("ES", "absent")]
    await there.ledger.follow(NOW)
    assert there.known("country.places") == {"IR"}
    assert [(one.change, one.list, one.entry, one.author, one.reason) for one in here.changes()] == [
        ("entry_added", "places", "IR", "ops", "sanctions"),
        ("entry_added", "places", "CU", "ops", "sanctions"),
        ("entry_added", "places", "CU", "eve", "still"),
        ("entry_removed", "places", "CU", "ops", "over"),
    ]


async def test_subjects_are_kept_as_hashes(process: Callable[[], Process]) -> None:
    """Neither store nor audit trail holds an id; an entry is removed by the id or by the hash that is shown."""
    here = process()
    asked = Additions(values=("mallory", "trudy"), reason="fraud")
    receipt = await here.ledger.add("people", asked, author="ops", now=NOW)
    keys = [one.entry for one in receipt.entries]
    assert keys == [IDENTITY.listed("mallory"), IDENTITY.listed("trudy")]
    assert b"mallory" not in here.trail.read_bytes()
    by_id = Removals(values=("mallory",), reason="mistake")
    assert (await here.ledger.remove("people", by_id, author="ops", now=NOW)).entries[0].status == "removed"
    by_hash = Removals(values=(keys[1],), reason="mistake")
    gone = await here.ledger.remove("people", by_hash, author="ops", now=NOW)
    assert [(one.entry, one.status) for one in gone.entries] == [(keys[1], "removed")]
    assert (await here.ledger.entries("people", 0)).entries == ()


async def test_lists_are_told(process: Callable[[], Process]) -> None:
    """The lists of the policy are told with what they lift and how many entries they have where."""
    here = process()
    await here.ledger.add("office", Additions(values=("203.0.113.0/24",), reason="ours"), author="ops", now=NOW)
    states = {state.name: state for state in here.ledger.lists().lists}
    assert states["places"].entries == {"policy": 1, "store": 0}
    assert states["office"].entries == {"policy": 0, "store": 1}
    assert "new_ip" in states["office"].exempts
    assert states["fixed"].exempts == ()


async def test_what_cannot_be_added_is_refused_in_words(process: Callable[[], Process]) -> None:
    """A wrong list, place, value or time is refused, without the value in the message or a line in the trail."""
    here = process()
    ledger, asked = here.ledger, Additions(values=("DE", "secret4711"), reason="x")
    assert "no list of this name" in await refused(ledger.add("nowhere", asked, author="ops", now=NOW), 404)
    assert "store: true" in await refused(ledger.add("fixed", asked, author="ops", now=NOW), 409)
    assert "store: true" in await refused(ledger.entries("fixed", 0), 409)
    said = await refused(ledger.add("places", asked, author="ops", now=NOW), 422)
    assert said.startswith("values.1: must be two letters")
    assert "secret" not in said
    late = Additions(values=("DE",), until=NOW, reason="x")
    assert "until" in await refused(ledger.add("places", late, author="ops", now=NOW), 422)
    assert here.changes() == []


async def test_an_exemption_is_granted_seen_and_withdrawn(process: Callable[[], Process]) -> None:
    """An exemption holds for its subject in every process, is listed, and is withdrawn by id or by subject and code."""
    here, there = process(), process()
    ada = ExemptSubject(id="ada")
    grant = Grant(subject=ada, code="new_country", until=WEEK, reason="she moved")
    granted = await here.ledger.grant(grant, author="ops", now=NOW)
    await there.ledger.follow(NOW)
    subject = IDENTITY.listed("ada", "user")
    assert there.mirror.exemptions.of(subject, NOW.timestamp()) == {"new_country": granted.id}
    assert (granted.subject, granted.author, granted.until) == (subject, "ops", WEEK)
    assert (await there.ledger.exemptions(0)).exemptions == (granted,)
    once_more = await there.ledger.grant(grant, author="eve", now=NOW)
    assert once_more.id == granted.id
    ended = await here.ledger.withdraw(
        Withdrawal(subject=ada, code="new_country", reason="back"), author="ops", now=NOW
    )
    assert (ended.id, ended.author) == (granted.id, "eve")
    assert here.mirror.exemptions.of(subject, NOW.timestamp()) == {}
    other = await here.ledger.grant(
        Grant(subject=ada, code="tor_exit", until=WEEK, reason="journalist"), author="ops", now=NOW
    )
    await here.ledger.withdraw(Withdrawal(id=other.id, reason="over"), author="ops", now=NOW)
    assert "no such" in await refused(
        here.ledger.withdraw(Withdrawal(id=other.id, reason="over"), author="ops", now=NOW), 404
    )
    said = [(one.change, one.author, one.code, one.subject, one.until) for one in here.changes()]
    assert said == [
        ("exemption_granted", "ops", "new_country", subject, WEEK),
        ("exemption_granted", "eve", "new_country", subject, WEEK),
        ("exemption_withdrawn", "ops", "new_country", subject, WEEK),
        ("exemption_granted", "ops", "tor_exit", subject, WEEK),
        ("exemption_withdrawn", "ops", "tor_exit", subject, WEEK),
    ]


@pytest.mark.parametrize(
    ("code", "until", "said"),
    [
        ("new_contry", WEEK, "code: the policy has no such signal"),
        ("takeover_sequence", WEEK, "code: nothing is exempt from takeover_sequence"),
        ("deny_listed", WEEK, "code: nothing is exempt from deny_listed"),
        ("new_country", NOW, "until: must lie ahead"),
        ("new_country", NOW + timedelta(days=90, seconds=1), "at most 90 days"),
    ],
)
async def test_exemptions_have_bounds(process: Callable[[], Process], code: str, until: datetime, said: str) -> None:
    """An exemption is from a signal that there is and that may be lifted, and it ends."""
    here = process()
    grant = Grant(subject=ExemptSubject(id="ada"), code=code, until=until, reason="x")
    assert said in await refused(here.ledger.grant(grant, author="ops", now=NOW), 422)
    assert here.changes() == []


async def test_no_change_without_its_line(process: Callable[[], Process], tmp_path: Path) -> None:
    """When the audit trail cannot be written, nothing is changed."""
    here = process()
    (tmp_path / "audit").write_bytes(b"")
    with pytest.raises(RecordUnavailable):
        await here.ledger.add("places", Additions(values=("DE",), reason="x"), author="ops", now=NOW)
    (tmp_path / "audit").unlink()
    await here.ledger.follow(NOW)
    assert here.known("country.places") == set()


async def test_a_change_that_the_store_does_not_take_is_told(process: Callable[..., Process], tmp_path: Path) -> None:
    """A line that was written in vain is followed by one that says so, and what is known stays known."""
    gone = process(f"unix://{tmp_path / 'gone'}")
    with pytest.raises(StoreUnavailable):
        await gone.ledger.add("places", Additions(values=("DE",), reason="x"), author="ops", now=NOW)
    asked, failed = gone.changes()
    assert (asked.failed, asked.entry, failed.entry) == (None, "DE", "DE")
    assert "store" in (failed.failed or "")
    with pytest.raises(StoreUnavailable):
        await gone.ledger.follow(NOW)
