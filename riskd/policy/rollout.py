"""How a policy is tried before it is trusted: beside the one in use, by a part of the subjects, and with a way back.

    shadow: {policy: candidate.yaml}             # judged on every request, obeyed on none
    rollout: {policy: candidate.yaml, percent: 10}
    breaker: {share: 20, window: 10m}

A candidate is a whole policy file. What it says of judging holds; what says how an attempt is looked up and kept,
`SHARED`, must be as in the policy in use, since both judge the same facts. Its own `shadow` and `rollout` say nothing.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final

from msgspec.structs import replace
from pydantic import Field

from riskd.contract import Text
from riskd.facts import Facts
from riskd.features.velocity import Counted
from riskd.policy.section import Duration, Percent, Section

if TYPE_CHECKING:
    from riskd.policy.policy import Policy
    from riskd.policy.schema import PolicyFile

SHARED: Final = ("lists", "record", "learning", "anomaly", "deadlines")
"""Sections that a candidate must have as the policy in use has them."""


class Shadow(Section):
    """A policy, a model or both that are judged beside what is obeyed: recorded and counted, never obeyed."""

    policy: Text | None = None
    """File of the candidate, relative to this one; unset: the policy that is obeyed."""
    model: Annotated[str, Field(pattern=r"^[0-9]{8}-[0-9a-f]{8}$")] | None = None
    """Version among the models; unset: the model that is obeyed."""


class Rollout(Section):
    """A policy by which a part of the subjects is judged already; each decision names the revision."""

    policy: Text
    """File of the candidate, relative to this one. The name also draws the lots: another name, other subjects."""
    percent: Percent
    """Share of the subjects, 0 to 100. A higher one adds subjects and drops none. Who is anonymous is counted by the
    device, else by the address; an attempt with neither is judged by this policy."""


class BreakerRules(Section):
    """When a signal of your own loses the power to deny, so that a mistake in it cannot lock everybody out.

    What is counted is distinct established subjects: known for a while, and here from a device or an address that was
    theirs before. An attacker's attempts are none of these, however many there are.
    """

    share: Annotated[float, Field(gt=0, le=100)] = 20
    """Percent of the established subjects that its hits, and by the fail mode its failures, may step up or deny; from
    there on it steps up at most."""
    subjects: Annotated[int, Field(ge=1, le=250)] = 50
    """Least number of established subjects within the window, per worker, before a share says anything."""
    window: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=10)
    """How far back is counted, and how long a signal stays so once the share is below again."""
    known_for: Duration = timedelta(days=1)
    """How long ago a subject's first confirmed success must be."""


def candidate_files(file: "PolicyFile") -> tuple[str, ...]:
    """Return the files of the candidates as the policy names them."""
    named = (file.shadow and file.shadow.policy, file.rollout and file.rollout.policy)
    return tuple(dict.fromkeys(name for name in named if name))


def unlike(candidate: "PolicyFile", file: "PolicyFile") -> tuple[str, ...]:
    """Return the sections of `SHARED` in which a candidate differs from the policy in use."""
    return tuple(name for name in SHARED if getattr(candidate, name) != getattr(file, name))


def told_to(policy: "Policy", judged_by: "Policy", facts: Facts) -> Facts:
    """Return facts as another policy gets them: a signal that it declares otherwise has not tripped there."""
    if not facts.tripped or policy is judged_by:
        return facts
    return replace(facts, tripped=still_tripped(facts.tripped, policy.breakable, judged_by.breakable))


def still_tripped(tripped: tuple[str, ...], declared: Mapping[str, str], then: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tripped signals that are declared as they were then."""
    return tuple(code for code in tripped if code in declared and declared[code] == then.get(code))


@lru_cache(maxsize=1024)
def counted_together(counted: tuple[Counted | None, ...]) -> Counted | None:
    """Return what several policies count of one attempt, each velocity once; known again by identity."""
    found = {velocity.key: velocity for part in counted if part is not None for velocity in part.velocities}
    return Counted(tuple(found.values())) if found else None


__all__ = [
    "SHARED",
    "BreakerRules",
    "Rollout",
    "Shadow",
    "candidate_files",
    "counted_together",
    "still_tripped",
    "told_to",
    "unlike",
]
