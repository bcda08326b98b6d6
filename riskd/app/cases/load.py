"""Reads files of cases and finds every mistake in them, each with its place and the nearest right words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from riskd.app.cases.layers import Layer, home, whole
from riskd.app.cases.past import AGO, Past, ages, differing, request_at
from riskd.app.cases.schema import REQUEST, Attempt, Case, CaseFile, Expectation, Step
from riskd.contract import DecideRequest
from riskd.enrich.address import parse_address
from riskd.errors import ConfigError, PolicyError, RequestError
from riskd.policy import Policy
from riskd.policy.finding import Finding, nearest
from riskd.policy.load import MAX_MISTAKES, finding, located, read_file, read_tree, whole_file, worded
from riskd.policy.text import Path as Keys
from riskd.policy.text import places
from riskd.signals import SIGNALS

MAX_FILES: Final = 1000
MAX_ATTEMPTS: Final = 100_000
"""Attempts that all histories of a file have together: some minutes of work."""
MAX_SPAN: Final = timedelta(days=3650)
"""How far a history may reach back."""
MAX_LIKE: Final = 16
"""How many attempts may be each like the next."""
SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Ready:
    """A case that can be judged."""

    name: str
    file: Path
    line: int
    """Where it begins, 1-based."""
    at: datetime
    history: tuple[Past, ...]
    down: tuple[str, ...]
    request: DecideRequest
    expect: Expectation


def beside(policy: Path) -> list[Path]:
    """Return where the cases of `riskd.yaml` are: in `riskd.cases.yaml`, `cases/riskd.yaml` and `cases/riskd/`."""
    folder = policy.parent / "cases"
    candidates = (policy.with_name(f"{policy.stem}.cases.yaml"), folder / f"{policy.stem}.yaml", folder / policy.stem)
    return [found for found in candidates if found.exists()]


def files(named: Iterable[Path]) -> list[Path]:
    """Return files as they are, and of folders all YAML in them, in order; raises ConfigError."""
    found: list[Path] = []
    for path in named:
        inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file()) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path}: no file of cases in it ({', '.join(SUFFIXES)})")
        found += inside
    if len(found) > MAX_FILES:
        raise ConfigError(f"{len(found)} files of cases; at most {MAX_FILES}")
    return list(dict.fromkeys(found))


def codes(policy: Policy) -> frozenset[str]:
    """Return every reason code that the policy can give, and those of the signals that it has turned off."""
    names = [rules.names[0] for rules in policy.file.actions.values() if rules.names]
    plans = [policy.plan(name, None, None, None) for name in ("", *names)]
    return frozenset(SIGNALS).union(question.code for plan in plans for question in plan.questions)


def load(path: Path, policy: Policy) -> list[Ready]:
    """Read a file of cases for a policy; raises PolicyError with every mistake found."""
    source = str(path)
    text, tree = read_tree(read_file(path), source)
    if not isinstance(tree, dict):
        raise whole_file(source, "must be a mapping with `cases`")
    try:
        file = CaseFile.model_validate(tree)
    except ValidationError as error:
        raise PolicyError(source, located(text, *_shape(error))) from None
    reading = _Reading(file, path, codes(policy))
    lines = places(text, [("cases", number) for number in range(len(file.cases))])
    ready = [reading.case(number, case, lines["cases", number].value.line) for number, case in enumerate(file.cases)]
    reading.whole_file()
    if reading.found:
        raise PolicyError(source, located(text, *reading.told()))
    return [case for case in ready if case is not None]


class _Reading:
    """One file on its way from what it says to what can be judged."""

    def __init__(self, file: CaseFile, path: Path, known: frozenset[str]) -> None:
        self._file = file
        self._path = path
        self._known = known
        self._names: set[str] = set()
        self._attempts = 0
        self._untold = 0
        self.found: dict[Finding, None] = {}
        """Mistakes, each once: an attempt that many cases are like is wrong once."""

    def whole_file(self) -> None:
        """Find what is wrong with attempts that perhaps no case is like, and with all cases together."""
        for name in self._file.attempts:
            if name == REQUEST:
                said = "is what a history calls the case's own request; choose another name"
                self.found[Finding(("attempts", name), said, of_key=True)] = None
            if layers := self._layers(("attempts", name), self._file.attempts[name]):
                self._request(layers, self._file.at, part=True)
        if self._attempts > MAX_ATTEMPTS:
            self._add(("cases",), f"their histories have {self._attempts:,} attempts; at most {MAX_ATTEMPTS:,}")

    def case(self, number: int, case: Case, line: int) -> Ready | None:
        """Make a case ready; None when something is wrong with it."""
        at = case.at or self._file.at
        path: Keys = ("cases", number)
        if case.name in self._names:
            self._add((*path, "name"), f"two cases are called {case.name!r}")
        self._names.add(case.name)
        self._codes((*path, "expect"), case.expect)
        layers = self._layers((*path, "request"), case.request)
        request = layers and self._request(layers, at)
        history = [self._step((*path, "history", i), step, layers, at) for i, step in enumerate(case.history)]
        past = tuple(step for step in history if step is not None)
        if not request or len(past) < len(history):
            return None
        return Ready(case.name, self._path, line, at, past, case.down, request, case.expect)

    def _step(self, path: Keys, step: Step, request: tuple[Layer, ...], at: datetime) -> Past | None:
        self._attempts += step.times
        reach = next(ages(step))
        if reach > MAX_SPAN:
            self._add(path, f"reaches {reach.days:,} days back; at most {MAX_SPAN.days:,}")
            return None
        layers = self._layers(path, step, request)
        if not layers or self._request(layers, at) is None:
            return None
        tree = whole(layers)
        tree.pop("request_id", None)
        past = Past(step, tree)
        attributes = tree["context"].get("attributes", {})
        for i, what in enumerate(step.different):
            if isinstance(attributes.get(what.removeprefix("attributes.")), bool):
                self._add((*path, "different", i), "a flag has no other values to differ in; use a text or a number")
        try:
            request_at(differing(past, step.times), at)
        except ValidationError as error:
            self._add((*path, "different"), worded(error.errors(include_url=False)[0]))
            return None
        return past

    def _layers(self, path: Keys, attempt: Attempt, request: tuple[Layer, ...] | None = None) -> tuple[Layer, ...]:
        """Return what an attempt says and what it is like, outermost first; nothing when that cannot be told.

        `request` is the case's own, for steps of its history.
        """
        layers = [Layer(path, attempt.own())]
        at, seen = path, set(path[1:2] if path[0] == "attempts" else ())
        while (name := attempt.like) is not None:
            if name == REQUEST and request is not None:
                return (*layers, *request) if request else ()
            if name not in self._file.attempts:
                right = self._file.attempts if request is None else (*self._file.attempts, REQUEST)
                self._add((*at, "like"), f"no attempt is called {name!r}", name, right)
                return ()
            if name in seen or len(seen) > MAX_LIKE:
                said = f"{name!r} is like itself" if name in seen else f"one like another over {MAX_LIKE} deep"
                self._add((*at, "like"), said)
                return ()
            seen.add(name)
            at, attempt, request = ("attempts", name), self._file.attempts[name], None
            layers.append(Layer(at, attempt.own()))
        return tuple(layers)

    def _request(self, layers: tuple[Layer, ...], at: datetime, *, part: bool = False) -> DecideRequest | None:
        """Read a request; of a `part` that others will complete, what is missing is no mistake."""
        found: list[Finding] = []
        try:
            request = request_at(whole(layers), at)
            parse_address(request.context.ip)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if part:
                details = [detail for detail in details if detail["type"] not in {"missing", "value_error"}]
            found += [
                _finding(detail, DecideRequest, home(layers, _plain(detail))) for detail in details[:MAX_MISTAKES]
            ]
            self._untold += max(0, len(details) - MAX_MISTAKES)
        except RequestError as error:
            found.append(Finding(home(layers, ("context", "ip")), str(error).removeprefix("context.ip: ")))
        else:
            return request
        self.found.update(dict.fromkeys(found))
        return None

    def told(self) -> tuple[list[Finding], int]:
        """Return the mistakes that are told, and how many there are."""
        return list(self.found)[:MAX_MISTAKES], len(self.found) + self._untold

    def _codes(self, path: Keys, expect: Expectation) -> None:
        for field in ("reasons", "not_reasons"):
            for number, code in enumerate(getattr(expect, field)):
                if code not in self._known:
                    self._add((*path, field, number), f"no such signal: {code[:60]!r}", code, self._known)

    def _add(self, path: Keys, message: str, word: str = "", right: Iterable[str] = ()) -> None:
        """Note a mistake; of very many only their number will be told, so no right words are looked for."""
        near = nearest(word, right) if len(self.found) < MAX_MISTAKES else ()
        self.found[Finding(path, message, near)] = None


def _plain(detail: ErrorDetails) -> Keys:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _finding(detail: ErrorDetails, shape: type[BaseModel], path: Keys) -> Finding:
    """Say one mistake of a shape as it stands at `path`."""
    found = finding(detail, shape)._replace(path=path)
    if detail["type"].startswith("datetime") and str(detail["input"]).endswith(AGO):
        said = f"not a time: write 20s ago, 5m ago, 12h ago or 7d ago (got {str(detail['input'])[:60]!r})"
        return found._replace(message=said)
    return found


def _shape(error: ValidationError) -> tuple[list[Finding], int]:
    """Say what is wrong with a file's shape, up to the number that is told, and how much it is."""
    # A list of cases all of which are wrong counts as too short besides.
    alone = error.error_count() == 1
    details = [d for d in error.errors(include_url=False) if alone or d["type"] != "too_short"]
    return [_finding(d, CaseFile, _plain(d)) for d in details[:MAX_MISTAKES]], len(details)
