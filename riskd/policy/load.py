"""Reads a policy file and finds every mistake in it, each with its line and the nearest right words."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from riskd.errors import Mistake, PolicyError
from riskd.policy.consistent import inconsistencies
from riskd.policy.finding import Finding, nearest
from riskd.policy.policy import Policy
from riskd.policy.schema import PolicyFile
from riskd.policy.text import NotYamlError, Place, Spot, places, read
from riskd.policy.within import within

MAX_BYTES = 1_048_576
MAX_MISTAKES = 100
"""Mistakes named of one file; beyond, only their number is."""
TOP = Place(Spot(1, 1), Spot(1, 1))
SHIPPED = Path(__file__).parent / "shipped"
"""Policies that come with riskd: `default`, `admin_console`, `payments`, `sensitive_api`."""


def load(path: Path, admit: Callable[[bytes], object] | None = None) -> Policy:
    """Read and compile the policy file at `path`; `admit` is shown its bytes first, and raises to refuse them.

    Raises PolicyError with every mistake found; a missing, empty or unreadable file is one mistake of the whole file.
    """
    content = read_file(path)
    if admit is not None:
        admit(content)
    return parse(content, str(path))


def read_file(path: Path) -> bytes:
    """Return the bytes of a file a person wrote; raises PolicyError when it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise whole_file(str(path), f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise whole_file(str(path), f"is larger than {MAX_BYTES} bytes")
    return content


def read_tree(content: bytes, source: str) -> tuple[str, Any]:
    """Return a YAML file's text and what it says; raises PolicyError when it is no UTF-8 or no YAML."""
    try:
        text = content.decode("utf-8")
        return text, read(text)
    except UnicodeDecodeError as error:
        raise whole_file(source, f"is not UTF-8 (byte {error.start})") from error
    except NotYamlError as error:
        raise PolicyError(source, error.mistakes) from None


def parse(content: bytes, source: str) -> Policy:
    """Compile a policy from the text of its file; `source` names it in errors."""
    text, tree = read_tree(content, source)
    if tree is None:
        raise whole_file(source, "is empty; `riskd init` writes a commented default")
    if not isinstance(tree, dict):
        raise whole_file(source, "must be a mapping of keys to values")
    try:
        file = PolicyFile.model_validate(tree)
    except ValidationError as error:
        found = [finding(detail, PolicyFile) for detail in error.errors(include_url=False)[:MAX_MISTAKES]]
        raise PolicyError(source, located(text, found, error.error_count())) from None
    if found := list(inconsistencies(file)):
        raise PolicyError(source, located(text, found[:MAX_MISTAKES], len(found)))
    return Policy(file, _revision(file), source)


def json_schema() -> dict[str, Any]:
    """JSON Schema of the policy file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema()}


def _revision(file: PolicyFile) -> str:
    canonical = json.dumps(file.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def whole_file(source: str, message: str) -> PolicyError:
    """Return the error for what is wrong with a file as a whole."""
    return PolicyError(source, (Mistake(line=0, path="", message=message),))


def located(text: str, found: Iterable[Finding], count: int) -> tuple[Mistake, ...]:
    """Say where each finding stands, top to bottom; `count` of them there are."""
    findings = list(found)
    at = places(text, (finding.path for finding in findings))
    mistakes = []
    for path, message, right, of_key, offset in findings:
        depth = next(n for n in range(len(path), -1, -1) if n == 0 or path[:n] in at)
        place = at.get(path[:depth], TOP)
        line, column = place.key if of_key or depth < len(path) else place.value
        if offset is not None and depth == len(path):
            line, column = within(text, place, offset)
        mistakes.append(Mistake(line, ".".join(map(str, path)), message, right, column))
    mistakes.sort(key=lambda mistake: (mistake.line, mistake.column))
    if count > len(mistakes):
        mistakes.append(Mistake(0, "", f"has {count - len(mistakes)} more mistakes"))
    return tuple(mistakes)


def finding(detail: ErrorDetails, shape: type[BaseModel]) -> Finding:
    """Say what pydantic found wrong with a file of this shape, with the nearest right words."""
    path = tuple(part for part in detail["loc"] if part != "[key]")
    of_key = detail["type"] == "extra_forbidden" or path != detail["loc"]
    return Finding(path, worded(detail), _nearest(detail, path, shape), of_key)


def worded(detail: ErrorDetails) -> str:
    """Say in words what pydantic found wrong, with the offending word."""
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


def _nearest(detail: ErrorDetails, path: Sequence[str | int], shape: type[BaseModel]) -> tuple[str, ...]:
    if detail["type"] == "extra_forbidden":
        return nearest(str(path[-1]), _keys_at(shape, path[:-1]))
    if detail["type"] == "literal_error":
        allowed = [option.strip("'") for option in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        return nearest(str(detail["input"]), allowed)
    return ()


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
