"""Cases 11 to 13: each way in which a policy on disk comes into use, in every worker, or does not."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from riskd.policy.load import parse
from riskd.record.schema import DecisionRecord
from tests.faults.callers import Callers
from tests.faults.rig import Rig, decide, login, metric, rss_mb
from tests.http.servers import Running, eventually

BROKEN = {
    "broken YAML": b"version: 1\nthresholds: {step_up: 50\n",
    "unknown key": b"version: 1\nlevl: 2\n",
    "bad expression": b"version: 1\ncustom_signals:\n- {code: mine, when: 'action.amuont > 1.0', text: More.}\n",
    "duplicate code": b"version: 1\ncustom_signals:\n"
    + b"- {code: mine, when: 'action.amount > 1.0', text: More.}\n" * 2,
    "thresholds turned round": b"version: 1\nthresholds: {step_up: 90, deny: 50}\n",
    "a key twice": b"version: 1\nlevel: 2\nlevel: 3\n",
    "empty": b"",
    "noise": b"\x00\xff" * 100,
}


def revisions(running: Running, workers: int) -> set[str]:
    """Return the revision of each worker, as fresh connections meet them."""
    found: dict[str, str] = {}
    for _ in range(40 * workers):
        with running.client() as client:
            told = client.get("/policy").json()
        found[told["loaded_at"]] = told["revision"]
    return set(found.values())


def policy(client: httpx.Client) -> dict[str, str]:
    """Return what is told of the policy in use."""
    told: dict[str, str] = client.get("/policy").json()
    return told


def swap(path: Path, content: bytes) -> None:
    """Put another file in the place of one."""
    beside = path.with_name("beside")
    beside.write_bytes(content)
    beside.replace(path)


@pytest.mark.parametrize("name", BROKEN)
def test_case_11_a_broken_policy_is_counted_once(rig: Rig, name: str) -> None:
    """The last good one decides on, ready all the same; one error is counted, and one told to whoever asks."""
    with rig.start().client() as client:
        revision = decide(client)["policy_revision"]
        swap(rig.policy, BROKEN[name])
        assert eventually(lambda: policy(client)["problem"] is not None)
        assert metric(client, "riskd_config_load_errors_total", part="policy") == 1
        told = client.get("/readyz")
        assert (told.status_code, told.json()["parts"]["policy"]["state"]) == (200, "stale")
        assert told.json()["parts"]["policy"]["detail"] == policy(client)["problem"]
        assert decide(client)["policy_revision"] == policy(client)["revision"] == revision
        refused = client.post("/policy/reload")
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_policy")
        assert refused.json()["error"]["fields"][0]["message"].startswith(str(rig.policy))
        assert metric(client, "riskd_config_load_errors_total", part="policy") == 2
        assert rig.errors.read_text().count("kept_last_good") == 1
        assert decide(client)["policy_revision"] == revision


def test_case_11_a_worker_that_dies_beside_a_broken_policy(rig: Rig) -> None:
    """Its successor decides by the last good policy, says so, and follows the file again once it is mended."""
    running = rig.start()
    with running.client() as client:
        before = decide(client)["policy_revision"]
        rig.amend(level=3)
        assert eventually(lambda: policy(client)["revision"] != before)
        revision, good = policy(client)["revision"], rig.policy.read_bytes()
        swap(rig.policy, BROKEN["unknown key"])
        assert eventually(lambda: policy(client)["problem"] is not None)
    (first,) = running.worker_pids()
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: running.worker_pids() not in ([], [first]))
    with running.client() as client:
        assert decide(client)["policy_revision"] == revision
        assert "levl" in policy(client)["problem"]
        assert client.get("/readyz").json()["parts"]["policy"]["state"] == "stale"
        swap(rig.policy, good)
        assert eventually(lambda: policy(client)["problem"] is None)
        swap(rig.policy, BROKEN["empty"])
    running.end()
    assert "is empty" in rig.refuses()


def test_case_12_half_written_in_place(rig: Rig) -> None:
    """A writer who takes his time is waited for: no half of his file is used, though it would be a policy."""
    rig.amend(lists={"deny": {"networks": ["81.2.69.0/24"]}})
    whole = rig.policy.read_bytes()
    with rig.start().client() as client:
        revision = decide(client)["policy_revision"]
        with rig.policy.open("wb", buffering=0) as file:
            for begin in range(0, len(whole), 200):
                file.write(whole[begin : begin + 200])
                assert decide(client)["policy_revision"] == revision
        assert eventually(lambda: policy(client)["problem"] is None)
        assert decide(client)["policy_revision"] == revision


def test_case_12_a_config_map_that_is_swapped(rig: Rig) -> None:
    """A policy mounted as Kubernetes mounts it changes with the link `..data`."""
    for folder in ("..one", "..two"):
        (rig.home / folder).mkdir()
        (rig.home / folder / "riskd.yaml").write_bytes(rig.policy.read_bytes())
        rig.amend(level=3)
    rig.policy.unlink()
    (rig.home / "..data").symlink_to("..one")
    rig.policy.symlink_to("..data/riskd.yaml")
    with rig.start().client() as client:
        revision = policy(client)["revision"]
        (rig.home / "..tmp").symlink_to("..two")
        (rig.home / "..tmp").replace(rig.home / "..data")
        assert eventually(lambda: policy(client)["revision"] != revision)
        (rig.home / "..tmp").symlink_to("..one")
        (rig.home / "..tmp").replace(rig.home / "..data")
        assert eventually(lambda: policy(client)["revision"] == revision)


@pytest.mark.parametrize("way", ["the file", "HUP", "HUP to a worker", "POST"])
def test_every_worker_follows(rig: Rig, way: str) -> None:
    """Whoever hears of a change, all workers come to judge by it, no process is replaced and no caller notices."""
    running = rig.start(workers=2)
    workers = running.worker_pids()
    with Callers(running, 4) as load, running.client() as client:
        (before,) = revisions(running, 2)
        rig.amend(lists={"deny": {"networks": ["203.0.113.0/24"]}})
        if way == "HUP":
            running.process.send_signal(signal.SIGHUP)
        elif way == "HUP to a worker":
            for pid in workers:
                os.kill(pid, signal.SIGHUP)
        elif way == "POST":
            told = client.post("/policy/reload").json()
            assert told["revision"] != before
        assert eventually(lambda: policy(client)["revision"] != before)
        after = policy(client)["revision"]
        assert eventually(lambda: metric(client, "riskd_workers", policy=after) == 2)
        assert revisions(running, 2) == {after}
    assert running.worker_pids() == workers
    assert (load.statuses, load.broken) == ({200}, [])


def test_asking_again_reads_again(rig: Rig) -> None:
    """A reload of the same policy changes nothing but when it was loaded; only a key of that scope may ask."""
    with rig.start().client() as client:
        before = policy(client)
        told = client.post("/policy/reload").json()
        assert (told["changed"], told["revision"], told["problem"]) == (False, before["revision"], None)
        assert told["loaded_at"] > before["loaded_at"]
        assert told["source"] == str(rig.policy)
        rig.amend(level=3)
        told = client.post("/policy/reload").json()
        assert told["revision"] == decide(client)["policy_revision"] != before["revision"]
        shown = (rig.data / "secrets" / "keys.json").read_text()
        for method, path in (("GET", "/policy"), ("POST", "/policy/reload")):
            assert client.request(method, path, headers={"x-api-key": "rk_no"}).status_code == 401
        other = rig.command("keys", "create", "pep", "--scope", "decide").stdout.split()[0]
        assert shown != (rig.data / "secrets" / "keys.json").read_text()
        assert eventually(lambda: client.get("/policy", headers={"x-api-key": other}).status_code == 403)
        assert client.post("/policy/reload", headers={"x-api-key": other}).status_code == 403


def test_keys_and_databases_follow_hup(rig: Rig) -> None:
    """A new key works, and HUP ends neither parent nor workers, however often it comes."""
    running = rig.start(workers=2)
    workers = running.worker_pids()
    key = rig.command("keys", "create", "pep", "--scope", "decide").stdout.split()[0]
    for _ in range(20):
        running.process.send_signal(signal.SIGHUP)
    with running.client(**{"x-api-key": key}) as client:
        assert eventually(lambda: client.post("/decide", json=login()).status_code == 200)
    assert running.process.poll() is None
    assert running.worker_pids() == workers


def test_case_13_many_reloads_under_load(rig: Rig) -> None:
    """Good and broken policies in quick turn, two workers, full load: each record's hits are those of its revision."""
    variants = []
    for networks in (["203.0.113.0/24"], ["81.2.69.0/24"], ["198.51.100.0/24"], ["81.2.69.142"]):
        rig.amend(lists={"deny": {"networks": networks}})
        variants.append((rig.policy.read_bytes(), networks[0].startswith("81.2.69.")))
    running = rig.start(workers=2)
    denying: dict[str, bool] = {parse(content, "").revision: denied for content, denied in variants}
    with Callers(running, 8, ip="81.2.69.142") as load, running.client() as client:
        rss = [rss_mb(pid) for pid in running.worker_pids()]
        for number in range(60):
            content, denied = variants[number % 4]
            if number % 5 == 4:
                swap(rig.policy, list(BROKEN.values())[number % len(BROKEN)])
                assert client.post("/policy/reload").status_code == 422
            else:
                swap(rig.policy, content)
                told = client.post("/policy/reload").json()
                assert denying[told["revision"]] is denied
        # While a bad file lies there each worker keeps the last good one that it saw itself; a good one unites them.
        swap(rig.policy, variants[0][0])
        told = client.post("/policy/reload").json()
        assert eventually(lambda: metric(client, "riskd_workers", policy=told["revision"]) == 2)
        grown = [rss_mb(pid) - before for pid, before in zip(running.worker_pids(), rss, strict=True)]
    assert (load.statuses, load.broken) == ({200}, [])
    records = [record for record in rig.records() if isinstance(record, DecisionRecord)]
    assert sorted(record.decision_id for record in records) == sorted(load.ids)
    assert {record.policy_revision for record in records} == set(denying)
    assert all(("denied_network" in record.hits) is denying[record.policy_revision] for record in records)
    assert max(grown) < 25, grown
