"""What one connection may take: bytes, time, silence."""

import contextlib
import http.client
import json
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.http.servers import BODY, Running, answer, request

GOOD = json.dumps(BODY).encode()
PATIENCE = 5.0
"""Ten times what the hasty server allows, and some."""


def works(running: Running) -> bool:
    """Tell whether another caller is served."""
    with running.client() as client:
        return client.post("/decide", json=BODY).status_code == 200


def ends(connection: socket.socket) -> bool:
    """Tell whether the other side closes within patience."""
    connection.settimeout(PATIENCE)
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return True


def test_half_a_header_then_silence_is_cut(hasty: Running) -> None:
    """Who begins a head and stops is told 408 and cut."""
    with hasty.connect() as connection:
        connection.sendall(b"POST /decide HTTP/1.1\r\nhost: x\r\nx-api")
        status, headers, _ = answer(connection)
        assert (status, headers["connection"]) == (408, "close")
        assert ends(connection)
    assert works(hasty)


def test_a_header_a_byte_at_a_time_is_cut(hasty: Running) -> None:
    """A trickle does not restart the clock."""
    with hasty.connect() as connection:
        connection.sendall(b"POST /decide HTTP/1.1\r\n")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < PATIENCE:
                connection.sendall(b"x: y\r\n")
                time.sleep(0.1)
        assert time.monotonic() - began < PATIENCE


def test_a_slow_body_is_cut(hasty: Running) -> None:
    """Who sends half a body and stops is told 408 and cut."""
    with hasty.connect() as connection:
        connection.sendall(request("/decide", GOOD)[:-10])
        assert answer(connection)[0] == 408
        assert ends(connection)
    assert works(hasty)


def test_silence_from_the_start_is_cut(hasty: Running) -> None:
    """A connection that never says anything is closed."""
    with hasty.connect() as connection:
        assert ends(connection)


def test_an_idle_connection_is_closed_after_a_while(hasty: Running) -> None:
    """A connection rests between requests only so long."""
    with hasty.connect() as connection:
        connection.sendall(request("/decide", GOOD))
        assert answer(connection)[0] == 200
        assert ends(connection)


def test_a_slow_answer_is_not_cut(hasty: Running) -> None:
    """Patience is for callers: while riskd owes the answer, no clock runs."""
    slow = json.dumps(BODY | {"action": {"name": "sleep_2.5"}}).encode()
    with hasty.connect() as connection:
        connection.sendall(request("/decide", slow))
        assert answer(connection)[0] == 200


def test_five_hundred_idle_connections_hurt_nobody(hasty: Running) -> None:
    """Others are served beside 500 silent connections, which are all closed in the end."""
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(hasty.connect()) for _ in range(500)]
        assert works(hasty)
        assert all(ends(connection) for connection in idle)
    assert works(hasty)


def test_one_connection_too_many_is_told_so(hasty: Running) -> None:
    """Beyond the limit a connection gets 503 with Retry-After instead of silence."""
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(hasty.connect()) for _ in range(601)]
        status, headers, _ = answer(many[-1])
        assert (status, headers["retry-after"]) == (503, "1")
        assert all(ends(connection) for connection in many)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /decide HTTP/1.1\r\nx: " + b"a" * 64_000 + b"\r\n\r\n",
        b"POST /decide HTTP/1.1\r\n" + b"x: y\r\n" * 4_000 + b"\r\n",
        b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /decide HTTP/1.1\r\nx: " + b"a" * 64_000,
    ],
    ids=["one header of 64 KB", "4,000 headers", "a path of 20 KB", "a header without end"],
)
def test_a_large_head_gets_431(server: Running, head: bytes) -> None:
    """Sixteen KiB of head are enough for everybody."""
    with server.connect() as connection:
        connection.sendall(head)
        status, headers, text = answer(connection)
    assert (status, headers["connection"]) == (431, "close")
    assert json.loads(text)["error"]["code"] == "headers_too_large"
    assert works(server)


def test_a_large_head_is_counted_alone(server: Running) -> None:
    """A head just within the limit passes, whatever body comes in the same packet."""
    with server.connect() as connection:
        connection.sendall(request("/decide", GOOD + b" " * 60_000, "x: " + "a" * 16_000))
        assert answer(connection)[0] == 200


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_what_is_not_http_gets_400(server: Running, garbage: bytes) -> None:
    """TLS, HTTP/2 and noise on the port are refused in the usual shape."""
    with server.connect() as connection:
        connection.sendall(garbage)
        status, _, text = answer(connection)
    assert (status, json.loads(text)["error"]["code"]) == (400, "invalid_http")
    assert works(server)


def test_a_broken_chunk_gets_400(server: Running) -> None:
    """A body that stops being HTTP is refused while the app waits for the rest."""
    head = b"POST /decide HTTP/1.1\r\nhost: x\r\nx-api-key: rk_all\r\ncontent-type: application/json\r\n"
    with server.connect() as connection:
        connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        time.sleep(0.05)
        connection.sendall(b"zz\r\n")
        assert answer(connection)[0] == 400
    assert works(server)


def test_a_few_trailers_disturb_nobody(server: Running) -> None:
    """They are HTTP, and mean nothing here."""
    body = json.dumps(BODY).encode()
    head = b"POST /decide HTTP/1.1\r\nhost: x\r\nx-api-key: rk_all\r\ncontent-type: application/json\r\n"
    with server.connect() as connection:
        chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\nx-api-key: rk_no\r\n\r\n"
        connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n" + chunk)
        assert answer(connection)[0] == 200


def test_two_lengths_are_refused(server: Running) -> None:
    """What proxies and servers read differently (request smuggling) is not HTTP here."""
    with server.connect() as connection:
        connection.sendall(request("/decide", GOOD, "transfer-encoding: chunked"))
        assert answer(connection)[0] == 400


def test_garbage_behind_a_request_does_not_spoil_its_answer(server: Running) -> None:
    """The request before the garbage is answered, then the connection ends."""
    slow = json.dumps(BODY | {"action": {"name": "sleep_0.2"}}).encode()
    with server.connect() as connection:
        connection.sendall(request("/decide", slow) + b"\x00\x00garbage\r\n\r\n")
        assert answer(connection)[0] == 200
        assert ends(connection)


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    """Ten requests in one packet get ten answers."""
    with server.connect() as connection, connection.makefile("rb") as file:
        connection.sendall(request("/decide", GOOD) * 10)
        for _ in range(10):
            assert file.readline().startswith(b"HTTP/1.1 200")
            headers = http.client.parse_headers(file)
            file.read(int(headers["content-length"]))


def test_an_offer_of_http2_is_passed_over(server: Running) -> None:
    """Java's client offers h2c with its first request; the body is not lost over it."""
    offer = ["connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIAAAAA"]
    with server.connect() as connection:
        connection.sendall(request("/decide", GOOD, *offer))
        assert answer(connection)[0] == 200


def test_expect_100_continue(server: Running) -> None:
    """Who waits for leave to send gets it; or the refusal at once, and the connection ends."""
    with server.connect() as connection:
        head, _, _ = request("/decide", GOOD, "expect: 100-continue").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(GOOD)
        assert answer(connection)[0] == 200
    with server.connect() as connection:
        connection.sendall(head.replace(b"rk_all", b"rk_no") + b"\r\n\r\n")
        assert answer(connection)[0] == 401
        assert ends(connection)


def rss(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with length"])
def test_64_megabytes_do_not_fill_memory(server: Running, chunked: bool) -> None:
    """A huge body is refused after its first bytes, and what still comes is thrown away."""
    assert works(server)
    (pid,) = server.worker_pids()
    before = rss(pid)
    block = b"x" * 65_536
    head = b"POST /decide HTTP/1.1\r\nhost: x\r\nx-api-key: rk_all\r\ncontent-type: application/json\r\n"
    with server.connect() as connection:
        connection.sendall(
            head + (b"transfer-encoding: chunked\r\n\r\n" if chunked else b"content-length: 67108864\r\n\r\n")
        )
        for _ in range(1024):
            connection.sendall(b"10000\r\n" + block + b"\r\n" if chunked else block)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        assert answer(connection)[0] == 413
        connection.sendall(request("/decide", GOOD))
        assert answer(connection)[0] == 200
    assert rss(pid) - before < 10_000_000


@pytest.mark.parametrize("key", [b"rk_all", b"rk_no"])
@pytest.mark.parametrize("piece", [b"x: y\r\n", b"x" * 100], ids=["many", "one without end"])
def test_trailers_do_not_fill_memory(server: Running, piece: bytes, key: bytes) -> None:
    """What comes as headers behind a chunked body is limited as a head is, and thrown away; the connection ends."""
    assert works(server)
    (pid,) = server.worker_pids()
    before = rss(pid)
    head = b"POST /decide HTTP/1.1\r\nhost: x\r\nx-api-key: " + key + b"\r\ncontent-type: application/json\r\n"
    with server.connect() as connection:
        connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")
        with suppress(OSError):  # it is cut while we send
            for _ in range(32):
                connection.sendall(piece * 10_000)
        with suppress(OSError):
            assert answer(connection)[0] == (431 if key == b"rk_all" else 401)
            assert ends(connection)
    assert rss(pid) - before < 10_000_000
    assert works(server)
