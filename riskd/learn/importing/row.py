"""One attempt as another system wrote it down, and what is counted while such are read."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct, field
from pydantic import ValidationError
from pydantic_core import to_json

from riskd.contract import DecisionRequest
from riskd.enrich.address import parse_address
from riskd.errors import RequestError
from riskd.facts import DeviceFacts

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
"""Nothing that logs attempts over a network is older."""
LONGEST_TEXT: Final = 8192
"""Characters of the longest text of a column that is looked at, as of a user agent."""


class Row(Struct, frozen=True, array_like=True):
    """One attempt, with what became of it."""

    time: float
    """When it happened, seconds since 1970."""
    request: bytes
    """The JSON of a `DecisionRequest`."""
    succeeded: bool | None = None
    """What became of it; None: nobody wrote it down."""
    fraud: bool = False
    """It turned out to be an attack."""
    vouched: bool = False
    """Its source says that it was honest: it becomes known even where riskd would have asked for more."""
    device: DeviceFacts | None = None
    """What the source says of the device; stands in for what is read from the user agent."""


class Unusable(Exception):
    """A row that is no attempt; `reason` is one of a bounded number of words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Reading(Struct):
    """What one reading met."""

    lines: int = 0
    """Lines or rows read."""
    rows: int = 0
    """Attempts found in them."""
    passed_over: int = 0
    """Lines of a log that are about something else."""
    unusable: Counter[str] = field(default_factory=Counter)
    """Rows left out, by what is wrong with them."""
    mended: Counter[str] = field(default_factory=Counter)
    """Rows taken though something of them was lost, by what; a row that lost two things is under both."""
    mended_rows: int = 0
    """Such rows, each once."""

    def take(self, lost: Sequence[str]) -> None:
        """Count a row that is an attempt, and what of it was lost."""
        self.rows += 1
        self.mended.update(lost)
        self.mended_rows += bool(lost)


def make_row(
    time: float,
    body: dict[str, Any],
    *,
    now: float,
    succeeded: bool | None = None,
    fraud: bool = False,
    vouched: bool = False,
    device: DeviceFacts | None = None,
) -> Row:
    """Check an attempt against the contract; raises Unusable with the field that does not fit."""
    if not time >= EARLIEST:  # a NaN, too
        raise Unusable("time: before 1990")
    if time > now:
        raise Unusable("time: in the future")
    try:
        request = to_json(body)
        DecisionRequest.model_validate_json(request)
    except ValidationError as error:
        where = [str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"]]
        # The name of an attribute is the caller's own text, so it is left out.
        raise Unusable(".".join(where[:2])) from None
    except ValueError:
        raise Unusable("text") from None
    try:
        if (ip := body.get("context", {}).get("ip")) is not None:
            parse_address(ip)
    except RequestError:
        raise Unusable("context.ip") from None
    return Row(time, request, succeeded, fraud, vouched, device)
