"""Signed models: what vouches for an artifact, what does not, and what a service does about it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskd.anomaly.artifact import CURRENT_FILE, digest_of
from riskd.app.model_signature import sign
from riskd.app.model_source import SIGNATURE_FILE, ModelSource
from riskd.errors import ConfigError, ModelError
from riskd.learn.registry.promote import promote, rollback
from tests.app.riskd import Riskd
from tests.app.signing import Signer
from tests.faults.artifacts import write
from tests.http.servers import BODY, Running, eventually

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def put(models: Path, number: int) -> str:
    """Put a model into a folder; the first one is current."""
    before = (models / CURRENT_FILE).read_bytes() if (models / CURRENT_FILE).exists() else None
    folder = write(models, version=f"20260101-{number:08x}", created=datetime(2026, 1, number, tzinfo=UTC))
    if before is not None:
        (models / CURRENT_FILE).write_bytes(before)
    return folder.name


def sign_model(signer: Signer, folder: Path) -> None:
    """Sign a model as it lies there."""
    manifest, digest = (folder / "manifest.json").read_bytes(), digest_of((folder / "model.onnx").read_bytes())
    (folder / SIGNATURE_FILE).write_bytes(sign(signer.key, folder.name, manifest, digest, signed_at=NOW))


@pytest.fixture
def signer() -> Signer:
    """Who is trusted."""
    return Signer()


@pytest.fixture
def source(tmp_path: Path, signer: Signer) -> ModelSource:
    """A folder with a signed current model, where only signed models are used."""
    models = tmp_path / "models"
    sign_model(signer, models / put(models, 1))
    return ModelSource(models, signer.trust(tmp_path / "keys" / "team.pub"))


def test_a_signed_model_loads(source: ModelSource) -> None:
    """What a trusted key signed is used; without keys, whatever is sound is."""
    assert source.load().version == source.current()
    (source.models / source.current() / SIGNATURE_FILE).unlink()
    assert ModelSource(source.models, None).load().version == source.current()


def amend_manifest(folder: Path) -> None:
    """Change a word of the manifest."""
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("written by hand", "written by foe"))


def swap_signature(folder: Path) -> None:
    """Put the signature of another model in place of this one's."""
    other = folder.parent / put(folder.parent, 9)
    sign_model(SIGNERS["trusted"], other)
    (other / SIGNATURE_FILE).rename(folder / SIGNATURE_FILE)


def sign_by_stranger(folder: Path) -> None:
    """Sign with a key that nobody trusts."""
    sign_model(Signer(), folder)


def claim_other_key(folder: Path) -> None:
    """Sign with a stranger's key, and say that it was the trusted one."""
    trusted = json.loads((folder / SIGNATURE_FILE).read_text())["statement"]["key"]
    sign_model(Signer(), folder)
    forged = json.loads((folder / SIGNATURE_FILE).read_text())
    forged["statement"]["key"] = trusted
    (folder / SIGNATURE_FILE).write_text(json.dumps(forged))


def sign_as_policy(folder: Path) -> None:
    """Put a policy's signature over the very manifest there."""
    SIGNERS["trusted"].sign(folder / "manifest.json", 1)


def damage(content: bytes) -> Callable[[Path], None]:
    """Replace the signature by something else."""
    return lambda folder: (folder / SIGNATURE_FILE).write_bytes(content) and None


SIGNERS: dict[str, Signer] = {}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (amend_manifest, "not the model that was signed"),
        (swap_signature, "not the model that was signed"),
        (sign_by_stranger, "none of the trusted keys"),
        (claim_other_key, "not one of the key"),
        (sign_as_policy, "the signature is damaged"),
        (damage(b""), "the signature is damaged"),
        (damage(b"[" * 60_000), "the signature is damaged"),
        (damage(b'{"statement":"' + b"x" * 10**6), "the signature is damaged"),
        (lambda folder: (folder / SIGNATURE_FILE).unlink(), "not signed: there is no manifest.json.sig"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"other"), "SHA-256"),
    ],
)
def test_what_nobody_trusted_vouches_for_is_refused(
    source: ModelSource, signer: Signer, harm: Callable[[Path], None], words: str
) -> None:
    """Tampered, foreign, swapped, unsigned: one clear line that names the artifact."""
    SIGNERS["trusted"] = signer
    folder = source.models / source.current()
    harm(folder)
    with pytest.raises(ModelError, match=words) as refused:
        source.load()
    assert str(folder) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_keys_that_cannot_be_read_are_no_licence(source: ModelSource, tmp_path: Path) -> None:
    """Where keys are named and none is there, no model is used."""
    (tmp_path / "none").mkdir()
    for keys in (tmp_path / "none", tmp_path / "nowhere"):
        with pytest.raises(ConfigError):
            ModelSource(source.models, keys).load()


def model_part(running: Running) -> dict[str, str | None]:
    """What /readyz tells of the model."""
    with running.client() as client:
        part: dict[str, str | None] = client.get("/readyz").json()["parts"]["model"]
        return part


def judged_by(running: Running) -> str | None:
    """Which model judges now."""
    with running.client() as client:
        assert client.post("/decide", json=BODY).status_code == 200
    return model_part(running)["revision"]


def test_a_running_service_follows_promotion_and_rollback(riskd: Riskd) -> None:
    """What the registry makes current judges soon after in a service that goes on running, and what is rolled back."""
    models = riskd.data_dir / "models"
    first, second = put(models, 1), put(models, 2)
    running = riskd.start()
    assert judged_by(running) == first
    promote(models, second, None, now=NOW, by="ada", reason="test", force=True)
    assert eventually(lambda: judged_by(running) == second)
    rollback(models, now=NOW, by="ada")
    assert eventually(lambda: judged_by(running) == first)
    assert running.process.poll() is None


def test_a_running_service_takes_signed_models_only(riskd: Riskd, signer: Signer) -> None:
    """An unsigned, then a tampered model is refused and told of while the last good one judges; signed, it is taken."""
    models = riskd.data_dir / "models"
    first, second = put(models, 1), put(models, 2)
    sign_model(signer, models / first)
    running = riskd.start(MODEL_KEYS=str(signer.trust(riskd.data_dir.parent / "keys" / "team.pub")))
    assert judged_by(running) == first
    promote(models, second, None, now=NOW, by="foe", reason="test", force=True)  # by one who sets no keys
    assert eventually(lambda: "not signed" in (model_part(running)["detail"] or ""))
    assert judged_by(running) == first
    sign_model(Signer(), models / second)
    assert eventually(lambda: "none of the trusted keys" in (model_part(running)["detail"] or ""))
    assert judged_by(running) == first
    sign_model(signer, models / second)
    assert eventually(lambda: judged_by(running) == second)
    assert model_part(running)["state"] == "ok"


def test_a_service_does_not_start_with_an_unsigned_model_that_it_needs(riskd: Riskd, signer: Signer) -> None:
    """Where the policy wants a model, one that nobody vouches for is as good as none."""
    put(riskd.data_dir / "models", 1)
    riskd.policy.write_text(riskd.policy.read_text().replace("missing: rules_only", "missing: refuse"))
    process = riskd.launch(MODEL_KEYS=str(signer.trust(riskd.data_dir.parent / "keys" / "team.pub")))
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "not signed" in said
