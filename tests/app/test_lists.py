"""Lists and exemptions on a whole service: over HTTP, in every worker, in decision, record and audit trail."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from riskd.evaluation import evaluate
from riskd.policy.load import SHIPPED, load
from riskd.record.audit import decode
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from riskd.tokens.keyfile import create_key
from tests.app.riskd import Riskd, amend
from tests.http.servers import BODY, Running, eventually, finish

TOR = {**BODY, "context": {"ip": "81.2.69.142", "network": {"kind": "tor"}}}
LISTS = {
    "named": {
        "people": {"kind": "deny", "of": "subject", "store": True},
        "office": {"kind": "allow", "of": "network", "store": True},
        "places": {"kind": "deny", "of": "country", "file": "places.txt"},
    }
}


@pytest.fixture
def running(riskd: Riskd, policy: Path) -> Running:
    """Two workers with a key that may change lists."""
    (policy.parent / "places.txt").write_text("KP\n", encoding="utf-8")
    amend(policy, lists=LISTS)
    key = create_key(riskd.data_dir / "secrets" / "keys.json", "ops", ["decide", "policy"], now=datetime.now(UTC))
    started = riskd.start(workers=2)
    started.headers["x-api-key"] = key.text
    return started


def decide(running: Running, body: dict[str, Any] = TOR) -> dict[str, Any]:
    """Judge an attempt on a connection of its own, by whichever worker takes it."""
    with running.client() as client:
        answer = client.post("/decide", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def codes(decision: dict[str, Any]) -> set[str]:
    """Reason codes of a decision."""
    return {reason["code"] for reason in decision["reasons"]}


def everywhere(running: Running, wanted: str, body: dict[str, Any] = TOR) -> bool:
    """Whether in the end every worker decides so: twelve connections in a row."""
    return eventually(lambda: all(decide(running, body)["decision"] == wanted for _ in range(12)))


def changed(client: httpx.Client, method: str, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - any body
    """Change something that is right."""
    answer = client.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_denied_subject_is_denied_by_every_worker(riskd: Riskd, running: Running, policy: Path) -> None:
    """A subject put on a deny list is denied by all workers within moments, also after a restart, until taken off."""
    with running.client() as client:
        assert decide(running, BODY)["decision"] == "allow"
        told = changed(client, "POST", "/lists/people", values=["ada"], reason="stole a laptop")
        assert told["entries"][0]["status"] == "added"
        assert everywhere(running, "deny", BODY)
        denied = decide(running, BODY)
        (reason,) = [reason for reason in denied["reasons"] if reason["code"] == "deny_listed"]
        assert reason["detail"] == {"deny_lists": "people", "floor": "deny"}
        (listed,) = client.get("/lists/people").json()["entries"]
        assert (listed["author"], listed["reason"], listed["until"]) == ("ops", "stole a laptop", None)
        states = {state["name"]: state["entries"] for state in client.get("/lists").json()["lists"]}
        assert states["places"] == {"policy": 0, "file": 1}
    key = running.headers["x-api-key"]
    running.end()
    again = riskd.start(workers=2)
    again.headers["x-api-key"] = key
    assert everywhere(again, "deny", BODY)
    with again.client() as client:
        gone = changed(client, "DELETE", "/lists/people", values=["ada"], reason="laptop came back")
        assert gone["entries"][0]["status"] == "removed"
        assert everywhere(again, "allow", BODY)
    lines = (riskd.data_dir / "audit" / "changes.jsonl").read_bytes().splitlines()
    said = [(one.change, one.author, one.list, one.reason) for one in map(decode, lines)]
    assert said == [
        ("entry_added", "ops", "people", "stole a laptop"),
        ("entry_removed", "ops", "people", "laptop came back"),
    ]
    assert b'"ada"' not in b"".join(lines)
    records = [record for record in read(riskd.data_dir / "log") if isinstance(record, DecisionRecord)]
    assert any(record.facts.lists.denied == ("people",) and record.outcome == "deny" for record in records)
    assert load(policy).revision == records[0].policy_revision


def test_an_exemption_lifts_a_signal_everywhere(riskd: Riskd, running: Running, policy: Path) -> None:
    """An exempted signal brings no points, is told in decision and record, and counts again when withdrawn."""
    plain = decide(running)
    assert "tor_exit" in codes(plain)
    until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    with running.client() as client:
        granted = changed(
            client, "POST", "/exemptions", subject={"id": "ada"}, code="tor_exit", until=until, reason="a journalist"
        )
        decided = [plain]

        def lifted() -> bool:
            decided[:] = [decide(running) for _ in range(12)]
            return all(one["exempt"] == ["tor_exit"] for one in decided)

        assert eventually(lifted)
        exempt = decided[-1]  # one more might fall to a worker that none of the twelve fell to
        assert exempt["score"] < plain["score"]
        assert "tor_exit" not in codes(exempt)
        assert [one["id"] for one in client.get("/exemptions").json()["exemptions"]] == [granted["id"]]
        other = decide(running, {**TOR, "subject": {"id": "eve"}})
        assert (other["exempt"], "tor_exit" in codes(other)) == ([], True)
        ended = changed(client, "DELETE", "/exemptions", id=granted["id"], reason="published")
        assert ended["reason"] == "a journalist"
        assert eventually(lambda: all(decide(running)["exempt"] == [] for _ in range(12)))
    records = [record for record in read(riskd.data_dir / "log") if isinstance(record, DecisionRecord)]
    (record, *_) = [one for one in records if one.exempt]
    assert record.facts.exempt == {"tor_exit": granted["id"]}
    assert record.exempt == ("tor_exit",)
    assert "tor_exit" not in record.hits
    again = evaluate(record.facts, load(policy), None)
    assert (again.outcome.word, again.score, again.exempt) == (record.outcome, record.score, record.exempt)


def test_an_allow_list_lifts_what_it_names(running: Running) -> None:
    """An address on an allow list is not held against its subject by what the list lifts."""
    with running.client() as client:
        changed(client, "POST", "/lists/office", values=["81.2.69.0/24"], reason="our exit")
        assert eventually(lambda: all("tor_exit" in decide(running)["exempt"] for _ in range(12)))


def test_a_file_is_hot_reloaded(running: Running, policy: Path) -> None:
    """A changed file of a list counts without a restart."""
    at_home = {**BODY, "context": {"ip": "81.2.69.142", "place": {"country": "GB"}}}
    assert decide(running, at_home)["decision"] == "allow"
    (policy.parent / "places.txt").write_text("KP\nGB # until 2099-12-31\n", encoding="utf-8")
    assert everywhere(running, "deny", at_home)


def test_a_list_that_a_policy_adds_is_known_when_it_counts(running: Running, policy: Path) -> None:
    """A reload that adds a list in the store degrades nothing, and its entries count."""
    with running.client() as client:
        changed(client, "POST", "/lists/people", values=["ada"], reason="x")
        amend(policy, lists={"named": {**LISTS["named"], "things": {"kind": "deny", "of": "device", "store": True}}})
        body = {**BODY, "subject": {"id": "eve"}, "context": {"ip": "81.2.69.142", "device_id": "d1"}}
        assert eventually(lambda: client.get("/lists/things").status_code == 200)
        changed(client, "POST", "/lists/things", values=["d1"], reason="stolen")
        assert everywhere(running, "deny", body)
        assert decide(running, body)["degraded"] == []
        assert everywhere(running, "deny", BODY)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/lists/nowhere", None, 404),
        ("GET", "/lists/places", None, 409),
        ("GET", "/lists/No-name", None, 422),
        ("GET", "/lists/people?cursor=-1", None, 422),
        ("POST", "/lists/people", {"values": [], "reason": "x"}, 422),
        ("POST", "/lists/people", {"values": ["a"]}, 422),
        ("POST", "/lists/people", {"values": ["a"], "reason": ""}, 422),
        ("POST", "/lists/people", {"values": ["a\nb"], "reason": "x"}, 422),
        ("POST", "/lists/people", {"values": ["a"] * 1001, "reason": "x"}, 422),
        ("POST", "/lists/people", {"values": ["a"], "reason": "x", "until": "2020-01-01T00:00:00Z"}, 422),
        ("POST", "/lists/people", {"values": ["a"], "reason": "x", "until": "2099-01-01"}, 422),
        ("POST", "/lists/people", {"values": ["a"], "reason": "x", "author": "eve"}, 422),
        ("POST", "/lists/office", {"values": ["1.2.3.4/8"], "reason": "x"}, 422),
        ("POST", "/lists/people", "junk", 422),
        ("PUT", "/lists/people", {}, 405),
        ("POST", "/exemptions", {"subject": {"id": "a"}, "code": "new_ip", "reason": "x"}, 422),
        ("DELETE", "/exemptions", {"id": "0" * 24, "reason": "x"}, 404),
        ("DELETE", "/exemptions", {"id": "0" * 24, "code": "new_ip", "reason": "x"}, 422),
        ("DELETE", "/exemptions", {"subject": {"id": "a"}, "reason": "x"}, 422),
    ],
)
def test_hostile_requests_are_refused(shared: httpx.Client, method: str, path: str, body: Any, status: int) -> None:  # noqa: ANN401
    """What does not fit is refused in the one shape, and repeats nothing that was sent."""
    answer = shared.request(method, path, json=body) if body is not None else shared.request(method, path)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) <= {"code", "message", "fields"}


def test_bytes_that_are_no_json_are_refused(shared: httpx.Client) -> None:
    """Another type, broken JSON, a key twice and a body without end are refused before anything is looked at."""

    def post(content: bytes, kind: str = "application/json") -> int:
        return shared.post("/lists/people", content=content, headers={"content-type": kind}).status_code

    assert post(b"{") == 400
    assert post(b'{"values":["a"],"values":["b"],"reason":"x"}') == 400
    assert post(json.dumps({"values": ["a"], "reason": "x"}).encode(), "text/plain") == 415
    assert post(b" " * 2_000_000) == 413


def test_only_the_scope_policy_may(shared: httpx.Client, shared_riskd: Riskd) -> None:
    """A key of another scope gets 403 and nobody 401, whatever the request."""
    other = create_key(
        shared_riskd.data_dir / "secrets" / "keys.json", "pep", ["decide", "outcome", "admin"], now=datetime.now(UTC)
    )
    asked = [("GET", "/lists"), ("GET", "/lists/people"), ("POST", "/lists/people"), ("DELETE", "/lists/people")]
    asked += [("GET", "/exemptions"), ("POST", "/exemptions"), ("DELETE", "/exemptions")]

    def statuses(key: str) -> set[int]:
        return {shared.request(*one, headers={"x-api-key": key}).status_code for one in asked}

    assert statuses("rk_none") == {401}
    assert eventually(lambda: statuses(other.text) == {403})


def test_the_document_tells_of_every_route(shared: httpx.Client) -> None:
    """The OpenAPI document has the routes with their bodies."""
    document = shared.get("/openapi.json").json()
    for path, methods in {"/lists": {"get"}, "/lists/{name}": {"get", "post", "delete"}}.items():
        assert set(document["paths"][path]) == methods
    body = document["paths"]["/exemptions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"subject", "code", "until", "reason"}
    assert "$ref" not in json.dumps(body)


@pytest.fixture(scope="module")
def shared_riskd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Riskd]:
    """One service for the tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    path = folder / "riskd.yaml"
    path.write_bytes((SHIPPED / "default.yaml").read_bytes())
    (folder / "places.txt").write_text("KP\n", encoding="utf-8")
    amend(path, anomaly={"missing": "rules_only"}, lists=LISTS)
    service = Riskd(folder / "data", path)
    yield service
    for running in service.started:
        finish(running)


@pytest.fixture(scope="module")
def shared(shared_riskd: Riskd) -> Iterator[httpx.Client]:
    """A client of that service that may change lists."""
    key = create_key(shared_riskd.data_dir / "secrets" / "keys.json", "ops", ["policy"], now=datetime.now(UTC))
    with shared_riskd.start().client(**{"x-api-key": key.text}) as client:
        yield client
