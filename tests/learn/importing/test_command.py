"""The commands: what they print, and what they say to a mistake."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from riskd.cli import history
from riskd.cli.root import app
from riskd.errors import ConfigError
from riskd.learn.importing.order import scratch, scratch_folder
from riskd.learn.importing.sshd import HOSTS

MAPPING = "columns: {t: time, who: subject.id, ip: context.ip, device: context.device_id, ok: outcome.succeeded}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of its own, with a history to bring in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RISKD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RISKD_MODELS_DIR", str(tmp_path / "models"))
    for name in ("RISKD_POLICY", "RISKD_REDIS_URL", "RISKD_POLICY_KEYS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "map.yaml").write_text(MAPPING)
    rows = [f"2026-01-{day:02d}T08:00:00Z,alice,81.2.69.142,laptop,yes" for day in range(1, 11)]
    (tmp_path / "logins.csv").write_text("\n".join(["t,who,ip,device,ok", *rows, "soon,alice,,,yes"]))
    return tmp_path


def run(*words: str) -> Result:
    """Run a command of this family."""
    assert history.app is app
    return CliRunner().invoke(app, words)


def test_an_import_and_its_backfill_in_json(home: Path) -> None:
    """One command brings the rows in and teaches the store; the next one finds that all is known."""
    words = ("--mapping", "map.yaml", "--out", "past", "--backfill", "--without-model", "--json")
    done = run("import", "csv", "logins.csv", *words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["decisions"], told["lines"], told["unusable"]) == (10, 11, {"time": 1})
    assert told["judged"] == {"succeeded": {"allow": 10}}
    assert (told["backfill"]["confirmed"], told["backfill"]["subjects"]) == (10, 1)
    again = run("backfill", "--log", "past", "--json")
    assert json.loads(again.stdout)["known"] == 10
    plain = run("backfill", "--log", str(home / "past" / "log"))
    assert "taught 0 confirmed attempts and 0 reports of 0 subjects; 10 were known" in plain.stdout


def test_a_log_without_its_map_says_what_is_missing(home: Path) -> None:
    """Subjects that only tokens name are counted, with the way out."""
    run("import", "csv", "logins.csv", "--mapping", "map.yaml", "--out", "past", "--without-model")
    (home / "past" / "subjects.jsonl").unlink()
    done = run("backfill", "--log", "past")
    assert "not taught: 10 outcomes of 1 subjects" in done.stdout
    assert "--subjects" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("import", "csv", "logins.csv", "--out", "x"), "csv takes a --mapping"),
        (("import", "rba", "logins.csv", "--out", "x", "--mapping", "map.yaml"), "rba takes no --mapping"),
        (("import", "sshd", "logins.csv", "--out", "x", "--zone", "Oslo"), "--zone: no such time zone"),
        (("import", "rba", "logins.csv", "--out", "x", "--begins", "noon"), "--begins: 'noon' is no day or instant"),
    ],
)
def test_mistakes_of_the_command_line(home: Path, words: tuple[str, ...], told: str) -> None:
    """Each is one line with what is right, before anything is written."""
    done = run(*words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert not (home / "x").exists()


def test_hosts_are_judged_by_their_own_policy(home: Path) -> None:
    """A log of sshd comes under the policy for hosts where nobody wrote one."""
    line = "Mar 27 13:08:09 h sshd[1]: Accepted password for a from 192.0.2.1 port 5 ssh2\n"
    (home / "auth.log").write_text(line)
    revisions = {}
    for name, words in (("own", ()), ("named", ("--policy", str(HOSTS)))):
        done = run("import", "sshd", "auth.log", "--out", name, "--without-model", *words)
        assert done.exit_code == 0, done.output
        (file,) = (home / name / "log").iterdir()
        revisions[name] = json.loads(file.read_text().splitlines()[0])["policy_revision"]
    assert revisions["own"] == revisions["named"]


def test_a_full_disk_is_one_clear_line() -> None:
    """Where rows find no room, the way out is said."""

    def fill() -> None:
        with scratch_folder("test") as folder:
            file = scratch(folder / "rows.sqlite")
            file.execute("PRAGMA max_page_count = 2")
            file.execute("CREATE TABLE row (told BLOB)")
            file.execute("INSERT INTO row VALUES (zeroblob(100000))")

    with pytest.raises(ConfigError, match="TMPDIR"):
        fill()
