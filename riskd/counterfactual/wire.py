"""What is told of changes that would have turned a decision, as it goes over the wire."""

from riskd.contract import Decision, OutcomeWord, Wire


class FactChange(Wire):
    """One thing that might have been otherwise about an attempt."""

    code: str
    """Stable name of the change, e.g. `known_device`."""
    text: str
    """The change in words: it ends a sentence that begins with "allowed"."""
    value: float | str | None = None
    """How far it goes, where it may go more or less far: the largest amount, seconds later, level or hour."""


class Counterfactual(Wire):
    """Changes that would have turned the decision together, and none of them alone.

    For the caller and its analysts: shown to the subject, it would tell an attacker what to feign.
    """

    text: str
    """E.g. `allowed from a known device`."""
    decision: OutcomeWord
    """What the decision would have been."""
    score: float
    """What the score would have been."""
    changes: tuple[FactChange, ...]
    """One or two."""


class ExplainedDecision(Decision):
    """What the PEP gets that asks `?explain=full`."""

    counterfactuals: tuple[Counterfactual, ...] | None
    """The smallest changes that would have made the decision milder, five at most; do not show them to the subject.
    Empty for an allow, and when no single or double change of what was known would have. Null when the search failed,
    which the log tells."""
