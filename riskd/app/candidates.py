"""Loads what a policy names to be tried beside it: policies for rollout and shadow, and a model for shadow.

A candidate that is wrong is told of, and not tried; the policy in use does not need it. Where only signed policies are
used, a candidate needs a signature of its own for what it is tried as, and its versions rise apart from those of the
policy in use; where only signed models are, one in shadow needs its signature, too.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from riskd.app.model_source import ModelSource
from riskd.app.source import PolicySource
from riskd.errors import ConfigError
from riskd.policy import Policy
from riskd.policy.rollout import unlike
from riskd.policy.velocities import MAX_VELOCITIES
from riskd.settings import Settings
from riskd.trial import Candidates

if TYPE_CHECKING:
    from riskd.policy.signature import Role

NONE: Final = Candidates()


class CandidateFiles:
    """Where candidates lie: policies relative to the policy that names them, models among the models."""

    def __init__(self, settings: Settings, policy: Path) -> None:
        self._settings = settings
        self._folder = policy.parent

    def files(self, policy: Policy) -> tuple[Path, ...]:
        """Return all files that decide what a policy's candidates are; empty when it names none."""
        own = [path for source in self._sources(policy).values() for path in source.files()]
        version = policy.file.shadow and policy.file.shadow.model
        if version:
            own += ModelSource.of(self._settings).files_of(version)
        return tuple(dict.fromkeys(own))

    def load(self, policy: Policy) -> Candidates:
        """Load the candidates of a policy; raises ConfigError when one is wrong, or does not go with the policy."""
        found: dict[str, Policy] = {}
        for role, source in self._sources(policy).items():
            vouched = source.load()
            if differing := unlike(vouched.policy.file, policy.file):
                raise ConfigError(
                    f"{source.path}: a candidate must have the same {', '.join(differing)} as the policy in use, "
                    "since both judge the same facts"
                )
            source.remember(vouched)
            found[role] = vouched.policy
        counted = {velocity.key for one in (policy, *found.values()) for velocity in one.velocities.values()}
        if len(counted) > MAX_VELOCITIES:
            raise ConfigError(
                f"{len(counted)} velocities are declared by the policy and its candidates together; one round trip "
                f"counts at most {MAX_VELOCITIES}: declare fewer, or the same ones"
            )
        version = policy.file.shadow and policy.file.shadow.model
        model = ModelSource.of(self._settings).load(version) if version else None
        return Candidates(found.get("rollout"), found.get("shadow"), model)

    def _sources(self, policy: Policy) -> dict["Role", PolicySource]:
        file, where = policy.file, self._settings
        named: dict[Role, str | None] = {
            "rollout": file.rollout.policy if file.rollout else None,
            "shadow": file.shadow.policy if file.shadow else None,
        }
        return {
            role: PolicySource(self._folder / name, where.policy_keys, where.data_dir, role)
            for role, name in named.items()
            if name
        }


__all__ = ["NONE", "CandidateFiles"]
