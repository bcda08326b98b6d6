"""Requests that the OpenAPI document allows, and many that it does not: never a 5xx, always what the document says."""

import json
import random
import socket

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.http.servers import BODY, Running, answer, request

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance, content_type_conformance]
FUZZ = settings(deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
EXAMPLES = {"/decide": 100, "/decide/batch": 20, "/outcome": 60}


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
@pytest.mark.parametrize("path", EXAMPLES)
def test_generated_bodies_get_documented_answers(server: Running, path: str, mode: schemathesis.GenerationMode) -> None:
    """Bodies that the OpenAPI document allows and such that it forbids get no 5xx and nothing undocumented."""
    operation = schemathesis.openapi.from_url(f"{server.url}/openapi.json")[path]["POST"]

    @settings(FUZZ, max_examples=EXAMPLES[path])
    @given(case=operation.as_strategy(generation_mode=mode))
    def probe(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=server.headers, checks=CHECKS, excluded_checks=[positive_data_acceptance])

    probe()


def test_mangled_bytes_never_break_a_worker(server: Running) -> None:
    """A good request with random bytes changed, cut or doubled gets an answer or a closed connection, and no 5xx."""
    chance = random.Random(20)  # noqa: S311 - a test's dice
    good = request("/decide", json.dumps(BODY).encode())
    for _ in range(400):
        data = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randint(1, 20)]
                case _:
                    data[at:at] = data[at : at + chance.randint(1, 20)]
        with server.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert answer(connection)[0] < 500
    with server.client() as client:
        assert client.post("/decide", json=BODY).status_code == 200
