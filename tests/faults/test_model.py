"""Cases 8 and 9: a model that is missing, damaged, foreign or hostile, and one that fails on an input."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from riskd.anomaly.artifact import CURRENT_FILE, MODEL_FILE
from riskd.features import MODEL_FEATURES, schema_hash
from tests.faults.artifacts import OLDEST_DAYS, Trap, tree, write
from tests.faults.rig import Rig, decide, login, metric
from tests.http.servers import eventually


def truncated(rig: Rig) -> None:
    """Cut the model file in half."""
    path = write(rig.models) / MODEL_FILE
    path.write_bytes(path.read_bytes()[:200])


def of_other_features(rig: Rig) -> None:
    """Write a sound model of one feature less."""
    fewer = MODEL_FEATURES[:-1]
    changes = {"features": fewer, "feature_schema": schema_hash(fewer), "background": (None,) * len(fewer)}
    write(rig.models, tree(len(fewer)), **changes)


def altered(rig: Rig) -> None:
    """Change a byte of the model file."""
    path = write(rig.models) / MODEL_FILE
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def pickled(rig: Rig) -> None:
    """Put a pickle that runs code in place of the model, vouched for by its manifest."""
    write(rig.models, pickle.dumps(Trap(rig.home / "sprung")))


def missing(rig: Rig) -> None:
    """Leave the folder of the current version out."""
    folder = write(rig.models)
    shutil.rmtree(folder)


DAMAGE = [missing, truncated, of_other_features, altered, pickled]


@pytest.mark.parametrize("damage", DAMAGE)
def test_case_08_damaged_model_refuses_to_start(rig: Rig, damage: Callable[[Rig], None]) -> None:
    """Where the policy wants a model, a damaged one is one line and status 78, and no pickle is ever run."""
    rig.amend(anomaly={"missing": "refuse"})
    damage(rig)
    said = rig.refuses()
    assert said.startswith(f"riskd: {rig.models}")
    assert not (rig.home / "sprung").exists()


def test_case_08_damaged_model_lets_the_signals_decide(rig: Rig) -> None:
    """Where the policy allows it, riskd starts without the damaged model, and says so."""
    pickled(rig)
    with rig.start().client() as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["model"]["state"]) == (200, "none")
        assert decide(client)["model_version"] is None
    assert not (rig.home / "sprung").exists()


def test_case_08_damage_while_running_leaves_the_last_good_model(rig: Rig) -> None:
    """A damaged newer model changes nothing but what /readyz says; a sound one is taken over."""
    version = write(rig.models).name
    with rig.start().client() as client:
        assert decide(client)["model_version"] == version
        pickled(rig)
        assert eventually(lambda: client.get("/readyz").json()["parts"]["model"]["state"] == "stale")
        assert client.get("/readyz").status_code == 200
        assert decide(client)["model_version"] == version
        (rig.models / CURRENT_FILE).unlink()
        assert eventually(lambda: "CURRENT" in client.get("/readyz").json()["parts"]["model"]["detail"])
        assert decide(client)["model_version"] == version
        newer = write(rig.models, tree() + b"\x3a\x00").name  # an empty graph field more: another digest
        assert newer != version
        assert eventually(lambda: decide(client)["model_version"] == newer)
    assert not (rig.home / "sprung").exists()


def test_case_09_model_fails_on_one_input(rig: Rig) -> None:
    """For the one input on which the model fails the signals decide, degraded and counted; for others it goes on."""
    write(rig.models)
    odd = login("methuselah")
    odd["subject"]["account_age_days"] = OLDEST_DAYS + 1
    with rig.start().client() as client:
        assert decide(client)["degraded"] == []
        told = decide(client, odd)
        assert told["degraded"] == ["model"]
        assert told["decision"] in {"step_up", "deny"}
        assert metric(client, "riskd_degraded_total", source="model") == 1
        assert decide(client)["degraded"] == []
        assert Path(rig.log).exists()
    recorded = rig.record(told["decision_id"])
    assert (recorded.degraded, recorded.anomaly) == (("model",), None)
