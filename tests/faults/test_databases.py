"""Case 10: a GeoIP database that is missing, damaged, or swapped while callers ask."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.callers import Callers
from tests.faults.databases import write_city
from tests.faults.rig import Rig, decide, login
from tests.http.servers import Running, eventually


def absent(path: Path) -> None:
    """Leave it out."""
    path.unlink(missing_ok=True)


def noise(path: Path) -> None:
    """Write what is no database, in place."""
    path.write_bytes(b"\x00\xff" * 5000)


def half(path: Path) -> None:
    """Write half a database, in place."""
    write_city(path, "DE")
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize("damage", [absent, noise, half])
def test_case_10_damaged_database_refuses_to_start(rig: Rig, damage: Callable[[Path], None]) -> None:
    """A configured database that cannot be used is one line that names it."""
    path = rig.home / "city.mmdb"
    damage(path)
    assert rig.refuses(GEO_CITY=str(path)).startswith(f"riskd: {path}: ")


def test_case_10_database_swapped_mid_load(rig: Rig) -> None:
    """Under load a sound database is taken over, damaged ones leave the last good one, and no request notices."""
    path = rig.home / "city.mmdb"
    write_city(path, "GB")
    running = rig.start(GEO_CITY=str(path))
    with Callers(running, 4, ip="81.2.69.142") as load:
        assert country(rig, running) == "GB"
        write_city(path, "JP")
        assert eventually(lambda: country(rig, running) == "JP")
        with running.client() as client:
            for damage in (noise, half, absent):
                damage(path)
                assert eventually(lambda: client.get("/readyz").json()["parts"]["databases"]["state"] == "stale")
                assert client.get("/readyz").status_code == 200
                assert country(rig, running) == "JP"
            write_city(path, "FR")
            assert eventually(lambda: country(rig, running) == "FR")
    assert (load.statuses, load.broken) == ({200}, [])
    assert {given.degraded for given in load.answers} == {()}


def country(rig: Rig, running: Running, ip: str = "81.2.69.142") -> str | None:
    """Return where a login was seen to come from."""
    with running.client() as client:
        return rig.record(decide(client, login("tourist", ip=ip))["decision_id"]).facts.place.country


def test_case_10_no_place_is_unknown_not_home(rig: Rig) -> None:
    """An address without a place leaves the questions about places open; it counts neither as home nor as abroad."""
    running = rig.start()
    with running.client() as client:
        home = decide(client, login())
        client.post("/outcome", json={"decision_id": home["decision_id"], "outcome": "confirmed_legitimate"})
        placed = rig.record(decide(client, login())["decision_id"])
        nowhere = rig.record(decide(client, login(ip="10.0.0.1"))["decision_id"])
    assert {"new_country", "impossible_travel"} & set(placed.unknown) == set()
    assert {"new_country", "impossible_travel"} <= set(nowhere.unknown)
    assert nowhere.facts.place.country is None
