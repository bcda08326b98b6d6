"""Network, place and device facts that rows carry themselves: they stand in for what would be looked up."""

import re
from datetime import datetime
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import Final

from msgspec.structs import replace

from riskd.contract import DecisionRequest
from riskd.enrich.enrich import Draft, Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import Keep, KeptField, Pseudonyms
from riskd.enrich.leaked import LeakedCredentials
from riskd.enrich.lists import NetworkLists
from riskd.enrich.named import NamedLists
from riskd.enrich.user_agent import UNKNOWN
from riskd.facts import DeviceFacts

STAND_INS: Final = 0x3 << 124
"""3000::/4, of which nothing was ever assigned: no database or list knows an address in it."""
_NAMED = re.compile(r"(\D*?)[\s/]*(\d{1,9})?(?:[._]\d\S*)?")
_KINDS = {"desktop": "desktop", "mobile": "mobile", "phone": "mobile", "tablet": "tablet"}
_SAME_FAMILY = {"macOS": "Mac OS X", "OS X": "Mac OS X", "iPadOS": "iOS", "ChromeOS": "Chrome OS"}


def stand_in(address: str) -> str:
    """Return the IPv6 address that stands for one that is no address: always the same for the same text.

    What counts as one address is a /64, so 60 bits tell them apart: among 10⁷ two are the same with a chance of 5·10⁻⁵.
    """
    digest = int.from_bytes(blake2b(address.encode("utf-8", "replace"), digest_size=8).digest())
    return str(IPv6Address(STAND_INS | (digest >> 4) << 64 | 1))


def is_stand_in(address: str | None) -> bool:
    """Whether an address is one of those that `stand_in` gives: in 3000::/4."""
    return address is not None and address[:1] == "3" and address[4:5] == ":"


def told_device(browser: str | None, system: str | None, kind: str | None) -> DeviceFacts | None:
    """Read names with versions (`Chrome Mobile 46.0.2490`, `iOS 13.4`) and a kind; None where they say nothing."""
    browser_family, browser_major = _named(browser)
    os_family, os_major = _named(system)
    if browser_family is None and os_family is None and kind is None:
        return None
    return DeviceFacts(
        os_family=os_family,
        os_major=os_major,
        browser_family=browser_family,
        browser_major=browser_major,
        kind=None if kind is None else _KINDS.get(kind.lower(), "other"),
        bot=None if kind is None else kind.lower() in {"bot", "spider", "crawler"},
    )


def _named(text: str | None) -> tuple[str | None, int | None]:
    """Return a name and its major version."""
    found = None if text is None else _NAMED.fullmatch(text.strip()[:256])
    if found is None or not (name := found[1].strip()):
        return None, None
    return _SAME_FAMILY.get(name, name), None if found[2] is None else int(found[2])


class ToldEnricher(Enricher):
    """An enricher that takes what a row says of the device, row by row; place and network the request itself says."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        geo: Geo,
        lists: NetworkLists | None = None,
        keep: dict[KeptField, Keep] | None = None,
        leaked: LeakedCredentials | None = None,
        named: NamedLists | None = None,
    ) -> None:
        """Build it as an enricher; no forwarded header is believed."""
        super().__init__(pseudonyms, geo, lists, keep, (), leaked, named)
        self.device: DeviceFacts | None = None
        """What the row says that is judged next."""

    def draft(self, request: DecisionRequest, at: datetime, now: datetime | None = None) -> Draft:
        """Return what is known of the attempt, by the row's own word where it has one."""
        draft = super().draft(request, at, now)
        if draft.network.asn is None and is_stand_in(request.context.ip):
            # The network that stands in was never one.
            draft = replace(draft, network_key=None, network=replace(draft.network, key=None))
        told = self.device
        if told is None:
            return draft
        read = draft.device
        os_family = told.os_family or read.os_family
        browser_family = told.browser_family or read.browser_family
        named = told.os_family is not None or told.browser_family is not None
        device = replace(
            read,
            os_family=os_family,
            os_major=told.os_major if told.os_family else read.os_major,
            browser_family=browser_family,
            browser_major=told.browser_major if told.browser_family else read.browser_major,
            family=f"{os_family or UNKNOWN}|{browser_family or UNKNOWN}" if named else read.family,
            kind=told.kind or read.kind,
            bot=told.bot if told.bot is not None else read.bot,
            user_agent_parsed=True if told.browser_family and read.user_agent_present else read.user_agent_parsed,
        )
        return replace(draft, device=device)
