"""The small file that says which column is which field, and the rows it makes of a CSV or JSON Lines file."""

import collections.abc
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator

from riskd.errors import PolicyError
from riskd.learn.importing.fields import (
    ATTRIBUTE,
    BROWSER,
    FIELDS,
    FRAUD,
    KIND,
    NO,
    SUCCEEDED,
    SYSTEM,
    TIME,
    YES,
    is_field,
    put,
    read_attribute,
    read_field,
    read_time,
)
from riskd.learn.importing.row import Reading, Row, Unusable, make_row
from riskd.learn.importing.table import Table, Values, json_rows
from riskd.learn.importing.told import stand_in, told_device
from riskd.policy.finding import Finding, nearest
from riskd.policy.load import MAX_MISTAKES, finding, located, read_file, read_tree, whole_file
from riskd.policy.section import Section

TIME_WORDS: Final = ("iso", "unix", "unix_ms")
ASKED: Final = datetime(2004, 11, 23, 22, 13, 9, tzinfo=UTC)
"""A time of which no two parts are alike: a form that tells times tells this one."""
_AS_IT_IS: Final = frozenset({TIME, SUCCEEDED, FRAUD})
_NOT_OF_THE_REQUEST: Final = frozenset({TIME, SUCCEEDED, FRAUD, BROWSER, SYSTEM, KIND})
Word = Annotated[str, Field(min_length=1, max_length=256)]


class TimeForm(Section):
    """How times are written."""

    format: Annotated[str, Field(min_length=1, max_length=64)] = "iso"
    """`iso`, `unix` (seconds), `unix_ms`, or a form of strptime, e.g. `%d/%m/%Y %H:%M`."""
    zone: Annotated[str, Field(max_length=64)] = "UTC"
    """The zone of times that name none, e.g. `Europe/Oslo`."""

    @field_validator("format")
    @classmethod
    def _form_tells_a_time(cls, value: str) -> str:
        if value not in TIME_WORDS:
            try:
                told = datetime.strptime(ASKED.strftime(value), value)  # noqa: DTZ007 - only whether it can be read
            except (ValueError, re.error) as error:
                raise ValueError(
                    f"{value!r} is none of {', '.join(TIME_WORDS)} and no form of strptime: {error}"
                ) from None
            if told.date() != ASKED.date():
                raise ValueError(f"{value!r} does not tell day and year, as %d/%m/%Y %H:%M does")
        return value

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        zone_of(value)
        return value


class MappingFile(Section):
    """The file: which column fills which field, and how its words are to be read."""

    columns: Annotated[dict[Word, Word], Field(min_length=1, max_length=256)]
    """Column (of JSON Lines the dotted path of a member) → field of the request."""
    always: dict[Word, str | bool | int | float] = Field(default={}, max_length=256)
    """Field → what it is in every row."""
    time: TimeForm = TimeForm()
    succeeded: tuple[str, ...] = ()
    """Words of the outcome's column that mean success, any case; with them alone all others mean failure."""
    failed: tuple[str, ...] = ()
    """Words that mean failure; with them alone all others mean success."""
    addresses: Literal["real", "names"] = "real"
    """`names`: the addresses were replaced by something else, which only tells them apart."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Between the columns of a CSV."""


class Mapping:
    """A mapping that was read, and the text it stands in."""

    def __init__(
        self, file: MappingFile, source: str, text: str, kinds: collections.abc.Mapping[str, str] | None = None
    ) -> None:
        """Take a file that was found to be right, and what the policy's attributes hold, by their names."""
        self.file = file
        self._kinds = {f"{ATTRIBUTE}{name}": kind for name, kind in (kinds or {}).items()}
        self._source = source
        self._text = text
        self._zone = zone_of(file.time.zone)
        self._succeeded = frozenset(word.lower() for word in file.succeeded)
        self._failed = frozenset(word.lower() for word in file.failed)

    def fits(self, columns: Sequence[str]) -> None:
        """Raise PolicyError unless the table has every column that is named, with the nearest that it has."""
        found = [
            Finding(("columns", name), f"no such column: {name!r}", nearest(name, columns), of_key=True)
            for name in self.file.columns
            if name not in columns
        ]
        if found:
            raise PolicyError(self._source, located(self._text, found[:MAX_MISTAKES], len(found)))

    def row(self, values: Values, now: float, *, vouch: bool, lost: list[str]) -> Row:
        """Return the attempt a row tells of; raises Unusable.

        An attribute that is not of the kind the policy declares is left out, which is unknown, and noted in `lost`.
        """
        found: dict[str, Any] = dict(self.file.always)
        for column, field in self.file.columns.items():
            value = values.get(column)
            value = value if field in _AS_IT_IS or field in self._kinds else read_field(field, value)
            if value is not None and value != "":
                found[field] = value
        for field in self._kinds.keys() & found.keys():
            try:
                found[field] = read_attribute(found[field], self._kinds[field])
            except ValueError:
                del found[field]
                lost.append(f"{field}: no {self._kinds[field]}")
        if TIME not in found:
            raise Unusable("time: is missing")
        found.setdefault("action.name", "login")
        body: dict[str, Any] = {}
        for name, value in found.items():
            if name not in _NOT_OF_THE_REQUEST:
                put(body, name, value)
        context = body.setdefault("context", {})
        if self.file.addresses == "names" and context.get("ip"):
            context["ip"] = stand_in(context["ip"])
        succeeded = self._outcome(found.get(SUCCEEDED), SUCCEEDED)
        fraud = bool(self._outcome(found.get(FRAUD), FRAUD))
        return make_row(
            read_time(found[TIME], self.file.time.format, self._zone),
            body,
            now=now,
            succeeded=succeeded,
            fraud=fraud,
            vouched=vouch and bool(succeeded) and not fraud,
            device=told_device(found.get(BROWSER), found.get(SYSTEM), found.get(KIND)),
        )

    def _outcome(self, value: Any, field: str) -> bool | None:  # noqa: ANN401 - anything that JSON holds
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, str | int | float) else ""
        yes, no = (self._succeeded, self._failed) if field == SUCCEEDED else (YES, NO)
        if not yes and not no:
            yes, no = YES, NO
        if word in yes or (not yes and word not in no):
            return True
        if word in no or not no:
            return False
        raise Unusable(field)


def load_mapping(path: Path, kinds: collections.abc.Mapping[str, str] | None = None) -> Mapping:
    """Read a mapping file; raises PolicyError with every mistake, each with its line and the nearest right words.

    `kinds` are the attributes that the policy declares, by name; others are taken as they are written.
    """
    source = str(path)
    text, tree = read_tree(read_file(path), source)
    if not isinstance(tree, dict):
        raise whole_file(source, "must be a mapping; it begins with `columns:`, see docs/importing.md")
    try:
        file = MappingFile.model_validate(tree)
    except ValidationError as error:
        found = [finding(detail, MappingFile) for detail in error.errors(include_url=False)[:MAX_MISTAKES]]
        raise PolicyError(source, located(text, found, error.error_count())) from None
    if found := _mistakes(file):
        raise PolicyError(source, located(text, found[:MAX_MISTAKES], len(found)))
    return Mapping(file, source, text, kinds)


def _mistakes(file: MappingFile) -> list[Finding]:
    fields = (*FIELDS, f"{ATTRIBUTE}<name>")
    found = [
        Finding(("columns", column), f"no such field: {field!r}", nearest(field, fields))
        for column, field in file.columns.items()
        if not is_field(field)
    ]
    found += [
        Finding(("always", field), f"no such field: {field!r}", nearest(field, fields), of_key=True)
        for field in file.always
        if not is_field(field)
    ]
    targets = list(file.columns.values())
    found += [
        Finding(("columns", column), f"{field!r} is filled by another column already")
        for number, (column, field) in enumerate(file.columns.items())
        if field in targets[:number]
    ]
    if TIME not in targets:
        found.append(Finding(("columns",), "no column is the time: one must be", of_key=True))
    for field, value in file.always.items():
        try:
            read_field(field, value) if is_field(field) else None
        except Unusable:
            found.append(Finding(("always", field), f"cannot be {str(value)[:60]!r}"))
    return found


def mapped_rows(
    path: Path,
    mapping: Mapping,
    reading: Reading,
    *,
    now: datetime,
    form: Literal["csv", "jsonl"],
    vouch: bool = False,
) -> Iterator[Row]:
    """Return the rows of a file; raises ConfigError when it cannot be opened or lacks columns of the mapping."""
    if form == "jsonl":
        return _rows(json_rows(path, reading), mapping, reading, now.timestamp(), vouch=vouch)
    table = Table(path, reading, mapping.file.delimiter)
    mapping.fits(table.columns)
    return _rows(table.rows(), mapping, reading, now.timestamp(), vouch=vouch)


def _rows(found: Iterator[Values], mapping: Mapping, reading: Reading, now: float, *, vouch: bool) -> Iterator[Row]:
    for values in found:
        lost: list[str] = []
        try:
            row = mapping.row(values, now, vouch=vouch, lost=lost)
        except Unusable as unusable:
            reading.unusable[unusable.reason] += 1
        else:
            reading.take(lost)
            yield row


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name; raises ValueError for an unknown one."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError("no such time zone; write one such as Europe/Oslo or UTC") from None
