"""Callers that ask as fast as they are answered, and remember every answer."""

import json
from dataclasses import dataclass
from itertools import count

from tests.faults.rig import login
from tests.http.servers import Calling, Running, answer, request


@dataclass(frozen=True, slots=True)
class Answer:
    """What one caller was told."""

    status: int
    decision_id: str
    degraded: tuple[str, ...]


class Callers(Calling):
    """`number` callers on kept connections, each with subjects of its own, until the block ends.

    A closed connection is opened again when the last answer said so; any other end is a `broken` one, and whoever finds
    nobody listening any more goes home.
    """

    def __init__(self, running: Running, number: int = 16, **context: object) -> None:
        super().__init__(number)
        self.answers: list[Answer] = []
        self.broken: list[str] = []
        """Connections that ended without the answer that was due."""
        self._running = running
        self._context = context

    @property
    def statuses(self) -> set[int]:
        """Every status that occurred."""
        return {given.status for given in self.answers}

    @property
    def ids(self) -> list[str]:
        """The decision of every 200."""
        return [given.decision_id for given in self.answers if given.status == 200]

    def call(self, caller: int) -> None:
        """Ask about one's own subjects until told to stop."""
        numbers = count()
        while not self._stop.is_set():
            try:
                connection = self._running.connect()
            except ConnectionError:
                return
            with connection:
                try:
                    while not self._stop.is_set():
                        body = json.dumps(login(f"{caller}-{next(numbers) % 50}", **self._context)).encode()
                        connection.sendall(request("/decide", body, key=self._running.headers["x-api-key"]))
                        status, headers, text = answer(connection)
                        if status == 0:
                            raise ConnectionError("closed without an answer")
                        told = json.loads(text)
                        self.answers.append(
                            Answer(status, told.get("decision_id", ""), tuple(told.get("degraded", ())))
                        )
                        if headers.get("connection") == "close":
                            break
                except (OSError, ValueError) as error:
                    self.broken.append(repr(error))
                    return
