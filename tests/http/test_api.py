"""The rest of the API: health, readiness, metrics, and a document that says it all."""

import json
import re

import pytest

from riskd.contract import DecideRequest
from riskd.http.front import ROUTES
from tests.http.servers import BODY, Running


def test_health_and_readiness(server: Running) -> None:
    """Both answer without a key; readiness names its parts."""
    with server.client() as client:
        del client.headers["x-api-key"]
        assert client.get("/healthz").json() == {"status": "alive"}
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["parts"]["policy"]["revision"] == "r1"
        assert ready.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/decide/", "/Decide", "/decide/batch/x", "/%64ecides", "//decide"])
def test_an_unknown_path_gets_404(server: Running, path: str) -> None:
    """There are no near matches."""
    with server.client() as client:
        refused = client.post(path, json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")


def test_another_method_gets_405(server: Running) -> None:
    """Health is read, never written."""
    with server.client() as client:
        refused = client.put("/healthz")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


def test_metrics_count_refusals(server: Running) -> None:
    """An admin key reads what was refused, by status."""
    with server.client() as client:
        assert client.get("/metrics", headers={"x-api-key": "rk_no"}).status_code == 401
        client.post("/decide", json={})
        assert "422" in client.get("/metrics").text


def test_the_document_tells_every_route(server: Running) -> None:
    """Each route is there with its body, answer, key and refusals; all references lead somewhere."""
    with server.client() as client:
        document = client.get("/openapi.json").json()
        page = client.get("/docs").text
        files = re.findall(r"""(?:src|href)="([^"]+)\"""", page)
        assert len(files) == 3
        for file in files:
            assert file.startswith("/docs/static/")  # nothing is fetched from elsewhere
            assert client.get(file).status_code == 200
    assert {"/decide", "/decide/batch", "/outcome", "/healthz", "/readyz", "/metrics"} == set(document["paths"])
    for route in ROUTES:
        operation = document["paths"][route.path]["post"]
        assert operation["security"] == [{"apiKey": []}]
        assert {"200", "400", "401", "403", "413", "415", "422", "503"} <= set(operation["responses"])
    schemas = document["components"]["schemas"]
    assert set(schemas["DecideRequest"]["required"]) == set(DecideRequest.model_json_schema()["required"])
    for part in json.dumps(document).split('"$ref": "#/components/schemas/')[1:]:
        assert part.split('"')[0] in schemas


def test_answers_carry_no_more_than_needed(server: Running) -> None:
    """No server name, nothing that a cache could keep."""
    with server.client() as client:
        headers = client.post("/decide", json=BODY).headers
    assert set(headers) == {"date", "content-type", "content-length", "cache-control"}
    assert headers["cache-control"] == "no-store"
