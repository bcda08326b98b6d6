"""One simulated attempt: what is asked, and what only the simulation knows about it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from riskd.contract import Action, Context, DecisionRequest, Network, Place, Screen, Subject
from riskd.learn.simulate.devices import Device, user_agent
from riskd.learn.simulate.world import Country, Origin
from riskd.learn.truth import HONEST

KINDS = ("stuffing", "spray", "stolen_password", "targeted", "session_theft", "payment_fraud", "takeover")
"""The attack kinds that are played where none is asked for, in the order in which they are reported."""
MORE_KINDS = ("naive", "vpn", "very_targeted", "clone", "payout")
"""The attack kinds that are played only where they are asked for, in the order in which they are reported."""
IN_STEPS = frozenset({"payment_fraud", "takeover", "payout"})
"""Kinds of several attempts on one victim, which are stopped when any of them is."""

LOGIN, VIEW, TRANSFER, EXPORT = "login", "view", "transfer", "export"
CHANGE_EMAIL, CHANGE_PHONE, CHANGE_PASSWORD = "change_email", "change_phone", "change_password"
REMOVE_FACTOR, ADD_PAYEE = "remove_factor", "add_payee"


@dataclass(slots=True)
class Attempt:
    """One attempt. Times are seconds since 1970, UTC."""

    time: float
    subject: str
    home: Country
    registered: float
    """When the account was opened."""
    factors: tuple[str, ...]
    language: str
    zone: str
    """The time zone that the client's clock is set to."""
    origin: Origin
    device: Device
    device_id: str
    action: str = LOGIN
    session: str | None = None
    auth_time: float | None = None
    amount: float | None = None
    currency: str | None = None
    recipient: str | None = None
    rtt_ms: float | None = None
    password_right: bool = True
    """A login with the wrong password fails, whatever the decision."""
    passes_step_up: bool = True
    """The one behind it holds the account's second factor, and will use it."""
    label: str = HONEST
    sequence: str | None = None
    """Attempts that belong together: one campaign, or one victim's takeover."""
    disowned_after_s: float | None = None
    """When the owner notices and reports it, seconds later; None: never."""

    def request(self, request_id: str, *, proved_at: float | None = None) -> DecisionRequest:
        """Return what the PEP would ask riskd; `proved_at` is when the session showed a second factor."""
        origin, screen = self.origin, self.device.model.screen
        shown = self.auth_time if proved_at is None else proved_at
        authenticated = None if shown is None else datetime.fromtimestamp(shown, UTC)
        methods = ("pwd",) if proved_at is None else ("pwd", "otp", "mfa")
        return DecisionRequest(
            request_id=request_id,
            subject=Subject(
                id=self.subject,
                session_id=self.session,
                account_age_days=max(0.0, (self.time - self.registered) / 86_400),
                amr=None if authenticated is None else methods,
                auth_time=authenticated,
                enrolled_factors=self.factors,
            ),
            action=Action(name=self.action, amount=self.amount, currency=self.currency, recipient=self.recipient),
            context=Context(
                ip=origin.ip,
                user_agent=user_agent(self.device, self.time),
                device_id=self.device_id,
                platform=self.device.model.platform,
                screen=Screen(width=screen[0], height=screen[1]),
                accept_language=self.language,
                utc_offset_minutes=utc_offset_minutes(self.zone, int(self.time // 3600)),
                rtt_ms=self.rtt_ms,
                time=datetime.fromtimestamp(self.time, UTC),
                place=Place(
                    country=origin.city.country,
                    city=origin.city.name,
                    latitude=origin.latitude,
                    longitude=origin.longitude,
                    accuracy_km=origin.accuracy_km,
                ),
                network=Network(asn=origin.network.asn, organization=origin.network.organization, kind=origin.kind),
            ),
        )


@lru_cache(maxsize=65_536)
def utc_offset_minutes(zone: str, hour: int) -> int:
    """Offset from UTC of a zone in the given hour since 1970, minutes, east positive."""
    offset = datetime.fromtimestamp(hour * 3600, ZoneInfo(zone)).utcoffset()
    assert offset is not None  # noqa: S101 - an aware datetime has one
    return int(offset.total_seconds() // 60)
