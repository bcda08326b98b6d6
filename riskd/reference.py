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
from riskd.features import FEATURES
from riskd.metrics import Family, Metrics
from riskd.policy.load import json_schema
from riskd.policy.schema import BOUND_KNOBS, PolicyFile, Rules, SignalTuning
from riskd.settings import Settings
from riskd.signals import SIGNALS, Signal

Schema = Mapping[str, Any]

DURATION: Schema = {"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h|d)$"}, {"type": "number"}]}
"""How a policy file writes a duration, as JSON Schema."""

HEAD = """\
# Reference

Written by `riskd reference` from the declarations in the code; a test keeps it equal to them. Do not edit it.

- [Signals](#signals): reason codes, weights, knobs, false alarms
- [Features](#features): what signals and the anomaly model read
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
POLICY_IS = """\
Keys of the policy file. `*` stands for a name of yours, `[]` for each item of a list. Durations are written `50ms`,
`30s`, `5m`, `12h` or `7d`. `signals.<code>` takes `weight`, `floor`, `enabled` and the signal's knobs.

Classes of actions and resources take {rules} too. What they leave out they inherit: a resource from the action, the
action from the top; in `thresholds`, `requires` and `signals` each key on its own.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    parts = (HEAD, _signals(), _features(), _policy(), _wire(), _environment(), _metrics())
    return "\n".join(part.rstrip() + "\n" for part in parts)


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of the policy file for editors: each key with its prose, durations as files write them."""
    schema: dict[str, Any] = json_schema()
    _describe(schema, PolicyFile)
    for name, section in schema["$defs"].items():
        _describe(section, _section(name))
    schema["properties"] = _as_written(schema["properties"])
    schema["$defs"] = _as_written(schema["$defs"])
    return schema


def _section(name: str) -> type[BaseModel]:
    """Class of a section by its name in the schema; every signal's tuning shares one."""
    found = getattr(sys.modules[PolicyFile.__module__], name, SignalTuning)
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
        ("`POST /outcome` takes", OutcomeReport, "validation"),
    ):
        schema = model.model_json_schema(mode=mode)  # type: ignore[arg-type] # one of the two modes
        _describe(schema, model)
        for name, section in schema.get("$defs", {}).items():
            if "properties" in section:
                _describe(section, getattr(sys.modules[model.__module__], name))
        rows = [(key, value, meaning) for key, value, _, meaning in _keys(schema, schema)]
        blocks += [f"### {title}\n", _table(("field", "value", "meaning"), rows)]
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
