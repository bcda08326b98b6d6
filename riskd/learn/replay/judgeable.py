"""What a record can answer under another policy or model, and what it cannot.

A record holds facts as they were looked up under the policy of its day, with addresses and free text as keyed hashes.
Most of a policy reads only what is there: weights, floors, thresholds, limits, actions, resources, assurance. What the
record lacks must never be judged as *unknown* in silence: `CHECKS` is the one table of reasons for which a record does
not count. What can be looked up anew from the record is, in `relook`.

History and counts are taken as they stood: a replay asks what one decision would have been, not what other habits
people would have learnt.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import replace

from riskd.contract import Outcome
from riskd.evaluation import Evaluation, Scorer
from riskd.facts import ActionFacts, Facts, SubjectFacts
from riskd.features import FEATURES, MODEL_FEATURES, schema_hash
from riskd.learn.replay.relook import LISTS, can_deny, feeds_of, same_deny_list, unanswered
from riskd.policy import Policy, Question
from riskd.policy.variables import ATTRIBUTE, VELOCITY
from riskd.record.files import EPOCH
from riskd.record.redact import Redaction
from riskd.record.schema import DecisionRecord
from riskd.signals import ANOMALY_SCORE, CATALOGUE, SIGNALS

_FEATURES = schema_hash(MODEL_FEATURES)
_MASKED = re.compile(r"[0-9a-f]{24}")
_LEAKED, _STORE = "leaked_credentials", "store"


class Asked(Struct, frozen=True):
    """What the checks look at."""

    record: DecisionRecord
    past: Policy | None
    """The policy the record was made under; None when it is not at hand, and then nothing is taken for granted."""
    policy: Policy
    model: Scorer | None
    evaluation: Evaluation


def why_not(
    record: DecisionRecord, past: Policy | None, policy: Policy, model: Scorer | None, evaluation: Evaluation
) -> str | None:
    """Return why a record cannot answer a policy and model, in a few fixed words; None when it can.

    `past` is the policy it was made under, where known; `evaluation` what came out of the facts it does hold.
    """
    asked = Asked(record, past, policy, model, evaluation)
    return next((why for check in CHECKS if (why := check(asked)) is not None), None)


@lru_cache(maxsize=64)
def _newly_spelt(past: Policy | None, policy: Policy) -> tuple[Callable[[Facts], str | tuple[str, ...] | None], ...]:
    """Texts of a caller that a policy compares with words of its own which were masked in records made before."""
    file = policy.file
    globs = [glob for rule in file.resources for glob in rule.match.endpoint]
    globs += [glob for declared in file.lists.named.values() if declared.of == "endpoint" for glob in declared.entries]
    endpoints = [part for glob in globs for part in glob.split("/")]
    compared: dict[str, list[str]] = {
        "action.name": [name for rules in file.actions.values() for name in rules.names],
        "action.resource_type": [word for rule in file.resources for word in rule.match.type],
        "action.method": [word for rule in file.resources for word in rule.match.method],
        "action.path": [part for part in endpoints if "*" not in part],  # a hash under `*` matches as the text would
        "subject.acr": [value for level in file.assurance.levels for acr in level.acr.values() for value in acr],
    }
    for declared in policy.custom:
        for slot in declared.signal.reads:
            if slot.partition(".")[0] in _SPOKEN:
                compared.setdefault(slot, []).extend(declared.expression.texts)
    words = () if past is None else past.words
    redaction = Redaction(lambda _text: "", attributes=policy.recorded_attributes, words=words)
    return tuple(_text_at(slot) for slot, said in compared.items() if any(_is_masked(redaction, slot, w) for w in said))


_SPOKEN = frozenset({"subject", "action", "network", "place", "device", "attributes"})
"""Groups of facts in which callers say what they like."""
_BLANK = Facts(time=EPOCH, subject=SubjectFacts(), action=ActionFacts(name=""))


def _text_at(slot: str) -> Callable[[Facts], str | tuple[str, ...] | None]:
    """Return what fetches a text, or several, from facts."""
    if not slot.startswith(ATTRIBUTE):
        return attrgetter(slot)
    name = slot.removeprefix(ATTRIBUTE)

    def text_of(facts: Facts) -> str | None:
        value = facts.attributes.get(name)
        return value if isinstance(value, str) else None

    return text_of


def _is_masked(redaction: Redaction, slot: str, word: str) -> bool:
    """Whether a word, said in this place of the facts, would not be recorded as it is."""
    group, _, field = slot.partition(".")
    if group == "attributes":
        facts = replace(_BLANK, attributes={field: word})
        return redaction.facts(facts).attributes.get(field) != word
    said = (word,) if field in {"amr", "enrolled_factors"} else word
    facts = replace(_BLANK, **{group: replace(getattr(_BLANK, group), **{field: said})})
    return bool(attrgetter(slot)(redaction.facts(facts)) != said)


def _other_features(asked: Asked) -> str | None:
    """The model reads features that the record's riskd did not have: what they read may be missing."""
    if asked.model is None or asked.record.feature_schema == _FEATURES:
        return None
    return f"recorded by a riskd with other features ({asked.record.feature_schema})"


def _other_catalogue(asked: Asked) -> str | None:
    """A signal that the record's riskd did not have, or that now reads more, finds nothing to read."""
    record, evaluation = asked.record, asked.evaluation
    if record.catalogue == CATALOGUE:
        return None
    told = {*record.unknown, *record.errors, *record.hits, *record.exempt}
    for question in evaluation.plan.questions:
        silent = question.code in evaluation.unknown and question.code not in told
        if silent and _matters(question) and _reads_facts(question):
            return f"recorded by a riskd without what {question.code} reads"
    return None


def _reads_facts(question: Question) -> bool:
    """Whether a built-in signal is unknown for want of a fact: what the model and its tables tell is their affair."""
    if question.code not in SIGNALS:
        return False
    told_by_model = {name for name, feature in FEATURES.items() if feature.needs_population} | {ANOMALY_SCORE}
    return told_by_model.isdisjoint(question.signal.reads)


def _other_deny_list(asked: Asked) -> str | None:
    """The deny list holds other addresses, and the record knows its own only as a hash."""
    facts = asked.record.facts
    if same_deny_list(asked.past, asked.policy) or LISTS in facts.down or can_deny(asked.policy, facts):
        return None
    return "lists.deny.networks may differ, and the address was not kept"


def _other_feeds(asked: Asked) -> str | None:
    """A feed was not looked up when the record was made."""
    facts = asked.record.facts
    feeds = feeds_of(asked.policy)
    if not feeds or facts.network.ip is None or LISTS in facts.down:
        return None
    then = asked.record.sources.keys() if asked.past is None else feeds_of(asked.past)
    missing = feeds - then
    return f"feed {min(missing)} was not looked up then" if missing else None


def _other_named_lists(asked: Asked) -> str | None:
    """A named list may hold other entries, and the record does not know what it is of, or the store holds it."""
    facts = asked.record.facts
    if not asked.policy.file.lists.named or LISTS in facts.down:
        return None
    name = next(unanswered(asked.past, asked.policy, facts), None)
    return None if name is None else f"list {name} may differ, and the record cannot be asked"


def _other_leaks(asked: Asked) -> str | None:
    """Another set of leaked passwords, while the record holds only what the former one said."""
    hashes = asked.policy.file.lists.leaked_credentials
    if asked.past is not None and asked.past.file.lists.leaked_credentials == hashes:
        return None
    leaked = asked.record.facts.subject.leaked_credential
    if hashes is None and (leaked is None or asked.past is None):  # the caller's own word, as far as anybody knows
        return None
    return None if _LEAKED in asked.record.facts.down else "lists.leaked_credentials may differ, and no hash was kept"


def _other_words(asked: Asked) -> str | None:
    """A name that only this policy spells was kept as a hash, so nothing tells whether the attempt bore it."""
    for text_of in _newly_spelt(asked.past, asked.policy):
        text = text_of(asked.record.facts)
        parts = text.split("/") if isinstance(text, str) else text or ()
        if any(_MASKED.fullmatch(part) for part in parts):
            return "a word that the policy may spell was kept as a hash"
    return None


def _kept_otherwise(asked: Asked) -> str | None:
    """A signal reads the address or the device's id, which the record keeps in another form than the policy would."""
    for slot, field in (("network.ip", "ip"), ("device.id", "device_id")):
        keep = getattr(asked.policy.file.record.keep, field)
        if asked.past is not None and getattr(asked.past.file.record.keep, field) == keep:
            continue
        if attrgetter(slot)(asked.record.facts) is None:
            continue
        for question in asked.evaluation.plan.questions:
            if question.code not in SIGNALS and slot in question.signal.reads and _matters(question):
                return f"{slot} may have been kept otherwise then"
    return None


def _other_attributes(asked: Asked) -> str | None:
    """A signal reads an attribute that was not recorded, whether or not it was sent."""
    if not asked.policy.file.attributes:
        return None
    kept = frozenset[str]() if asked.past is None else asked.past.recorded_attributes
    for question in asked.evaluation.plan.questions:
        if question.code in asked.evaluation.unknown and _matters(question):
            read = {name.removeprefix(ATTRIBUTE) for name in question.signal.reads if name.startswith(ATTRIBUTE)}
            if missing := read - kept - asked.record.facts.attributes.keys():
                return f"attribute {min(missing)} was not recorded then"
    return None


def _other_velocities(asked: Asked) -> str | None:
    """A signal reads a velocity that was not counted, or was defined otherwise: no record tells what it would be."""
    if not asked.policy.velocities or _STORE in asked.record.facts.down:
        return None
    then = asked.record.facts.velocities
    for question in asked.evaluation.plan.questions:
        if question.code in asked.evaluation.unknown and _matters(question):
            read = [name.removeprefix(VELOCITY) for name in question.signal.reads if name.startswith(VELOCITY)]
            if missing := [name for name in read if asked.policy.velocities[name].key not in then]:
                return f"velocity {min(missing)} was not counted then"
    return None


def _matters(question: Question) -> bool:
    return question.weight > 0 or question.floor > Outcome.ALLOW


Check = Callable[[Asked], str | None]
CHECKS: tuple[Check, ...] = (
    _other_features,
    _other_catalogue,
    _other_deny_list,
    _other_feeds,
    _other_named_lists,
    _other_leaks,
    _other_words,
    _kept_otherwise,
    _other_attributes,
    _other_velocities,
)
"""All that can keep a record from answering. Whatever a policy may newly read of an attempt (a list, a velocity, an
attribute) needs its line here, unless every record holds it."""


__all__ = ["CHECKS", "Asked", "Check", "why_not"]
