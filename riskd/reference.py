"""The reference, written from the declarations: what signals, features, policy, wire, environment and metrics are.

`docs/reference.md` and `docs/policy.schema.json` are what the functions here return; a test keeps them equal. The prose
beside a field is the string literal below it, read from the source, so that serving need not carry it.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from riskd.contract import DecideRequest, Decision, Outcome, OutcomeReport
from riskd.counterfactual import ExplainedDecision, documented
from riskd.features import FEATURES
from riskd.metrics import Family, Metrics
from riskd.policy.cel import FUNCTIONS, MAX_STEPS
from riskd.policy.load import json_schema
from riskd.policy.schema import BOUND_KNOBS, PolicyFile, Rules, SignalTuning
from riskd.policy.variables import FACT_GROUPS, FEATURE, VARIABLES
from riskd.settings import Settings
from riskd.signals import ANOMALY_SCORE, SIGNALS, Signal

Schema = Mapping[str, Any]

DURATION: Schema = {"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h|d)$"}, {"type": "number"}]}
"""How a policy file writes a duration, as JSON Schema."""

HEAD = """\
# Reference

Written by `riskd reference` from the declarations in the code; a test keeps it equal to them. Do not edit it.

- [Signals](#signals): reason codes, weights, knobs, false alarms
- [Features](#features): what signals and the anomaly model read
- [Custom signals](#custom-signals): what expressions of your own may read
- [Velocities](#velocities): counts of your own, for these expressions or with a limit each
- [Policy](#policy): every key of `riskd.yaml`
- [Wire](#wire): what `/decide` and `/outcome` take and answer
- [Environment](#environment): where things are
- [Metrics](#metrics): what `/metrics` counts
"""


SIGNALS_ARE = """\
A signal hits, is clear or is unknown; a missing input makes it unknown, which never counts against anybody. A hit
brings its weight, or the share of it that its strength says. A floor is the least outcome that a hit forces. Weight,
floor and knobs are tuned under `signals` in the policy, for all actions, a class of actions or a resource.
"""
CUSTOM_IS = """\
`custom_signals` in the policy are signals of your own. `when` is a yes-or-no question in
[CEL](https://github.com/google/cel-spec/blob/master/doc/langdef.md) over the variables below:

```yaml
attributes:
  plan: text
custom_signals:
  - code: big_payout_new_device
    when: action.amount > 500.0 && features.device_known_days < 1.0 && attributes.plan == "free"
    weight: 0.4
    floor: step_up
    text: A large payout from a device known for less than a day.
    actions: [payment]
```

All numbers are doubles: write `500.0`, not `500`. Ages (`…_age_s`) are seconds before the attempt. Every feature is a
variable too (`features.travel_speed_kmh`, flags among them 1.0 or 0.0), and so is every attribute that the policy
declares under `attributes` (`attributes.plan`), and every velocity (`velocity.payouts_24h`). Texts are read as they are
recorded: a word that may be a secret, and that the policy nowhere spells, is a keyed hash.

A signal is unknown while anything it reads is unknown. It is in error, and the action's fail mode holds, when an
attribute is of another kind than declared or the expression fails. Functions: {functions}. A pattern for `matches` is
RE2's and must be written out. What an expression may cost is limited: {steps:,} steps, as if every loop ran to its end.
"""
VELOCITIES_ARE = """\
`velocities` in the policy are counts of your own: `count` attempts, `sum` amounts or a number among the attributes, or
count how many `distinct` things there are, per subject, address, network, device, recipient or attribute.

```yaml
velocities:
  - name: payouts_per_recipient_24h
    count: attempts
    per: recipient
    window: 24h
    actions: [payment]
    limit: 5
    weight: 0.5
  - {name: paid_1h, sum: amount, per: subject, window: 1h, actions: [payment]}
  - {name: cards_on_device_7d, distinct: attributes.card, per: device, window: 7d, limit: 3, floor: step_up}
custom_signals:
  - code: many_small_payouts
    when: velocity.payouts_per_recipient_24h > 2.0 && velocity.paid_1h < 50.0
    weight: 0.3
    text: Several small payouts to one recipient.
    actions: [payment]
```

The present attempt is counted. A `limit` makes a signal, `velocity_<name>`, that hits above it; expressions read
`velocity.<name>`. Counts and sums cover the window and a 60th of it more at most; amounts are summed in the attempt's
currency, and distinct counts stop at 256. An attempt that does not present what a velocity is per leaves it unknown;
one that only does not say what is counted is told the count so far. Attributes are kept as keyed hashes and need not be
declared or recorded.

A velocity is its name and its definition: with either changed, or newly added, it begins from zero, and a replay tells
of older records that they cannot answer. A 30-day count is whole 30 days after it was declared.
"""
POLICY_IS = """\
Keys of the policy file. `*` stands for a name of yours, `[]` for each item of a list. Durations are written `50ms`,
`30s`, `5m`, `12h` or `7d`. `signals.<code>` takes `weight`, `floor`, `enabled`, `shadow` and the
signal's knobs.

Classes of actions and resources take {rules} too. What they leave out they inherit: a resource from the action, the
action from the top; in `thresholds`, `requires` and `signals` each key on its own.
"""
CHANGES_ARE = """\
### What would have turned a decision

`?explain=full` and `riskd explain` judge the attempt again as if something had been otherwise, and tell which of these
changes would have made the decision milder, alone or else in pairs. What is told was judged so; what does not apply is
left out. Changed facts fit each other: the smaller amount counts in the day's sum, what happens later finds all aged.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    velocities = f"## Velocities\n\n{VELOCITIES_ARE}"
    parts = (HEAD, _signals(), _features(), _custom(), velocities, _policy(), _wire(), _environment(), _metrics())
    return "\n".join(part.rstrip() + "\n" for part in parts)


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of the policy file for editors: each key with its prose, durations as files write them."""
    return described(json_schema(), PolicyFile)


def described(schema: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON Schema with its prose and that of its sections, durations as files write them."""
    _describe(schema, model)
    for name, section in schema["$defs"].items():
        _describe(section, _section(name, model))
    schema["properties"] = _as_written(schema["properties"])
    schema["$defs"] = _as_written(schema["$defs"])
    return schema


def _section(name: str, model: type[BaseModel]) -> type[BaseModel]:
    """Class of a section by its name in the schema of a model beside it; every signal's tuning shares one."""
    found = getattr(sys.modules[model.__module__], name, SignalTuning)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else SignalTuning


def _describe(section: dict[str, Any], model: type[BaseModel]) -> None:
    prose = field_docs(model)
    for name, key in section["properties"].items():
        if name in prose:
            key.setdefault("description", prose[name])


def _as_written(schema: Any) -> Any:  # noqa: ANN401 - any part of a JSON Schema
    """Put the way that files write durations in place of ISO 8601; leave out titles and empty defaults."""
    if isinstance(schema, list):
        return [_as_written(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _as_written(value) for name, value in schema.items() if not _is_noise(name, value)}
    if kept.get("format") == "duration":
        described = {"description": kept["description"]} if "description" in kept else {}
        return {**described, **DURATION}
    return kept


def _is_noise(name: str, value: object) -> bool:
    """Tell titles, which repeat the key, and defaults that repeat a section or say nothing."""
    return (name == "title" and isinstance(value, str)) or (
        name == "default" and (not value or isinstance(value, dict))
    )


@cache
def field_docs(model: type) -> dict[str, str]:
    """Prose of a class's fields, inherited ones included: the string literal below each, on one line."""
    found: dict[str, str] = {}
    for part in reversed(model.__mro__):
        if part.__module__.startswith("riskd."):
            found |= _docs_in(part.__module__).get(part.__name__, {})
    return found


@cache
def _docs_in(module: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: dict(_docs_of(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docs_of(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            yield field.target.id, " ".join(ast.literal_eval(below.value).split())


def _signals() -> str:
    blocks = [
        "## Signals\n",
        SIGNALS_ARE,
    ]
    for family in dict.fromkeys(declared.family for declared in SIGNALS.values()):
        blocks.append(f"### {family.capitalize()}\n")
        blocks.extend(_signal(declared) for declared in SIGNALS.values() if declared.family == family)
    return "\n".join(blocks)


def _signal(declared: Signal) -> str:
    facts = [f"weight {declared.weight:g}"]
    if declared.floor is not Outcome.ALLOW:
        facts.append(f"floor {declared.floor.word}")
    if declared.statistical:
        facts.append("compared with the sum of the others, not added")
    if declared.dated_by is not None:
        facts.append("only evidence from after the hit answers it")
    bound = BOUND_KNOBS.get(declared.code, ())
    knobs = ", ".join(f"`{name}` {_plain(value)}" for name, value in declared.knobs.items() if name not in bound)
    return (
        f"**`{declared.code}`** ({'; '.join(facts)})  \n{declared.text} {declared.doc}  \n"
        f"Reads {', '.join(f'`{name}`' for name in declared.reads)}.{f' Knobs: {knobs}.' if knobs else ''}\n"
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "none"


def _features() -> str:
    rows = [
        (f"`{f.name}`", "number" if f.numeric else "text", "yes" if f.model else "", f.doc) for f in FEATURES.values()
    ]
    text = "Facts become these named values; what is not known is unknown, never zero.\n"
    return f"## Features\n\n{text}\n{_table(('feature', 'kind', 'model reads it', 'meaning'), rows)}"


def _custom() -> str:
    groups = ((name, field_docs(group)) for name, group in FACT_GROUPS.items())
    prose = {f"{name}.{field}": text for name, fields in groups for field, text in fields.items()}
    prose |= {
        "time.hour": "Hour of the attempt, UTC, 0 to 23.",
        "time.weekday": "Day of the week of the attempt, UTC, 1 (Monday) to 7.",
        ANOMALY_SCORE: "The model's score, 0 to 1; unknown without a model.",
    }
    rows = [
        (f"`{name}`", kind.value, prose.get(name, ""))
        for name, kind in VARIABLES.items()
        if not name.startswith(FEATURE)
    ]
    text = CUSTOM_IS.format(functions=", ".join(f"`{name}`" for name in FUNCTIONS), steps=MAX_STEPS)
    return f"## Custom signals\n\n{text}\n{_table(('variable', 'kind', 'meaning'), rows)}"


def _policy() -> str:
    schema = policy_schema()
    del schema["properties"]["signals"]
    for kind in ("ActionRules", "ResourceRules"):
        keys = schema["$defs"][kind]["properties"]
        schema["$defs"][kind]["properties"] = {name: keys[name] for name in keys if name not in Rules.model_fields}
    text = POLICY_IS.format(rules=", ".join(f"`{name}`" for name in Rules.model_fields))
    return f"## Policy\n\n{text}\n{_table(('key', 'value', 'default', 'meaning'), _keys(schema, schema))}"


def _wire() -> str:
    blocks = ["## Wire\n", "Types are strict and unknown fields are refused. A field that is left out is unknown.\n"]
    for title, model, mode in (
        ("`POST /decide` takes", DecideRequest, "validation"),
        ("`POST /decide` answers", Decision, "serialization"),
        ("`POST /decide?explain=full` answers besides", ExplainedDecision, "serialization"),
        ("`POST /outcome` takes", OutcomeReport, "validation"),
    ):
        schema = model.model_json_schema(mode=mode)  # type: ignore[arg-type] # one of the two modes
        _describe(schema, model)
        for name, section in schema.get("$defs", {}).items():
            if "properties" in section:
                modules = (sys.modules[part.__module__] for part in model.__mro__)
                _describe(section, next(found for module in modules if (found := getattr(module, name, None))))
        if model is ExplainedDecision:
            for name in Decision.model_fields:
                del schema["properties"][name]
        rows = [(key, value, meaning) for key, value, _, meaning in _keys(schema, schema)]
        blocks += [f"### {title}\n", _table(("field", "value", "meaning"), rows)]
    changes = [(f"`{code}`", meaning) for code, meaning in documented().items()]
    blocks += [CHANGES_ARE, _table(("change", "meaning"), changes)]
    return "\n".join(blocks)


def _environment() -> str:
    prose = field_docs(Settings)
    rows = [
        (f"`RISKD_{name.upper()}`", "" if field.default in {None, ()} else f"`{field.default}`", prose.get(name, ""))
        for name, field in Settings.model_fields.items()
    ]
    return f"## Environment\n\n{_table(('variable', 'default', 'meaning'), rows)}"


def _metrics() -> str:
    families = [family for family in vars(Metrics()).values() if isinstance(family, Family)]
    kinds = {"gauge_sum": "gauge", "gauge_max": "gauge"}
    rows = [
        (f"`{f.name}`", kinds.get(f.kind, f.kind), ", ".join(f"`{label}`" for label in f.labels), f.text)
        for f in families
    ]
    return f"## Metrics\n\n{_table(('metric', 'kind', 'labels', 'meaning'), rows)}"


Row = tuple[str, str, str, str]


def _keys(section: Schema, root: Schema, path: str = "") -> Iterator[Row]:
    """Rows for every key below a section of a schema: key, value, default, meaning."""
    required = set(section.get("required", ()))
    for name, key in section["properties"].items():
        here = f"{path}{name}"
        meaning = key.get("description", "")
        default = "required" if name in required else f"`{json.dumps(key['default'])}`" if "default" in key else ""
        key, suffix = _inner(_resolved(key, root), root)  # noqa: PLW2901 - what stands behind the key
        yield f"`{here}{suffix}`", _value(key), default, meaning or _first_sentence(key)
        if "properties" in key:
            yield from _keys(key, root, f"{here}{suffix}.")


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Follow a reference, and see through `or null`."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        return _resolved({**options[0]}, root)
    if "$ref" in schema:
        return _resolved(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    return schema


def _inner(schema: Schema, root: Schema) -> tuple[Schema, str]:
    """Step into lists of sections and maps: what each item is, and how its path is written."""
    if schema.get("type") == "array":
        item = _resolved(schema.get("items", {}), root)
        return (item, "[]") if "properties" in item else (schema, "")
    more = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
    if isinstance(more, dict) and "properties" not in schema:
        item, suffix = _inner(_resolved(more, root), root)
        return item, f".*{suffix}"
    return schema, ""


def _value(schema: Schema) -> str:
    """Say in a few words what may stand there."""
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    if schema.get("anyOf") == DURATION["anyOf"]:
        return "duration"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_value(option) for option in schema["anyOf"]))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_value(schema['items'])}" if "items" in schema else "list"
    words = {"string": "text", "object": "section", "boolean": "`true` or `false`", "integer": "whole number"}
    return f"{words.get(kind, kind)}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if schema.get("format") == "date-time":
        return ", RFC 3339"
    if low is None and high is None:
        return f" up to {schema['maxLength']:,} characters" if "maxLength" in schema else ""
    below = "below " if "exclusiveMaximum" in schema else ""
    return f", at least {low:g}" if high is None else f" {low:g} to {below}{high:,.0f}"


def _first_sentence(schema: Schema) -> str:
    return str(schema.get("description", "")).partition("\n")[0]


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
