"""Reads a model from disk, trusting nothing: digest, schema, size and operators are checked before the runtime sees it.

Nothing is ever unpickled, and the runtime gets the very bytes that were verified.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from riskd.anomaly.artifact import (
    CURRENT_FILE,
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    MAX_MODEL_BYTES,
    MODEL_FILE,
    VERSION_PATTERN,
    Manifest,
    decode_manifest,
    digest_of,
)
from riskd.anomaly.model import Model
from riskd.anomaly.operators import check_operators
from riskd.errors import ModelError
from riskd.features.feature import schema_hash

Vouch = Callable[[Path, bytes, str], object]
"""Raises ModelError unless somebody trusted vouches for an artifact: told its folder, the very bytes of its manifest
and the digest of its model, once both are read and fit together."""
_WAY_OUT = "choose one of `riskd models list`: riskd models promote VERSION --force --reason …"


def current_version(models: Path) -> str:
    """Return the version that `models/CURRENT` names; raises ModelError where it is missing or names no version."""
    path = models / CURRENT_FILE
    try:
        text = _read(path, 64).decode("ascii", errors="replace").strip()
    except ModelError as error:
        raise ModelError(f"{error}; {_WAY_OUT}") from None
    if not VERSION_PATTERN.match(text):
        raise ModelError(f"{path}: {text!r} is no model version (YYYYMMDD-<8 hex digits>); {_WAY_OUT}")
    return text


def versions(models: Path) -> tuple[str, ...]:
    """Return the versions that lie in a models folder, oldest first; empty when there is no such folder."""
    if not models.is_dir():
        return ()
    return tuple(sorted(path.name for path in models.iterdir() if VERSION_PATTERN.match(path.name)))


def load_manifest(models: Path, version: str) -> Manifest:
    """Read and check the manifest of one version; raises ModelError."""
    return _manifest(models, version)[0]


def _manifest(models: Path, version: str) -> tuple[Manifest, bytes]:
    if not VERSION_PATTERN.match(version):
        raise ModelError(f"{version!r} is no model version (YYYYMMDD-<8 hex digits>)")
    path = models / version / MANIFEST_FILE
    raw = _read(path, MAX_MANIFEST_BYTES)
    manifest = decode_manifest(raw, str(path))
    if manifest.version != version:
        raise ModelError(f"{path}: describes version {manifest.version}, not {version}")
    return manifest, raw


def load_model(models: Path, features: Sequence[str], version: str | None = None, vouch: Vouch | None = None) -> Model:
    """Load a model for these features; `version` None means the one that CURRENT names.

    With `vouch`, what nobody trusted vouches for is not loaded. Raises ModelError, one line with file and fault, for
    anything missing, damaged, foreign, too large or unsafe.
    """
    version = current_version(models) if version is None else version
    manifest, manifest_bytes = _manifest(models, version)
    path = models / version / MODEL_FILE
    expected = schema_hash(features)
    if manifest.feature_schema != expected or manifest.features != tuple(features):
        raise ModelError(
            f"{path}: made for feature schema {manifest.feature_schema}, this riskd has {expected}: train a new model"
        )
    raw = _read(path, MAX_MODEL_BYTES)
    digest = digest_of(raw)
    if digest != manifest.sha256:
        raise ModelError(f"{path}: SHA-256 {digest[:12]}… is not the manifest's {manifest.sha256[:12]}…")
    if vouch is not None:
        vouch(models / version, manifest_bytes, digest)
    check_operators(raw, str(path))
    model = Model(manifest, _session(raw, path))
    _try_out(model, path)
    return model


def _session(raw: bytes, path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One row on one core: threads would only cost, and would fight the event loop.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # one row of 37 numbers needs no arena of megabytes
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exceptions share no base class but this one
        raise ModelError(f"{path}: the runtime refuses it: {str(error).splitlines()[0]}") from error


def _try_out(model: Model, path: Path) -> None:
    """Score the background and an all-unknown row, so that a model that cannot answer is refused now, not later."""
    rows = np.array([model.manifest.background, [None] * len(model.features)], dtype=np.float32)
    try:
        scores = model.scores(rows)
    except (ModelError, IndexError) as error:
        raise ModelError(f"{path}: fails on a plain row: {error}") from error
    if scores.shape != (2,):
        raise ModelError(f"{path}: gives {scores.shape} for two rows")


def _read(path: Path, limit: int) -> bytes:
    """Read a whole file; raises ModelError where it is missing, unreadable, empty or larger than `limit` bytes."""
    try:
        with os.fdopen(
            os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
        ) as file:  # no pipe is waited for
            raw = file.read(limit + 1)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    if not raw:
        raise ModelError(f"{path}: the file is empty")
    if len(raw) > limit:
        raise ModelError(f"{path}: larger than {limit:,} bytes")
    return raw
