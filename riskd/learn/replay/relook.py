"""A record's facts as another policy or model would have been told them: what its lists say is looked up anew.

A list that stands as it stood has given its answer when the record was made, with the entries of that day. Of another
list the record knows what it must: the country, the path, the ASN, and the address where it was kept plain. What it
cannot tell, the checks in `judgeable` name.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from riskd.enrich.address import Address, parse_address
from riskd.enrich.entries import Presented
from riskd.enrich.listed import Entries, compiled
from riskd.enrich.lists import AddressList
from riskd.errors import DataError, RequestError
from riskd.evaluation import MODEL, Scorer
from riskd.facts import NOT_LISTED, Facts, ListFacts, NetworkFacts
from riskd.policy import Policy
from riskd.policy.named import NamedList, answered_by
from riskd.policy.rollout import still_tripped
from riskd.record.schema import DecisionRecord

LISTS = "lists"
"""Names the lists among the sources that were down: then nothing is looked up anew."""


def restated(record: DecisionRecord, past: Policy | None, policy: Policy, model: Scorer | None) -> Facts:
    """Return the facts as they would have been told to a policy and model, as far as the record knows.

    `past` is the policy it was made under, where known. That one model was down says nothing of another, nor that a
    signal had tripped of one that is declared otherwise. Raises DataError for a file of the policy's lists that is
    missing or wrong.
    """
    facts = record.facts
    if MODEL in facts.down and record.model_version != (None if model is None else model.version):
        facts = replace(facts, down=tuple(source for source in facts.down if source != MODEL))
    if facts.tripped and past is not policy:
        then = {} if past is None else past.breakable
        facts = replace(facts, tripped=still_tripped(facts.tripped, policy.breakable, then))
    if past is policy or LISTS in facts.down:
        return facts
    network = _network(facts, past, policy)
    lists = _named(facts, past, policy, record.evaluated_at)
    if network is facts.network and lists == facts.lists:
        return facts
    return replace(facts, network=network, lists=lists)


def feeds_of(policy: Policy) -> frozenset[str]:
    """Return the names of a policy's feeds."""
    return _of(policy).feeds


def same_deny_list(past: Policy | None, policy: Policy) -> bool:
    """Whether `lists.deny` is known to be what it was."""
    return past is not None and past.file.lists.deny == policy.file.lists.deny


def denies(policy: Policy, facts: Facts) -> bool | None:
    """Answer for `lists.deny` as it would have answered; None is its unknown. False where it `can_deny` not tell."""
    deny = _of(policy).deny
    return _settled(deny.holds(_address(facts), facts.network.asn, facts.time.date()), deny.entries, facts.network)


def can_deny(policy: Policy, facts: Facts) -> bool:
    """Whether a record can tell what `lists.deny` says: an address that was kept as a hash matches no prefix."""
    lists = _of(policy)
    if not lists.denies_addresses or facts.network.ip is None or _address(facts) is not None:
        return True
    return lists.deny.holds(None, facts.network.asn, facts.time.date()) is True


def unanswered(past: Policy | None, policy: Policy, facts: Facts) -> Iterator[str]:
    """Yield the named lists that are not known to be what they were, and that a record cannot be asked again."""
    for name, declared in _changed(past, policy).items():
        if declared.store or not answered_by(declared, facts):
            yield name


class _Lists(Struct, frozen=True):
    """A policy's lists, compiled as far as records can be asked."""

    deny: AddressList
    denies_addresses: bool
    feeds: frozenset[str]
    named: dict[str, tuple[Entries, ...]]


@lru_cache(maxsize=8)
def _of(policy: Policy) -> _Lists:
    lists = policy.file.lists
    folder = Path(policy.source).parent
    return _Lists(
        deny=AddressList(lists.deny.networks, "lists.deny.networks"),
        denies_addresses=not all(re.match(r"\s*(AS\d|[#;]|$)", entry, re.IGNORECASE) for entry in lists.deny.networks),
        feeds=frozenset(feed.name for feed in lists.feeds),
        named={name: tuple(_entries(name, declared, folder)) for name, declared in lists.named.items()},
    )


def _entries(name: str, declared: NamedList, folder: Path) -> Iterator[Entries]:
    """Compile the entries of a list that does not need the store or this installation's keys."""
    if declared.of in {"subject", "device"}:
        return
    source = f"lists.named.{name}.entries"
    yield compiled(declared.of, declared.entries, source, lambda _of, text: text)
    if declared.file is not None:
        path = folder / declared.file
        try:
            with path.open(encoding="utf-8") as lines:
                yield compiled(declared.of, lines, str(path), lambda _of, text: text)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: {error}") from error


@lru_cache(maxsize=64)
def _changed(past: Policy | None, policy: Policy) -> dict[str, NamedList]:
    """Return the named lists that are new or declared otherwise, and those of a policy whose past is not known."""
    then = {} if past is None else past.file.lists.named
    return {name: declared for name, declared in policy.file.lists.named.items() if then.get(name) != declared}


def _network(facts: Facts, past: Policy | None, policy: Policy) -> NetworkFacts:
    """Leave out feeds that the policy does not have, and ask its deny list, unless it is the one of the day."""
    network, feeds = facts.network, feeds_of(policy)
    listed = network.listed and tuple(name for name in network.listed if name in feeds)
    listed = listed if feeds else None
    denied = network.denied if same_deny_list(past, policy) else denies(policy, facts)
    same = (listed, denied) == (network.listed, network.denied)
    return network if same else replace(network, listed=listed, denied=denied)


def _named(facts: Facts, past: Policy | None, policy: Policy, evaluated_at: datetime) -> ListFacts:
    """Keep what unchanged lists said, and ask the others; allow lists as of the decision, as the service does."""
    said, named = facts.lists, policy.file.lists.named
    if said is NOT_LISTED and not named:
        return said
    changed = _changed(past, policy)
    told = {name: True for name in (*(said.denied or ()), *said.allowed) if name in named and name not in changed}
    unsaid = said.denied is None and any(one.kind == "deny" for name, one in named.items() if name not in changed)
    if changed:
        presented = Presented(
            address=_address(facts), asn=facts.network.asn, country=facts.place.country, path=facts.action.path
        )
        on = {"deny": facts.time.date(), "allow": max(facts.time, evaluated_at).date()}
        for name, declared in changed.items():
            answers = [entries.names(presented, on[declared.kind]) for entries in _of(policy).named[name]]
            if declared.of == "network":
                answers = [_settled(answer, 1, facts.network) for answer in answers]
            told[name] = True in answers
            unsaid |= declared.kind == "deny" and True not in answers and None in answers
    denied = tuple(name for name, one in named.items() if one.kind == "deny" and told.get(name))
    allowed = tuple(name for name, one in named.items() if one.kind == "allow" and told.get(name))
    return ListFacts(denied=None if unsaid and not denied else denied, allowed=allowed)


def _address(facts: Facts) -> Address | None:
    """Return the address where it was kept plain; None for a hash and for a shortened one."""
    text = facts.network.ip
    try:
        return None if text is None else parse_address(text)
    except RequestError:
        return None


def _settled(held: bool | None, entries: int, network: NetworkFacts) -> bool | None:
    """Turn what a list of networks says of a hash into what it says of the address that no prefix names.

    Its ASN is known, or it can have none, or there is nothing to look up: then the list names it not.
    """
    nothing_left = not entries or network.asn is not None or bool(network.private)
    return False if held is None and network.ip is not None and nothing_left else held
