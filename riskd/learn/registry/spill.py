"""Rows that wait on disk until all are known, cut into parts by a hash, so that one part at a time fits in memory."""

from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

PARTS: Final = 64
_HELD: Final = 16_384
"""Rows held before they are written."""
_IN_MEMORY: Final = 64 * 1024
"""Bytes of a part that are kept without a file."""

Rows = npt.NDArray[np.void]


class Spill:
    """Takes rows one by one and gives them back part by part; rows with the same `by` are in the same part."""

    def __init__(self, row: np.dtype[np.void], by: str) -> None:
        """`by` names the column, unsigned, that says which part a row belongs to."""
        self._row, self._by = row, by
        self._held: list[tuple[Any, ...]] = []
        self._parts: list[IO[bytes]] = [_part() for _ in range(PARTS)]

    def close(self) -> None:
        """Delete the files."""
        for part in self._parts:
            part.close()

    def add(self, *row: Any) -> None:  # noqa: ANN401 - as the row's type has it
        """Take one row."""
        self._held.append(row)
        if len(self._held) >= _HELD:
            self._write()

    def extend(self, rows: Rows) -> None:
        """Take many rows."""
        of = rows[self._by] % PARTS
        for part in np.unique(of).tolist():
            self._parts[part].write(rows[of == part].tobytes())

    def part(self, number: int) -> Rows:
        """Return all rows of one part."""
        self._write()
        part = self._parts[number]
        part.seek(0)
        return np.frombuffer(part.read(), self._row)

    def _write(self) -> None:
        if self._held:
            self.extend(np.array(self._held, dtype=self._row))
            self._held.clear()


def _part() -> IO[bytes]:
    return SpooledTemporaryFile(max_size=_IN_MEMORY)
