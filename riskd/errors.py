"""Everything riskd raises on purpose.

RiskdError
├── ConfigError      a file or environment variable a person must mend: names the place and the way out
│   ├── PolicyError      a policy file, with every mistake in it
│   ├── SignatureError   a policy that nobody trusted vouches for, as it stands
│   ├── DataError        a GeoIP database or network list
│   └── ModelError       a model artifact
├── RequestError     what the caller sent cannot be judged; carries the HTTP status that says so
│   └── ConflictError    the same request id with another body
└── Unavailable      a source did not answer within its budget: the decision is degraded, never lost
    ├── StoreUnavailable
    ├── RecordUnavailable
    ├── OverdueError     the request waited past its deadline before its turn came: answered 503
    └── UnbackedError    no record says what a repeated request is answered: asked again, not answered
"""

from dataclasses import dataclass


class RiskdError(Exception):
    """The root of the tree; `str()` is one line a person can act on."""


class ConfigError(RiskdError):
    """Something riskd was told at start is wrong."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a file: where it is, what is wrong and the way out."""

    line: int
    """1-based line in the file; 0 when the file as a whole is meant."""
    path: str
    """Dotted path of the key, empty for the whole file."""
    message: str
    """What is wrong, with the offending word."""
    nearest: tuple[str, ...] = ()
    """The nearest right words, best first."""
    column: int = 0
    """1-based column of the line; 0 when the line as a whole is meant."""

    def __str__(self) -> str:
        """One line: `line 12: signals.new_devise: no such signal; did you mean new_device?`."""
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self._said()}"

    def at(self, source: str) -> str:
        """One line with its place as compilers and editors write it: `riskd.yaml:12:3: …`."""
        place = ":".join(str(part) for part in (source, self.line, self.column) if part)
        return f"{place}: {self._said()}"

    def _said(self) -> str:
        what = f"{self.path}: {self.message}" if self.path else self.message
        hint = f"; did you mean {' or '.join(self.nearest)}?" if self.nearest else ""
        return f"{what}{hint}"


class PolicyError(ConfigError):
    """A policy file that cannot be used; holds every mistake found, not only the first."""

    def __init__(self, source: str, mistakes: tuple[Mistake, ...]) -> None:
        self.source = source
        self.mistakes = mistakes
        super().__init__("; ".join(mistake.at(source) for mistake in mistakes))


class SignatureError(ConfigError):
    """A policy that may not be used: unsigned, changed since, signed by a stranger, or older than one seen before."""


class DataError(ConfigError):
    """A database or list that is missing, damaged or of an unknown kind."""


class ModelError(ConfigError):
    """A model artifact that is missing, damaged, foreign or unsafe."""


class RequestError(RiskdError):
    """A request that cannot be judged; `status` is the HTTP status that says so."""

    status = 422

    def __init__(self, message: str, *, status: int | None = None) -> None:
        if status is not None:
            self.status = status
        super().__init__(message)


class ConflictError(RequestError):
    """A request id was used again with another body."""

    status = 409


class Unavailable(RiskdError):
    """A source did not answer within its budget."""


class StoreUnavailable(Unavailable):
    """The history store is down, late, refusing or lost its history."""


class RecordUnavailable(Unavailable):
    """The decision record could not be written."""


class OverdueError(Unavailable):
    """A request waited past its deadline before it could be looked at."""


class UnbackedError(Unavailable):
    """A request repeats one, and no record says what it would be answered."""

    def __init__(self, request_key: str, base: str, answered: str | None) -> None:
        self.request_key = request_key
        """The store's name of the request."""
        self.base = base
        """Id, without its verdict, of the decision that it repeats."""
        self.answered = answered
        """What is noted of the answer that was recorded; None when nothing is, yet or for ever."""
        super().__init__("this request_id is still being answered; try again")
