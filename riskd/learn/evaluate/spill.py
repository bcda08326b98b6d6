"""Rows on their way from one order to another: cut into parts by a hash, each part in a temporary file.

A join or a grouping then needs one part in memory, whatever the length of the log.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]
PARTS = 32
_IN_MEMORY = 64 * 1024
"""Bytes of a part that are kept without a file: all of a small log."""


class Spill:
    """Takes rows in any order, gives them back part by part; all rows with the same `by` are in one part."""

    def __init__(self, row: "np.dtype[Any]", by: str) -> None:
        self._row, self._by = row, by
        self._open = ExitStack()
        self._parts = [
            self._open.enter_context(SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - closed by the stack
            for _ in range(PARTS)
        ]

    def add(self, rows: Rows) -> None:
        """Take rows; what they are cut by must be a hash, unsigned."""
        of = rows[self._by] % PARTS
        for number in np.unique(of).tolist():
            self._parts[number].write(rows[of == number].tobytes())

    def parts(self) -> Iterator[Rows]:
        """Yield the parts, in an order that is the same for all spills."""
        for part in self._parts:
            part.seek(0)
            yield np.frombuffer(part.read(), self._row)

    def close(self) -> None:
        """Delete the temporary files."""
        self._open.close()
