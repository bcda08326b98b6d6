"""Requests that the live OpenAPI document allows, and that it forbids: documented answers, and never a 5xx."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.http.servers import Running

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance, content_type_conformance]
OPERATIONS = [
    *(("POST", path, mode) for path in ("/decide", "/decide/batch", "/outcome") for mode in ("POSITIVE", "NEGATIVE")),
    *(("GET", path, "POSITIVE") for path in ("/healthz", "/readyz", "/metrics", "/policy")),
]


def probe(url: str, headers: dict[str, str], operation: tuple[str, str, str], examples: int) -> int:
    """Send generated requests to one operation of the document at `url`; return how many, each answered as it says."""
    method, path, mode = operation
    declared = schemathesis.openapi.from_url(f"{url}/openapi.json")[path][method]
    quick = settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    sent = 0

    @quick
    @given(case=declared.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    def ask(case: schemathesis.Case) -> None:
        nonlocal sent
        sent += 1
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)

    ask()
    return sent


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_generated_requests_get_documented_answers(shared: Running, operation: tuple[str, str, str]) -> None:
    """Some hundred generated requests against the whole service; `make faults` sends 10,000."""
    assert probe(shared.url, shared.headers, operation, 30 if operation[0] == "POST" else 3) > 0
