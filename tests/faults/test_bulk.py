"""Cases 20 to 23: too deep, too large, too slow, too many, and of the wrong kind; others are served meanwhile."""

import gzip
import json
import time
from contextlib import ExitStack, suppress
from select import select
from socket import socket

import httpx

from tests.faults.callers import Callers
from tests.faults.rig import PATIENCE_S, decide, login, rss_mb
from tests.http.servers import Running, answer, request
from tests.http.test_bad_input import MEDIA, TOO_LARGE, body

MEGABYTE = 2**20
HOSTILE_USER_AGENTS = {
    "nested brackets": "Mozilla/5.0 " + "(" * 4000 + ")" * 4000,
    "one letter": "a" * 8000,
    "digits and dots": "Chrome/" + "1." * 4000,
    "nearly a device": "Mozilla/5.0 (Linux; Android 10; " + "Build/ " * 1000,
    "spaces": "Mozilla/5.0" + " " * 8000 + "x",
}


def test_case_20_hostile_bodies_disturb_nobody(shared: Running, client: httpx.Client) -> None:
    """Deep, wide and long bodies are refused one after the other, while other callers are answered in full."""
    with Callers(shared, 4) as others:
        for name in ("depth 100,000", "100,000 attributes", "1 MB subject id", "100 KB user agent"):
            for path in ("/decide", "/decide/batch"):
                sent = client.post(path, content=TOO_LARGE[name], headers={"content-type": "application/json"})
                assert sent.status_code in {400, 413, 422}, (name, path)
        wide = b'{"requests":[' + b",".join([b"1"] * 100_000) + b"]}"
        deep = body(context__attributes="@").replace(
            b'"@"', b"{" + b",".join(b'"%d":[]' % n for n in range(90_000)) + b"}"
        )
        for content in (wide, b'{"requests":[' + deep + b"]}"):
            sent = client.post("/decide/batch", content=content, headers={"content-type": "application/json"})
            assert sent.status_code == 422
        for text in HOSTILE_USER_AGENTS.values():
            decide(client, login("regex", user_agent=text))
        mailed = login("regex")
        mailed["subject"]["email_domain"] = "a." * 120 + "example"
        decide(client, mailed)
    assert (others.statuses, others.broken) == ({200}, [])
    assert {given.degraded for given in others.answers} == {()}


def test_a_large_batch_is_decided(client: httpx.Client) -> None:
    """A hundred long requests in one body far above 64 KB are read whole and judged in order."""
    batch = [login(f"batch-{n}", user_agent="Mozilla/5.0 " + "x" * 8000) for n in range(100)]
    answer = client.post("/decide/batch", json={"requests": batch})
    assert answer.status_code == 200
    assert len(answer.json()["decisions"]) == 100


def chunked(shared: Running, size: int) -> tuple[int, int]:
    """Send a body of unknown length piece by piece until refused; return the status and how much was taken."""
    piece = b" " * 65536
    taken = 0
    key = shared.headers["x-api-key"]
    head = f"POST /decide HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"
    with shared.connect() as connection:
        connection.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while taken < size:
                connection.sendall(b"10000\r\n" + piece + b"\r\n")
                taken += len(piece)
                if readable(connection):
                    break
        return answer(connection)[0], taken


def readable(connection: socket) -> bool:
    """Tell whether an answer has come."""
    return bool(select([connection], [], [], 0)[0])


def test_case_21_large_bodies_are_not_read(shared: Running, client: httpx.Client) -> None:
    """10 and 64 MB are refused by their declared length, unknown lengths as soon as they are too much, gzip unseen."""
    (worker,) = shared.worker_pids()
    before = rss_mb(worker)
    for size in (10, 64):
        head = request("/decide", b"", key=client.headers["x-api-key"]).replace(
            b"content-length: 0", b"content-length: %d" % (size * MEGABYTE)
        )
        with shared.connect() as connection:
            connection.sendall(head)
            assert answer(connection)[0] == 413
    for _ in range(3):
        status, taken = chunked(shared, 64 * MEGABYTE)
        assert status == 413
        assert taken < 64 * MEGABYTE
    bomb = gzip.compress(b" " * 64 * MEGABYTE)
    for coding in ("gzip", "deflate", "br", "gzip, identity"):
        headers = {"content-type": "application/json", "content-encoding": coding}
        assert client.post("/decide", content=bomb[:60_000], headers=headers).status_code == 415
    assert rss_mb(worker) - before <= 10


def test_case_22_slow_callers_are_cut(shared: Running) -> None:
    """Half a header, half a body and 500 silent connections are closed, and normal callers are served meanwhile."""
    whole = request("/decide", body(), key=shared.headers["x-api-key"])
    with ExitStack() as stack:
        half_header, half_body, drip, *silent = [stack.enter_context(shared.connect()) for _ in range(503)]
        half_header.sendall(whole[:40])
        half_body.sendall(whole[:-10])
        begun = time.monotonic()
        with Callers(shared, 4) as others:
            for letter in whole[:60]:
                with suppress(ConnectionError):
                    drip.sendall(bytes((letter,)))
                time.sleep(0.3)
        assert (others.statuses, others.broken) == ({200}, [])
        for connection in (half_header, half_body, drip, *silent):
            connection.settimeout(PATIENCE_S * 10)
            with suppress(ConnectionResetError):
                said = connection.recv(4096)
                assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begun < PATIENCE_S * 10


def test_case_23_another_kind(shared: Running, client: httpx.Client) -> None:
    """Another media type is 415, another method 405, a head of 64 KB 431."""
    key = client.headers["x-api-key"]
    for name, lines in MEDIA.items():
        head = "\r\n".join(["POST /decide HTTP/1.1", "host: x", f"x-api-key: {key}", *lines])
        with shared.connect() as connection:
            connection.sendall(f"{head}\r\ncontent-length: {len(body())}\r\n\r\n".encode() + body())
            assert (answer(connection)[0], name) == (415, name)
    for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        refused = client.request(method, "/decide")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    for header in ("x-large: " + "x" * 65536, "\r\n".join(f"x-{n}: {n}" for n in range(4000))):
        with shared.connect() as connection:
            with suppress(ConnectionError):
                connection.sendall(request("/decide", body(), header, key=key))
            assert answer(connection)[0] == 431
    assert json.loads(client.get("/healthz").text) == {"status": "alive"}
