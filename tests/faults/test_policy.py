"""Cases 14 and 16: a policy that cannot be used, what a caller leaves out, and a signal that fails."""

import socket
from collections.abc import Callable
from math import inf
from pathlib import Path

import msgspec
import pytest
import redis

from tests.faults.rig import Behind, Rig, decide, login, metric
from tests.http.servers import eventually

DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "half written": lambda path: path.write_bytes(path.read_bytes()[:1500] + b"\n  - {"),
    "thresholds turned round": lambda path: path.write_text("version: 1\nthresholds: {step_up: 90, deny: 50}\n"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_case_14_bad_policy_refuses_to_start(rig: Rig, name: str) -> None:
    """At start a policy that cannot be used is one line and status 78, and nothing listens."""
    DAMAGE[name](rig.policy)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert str(rig.policy) in rig.refuses(PORT=str(port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_case_16_missing_is_unknown(behind: Behind) -> None:
    """What a caller leaves out is named unknown in the record, widens the score's range, and raises no score."""
    bare = {"subject": {"id": "bare"}, "action": {"name": "login"}, "context": {"ip": "81.2.69.142"}}
    with behind.running[0].client() as client:
        whole, less = decide(client, login("whole", accept_language="en", rtt_ms=20.0)), decide(client, bare)
    known, unknown = behind.record(whole["decision_id"]), behind.record(less["decision_id"])
    assert {"new_device", "bot_user_agent"} <= set(unknown.unknown)
    assert "bot_user_agent" not in known.unknown
    assert whole["degraded"] == less["degraded"] == []
    assert less["score"] <= whole["score"]
    low, high = less["score_range"]
    assert high - low > whole["score_range"][1] - whole["score_range"][0]


def test_case_16_failing_signal_is_an_error_of_that_signal(behind: Behind) -> None:
    """A signal that fails on what the store holds is counted and named; that answer is no softer than the fail mode."""
    with behind.running[0].client() as client, redis.Redis(unix_socket_path=str(behind.store.socket)) as store:
        before = set(store.scan_iter("riskd:{s:*}"))
        first = decide(client, login("lost"))
        (key,) = set(store.scan_iter("riskd:{s:*}")) - before
        client.post("/outcome", json={"decision_id": first["decision_id"], "outcome": "confirmed_legitimate"})
        places = msgspec.msgpack.decode(store.hget(key, "places") or b"")
        places[0][0] = inf  # a latitude that is none
        store.hset(key, "places", msgspec.msgpack.encode(places))
        counted = metric(client, "riskd_signal_errors_total", code="far_from_usual")
        told = decide(client, login("lost"))
        assert "signal:far_from_usual" in told["degraded"]
        assert told["decision"] in {"step_up", "deny"}
        assert metric(client, "riskd_signal_errors_total", code="far_from_usual") == counted + 1
        recorded = behind.record(told["decision_id"])
        assert "far_from_usual" in recorded.errors
        assert "far_from_usual" not in {*recorded.hits, *recorded.unknown}
        places[0][0] = 51.5
        store.hset(key, "places", msgspec.msgpack.encode(places))
        assert eventually(lambda: decide(client, login("lost"))["degraded"] == [])
