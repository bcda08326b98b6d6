"""Upkeep through redis-py on a real server: state, and moving subjects to new map keys."""

import uuid
from pathlib import Path

import pytest

from riskd.errors import StoreUnavailable
from riskd.store import Attempt, Settlement, Store, parse
from riskd.store.upkeep import connect, rekey, state

NOW = 1_790_000_000.0


def _attempt(subject: str, decision_id: str) -> Attempt:
    return Attempt(decision_id=decision_id, now=NOW, token="t" * 24, subject=subject, device="laptop", address="a1")


async def test_rekeyed_subject_keeps_token_and_habits(valkey: str, tmp_path: Path) -> None:
    """After the move the new map key has the old token and the known device, and the old key has nothing."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    store = Store(parse(valkey), tmp_path / "epoch", budget_s=2.0, prefix=prefix)
    first = await store.observe(_attempt("old", "d-1"))
    await store.settle("d-1", Settlement(outcome="login_succeeded", decided=0, at=NOW, confirms=True))
    await store.observe(_attempt("old", "d-2"))
    moved = rekey(valkey, lambda old: f"new-{old}", prefix)
    assert moved.subjects == 1
    assert moved.pending == 2
    again = await store.observe(_attempt("new-old", "d-3"))
    assert again.history is not None
    assert first.history is not None
    assert again.history.token == first.history.token
    assert again.history.device_age_s == 0
    # The outcome of an attempt from before the move still finds its subject.
    await store.settle("d-2", Settlement(outcome="login_failed", decided=0, at=NOW, confirms=False))
    after = await store.observe(_attempt("new-old", "d-4"))
    assert after.history is not None
    assert after.history.failures_10m == 1
    with connect(valkey) as client:
        assert not list(client.scan_iter(match=f"{prefix}:{{s:old}}*"))
        keys = list(client.scan_iter(match=f"{prefix}:{{s:*"))
        assert all(client.ttl(key) > 0 for key in keys)
    await store.close()


def test_state_of_a_real_server(valkey: str) -> None:
    """The server says what it is and how much it holds."""
    found = state(valkey)
    assert found.server in {"valkey", "redis"}
    assert found.memory_bytes > 0


def test_state_of_no_server(tmp_path: Path) -> None:
    """A server that is not there is said in one error."""
    with pytest.raises(StoreUnavailable):
        state(f"unix://{tmp_path}/none.sock")
