"""CSV and JSON Lines as rows of named texts."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from riskd.errors import ConfigError
from riskd.learn.importing.lines import read_lines
from riskd.learn.importing.row import Reading

MOST_COLUMNS: Final = 1024
Values = Mapping[str, Any]
"""One row: texts by column of a CSV, any values by dotted path of a JSON line."""


class Table:
    """A CSV file with a header."""

    def __init__(self, path: Path, reading: Reading, delimiter: str = ",") -> None:
        """Read the header; raises ConfigError when there is none."""
        self._reading = reading
        self._path = path
        lines = read_lines(path, reading)
        first = next(lines, None)
        if first is None:
            raise ConfigError(f"{path}: is empty; a CSV begins with a line of column names")
        reading.lines -= 1
        names = next(csv.reader([first], delimiter=delimiter), [])
        self.columns = tuple(name.strip() for name in names)
        if len(self.columns) > MOST_COLUMNS:
            raise ConfigError(f"{path}: has more than {MOST_COLUMNS} columns")
        if twice := sorted({name for name in self.columns if self.columns.count(name) > 1}):
            raise ConfigError(f"{path}: the column {twice[0][:60]!r} stands twice in the first line")
        self._rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)

    def rows(self) -> Iterator[Values]:
        """Yield rows; those with too few or too many columns are counted and left out."""
        columns = self.columns
        while True:
            try:
                row = next(self._rows, None)
            except csv.Error:  # a quote that is never closed: the reader begins anew behind its longest field
                self._reading.unusable["row: not CSV"] += 1
                continue
            if row is None:
                return
            if len(row) == len(columns):
                yield dict(zip(columns, row, strict=True))
            elif row:
                self._reading.unusable["row: other number of columns"] += 1


def json_rows(path: Path, reading: Reading) -> Iterator[Values]:
    """Yield the objects of a JSON Lines file, members of members by dotted path, e.g. `source.ip`."""
    decode = msgspec.json.Decoder().decode
    for line in read_lines(path, reading):
        if not line or line.isspace():
            continue
        try:
            found = decode(line)
        except (msgspec.DecodeError, RecursionError, ValueError):
            reading.unusable["row: not JSON"] += 1
            continue
        if not isinstance(found, dict):
            reading.unusable["row: no object"] += 1
            continue
        flat: dict[str, Any] = {}
        _flatten(found, "", flat)
        yield flat


def _flatten(members: Mapping[str, Any], path: str, flat: dict[str, Any]) -> None:
    for name, value in members.items():
        if len(flat) >= MOST_COLUMNS:
            return
        if isinstance(value, dict) and path.count(".") < 8:
            _flatten(value, f"{path}{name}.", flat)
        else:
            flat[f"{path}{name}"] = value
