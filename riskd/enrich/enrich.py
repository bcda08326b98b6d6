"""From a request to a draft of its facts: everything about an attempt that does not come from the store."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from riskd.contract import Context, DecisionRequest, Network, Place, Subject
from riskd.enrich.address import Address, parse_address
from riskd.enrich.device import read_device, without_user_agent
from riskd.enrich.email import is_disposable
from riskd.enrich.entries import Presented
from riskd.enrich.forwarded import TrustedProxies, client_ip
from riskd.enrich.geo import Geo, Located
from riskd.enrich.identity import Keep, KeptField, Pseudonyms
from riskd.enrich.leaked import LeakedCredentials
from riskd.enrich.lists import NetworkLists
from riskd.enrich.named import NamedLists, hashed_by
from riskd.enrich.path import normalise_path
from riskd.enrich.records import KnownNetwork
from riskd.enrich.told import told_network, told_place
from riskd.errors import ConfigError
from riskd.facts import (
    NOT_LISTED,
    ActionFacts,
    AttributeValue,
    DeviceFacts,
    ListFacts,
    NetworkFacts,
    PlaceFacts,
    SubjectFacts,
)
from riskd.features.velocity import AMOUNT, ATTRIBUTE, MAX_ADDEND, Counted, Counts

CLOCKS_DIFFER_S: Final = 300.0
"""How far the clock of an identity provider may be ahead of ours; further, the wire refuses its times."""


class Draft(Struct, frozen=True):
    """What is known of an attempt before the store is asked, and the keys to ask it by.

    Keys are always keyed hashes, None = not presented; what facts and records may keep of the ids is in the groups.
    """

    time: datetime
    """When the attempt happened, aware UTC."""
    subject: SubjectFacts
    """Without the token, which the store knows."""
    action: ActionFacts
    network: NetworkFacts
    place: PlaceFacts
    device: DeviceFacts
    lists: ListFacts
    exempt: dict[str, str]
    attributes: dict[str, AttributeValue]
    down: tuple[str, ...]
    """Sources that failed: `geo`, `network`, `lists`, `leaked_credentials`, `user_agent`."""
    request_key: str | None
    request_digest: str
    """Tells two requests under one id apart; empty without an id. Of the validated request, so that white space and the
    order of keys in a body do not matter."""
    subject_key: str | None
    session_key: str | None
    address_key: str | None
    network_key: str | None
    """`AS<number>`, or the keyed hash of the /24 or /48."""
    device_key: str | None
    payload_key: str | None
    recipient_key: str | None


class Enricher:
    """Drafts facts. Cheap to build: a changed policy gets a new one around the same geo and pseudonyms."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        geo: Geo,
        lists: NetworkLists | None = None,
        keep: Mapping[KeptField, Keep] | None = None,
        trusted: TrustedProxies = (),
        leaked: LeakedCredentials | None = None,
        named: NamedLists | None = None,
    ) -> None:
        """`keep` says per field what facts may hold, `trusted` whose forwarded headers are believed.

        Raises ConfigError when `keep` would truncate anything but the IP.
        """
        self.geo, self.lists, self.leaked = geo, lists or NetworkLists(), leaked or LeakedCredentials()
        self.named = NamedLists({}, Path(), hashed_by(pseudonyms)) if named is None else named
        self._pseudonyms = pseudonyms
        self._trusted = trusted
        self._keep = dict(keep or {})
        self._keep_ip = self._keep.get("ip", "hash")
        for field, kept in self._keep.items():
            if kept == "truncate" and field != "ip":
                raise ConfigError(f"{field} can be kept as hash or plain; only ip can be truncated")
        with contextlib.suppress(Exception):  # a broken parser is named in the drafts, not here
            read_device(Context(user_agent="Mozilla/5.0"), None, None)  # compiles patterns, 0.2 s, before it matters

    def refresh(self) -> tuple[str, ...]:
        """Take over databases and lists that changed; return one line per file that is not in use as it stands now.

        Reads files: call it from a thread, every few seconds.
        """
        return self.geo.refresh() + self.lists.refresh() + self.named.refresh() + self.leaked.refresh()

    def draft(self, request: DecisionRequest, at: datetime, now: datetime | None = None) -> Draft:
        """Return what is known of the attempt; raises RequestError (422) for a malformed IP and nothing else.

        It happened at `context.time`, else `at`, and was presented at `now`, else when it happened. What lets an
        attempt off, exemptions and allow lists, must hold at the later of both: a time of long ago brings nothing back.
        """
        context, subject = request.context, request.subject
        time = (context.time or at).astimezone(UTC)
        lenient_at = time if now is None else max(time, now)
        located = self._located(context)
        address_key = None if located is None else self._pseudonyms.ip(located.address)
        down: list[str] = []
        network = self._network(located, address_key, context.network, time.date(), down)
        device_key, device = self._kept("device", context.device_id)
        session_key, session = self._kept("session", subject.session_id)
        recipient_key, recipient = self._kept("recipient", request.action.recipient)
        payload_key = None if context.device_digest is None else self._pseudonyms.payload(context.device_digest)
        action, place = self._action(request, recipient), _place(located, context.place, down)
        lists, exempt = NOT_LISTED, _NOT_EXEMPT
        if self.named:
            listed = self._pseudonyms.listed(subject.id) if self.named.of_subjects and subject.id is not None else None
            presented = Presented(
                address=None if located is None else located.address,
                asn=network.asn,
                country=place.country,
                subject=listed,
                device=device_key,
                email_domain=subject.email_domain,
                path=action.path,
            )
            lists = self._lists(presented, time, lenient_at, down)
        if self.named.any_exempt and subject.id is not None:
            exempt = self.named.exempt(self._pseudonyms.listed(subject.id, subject.type), lenient_at)
        return Draft(
            time,  # half of it by position: of more keywords Python makes a dict, at five times the price
            SubjectFacts(
                type=subject.type,
                session=session,
                account_age_days=subject.account_age_days,
                email_disposable=None if subject.email_domain is None else is_disposable(subject.email_domain),
                acr=subject.acr,
                amr=subject.amr,
                auth_age_s=_age_s(time, subject.auth_time),
                enrolled_factors=subject.enrolled_factors,
                leaked_credential=self._leaked(subject, down),
            ),
            action,
            network,
            place,
            _device(context, device, payload_key, down),
            lists,
            exempt,
            context.attributes or {},
            tuple(down),
            request_key=None if request.request_id is None else self._pseudonyms.text(request.request_id),
            request_digest="" if request.request_id is None else self._pseudonyms.body(_body(request)),
            subject_key=None if subject.id is None else self._pseudonyms.subject(subject.id, subject.type),
            session_key=session_key,
            address_key=address_key,
            network_key=network.key,
            device_key=device_key,
            payload_key=payload_key,
            recipient_key=recipient_key,
        )

    def lot(self, request: DecisionRequest, draft: Draft, rollout: str) -> float | None:
        """Draw the lot of an attempt's subject in a rollout, 0 to below 1; None when nothing tells who it is.

        It is the same in every worker, after every start and rotation of keys. An anonymous subject's is that of the
        device, else of the address.
        """
        subject = request.subject
        if subject.id is not None:
            return self._pseudonyms.lot(rollout, f"subject\0{subject.type}\0{subject.id}")
        key = draft.device_key or draft.address_key
        return None if key is None else self._pseudonyms.lot(rollout, key)

    def counts(self, draft: Draft, counted: Counted) -> Counts:
        """Return what velocities find of the attempt, attributes as keyed hashes."""
        action, attributes = draft.action, draft.attributes
        keys = {
            "subject": draft.subject_key,
            "ip": draft.address_key,
            "network": draft.network_key,
            "device": draft.device_key,
            "recipient": draft.recipient_key,
            "country": draft.place.country,
        }
        for name in counted.attributes:
            if (value := attributes.get(name)) is not None:
                keys[f"{ATTRIBUTE}{name}"] = self._pseudonyms.attribute(name, value)
        amounts = {AMOUNT: action.amount}
        for name in counted.summed:
            value = attributes.get(name)
            if isinstance(value, int | float) and value.__class__ is not bool and abs(value) <= MAX_ADDEND:
                amounts[f"{ATTRIBUTE}{name}"] = value
        return Counts(counted, keys, amounts)

    def _located(self, context: Context) -> Located | None:
        ip = context.ip
        if ip is not None and context.forwarded_for is not None:
            parse_address(ip)  # a malformed peer is the caller's mistake, whatever the header says
            ip = client_ip(ip, [(b"x-forwarded-for", context.forwarded_for.encode())], self._trusted)
        return None if ip is None else self.geo.find(ip)

    def _kept(self, field: KeptField, value: str | None) -> tuple[str | None, str | None]:
        """Return the key of a value and what facts may hold of it."""
        if value is None:
            return None, None
        key: str = getattr(self._pseudonyms, field)(value)
        return key, value if self._keep.get(field) == "plain" else key

    def _leaked(self, subject: Subject, down: list[str]) -> bool | None:
        if subject.leaked_credential is not None:
            return subject.leaked_credential
        try:
            return self.leaked.hold(subject.credential_hash_prefix)
        except Exception:  # noqa: BLE001 - as for the place
            down.append("leaked_credentials")
            return None

    def _lists(self, presented: Presented, time: datetime, lenient_at: datetime, down: list[str]) -> ListFacts:
        known = False
        lists = ListFacts(denied=None)
        with contextlib.suppress(Exception):  # as for the place
            lists, known = self.named.facts(presented, time, lenient_at)
        if not known and "lists" not in down:
            down.append("lists")
        return lists

    def _shown(self, address: Address) -> str:
        return address.prefix if self._keep_ip == "truncate" else address.text

    def _action(self, request: DecisionRequest, recipient: str | None) -> ActionFacts:
        action, resource = request.action, request.resource
        endpoint = resource.endpoint
        path = normalise_path(endpoint.path) if endpoint else None
        resource_id = resource.id
        if resource_id is not None and self._keep.get("resource") != "plain":
            resource_id = self._pseudonyms.resource(resource_id, resource.type)
        return ActionFacts(
            name=action.name,
            amount=action.amount,
            currency=action.currency,
            recipient=recipient,
            resource_type=resource.type,
            resource_id=resource_id,
            method=endpoint.method if endpoint else None,
            path=path.path if path else None,
            path_obfuscated=path.obfuscated if path else None,
        )

    def _network(
        self, located: Located | None, address_key: str | None, told: Network | None, day: date, down: list[str]
    ) -> NetworkFacts:
        address = None if located is None else located.address
        known: KnownNetwork | None = _NOBODY
        if located is not None and (told is None or told.asn is None or told.kind is None):
            known = located.network
        if known is None:
            down.append("network")
            known = _NOBODY
        if told is not None:
            known = told_network(told, known)
        listed, denied = None, None
        try:
            listed = self.lists.listed(address, known.asn, day)
            denied = self.lists.denied(address, known.asn, day)
        except Exception:  # noqa: BLE001 - as for the place
            down.append("lists")
        key = None if known.asn is None else f"AS{known.asn}"
        if key is None and address is not None and not address.private:
            key = self._pseudonyms.network(address)
        return NetworkFacts(
            ip=address_key if self._keep_ip == "hash" or address is None else self._shown(address),
            key=key,
            asn=known.asn,
            organization=known.organization,
            version=None if address is None else address.version,
            private=None if address is None else address.private,
            kind=known.kind,
            tor=known.tor,
            proxy=known.proxy,
            hosting=known.hosting,
            relay=known.relay,
            mobile=None if known.kind is None else known.kind == "mobile",
            listed=listed,
            denied=denied,
        )


_NOT_EXEMPT: dict[str, str] = {}
_NO_PLACE = Place()
_NOWHERE = PlaceFacts()
_NOBODY = KnownNetwork()


def _place(located: Located | None, told: Place | None, down: list[str]) -> PlaceFacts:
    if told is not None and told != _NO_PLACE:
        return told_place(told)
    if located is None:
        return _NOWHERE
    if located.place is None:
        down.append("geo")
        return _NOWHERE
    return located.place


def _body(request: DecisionRequest) -> bytes:
    return request.__pydantic_serializer__.to_json(request)


def _age_s(time: datetime, since: datetime | None) -> float | None:
    """Return seconds since an instant; 0 for one ahead as clocks may be, None further ahead: it proves nothing."""
    age = None if since is None else (time - since).total_seconds()
    return max(0.0, age) if age is not None and age >= -CLOCKS_DIFFER_S else None


def _device(context: Context, device: str | None, digest: str | None, down: list[str]) -> DeviceFacts:
    try:
        return read_device(context, device, digest)
    except Exception:  # noqa: BLE001 - as for the place
        down.append("user_agent")
        return without_user_agent(context, device, digest)
