"""Cases 27 to 29: the log's disk is full or gone, the process is killed, and secrets stand where none should."""

import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from riskd.record.reader import ReadReport
from tests.faults.callers import Callers
from tests.faults.rig import Rig, decide, login, metric
from tests.http.servers import Running, eventually

FULL_AT = 48 * 1024
"""Bytes at which the log file cannot grow any more."""


def fill_the_disk(rig: Rig) -> None:
    """Let no file of the worker grow any more: what it gets to hear is an error of the write itself."""
    (worker,) = rig.running[0].worker_pids()
    _, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (FULL_AT, hard))


def free_the_disk(rig: Rig) -> None:
    """Take the limit away."""
    (worker,) = rig.running[0].worker_pids()
    _, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (hard, hard))


def take_the_disk(rig: Rig) -> None:
    """Delete the log's folder under the writer and put a file there; what was in it comes back with the disk."""
    shutil.copytree(rig.log, rig.home / "away")
    shutil.rmtree(rig.log)
    rig.log.write_text("no folder")


def give_the_disk(rig: Rig) -> None:
    """Put the folder back."""
    rig.log.unlink()
    (rig.home / "away").rename(rig.log)


FAULTS = ((fill_the_disk, free_the_disk), (take_the_disk, give_the_disk))


@pytest.mark.parametrize("on_failure", ["refuse", "count"])
def test_case_27_disk_full_or_gone(tmp_path: Path, on_failure: str) -> None:
    """Lost records are refused or counted as configured, never silently; with the disk back all is as before."""
    asked: list[httpx.Response] = []
    with Rig(tmp_path / "rig", record={"on_failure": on_failure}) as rig, rig.start().client() as client:

        def ask() -> int:
            asked.append(client.post("/decide", json=login(f"s{len(asked)}")))
            return asked[-1].status_code

        def state() -> str:
            told: str = client.get("/readyz").json()["parts"]["record"]["state"]
            return told

        assert ask() == 200
        for break_it, mend_it in FAULTS:
            break_it(rig)
            assert eventually(lambda: ask() > 0 and state() == "failing")
            during = [ask() for _ in range(30)]
            if on_failure == "refuse":
                assert set(during) == {503}
                assert asked[-1].headers["retry-after"] == "1"
                assert client.get("/readyz").status_code == 503
            else:
                assert set(during) == {200}
                assert client.get("/readyz").status_code == 200
            mend_it(rig)
            # Nobody asks for decisions while /readyz says no: riskd finds out by itself.
            assert eventually(lambda: state() == "ok")
            assert ask() == 200
        written, dropped = (metric(client, f"riskd_record_{what}_total") for what in ("written", "dropped"))
        refused = len([told for told in asked if told.status_code != 200])
        assert (metric(client, "riskd_record_failures_total"), written + dropped) == (dropped, len(asked))
        assert dropped >= 60
        assert refused == (dropped if on_failure == "refuse" else 0)
        report = ReadReport()
        assert (len(rig.records(report)), report.refused) == (written, {})


def test_case_28_killed_at_full_load(rig: Rig) -> None:
    """Every decision that was answered has its record, whatever was under way when all was killed; the log reads on."""
    running = rig.start(workers=2)
    with Callers(running) as load:
        assert eventually(lambda: len(load.answers) > 300)
        for pid in (*running.worker_pids(), running.process.pid):
            os.kill(pid, signal.SIGKILL)
        running.process.wait()
    assert load.statuses == {200}
    last = max(rig.log.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    with last.open("ab") as file:
        file.write(b'{"record":"decision","v":1,"decision_id":"0190')  # the half line of a crashed machine
    with rig.start().client() as client:
        after = decide(client)
    report = ReadReport()
    recorded = {record.decision_id for record in rig.records(report)}
    assert {*load.ids, after["decision_id"]} <= recorded
    assert report.refused == {"torn": 1}
    assert rig.command("explain", load.ids[-1]).returncode == 0


SECRETS = {
    "password": "Tr0ub4dor&3-horse",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlMTIz",
    "card": "4111111111111111",
    "mail": "ada.lovelace@example.org",
    "address": "81.2.69.142",
}


def planted(secret: str) -> list[dict[str, Any]]:
    """Return good requests with a secret in every field that takes a text, and bad ones with it in the wrong place."""
    whole = {
        "request_id": secret,
        "subject": dict.fromkeys(("id", "session_id", "email_domain", "acr", "type"), secret)
        | {"amr": [secret], "enrolled_factors": [secret]},
        "action": {"name": secret, "amount": 5.0, "currency": "EUR", "recipient": secret},
        "resource": {"type": secret, "id": secret, "endpoint": {"path": f"/reset/{secret}?{secret}={secret}"}},
        "context": dict.fromkeys(("user_agent", "device_id", "device_digest", "platform", "accept_language"), secret)
        | {
            "ip": SECRETS["address"],
            "client_hints": {"sec_ch_ua": secret, "sec_ch_ua_platform": secret, "sec_ch_ua_model": secret},
            "place": {"country": "GB", "city": secret},
            "network": {"organization": secret},
            # An attribute that the policy lists is kept; a password in it is a word like any other.
            "attributes": {"note": secret} | ({"kept": secret} if secret != SECRETS["password"] else {}),
        },
    }
    bad = [
        whole | {"password": secret},
        whole | {secret: 1},
        whole | {"subject": {"id": {"password": secret}}},
        whole | {"context": {"ip": secret, "attributes": {secret: [secret]}}},
        whole | {"action": {"name": "pay", "amount": secret}},
    ]
    return [whole, *bad]


def test_case_29_planted_secrets(tmp_path: Path) -> None:
    """A secret in any field, right or wrong, reaches neither log, nor stderr, nor metrics, nor an error's text."""
    keep = {"attributes": ["kept"]}
    with Rig(tmp_path / "rig", record={"keep": keep}) as rig:
        running = rig.start(LOG_LEVEL="debug")
        with running.client() as client:
            answers = [client.post("/decide", json=body) for name in SECRETS for body in planted(SECRETS[name])]
            assert [answer.status_code for answer in answers if answer.status_code != 422] == [200] * len(SECRETS)
            for answer in [answer for answer in answers if answer.status_code == 200]:
                report = {"decision_id": answer.json()["decision_id"], "outcome": "step_up_passed"}
                report |= {"acr": SECRETS["token"], "amr": [SECRETS["password"]], "method": SECRETS["card"]}
                assert client.post("/outcome", json=report).status_code == 200
            said = client.get("/metrics").text + client.get("/readyz").text
        assert len(rig.records()) == 2 * len(SECRETS)
        end(running)
        said += rig.errors.read_text() + "".join(answer.text for answer in answers if answer.status_code != 200)
        said += "".join(path.read_text() for path in rig.log.iterdir())
    for name, secret in SECRETS.items():
        for shown in (secret, secret.lower(), secret[:12], secret[-12:]):
            assert shown not in said, name


def end(running: Running) -> None:
    """End the service."""
    assert running.end() == 0
