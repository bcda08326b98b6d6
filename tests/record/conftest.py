"""Records as the service writes them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from riskd.contract import Reported
from riskd.facts import (
    ActionFacts,
    AddressCounts,
    DeviceCounts,
    DeviceFacts,
    Facts,
    KnownPlace,
    LiveSession,
    NetworkCounts,
    NetworkFacts,
    PayloadSeen,
    PlaceFacts,
    SubjectFacts,
    SubjectHistory,
)
from riskd.record.schema import DecisionRecord, OutcomeRecord

NOON = datetime(2026, 3, 7, 12, 0, tzinfo=UTC)


def uuid7(when: datetime, number: int = 0) -> str:
    """Return a UUIDv7 of this time (RFC 9562) whose random part is `number`."""
    milliseconds = int(when.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | number))


@pytest.fixture(scope="session")
def noon() -> datetime:
    """Return the time most tests begin at."""
    return NOON


@pytest.fixture(scope="session")
def history() -> SubjectHistory:
    """Return the history of a subject who is well known."""
    place = KnownPlace(52.5200066, 13.4049540, 20.0, "DE", 86_400.125, False, "h:7Jq0pY2mXk4v")
    return SubjectHistory(
        token="s_4fJq8Zk2vYtR",
        confirmed=148,
        first_confirmed_age_s=31_104_000.5,
        last_confirmed_age_s=7_213.25,
        device_age_s=None,
        device_family="Windows|Chrome",
        family_age_s=86_400.0,
        ip_age_s=None,
        network_age_s=172_800.0,
        country_age_s=7_213.25,
        language_age_s=7_213.25,
        recipient_age_s=None,
        known_devices=3,
        known_families=2,
        known_ips=6,
        known_networks=3,
        known_countries=2,
        known_languages=1,
        known_recipients=0,
        family_count=120,
        network_count=90,
        country_count=140,
        hour_sin=-21.50831,
        hour_cos=-88.17739,
        hour_count=148,
        rtt_mean_log_ms=3.912023005428146,
        rtt_sd_log_ms=0.30000000000000004,
        rtt_count=120,
        amount_median=None,
        amount_p99=None,
        amount_count=0,
        places=(place,) * 5,
        attempts_5m=1,
        attempts_1h=1,
        attempts_24h=4,
        ips_5m=1,
        ips_1h=1,
        ips_24h=2,
        failures_10m=0,
        failures_1h=0,
        failure_ips_1h=0,
        success_after_failures_age_s=None,
        sensitive_10m=0,
        amount_24h=0.0,
        contact_change_age_s=None,
        password_change_age_s=None,
        factor_change_age_s=None,
        recipient_added_age_s=None,
        session_age_s=None,
        session_hop_age_s=None,
        sessions=(LiveSession(52.52, 13.4, 20.0, "DE", 60.0, 7_200.0, False),),
        reported_age_s=None,
        replayed_age_s=None,
    )


@pytest.fixture(scope="session")
def facts(history: SubjectHistory) -> Facts:
    """Return all that is known of one login from a new device abroad."""
    return Facts(
        time=NOON,
        subject=SubjectFacts(
            token="s_4fJq8Zk2vYtR",
            session="h:Zb0pY2mXk4vQ",
            account_age_days=812.5,
            acr="urn:mace:silver",
            amr=("pwd",),
            auth_age_s=3.25,
            enrolled_factors=("webauthn", "totp"),
        ),
        action=ActionFacts(name="login", method="POST", path="/login", path_obfuscated=False),
        network=NetworkFacts(
            ip="h:7Jq0pY2mXk4v",
            key="AS3320",
            asn=3320,
            organization="Deutsche Telekom AG",
            version=4,
            private=False,
            tor=False,
            listed=(),
        ),
        place=PlaceFacts(
            country="DE",
            city="Frankfurt am Main",
            latitude=50.1109,
            longitude=8.6821,
            accuracy_km=20.0,
            utc_offset_min_minutes=60,
            utc_offset_max_minutes=120,
        ),
        device=DeviceFacts(
            id="h:9wq0pY2mXk4v",
            user_agent_present=True,
            user_agent_parsed=True,
            bot=False,
            kind="desktop",
            os_family="Windows",
            os_major=10,
            browser_family="Chrome",
            browser_major=144,
            family="Windows|Chrome",
            language="de",
            utc_offset_minutes=60,
            rtt_ms=41.5,
        ),
        history=history,
        address_counts=AddressCounts(1, 1, 2, 0, 0, 3),
        network_counts=NetworkCounts(3, 2, 256),
        device_counts=DeviceCounts(1, 1, 1),
        payload=PayloadSeen(None, elsewhere=False),
    )


@pytest.fixture(scope="session")
def decision(facts: Facts) -> Callable[..., DecisionRecord]:
    """Return a maker of decision records: `decision(when, number)`, any field by name."""

    def make(when: datetime = NOON, number: int = 0, **fields: object) -> DecisionRecord:
        full: dict[str, object] = {
            "decision_id": uuid7(when, number),
            "evaluated_at": when,
            "request_id": "h:3dq0pY2mXk4v",
            "caller": "default",
            "facts": facts,
            "vector": (0.1, None, 2140.123456789, 0.0) * 14,
            "feature_schema": "f3a91c04",
            "catalogue": "9bd1e2aa",
            "hits": {"new_device": 1.0, "impossible_travel": 0.8125},
            "unknown": ("amount_spike", "new_recipient", "replayed_request", "leaked_credential", "session_hop"),
            "anomaly": 0.9731445,
            "score": 61.3,
            "score_range": (58.0, 72.25),
            "outcome": "step_up",
            "reasons": (("impossible_travel", 40.1), ("new_device", 21.2)),
            "step_up": 2,
            "policy_revision": "5be1c7d29a41",
            "model_version": "20260301-1a2b3c4d",
            "sources": {"country": "iptocc 3.3.0", "network": "iporigin 1.1.0"},
        }
        return DecisionRecord(**full | fields)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def outcome() -> Callable[..., OutcomeRecord]:
    """Return a maker of outcome records: `outcome(when, number)`, any field by name."""

    def make(when: datetime = NOON, number: int = 0, **fields: object) -> OutcomeRecord:
        full: dict[str, object] = {
            "decision_id": uuid7(when - timedelta(seconds=20), number),
            "recorded_at": when,
            "at": when - timedelta(seconds=1),
            "subject": "s_4fJq8Zk2vYtR",
            "outcome": Reported.STEP_UP_PASSED,
            "decided": "step_up",
            "confirms": True,
            "source": "reported",
            "acr": "urn:mace:gold",
            "amr": ("pwd", "hwk"),
            "method": "webauthn",
            "caller": "default",
        }
        return OutcomeRecord(**full | fields)  # type: ignore[arg-type]

    return make
