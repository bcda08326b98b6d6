"""What a model is on disk: `models/<version>/{model.onnx, manifest.json}`, and `models/CURRENT` naming the version.

The manifest says all that a reader needs to trust, judge and repeat the model. It is decoded strictly: an unknown or
missing key, a wrong type or a table that contradicts itself is a `ModelError`.
"""

import hashlib
import math
import re
from datetime import datetime
from itertools import pairwise

import msgspec
from msgspec import Struct

from riskd.errors import ModelError
from riskd.features.population import HOURS, Population

FORMAT = 1
"""Version of this layout; a reader refuses any other."""
VERSION_PATTERN = re.compile(r"^[0-9]{8}-[0-9a-f]{8}$")
"""A version is `YYYYMMDD-<first 8 hex digits of model.onnx's SHA-256>`, so it is a safe folder name."""
MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
CURRENT_FILE = "CURRENT"
MAX_MODEL_BYTES = 16 * 1024 * 1024
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
LEAST_TAIL = 1e-4
"""Tail probabilities below this are not told apart: no log of honest attempts is long enough to know them."""


class Calibration(Struct, frozen=True, forbid_unknown_fields=True):
    """Turns the forest's raw score into a tail probability, by points joined linearly in ln(tail)."""

    raw: tuple[float, ...]
    """Raw scores (Liu et al. 2008, 0..1, higher is odder), strictly ascending, at least two."""
    tail: tuple[float, ...]
    """Share of honest attempts at least this odd, strictly descending from at most 1 to `LEAST_TAIL`."""


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All about one model."""

    format: int
    version: str
    created: datetime
    features: tuple[str, ...]
    """Names of the vector's entries, in order."""
    feature_schema: str
    """Hash over the names; must equal that of the running riskd."""
    versions: dict[str, str]
    """Versions of what made the artifact: python, scikit-learn, onnx, numpy, riskd."""
    trained_from: datetime
    trained_until: datetime
    """Times of the first and the last attempt in the training window; the later slice of it calibrates."""
    rows: int
    """Honest rows the forest was fitted on."""
    seed: int
    trees: int
    metrics: dict[str, float]
    source: str
    """The log the model was trained from, in words."""
    sha256: str
    """Of model.onnx, hex."""
    background: tuple[float | None, ...]
    """The median honest vector: what an explanation compares with."""
    calibration: Calibration
    population: Population


_DECODER = msgspec.json.Decoder(Manifest, strict=True)
_ENCODER = msgspec.json.Encoder(order="deterministic")


def digest_of(model: bytes) -> str:
    """SHA-256 of model.onnx, hex."""
    return hashlib.sha256(model).hexdigest()


def decode_manifest(raw: bytes, source: str) -> Manifest:
    """Decode and check a manifest; raises ModelError with one line that names `source`."""
    try:
        manifest = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{source}: not a model manifest: {error}") from error
    for fault in _faults(manifest):
        raise ModelError(f"{source}: {fault}")
    return manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """Encode as indented JSON; raises ModelError where `decode_manifest` would refuse the result."""
    raw = msgspec.json.format(_ENCODER.encode(manifest), indent=1)
    decode_manifest(raw, MANIFEST_FILE)
    return raw


def _faults(manifest: Manifest) -> list[str]:
    """Return what the types alone cannot say, most telling first."""
    raw, tail = manifest.calibration.raw, manifest.calibration.tail
    numbers = (*raw, *tail, *(value for value in manifest.background if value is not None))
    checks = (
        (manifest.format == FORMAT, f"format {manifest.format} is not {FORMAT}, the one this riskd reads"),
        (VERSION_PATTERN.match(manifest.version) is not None, f"version {manifest.version!r} is not YYYYMMDD-<8 hex>"),
        (len(set(manifest.features)) == len(manifest.features) > 0, "features must be distinct and at least one"),
        (len(manifest.background) == len(manifest.features), "background has another length than features"),
        (all(map(math.isfinite, numbers)), "calibration and background must be finite"),
        (len(raw) == len(tail) and len(raw) > 1, "calibration needs two points or more, raw and tail alike"),
        (all(a < b for a, b in pairwise(raw)), "calibration.raw must ascend strictly"),
        (all(a > b for a, b in pairwise(tail)), "calibration.tail must descend strictly"),
        (
            len(manifest.population.hour) == HOURS and min(manifest.population.hour) > 0,
            "population.hour: 24 shares above 0",
        ),
        (bool(tail) and tail[0] <= 1.0 and tail[-1] >= LEAST_TAIL * 0.999, "calibration.tail must lie in 1e-4..1"),
    )
    return [message for holds, message in checks if not holds]
