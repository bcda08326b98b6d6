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
from riskd.features.declared import AmountInput, AttributeInput, DeclaredInput, HourInput, VelocityInput
from riskd.features.population import HOURS, Population

FORMAT = 1
"""Version of this layout; a reader refuses any other."""
VERSION_PATTERN = re.compile(r"^[0-9]{8}-[0-9a-f]{8}$")
"""A version is `YYYYMMDD-<first 8 hex digits of model.onnx's SHA-256>`, so it is a safe folder name."""
MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
CURRENT_FILE = "CURRENT"
MAX_DECLARED = 2 + 32 + 64
"""Amount and hour, and as many velocities and attributes as a policy declares."""
MAX_MODEL_BYTES = 16 * 1024 * 1024
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
LIKELIHOOD = "rarity_log_ratio"
"""The feature that the likelihood core answers with."""
LEAST_TAIL = 1e-4
"""Tail probabilities below this are not told apart: no log of honest attempts is long enough to know them."""


class Calibration(Struct, frozen=True, forbid_unknown_fields=True):
    """Turns the forest's raw score into a tail probability, by points joined linearly in ln(tail)."""

    raw: tuple[float, ...]
    """Raw scores (Liu et al. 2008, 0..1, higher is odder), strictly ascending, at least two."""
    tail: tuple[float, ...]
    """Share of honest attempts at least this odd, strictly descending from at most 1 to `LEAST_TAIL`."""


class Joined(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the forest, the likelihood core and the supervised head become one score.

    Each says how odd an attempt is as a tail probability; the smallest counts, and is calibrated once more, since the
    smallest of three is small more often than each.
    """

    likelihood: Calibration | None = None
    """Of the feature `rarity_log_ratio`, nats; None where the population's tables say nothing of real traffic."""
    head: Calibration | None = None
    """Of the head's margin, log odds of an attack; None where there were too few labels for a head."""
    widened: float = 1.0
    """Beside a head the tails of forest and likelihood core count this many times as large, 1 or more: where labels
    tell more than oddness, oddness alarms more seldom."""
    smallest: Calibration
    """Of -log10 of the smallest tail."""


class Head(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the supervised head was fitted on."""

    honest: int
    attacks: int


class ReadFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file that a model was trained from."""

    name: str
    records: int
    sha256: str
    """Over its lines, hex: the same for a file, its compressed form and its Parquet."""


class Training(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model was trained from, and how: enough to do it again and get the same bytes."""

    options: dict[str, bool | int | float | str | None]
    """Of the training, by name; instants in ISO 8601."""
    files: tuple[ReadFile, ...]
    """In the order they were read; of very many only the first."""
    file_count: int
    sha256: str
    """Over the digests of all files, hex."""
    decisions: int
    outcomes: int
    refused: dict[str, int]
    """Lines that could not be read, by reason; `version` are records of another schema version."""
    left_out: dict[str, int]
    """Decisions that taught nothing, by reason."""
    attacks: int
    """Known attacks that the model was measured on."""
    fitted_until: datetime
    """The time split: earlier rows taught, later ones calibrated."""


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
    """Of the forest."""
    population: Population
    joined: Joined | None = None
    """None: the forest judges alone."""
    amount: AmountInput | None = None
    """What the head reads behind the features: amount and hour, where these are there, velocities, attributes."""
    hour: HourInput | None = None
    velocities: tuple[VelocityInput, ...] = ()
    attributes: tuple[AttributeInput, ...] = ()
    head: Head | None = None
    training: Training | None = None
    """None in artifacts of earlier releases."""

    @property
    def declared(self) -> tuple[DeclaredInput, ...]:
        """What the head reads behind the features, in order."""
        of_all = tuple(one for one in (self.amount, self.hour) if one is not None)
        return (*of_all, *self.velocities, *self.attributes)


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
    joined = manifest.joined
    curves = {"calibration": manifest.calibration}
    if joined is not None:
        more = {"likelihood": joined.likelihood, "head": joined.head, "smallest": joined.smallest}
        curves |= {f"joined.{name}": curve for name, curve in more.items() if curve is not None}
    checks = (
        (manifest.format == FORMAT, f"format {manifest.format} is not {FORMAT}, the one this riskd reads"),
        (VERSION_PATTERN.match(manifest.version) is not None, f"version {manifest.version!r} is not YYYYMMDD-<8 hex>"),
        (len(set(manifest.features)) == len(manifest.features) > 0, "features must be distinct and at least one"),
        (len(manifest.background) == len(manifest.features), "background has another length than features"),
        (
            all(map(math.isfinite, (value for value in manifest.background if value is not None))),
            "calibration and background must be finite",
        ),
        *(check for name, curve in curves.items() for check in _curve(name, curve)),
        (
            len(manifest.population.hour) == HOURS and min(manifest.population.hour) > 0,
            "population.hour: 24 shares above 0",
        ),
        (
            (manifest.head is None) == (joined is None or joined.head is None),
            "head and joined.head belong together: both or neither",
        ),
        (
            joined is None or joined.likelihood is None or LIKELIHOOD in manifest.features,
            f"joined.likelihood needs the feature {LIKELIHOOD}",
        ),
        (
            joined is None or (1 <= joined.widened < math.inf and (joined.widened == 1 or joined.head is not None)),
            "joined.widened must be 1 or more, and 1 without a head",
        ),
        (not manifest.declared or manifest.head is not None, "declared inputs need a head, which alone reads them"),
        (
            len({one.label for one in manifest.declared}) == len(manifest.declared) <= MAX_DECLARED,
            f"declared inputs must be distinct and at most {MAX_DECLARED}",
        ),
        (
            all(0 < unit < math.inf for usual in _usual(manifest) for unit in usual.values()),
            "usual amounts must be above 0 and finite",
        ),
        (
            all(map(math.isfinite, (odds for one in manifest.attributes for odds in (one.categories or {}).values()))),
            "attributes.categories must be finite",
        ),
    )
    return [message for holds, message in checks if not holds]


def _usual(manifest: Manifest) -> list[dict[str, float]]:
    of_money = (manifest.amount, *manifest.velocities)
    return [one.usual for one in of_money if one is not None and one.usual is not None]


def _curve(name: str, curve: Calibration) -> tuple[tuple[bool, str], ...]:
    raw, tail = curve.raw, curve.tail
    return (
        (all(map(math.isfinite, (*raw, *tail))), "calibration and background must be finite"),
        (len(raw) == len(tail) and len(raw) > 1, f"{name} needs two points or more, raw and tail alike"),
        (all(a < b for a, b in pairwise(raw)), f"{name}.raw must ascend strictly"),
        (all(a > b for a, b in pairwise(tail)), f"{name}.tail must descend strictly"),
        (bool(tail) and tail[0] <= 1.0 and tail[-1] >= LEAST_TAIL * 0.999, f"{name}.tail must lie in 1e-4..1"),
    )
