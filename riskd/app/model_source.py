"""Where the model comes from: the models folder and, where only signed models are used, what vouches for each.

Keys of their own (RISKD_MODEL_KEYS), not those of the policy: who trains models is seldom who may change the policy,
and setting the one must not take a running service's model away. Both may name the same file.

There is no lowest version as policies have one: going back to a former model is what `riskd models rollback` is for, so
whoever may write the folder may put back any model that was ever signed. To end a model for good, take its key away.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from riskd.anomaly.artifact import CURRENT_FILE, MANIFEST_FILE, MODEL_FILE
from riskd.anomaly.load import Vouch, current_version, load_model
from riskd.anomaly.model import Model
from riskd.app.source import key_files, read_keys
from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES
from riskd.settings import Settings

if TYPE_CHECKING:
    from riskd.app.model_signature import ModelStatement

SIGNATURE_FILE: Final = MANIFEST_FILE + ".sig"


class ModelSource:
    """The models of one riskd."""

    def __init__(self, models: Path, keys: Path | None) -> None:
        """`keys` is a file or folder of public keys; None takes any sound model."""
        self.models = models
        self._keys = keys

    @classmethod
    def of(cls, settings: Settings) -> "ModelSource":
        """Return the models that the settings name."""
        return cls(settings.models_dir, settings.model_keys)

    def files(self) -> tuple[Path, ...]:
        """Return the files that decide which model is current, and whom to believe."""
        return (self.models / CURRENT_FILE, *self._trusted())

    def files_of(self, version: str) -> tuple[Path, ...]:
        """Return the files that decide what one version is."""
        names = (MANIFEST_FILE, MODEL_FILE) if self._keys is None else (MANIFEST_FILE, MODEL_FILE, SIGNATURE_FILE)
        return (*(self.models / version / name for name in names), *self._trusted())

    def current(self) -> str:
        """Return the version that CURRENT names; raises ModelError."""
        return current_version(self.models)

    def load(self, version: str | None = None, seen: Vouch | None = None) -> Model:
        """Load a version, or the current one; raises ModelError, ConfigError for keys that cannot be read.

        Where no signature is needed, `seen` is told what was read.
        """
        return load_model(self.models, MODEL_FEATURES, version, self.vouch() or seen)

    def vouch(self) -> Vouch | None:
        """Return what asks for a trusted signature; None where none is needed. Raises ConfigError for keys."""
        if self._keys is None:
            return None
        trusted = read_keys(self._keys)

        def vouched(folder: Path, manifest: bytes, digest: str) -> "ModelStatement":
            from riskd.app.model_signature import verify  # noqa: PLC0415 - 7 MB that only signed models need

            return verify(read_signature(folder), folder.name, manifest, digest, trusted, str(folder))

        return vouched

    def _trusted(self) -> tuple[Path, ...]:
        return () if self._keys is None else (self._keys, *key_files(self._keys))


def read_signature(folder: Path) -> bytes:
    """Return the signature file of an artifact; raises ModelError when there is none."""
    from riskd.signed import read_beside  # noqa: PLC0415 - as above

    return read_beside(folder, folder / SIGNATURE_FILE, ModelError, f"riskd models sign {folder.name}")


__all__ = ["SIGNATURE_FILE", "ModelSource", "read_signature"]
