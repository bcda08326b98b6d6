"""Cases 17 to 19 and the list of bad input: what is no request never becomes a decision or a record."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.rig import Rig, decide, login, metric
from tests.http.servers import Running, answer, request
from tests.http.test_bad_input import NOT_JSON, TOO_LARGE, WRONG_SHAPE, amount, body

REFUSED = {
    **{name: (400, data) for name, data in NOT_JSON.items()},
    **{name: (422, data) for name, (data, _) in WRONG_SHAPE.items()},
    **{name: (413, data) for name, data in TOO_LARGE.items()},
}
NUMBERS = (
    *("NaN", "Infinity", "-Infinity", "NaN as text", "1e999", "negative amount", "4,000 digits", "5 million digits"),
    *("number of 60,000 digits", "infinite attribute", "huge attribute"),
)
TYPES = ("true for a number", "text for a number", "list for a number", "number for a text", "subject id null")
TEXTS = (
    *("duplicate key", "duplicate key within", "unknown key", "lone surrogate", "lone surrogate as key", "raw NUL"),
    *("escaped NUL", "raw newline", "newline in an id", "invalid UTF-8", "overlong UTF-8", "byte order mark", "UTF-16"),
)


@pytest.fixture
def unrecorded(client: httpx.Client) -> Iterator[None]:
    """A test in which nothing is decided or recorded, and after which the next request is."""
    counted = ("riskd_decisions_total", "riskd_record_written_total", "riskd_record_dropped_total")
    before = [metric(client, name) for name in counted]
    yield
    assert [metric(client, name) for name in counted] == before
    decide(client)
    assert [metric(client, name) for name in counted] == [before[0] + 1, before[1] + 1, before[2]]


def sent(shared: Running, data: bytes) -> int:
    """Send a body and a good outcome report after it, on one connection; return what the first one got."""
    report = b'{"decision_id":"0190b2a0-0000-7000-8000-00000000000a","outcome":"login_failed"}'
    key = shared.headers["x-api-key"]
    with shared.connect() as connection:
        connection.sendall(request("/decide", data, key=key))
        status, _, text = answer(connection)
        assert json.loads(text)["error"]["message"]
        connection.sendall(request("/outcome", report, key=key))
        assert answer(connection)[0] == 404  # a decision that nobody made: the connection still works
    return status


@pytest.mark.usefixtures("unrecorded")
def test_case_17_numbers_that_are_none(shared: Running) -> None:
    """NaN, infinities, minus zero, negative and endless amounts are refused, and are no decision."""
    assert {name: sent(shared, REFUSED[name][1]) for name in NUMBERS} == {name: REFUSED[name][0] for name in NUMBERS}
    assert sent(shared, amount("-0.0")) == 422


@pytest.mark.usefixtures("unrecorded")
def test_case_18_wrong_types(shared: Running) -> None:
    """A flag, a text or a list is no number, and a number is no text."""
    assert {name: sent(shared, REFUSED[name][1]) for name in TYPES} == dict.fromkeys(TYPES, 422)


@pytest.mark.usefixtures("unrecorded")
def test_case_19_keys_and_bytes(shared: Running) -> None:
    """Duplicate and unknown keys, and bytes that are no text, are refused."""
    assert {name: sent(shared, REFUSED[name][1]) for name in TEXTS} == {name: REFUSED[name][0] for name in TEXTS}


def test_case_19_no_text_forges_a_line(shared_rig: Rig, client: httpx.Client) -> None:
    """Texts full of quotes, separators and JSON are one record on one line, whatever field they stand in."""
    forged = '"},{"record":"outcome","v":1}\u2028\u2029\u0085\\n{}'
    told = decide(
        client,
        {
            "subject": {"id": forged, "type": forged, "session_id": forged, "acr": forged, "amr": [forged]},
            "action": {"name": forged, "recipient": forged},
            "resource": {"type": forged, "id": forged, "endpoint": {"path": "/" + forged}},
            "context": {"ip": "81.2.69.142", "user_agent": forged, "platform": forged, "place": {"city": forged}},
        },
    )
    shared_rig.record(told["decision_id"])
    lines = [line for path in shared_rig.log.glob("*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    assert {json.loads(line)["record"] for line in lines} <= {"decision", "outcome"}


REST = sorted(REFUSED.keys() - {*NUMBERS, *TYPES, *TEXTS})


@pytest.mark.usefixtures("unrecorded")
def test_bad_input_is_refused(shared: Running) -> None:
    """All else on the list: empty, not JSON, too deep, too long, too many, too early, too late, half."""
    assert {name: sent(shared, REFUSED[name][1]) for name in REST} == {name: REFUSED[name][0] for name in REST}


@pytest.mark.usefixtures("unrecorded")
@pytest.mark.parametrize(
    "ip", ["1.2.3", "1.2.3.4:80", "01.2.3.4", "[::1]", "fe80::1%eth0", "host.example", "1.2.3.4/24"]
)
def test_bad_input_malformed_ip(shared: Running, ip: str) -> None:
    """What is no bare address is refused."""
    assert sent(shared, body(context__ip=ip)) == 422


@pytest.mark.parametrize("ip", ["10.0.0.1", "127.0.0.1", "::1", "fc00::1", "100.64.0.1", "0.0.0.0", "224.0.0.1"])
def test_private_ip_is_judged_without_a_place(shared_rig: Rig, client: httpx.Client, ip: str) -> None:
    """An address that is routed nowhere is an attempt like any other, from an unknown place."""
    recorded = shared_rig.record(decide(client, login("inside", ip=ip))["decision_id"])
    assert (recorded.facts.network.private, recorded.facts.place.country) == (True, None)


def test_mapped_ip_is_the_ipv4_address_in_it(shared_rig: Rig, client: httpx.Client) -> None:
    """IPv4-mapped IPv6 is no way to look like somebody else."""
    texts = ("81.2.69.142", "::ffff:81.2.69.142", "::FFFF:5102:458e", "0:0:0:0:0:ffff:81.2.69.142")
    told = [shared_rig.record(decide(client, login("mapped", ip=ip))["decision_id"]) for ip in texts]
    assert len({(recorded.facts.network.ip, recorded.facts.place.country) for recorded in told}) == 1
