"""`POST /decide?explain=full`: the one query that there is, and the refusal of every other."""

import pytest

from tests.http.servers import BODY, Running


def test_explain_full_asks_the_engine_for_more(server: Running) -> None:
    """The answer has `counterfactuals` with the query, in any spelling of it, and none without."""
    with server.client() as client:
        plain = client.post("/decide", json=BODY)
        full = [client.post(f"/decide?{query}", json=BODY) for query in ("explain=full", "explain=%66ull")]
    assert "counterfactuals" not in plain.json()
    for answer in full:
        assert answer.status_code == 200
        assert answer.json()["counterfactuals"] == []
        assert answer.json().keys() == plain.json().keys() | {"counterfactuals"}


@pytest.mark.parametrize(
    "target",
    [
        "/decide?explain=some",
        "/decide?explain",
        "/decide?explain=full&explain=full",
        "/decide?explian=full",
        "/decide?x=1",
        "/decide?%ff=%00&&",
        "/decide?" + "a&" * 2000,
        "/decide/batch?explain=full",
        "/outcome?explain=full",
    ],
    ids=lambda target: target[:40],
)
def test_any_other_query_is_refused_in_words(server: Running, target: str) -> None:
    """A misspelt query is a mistake that is told, never one that is passed over; nothing of it is repeated."""
    with server.client() as client:
        refused = client.post(target, json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unknown_query")
    assert "explain=full" in refused.json()["error"]["message"]


def test_whoever_has_no_key_learns_nothing_of_queries(server: Running) -> None:
    """The key is looked at first; an empty query is none."""
    with server.client() as client:
        assert client.post("/decide?", json=BODY).status_code == 200
        del client.headers["x-api-key"]
        assert client.post("/decide?explain=some", json=BODY).status_code == 401


def test_the_document_tells_the_parameter(server: Running) -> None:
    """OpenAPI names the parameter and both answers of `/decide`, and no parameter of the other roads."""
    with server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    decide = paths["/decide"]["post"]
    (explain,) = decide["parameters"]
    assert (explain["name"], explain["in"], explain["schema"]["enum"]) == ("explain", "query", ["full"])
    assert "do not show" in explain["description"]
    answers = decide["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert [answer["$ref"].rpartition("/")[2] for answer in answers] == ["Decision", "ExplainedDecision"]
    assert "parameters" not in paths["/decide/batch"]["post"]
