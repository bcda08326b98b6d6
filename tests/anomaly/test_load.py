"""Loading: everything missing, damaged, foreign or unsafe is refused with one clear line (fault case 8)."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from riskd.anomaly.artifact import CURRENT_FILE, MANIFEST_FILE, MODEL_FILE, Manifest, decode_manifest, digest_of
from riskd.anomaly.load import current_version, load_manifest, load_model, versions
from riskd.anomaly.operators import check_operators
from riskd.errors import ModelError
from tests.faults.artifacts import lay_out

FEATURES = tuple(f"feature_{index}" for index in range(6))


def _refused(models: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(models, FEATURES)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_sound_model_loads(models: Path, manifest: Manifest) -> None:
    """The current version loads, says its version and carries the population tables."""
    model = load_model(models, FEATURES)
    assert model.version == manifest.version == current_version(models)
    assert model.population.country.total == 2
    assert versions(models) == (manifest.version,)
    assert load_manifest(models, manifest.version) == manifest


def test_fault_8_missing(models: Path, manifest: Manifest) -> None:
    """Each missing file is named."""
    (models / manifest.version / MODEL_FILE).unlink()
    assert "model.onnx: No such file" in _refused(models)
    (models / manifest.version / MANIFEST_FILE).unlink()
    assert "manifest.json: No such file" in _refused(models)
    (models / CURRENT_FILE).unlink()
    assert "CURRENT: No such file" in _refused(models)
    assert versions(models / "nowhere") == ()


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_fault_8_truncated(models: Path, manifest: Manifest, keep: int) -> None:
    """A model or manifest that is cut off anywhere is refused."""
    path = models / manifest.version / MODEL_FILE
    path.write_bytes(path.read_bytes()[:keep])
    assert "SHA-256" in _refused(models) or keep == 0
    path = models / manifest.version / MANIFEST_FILE
    path.write_bytes(path.read_bytes().rstrip()[:keep])
    assert "manifest.json" in _refused(models)


def test_fault_8_wrong_digest(models: Path, manifest: Manifest) -> None:
    """One changed byte is enough."""
    path = models / manifest.version / MODEL_FILE
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert "is not the manifest's" in _refused(models)


def test_fault_8_wrong_features(models: Path) -> None:
    """A model made for another feature schema is refused, reordered and renamed features among it."""
    for features in (FEATURES[::-1], FEATURES[:-1], (*FEATURES[:-1], "other")):
        with pytest.raises(ModelError, match="train a new model"):
            load_model(models, features)


def test_fault_8_a_pickle_is_never_executed(models: Path, manifest: Manifest, tmp_path: Path) -> None:
    """A malicious pickle in place of the model, its digest in the manifest, is refused without running."""
    target = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (target,)

    raw = pickle.dumps(Malicious())
    lay_out(models, raw, msgspec.structs.replace(manifest, sha256=digest_of(raw)))
    assert "not an ONNX file" in _refused(models)
    assert not target.exists()


def test_fault_8_too_large(models: Path, manifest: Manifest) -> None:
    """A file above the limit is refused before it is hashed."""
    with (models / manifest.version / MODEL_FILE).open("r+b") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    assert "larger than" in _refused(models)


@pytest.mark.parametrize("text", ["", "../../etc", "20260101-XYZ", "20260101-deadbeef\n../x", "\xff"])
def test_current_names_a_version_and_no_path(models: Path, text: str) -> None:
    """CURRENT cannot lead out of the models folder."""
    (models / CURRENT_FILE).write_bytes(text.encode("latin-1"))
    assert "CURRENT" in _refused(models)
    with pytest.raises(ModelError, match="no model version"):
        load_manifest(models, "../..")


def test_a_manifest_of_another_version_is_refused(models: Path, manifest: Manifest) -> None:
    """A folder that was renamed does not pass for another version."""
    (models / manifest.version).rename(models / "20991231-00000000")
    (models / CURRENT_FILE).write_text("20991231-00000000")
    assert "describes version" in _refused(models)


def _edited(manifest: Manifest, **changes: object) -> bytes:
    document = msgspec.to_builtins(manifest)
    document.update(changes)
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"format": True}, "Expected `int`"),
        ({"rows": "5000"}, "Expected `int`"),
        ({"version": "../../x"}, "version"),
        ({"surprise": 1}, "unknown field"),
        ({"sha256": ...}, "missing required field"),
        ({"background": [1.0]}, "another length"),
        ({"features": ["a"] * 6}, "distinct"),
        ({"calibration": {"raw": [0.4, 0.3], "tail": [1.0, 0.1]}}, "ascend"),
        ({"calibration": {"raw": [0.3, 0.4], "tail": [0.1, 1.0]}}, "descend"),
        ({"calibration": {"raw": [0.3, 0.4], "tail": [1.0, 1e-9]}}, "1e-4"),
        ({"calibration": {"raw": [0.3], "tail": [1.0]}}, "two points"),
        ({"calibration": {"raw": [], "tail": []}}, "two points"),
        ({"population": {"hour": [1.0]}}, "24 shares"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    manifest: Manifest, changes: dict[str, object], message: str
) -> None:
    """Unknown and missing keys, wrong types and impossible tables are each named."""
    with pytest.raises(ModelError, match=message):
        decode_manifest(_edited(manifest, **changes), "manifest.json")


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"NaN", b"[" * 100_000, b'{"format": 1e999}'])
def test_a_manifest_of_garbage_is_refused(raw: bytes) -> None:
    """Whatever the bytes, the answer is a ModelError."""
    with pytest.raises(ModelError, match="not a model manifest"):
        decode_manifest(raw, "manifest.json")


def _graph(*nodes: onnx.NodeProto, tensors: tuple[onnx.TensorProto, ...] = ()) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes),
        "g",
        [value("x", TensorProto.FLOAT, [None, 6])],
        [value("y", TensorProto.FLOAT, [None, 1])],
        list(tensors),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_external_data_is_refused() -> None:
    """A tensor that points at a file beside the model never reaches the runtime, which would read it."""
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model = _graph(helper.make_node("Mul", ["x", "w"], ["y"]), tensors=(tensor,))
    with pytest.raises(ModelError, match="is not allowed"):
        check_operators(model.SerializeToString(), "model.onnx")


def test_other_operators_are_refused() -> None:
    """Operators off the list, a listed name in another domain, and none at all are refused."""
    for node in (
        helper.make_node("Sigmoid", ["x"], ["y"]),
        helper.make_node("PyOp", ["x"], ["y"], domain="ai.onnx.contrib"),
        helper.make_node("Mul", ["x", "x"], ["y"], domain="evil"),
    ):
        with pytest.raises(ModelError, match="operator"):
            check_operators(_graph(node).SerializeToString(), "model.onnx")
    with pytest.raises(ModelError, match="0 operators"):
        check_operators(_graph().SerializeToString(), "model.onnx")


def test_subgraphs_and_functions_are_refused() -> None:
    """An operator cannot hide in a branch of another or in a function of the model."""
    branch = helper.make_graph([helper.make_node("Exp", ["x"], ["y"])], "b", [], [])
    model = _graph(helper.make_node("Mul", ["x", "x"], ["y"], hidden=branch))
    with pytest.raises(ModelError, match="is not allowed"):
        check_operators(model.SerializeToString(), "model.onnx")
    model = _graph(helper.make_node("Exp", ["x"], ["y"]))
    body = [helper.make_node("Sigmoid", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "Exp", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    with pytest.raises(ModelError, match="field 25"):
        check_operators(model.SerializeToString(), "model.onnx")


@pytest.mark.parametrize(
    "raw", [b"\x00", b"\xff" * 20, b"\x3a\xff\x01", b"\x3a", b"\x0b", b"\x38\x01", b"\x08" + b"\x80" * 11]
)
def test_garbage_is_no_model(raw: bytes) -> None:
    """The walk answers any bytes with a ModelError."""
    with pytest.raises(ModelError):
        check_operators(raw, "model.onnx")


def test_a_model_of_another_width_is_refused(models: Path, manifest: Manifest) -> None:
    """A sound ONNX file that does not take the manifest's features is refused at load, not at the first request."""
    raw = _graph(helper.make_node("Exp", ["x"], ["y"])).SerializeToString()
    lay_out(models, raw, msgspec.structs.replace(manifest, sha256=digest_of(raw)))
    assert "model.onnx" in _refused(models)


def test_serving_imports_no_trainer() -> None:
    """Loading a model pulls in neither scikit-learn nor onnx nor pickle's users among ours."""
    code = "import sys, riskd.anomaly.load; print([m for m in ('sklearn', 'onnx', 'riskd.learn') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
