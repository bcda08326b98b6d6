"""Connections that come in pieces, end by halves, or carry several requests."""

import json
import socket
import struct

import pytest

from tests.http.servers import BODY, Running, Start, answer, request

GOOD = json.dumps(BODY).encode()
SLOW = json.dumps(BODY | {"action": {"name": "sleep_0.2"}}).encode()
CHUNKED = b"POST /decide HTTP/1.1\r\nhost: x\r\nx-api-key: rk_all\r\ntransfer-encoding: chunked\r\n"


def statuses(connection: socket.socket) -> list[int]:
    """Read to the end; return the statuses of what came."""
    data = b""
    while part := connection.recv(65536):
        data += part
    return [int(one[:3]) for one in data.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("name", ["Upgrade", "UPGRADE", "uPgRaDe"])
def test_an_offer_of_http2_is_passed_over_however_it_comes(server: Running, name: str) -> None:
    """The body is not lost over an offer that is written otherwise, or whose name two packets share."""
    whole = request("/decide", GOOD, "connection: Upgrade", f"{name}: h2c")
    begin = whole.index(f"\r\n{name}:".encode())
    for cut in range(begin, begin + len(name) + 4):
        with server.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(whole[:cut])
            server.pause()
            connection.sendall(whole[cut:])
            assert answer(connection)[0] == 200, whole[begin:cut]


def test_an_offer_a_byte_at_a_time_is_passed_over(server: Running) -> None:
    """Of however many packets share its name."""
    whole = request("/decide", GOOD, "connection: Upgrade", "Upgrade: h2c")
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(whole)):
            connection.sendall(whole[at : at + 1])
        assert answer(connection)[0] == 200


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "one",
    [
        request("/decide", SLOW),
        CHUNKED + b"content-type: application/json\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SLOW), SLOW),
    ],
    ids=["with length", "chunked"],
)
def test_who_ends_his_half_is_answered(server: Running, one: bytes, times: int) -> None:
    """All that was asked before is answered, and the connection ends with the last answer."""
    with server.connect() as connection:
        connection.sendall(one * times)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(connection) == [200] * times


@pytest.mark.parametrize(
    ("begun", "told"),
    [
        (b"", []),
        (b"POST /decide HTTP/1.1\r\nho", [400]),
        (request("/decide", GOOD)[:-1], [400]),
        (request("/decide", SLOW) + request("/decide", GOOD)[:-1], [200, 400]),
        (request("/decide", GOOD, "expect: x", key="rk_no")[:-1], [401]),
    ],
    ids=["nothing", "half a head", "half a body", "half a second", "half a refused one"],
)
def test_who_ends_in_the_middle_is_told_so(server: Running, begun: bytes, told: list[int]) -> None:
    """Half a request is refused in words once those before it are answered; one that is refused is so once."""
    with server.connect() as connection:
        connection.sendall(begun)
        server.pause()
        connection.shutdown(socket.SHUT_WR)
        assert statuses(connection) == told


@pytest.mark.parametrize(
    "broken",
    [b"\x00garbage\r\n\r\n", CHUNKED + b"\r\nzz\r\n", b"GET https:// HTTP/1.1\r\nhost: x\r\n\r\n"],
    ids=["no request", "a chunk without size", "no target"],
)
@pytest.mark.parametrize("times", [1, 3])
def test_what_is_broken_comes_after_what_is_not(server: Running, broken: bytes, times: int) -> None:
    """In one packet with it: each request before is answered in its place, then the connection ends."""
    with server.connect() as connection:
        connection.sendall(request("/decide", SLOW) * times + broken)
        assert statuses(connection) == [200] * times


def test_a_target_that_is_none_gets_400(server: Running) -> None:
    """As the first and as a later request of a connection."""
    broken = b"GET https:// HTTP/1.1\r\nhost: x\r\n\r\n"
    for before in (b"", request("/decide", GOOD)):
        with server.connect() as connection:
            if before:
                connection.sendall(before)
                assert answer(connection)[0] == 200
            connection.sendall(broken)
            assert statuses(connection) == [400]


def test_an_old_client_is_not_told_to_continue(server: Running) -> None:
    """HTTP/1.0 knows no answer before the answer."""
    with server.connect() as connection:
        connection.sendall(request("/decide", GOOD, "expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert statuses(connection) == [200]


def test_requests_of_many_sizes_keep_their_places(server: Running) -> None:
    """Ten in one go: on the short way and off it, at the limit and past it, empty, batched and chunked."""
    parts = [
        (request("/decide", GOOD), 200),
        (request("/decide", GOOD.ljust(65_536)), 200),
        (request("/decide", GOOD.ljust(65_537)), 413),
        (request("/decide", b""), 400),
        (CHUNKED + b'content-type: application/json\r\n\r\n2;a="b"\r\n{}\r\n0\r\n\r\n', 422),
        (request("/decide", b"\xef\xbb\xbf" + GOOD), 400),
        (request("/decide/batch", json.dumps({"requests": [BODY] * 100}).encode().ljust(1_048_576)), 200),
        (request("/decide", GOOD, key="rk_no"), 401),
        (request("/outcome", b"{}"), 422),
        (request("/decide", SLOW, "connection: close"), 200),
    ]
    with server.connect() as connection:
        connection.sendall(b"".join(one for one, _ in parts))
        assert statuses(connection) == [status for _, status in parts]


def test_who_leaves_while_others_wait_hurts_nobody(start: Start) -> None:
    """Callers who pipeline and are gone before the answers: nothing is logged as a failure, and others are served."""
    alone = start()
    for one in (request("/decide", SLOW), request("/decide", SLOW, "expect: x")):
        for _ in range(3):
            with alone.connect() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(one * 3)
                alone.pause()
    with alone.connect() as connection:
        connection.sendall(request("/decide", SLOW))
        assert answer(connection)[0] == 200
    alone.end()
    assert alone.process.stderr is not None
    assert "exception" not in alone.process.stderr.read()
