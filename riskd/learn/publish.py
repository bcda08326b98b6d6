"""Puts a finished model where serving finds it, whole or not at all, and writes the model card from the manifests.

The first model of a folder is current at once, for there is nothing to compare it with. Every later one is a candidate:
it lies beside the others and nobody is judged by it until `riskd models promote` lets it through its gates.
"""

import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from riskd.anomaly.artifact import CURRENT_FILE, MANIFEST_FILE, MODEL_FILE, Manifest, encode_manifest
from riskd.anomaly.load import load_manifest, load_model
from riskd.private_file import replace_whole

CARD_FILE = "README.md"
UNNAMED = "00010101-00000000"
"""Version of a manifest that is not named yet."""


def publish(models: Path, raw: bytes, manifest: Manifest) -> Path:
    """Write `models/<version>/` and check that it loads; return the folder. The first one of `models` becomes current.

    The folder appears under its name only when it is complete, and is never replaced. Raises ModelError when serving
    would refuse it, ConfigError where CURRENT cannot be written.
    """
    models.mkdir(parents=True, exist_ok=True)
    folder = models / manifest.version
    with tempfile.TemporaryDirectory(dir=models, prefix=".new-") as temporary:
        made = Path(temporary) / manifest.version
        made.mkdir()
        (made / MODEL_FILE).write_bytes(raw)
        (made / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
        load_model(Path(temporary), manifest.features, manifest.version)
        if not folder.exists():  # else the same model is there already: it may be current, and signed
            made.rename(folder)
    if not (models / CURRENT_FILE).exists():
        make_current(models, manifest.version)
    return folder


def named(manifest: Manifest) -> Manifest:
    """Return the manifest with its version: the day it was made, and a digest of all that decides how it judges."""
    aside = {
        "version": UNNAMED,
        "created": datetime.min.replace(tzinfo=UTC),
        "source": "",
        "metrics": {},
        "training": None,
    }
    said = encode_manifest(replace(manifest, **aside))
    return replace(manifest, version=f"{manifest.created.astimezone(UTC):%Y%m%d}-{sha256(said).hexdigest()[:8]}")


def make_current(models: Path, version: str) -> None:
    """Let CURRENT name this version, and the card describe it; raises ModelError where it cannot be read."""
    manifest = load_manifest(models, version)
    for name, text in ((CARD_FILE, card(manifest)), (CURRENT_FILE, version + "\n")):
        replace_whole(models / name, text.encode(), "cannot be written", mode=0o644)


def card(manifest: Manifest) -> str:
    """Return the model card, Markdown."""
    population = manifest.population
    metrics = "\n".join(
        f"| {name.replace('_', ' ')} | {value:.6g} |" for name, value in sorted(manifest.metrics.items())
    )
    versions = ", ".join(f"{name} {number}" for name, number in sorted(manifest.versions.items()))
    return f"""# Model {manifest.version}

An isolation forest (Liu, Ting and Zhou, ICDM 2008) over {len(manifest.features)} features of an attempt, as one ONNX
tree operator. Its score is calibrated: 0.99 means that one honest attempt in a hundred is at least this odd. It knows
no label, and finds what is unlike honest attempts, not what is fraud.

**Trained from:** {manifest.source}

| | |
|---|---|
| attempts from | {manifest.trained_from:%Y-%m-%d} to {manifest.trained_until:%Y-%m-%d} |
| rows fitted | {manifest.rows:,} |
| trees | {manifest.trees} |
| seed | {manifest.seed} |
| feature schema | `{manifest.feature_schema}` |
| SHA-256 of model.onnx | `{manifest.sha256}` |
| made with | {versions} |
{metrics}

Beside the forest lie the population tables behind rarity: {len(population.country.counts)} countries,
{len(population.network.counts)} networks, {len(population.family.counts)} client families.

## Use and limits
- The population it learnt from decides what is odd. Train on your own log as soon as you have some thousand confirmed
  attempts: `riskd train`.
- Rows are trusted attempts only: confirmed, or allowed and never contradicted. What an attacker got through and nobody
  reported is among them.
- It is one statistical signal among many; the policy bounds its weight. Without a model riskd decides by its declared
  signals alone.

## Features
{", ".join(f"`{name}`" for name in manifest.features)}
"""
