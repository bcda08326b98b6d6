"""JSON Schema of files of cases, for editors: `docs/cases.schema.json` is what it returns, a test keeps them equal."""

from typing import Any

from riskd.app.cases.past import AGO, RELATIVE
from riskd.app.cases.schema import Attempt, CaseFile, Step
from riskd.contract import DecideRequest
from riskd.reference import DURATION, described

DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
_NULL = {"type": "null"}


def cases_schema() -> dict[str, Any]:
    """Return the schema: each key with its prose, and the groups of a request with the fields that `/decide` takes.

    What a mistake between keys is, and whether a request is whole once all it is like is laid together, `riskd test`
    tells.
    """
    schema = described(DIALECT | CaseFile.model_json_schema(), CaseFile)
    wire = described(DecideRequest.model_json_schema(), DecideRequest)
    for part, field in RELATIVE:
        group = wire["$defs"][_name(wire["properties"][part])]["properties"]
        ago = DURATION["anyOf"][0]["pattern"].removesuffix("$") + f"{AGO}$"
        group[field]["anyOf"][:0] = [{"type": "string", "pattern": ago}, {"type": "number"}]
    for attempt in (Attempt, Step):
        groups = schema["$defs"][attempt.__name__]["properties"]
        for part in groups.keys() & wire["properties"].keys() - {"request_id"}:
            groups[part]["anyOf"] = [{"$ref": f"#/$defs/{_name(wire['properties'][part])}"}, _NULL]
    schema["$defs"] |= {name: _in_part(section) for name, section in wire["$defs"].items()}
    return schema


def _name(group: dict[str, Any]) -> str:
    """Return the name of the section that a group of a request is."""
    return str(group["$ref"]).rpartition("/")[2]


def _in_part(section: dict[str, Any]) -> dict[str, Any]:
    """Return what may stand of a section in one layer of a request: any of its keys, and null to take one away."""
    keys = {
        name: key if _NULL in key.get("anyOf", ()) else _or_null(key) for name, key in section["properties"].items()
    }
    return {name: value for name, value in section.items() if name != "required"} | {"properties": keys}


def _or_null(key: dict[str, Any]) -> dict[str, Any]:
    beside = {name: key[name] for name in ("description", "default") if name in key}
    return beside | {"anyOf": [{name: value for name, value in key.items() if name not in beside}, _NULL]}


__all__ = ["cases_schema"]
