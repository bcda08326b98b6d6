"""Reads a policy file and finds every mistake in it, each with its line and the nearest right words."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from riskd.errors import Mistake, PolicyError
from riskd.policy.policy import Policy
from riskd.policy.schema import PolicyFile

MAX_BYTES = 1_048_576
MAX_DEPTH = 32
SHIPPED = Path(__file__).parent / "shipped"
"""Policies that come with riskd: `default`, `admin_console`, `payments`, `sensitive_api`."""


def load(path: Path) -> Policy:
    """Read and compile the policy file at `path`.

    Raises PolicyError with every mistake found; a missing, empty or unreadable file is one mistake of the whole file.
    """
    return parse(_read(path), str(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _whole_file(str(path), f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise _whole_file(str(path), f"is larger than {MAX_BYTES} bytes")
    return content


def parse(content: bytes, source: str) -> Policy:
    """Compile a policy from the text of its file; `source` names it in errors."""
    tree = _parse_yaml(content, source)
    try:
        file = PolicyFile.model_validate(_plain(tree))
    except ValidationError as error:
        raise PolicyError(source, tuple(_mistakes(error, tree))) from None
    return Policy(file, _revision(file), source)


def json_schema() -> dict[str, Any]:
    """JSON Schema of the policy file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema()}


def _revision(file: PolicyFile) -> str:
    canonical = json.dumps(file.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _whole_file(source: str, message: str) -> PolicyError:
    return PolicyError(source, (Mistake(line=0, path="", message=message),))


def _parse_yaml(content: bytes, source: str) -> CommentedMap:
    yaml = YAML(typ="rt", pure=True)
    try:
        text = content.decode("utf-8")
        depth = 0
        for event in yaml.parse(text):
            if isinstance(event, AliasEvent):
                line = event.start_mark.line + 1
                raise PolicyError(source, (Mistake(line, "", "aliases (*name) are not allowed: write it out"),))
            depth += event.__class__.__name__.endswith("StartEvent") - event.__class__.__name__.endswith("EndEvent")
            if depth > MAX_DEPTH:
                raise PolicyError(source, (Mistake(event.start_mark.line + 1, "", f"nested over {MAX_DEPTH} deep"),))
        tree = YAML(typ="rt", pure=True).load(text)
    except UnicodeDecodeError as error:
        raise _whole_file(source, f"is not UTF-8 (byte {error.start})") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context).split())
        raise PolicyError(source, (Mistake(mark.line + 1 if mark else 0, "", f"not YAML: {problem}"),)) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise _whole_file(source, f"not YAML: {' '.join(str(error).split())}") from error
    except TypeError as error:  # the only thing that YAML cannot put into a mapping
        raise _whole_file(source, "has a mapping in place of a key; keys must be text") from error
    if tree is None:
        raise _whole_file(source, "is empty; `riskd init` writes a commented default")
    if not isinstance(tree, CommentedMap):
        raise _whole_file(source, "must be a mapping of keys to values")
    return tree


def _plain(node: object) -> Any:  # noqa: ANN401 - YAML holds anything
    if isinstance(node, CommentedMap):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(item) for item in node]
    # ruamel's round-trip scalars are subclasses; strict types want the plain ones.
    for plain in (bool, int, float, str):
        if isinstance(node, plain):
            return plain(node)
    return node


def _mistakes(error: ValidationError, tree: CommentedMap) -> Iterator[Mistake]:
    for detail in error.errors(include_url=False):
        loc = tuple(part for part in detail["loc"] if part != "[key]")
        yield Mistake(
            line=_line(tree, loc), path=".".join(map(str, loc)), message=_message(detail), nearest=_nearest(detail, loc)
        )


def _message(detail: ErrorDetails) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"no such key: {detail['loc'][-1]!r}"
    if kind == "missing":
        return "is missing"
    if kind == "model_type":
        return "should be a mapping of keys to values"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    if isinstance(given, str | float | bool) or (isinstance(given, int) and abs(given) < 10**60):
        return f"{message} (got {str(given)[:60]!r})"
    return message


def _nearest(detail: ErrorDetails, loc: Sequence[str | int]) -> tuple[str, ...]:
    if detail["type"] == "extra_forbidden":
        allowed = _keys_at(PolicyFile, loc[:-1])
        word = str(loc[-1])
    elif detail["type"] == "literal_error":
        allowed = [option.strip("'") for option in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        word = str(detail["input"])
    elif str(detail["msg"]).startswith("Value error, no such signal"):
        allowed = _keys_at(PolicyFile, ("signals",))
        word = str(detail["msg"]).split("'")[1]
    else:
        return ()
    return tuple(get_close_matches(word, allowed, n=2, cutoff=0.55))


def _keys_at(annotation: Any, loc: Sequence[str | int]) -> list[str]:  # noqa: ANN401 - any annotation
    """Keys that may stand at a place of the file."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            return list(annotation.model_fields)
        field = annotation.model_fields.get(str(loc[0]))
        return [] if field is None else _keys_at(field.annotation, loc[1:])
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in {Annotated, Union, UnionType}:
        return next((keys for part in parts if (keys := _keys_at(part, loc))), [])
    return _keys_at(parts[origin is dict], loc[1:]) if loc and parts else []


def _line(tree: CommentedMap, loc: Sequence[str | int]) -> int:
    """Line of the deepest key or item on the way that the file really has; 1-based."""
    node: Any = tree
    line = 1
    for part in loc:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
    return line
