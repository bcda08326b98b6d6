"""Running servers for the tests of this folder."""

import json
from collections.abc import Iterator

import pytest

from tests.http.servers import Running, Start, finish, started


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers of one's own wish; they end with the test."""
    running: list[Running] = []

    def begin(**options: object) -> Running:
        running.append(started(**options))
        return running[-1]

    yield begin
    for one in running:
        finish(one)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """One worker with the usual limits."""
    running = started()
    yield running
    finish(running)


@pytest.fixture(scope="module")
def hasty() -> Iterator[Running]:
    """One worker whose limits of time and number are short."""
    limits = {"request_s": 1.0, "first_byte_s": 1.0, "idle_s": 2.0, "linger_s": 0.5, "connections": 600}
    running = started(ECHO_LIMITS=json.dumps(limits))
    yield running
    finish(running)
