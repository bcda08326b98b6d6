"""`riskd models`, as a person calls it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from riskd.anomaly.artifact import CURRENT_FILE, MANIFEST_FILE
from riskd.cli import main
from riskd.cli.root import console
from riskd.learn.registry.history import read_history
from riskd.learn.simulate.run import Simulated
from tests.learn.registry.conftest import ALARMED, CALM, Shelf


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Riskd = Callable[..., Done]


@pytest.fixture
def riskd(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Riskd]:
    """Runs the command on the shelf's models, in the folder beside them, as `riskd` does."""
    shelf.models.parent.mkdir(exist_ok=True)
    monkeypatch.chdir(shelf.models.parent)
    monkeypatch.setenv("RISKD_MODELS_DIR", str(shelf.models))
    monkeypatch.setattr(console, "width", 160)

    def run(*words: str | Path, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["riskd", *map(str, words)])
            for name, value in environment.items():
                patch.setenv(f"RISKD_{name}", value)
            try:
                main()
                code = 0
            except SystemExit as left:
                code = int(left.code or 0)
        return Done(code, *capsys.readouterr())

    yield run
    structlog.reset_defaults()


def test_a_candidate_goes_through_its_gates(riskd: Riskd, shelf: Shelf, world: Simulated) -> None:
    """A loud candidate is refused with the gate and its numbers; a like one is promoted, and taken back."""
    first, loud, alike = shelf.put(1, CALM, current=True), shelf.put(2, ALARMED), shelf.put(3, CALM)
    refused = riskd("models", "promote", loud, "--log", world.log, "--alarm-margin", "0.1", "--by", "ada")
    assert refused.returncode == 1, refused.stderr
    assert "gate false alarms: failed" in refused.stdout
    assert refused.stderr.startswith(f"riskd: {loud} is not promoted, {first} stays current: false alarms: ")
    assert "in a thousand subject-days" in refused.stderr
    assert (shelf.current, read_history(shelf.models)) == (first, [])

    done = riskd("models", "promote", "--log", world.log, "--alarm-margin", "0.1", "--by", "ada", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["promoted"], told["entry"]["version"]) == (True, alike)
    assert told["compared"]["verdict"]["catch"]["change"] == 0
    listed = riskd("models", "list")
    assert [word for word in ("current", "former", "older") if word not in listed.stdout] == []
    assert f"{first} → {alike}, passed its gates, by ada" in riskd("models", "show").stdout

    back = riskd("models", "rollback", "--reason", "complaints", "--by", "ada")
    assert back.stdout == f"{first} is current again, {alike} is not any more\n"
    assert shelf.current == first


def test_force_needs_a_reason_and_no_log(riskd: Riskd, shelf: Shelf) -> None:
    """Without a reason nothing is forced; with one it needs no log and stands in the history."""
    shelf.put(1, current=True)
    loud = shelf.put(2, ALARMED)
    assert riskd("models", "promote", loud, "--force").returncode == 2
    done = riskd("models", "promote", loud, "--force", "--reason", "the old one is gone")
    assert (done.returncode, shelf.current) == (0, loud), done.stderr
    (entry,) = read_history(shelf.models)
    assert (entry.event, entry.reason, entry.evidence) == ("forced", "the old one is gone", None)
    assert entry.by


def test_two_models_are_compared_and_nothing_changes(riskd: Riskd, shelf: Shelf, world: Simulated) -> None:
    """`compare` prints both, by kind of attack, whichever is current."""
    first, second = shelf.put(1, CALM, current=True), shelf.put(2, ALARMED)
    done = riskd("models", "compare", second, first, "--log", world.log)
    assert done.returncode == 0, done.stderr
    assert "stuffing (of" in done.stdout
    assert "gate catch: failed" in done.stdout
    report = json.loads(riskd("models", "compare", second, first, "--log", world.log, "--json").stdout)
    assert report["verdict"]["catch"]["candidate"] < report["verdict"]["catch"]["current"]
    assert shelf.current == first


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("promote", "20260102-00000002"), 78),
        (("promote", "20260102-00000002", "--log", "nowhere"), 78),
        (("promote", "20260101-00000001"), 1),
        (("promote", "../../etc"), 78),
        (("promote",), 78),
        (("compare", "20260101-00000001", "20990101-00000001", "--log", "nowhere"), 78),
        (("show", "20990101-00000001"), 78),
        (("rollback",), 78),
        (("sign", "20260101-00000001", "--key", "nowhere"), 78),
    ],
)
def test_a_mistake_is_one_clear_line(riskd: Riskd, shelf: Shelf, words: tuple[str, ...], code: int) -> None:
    """Whatever is missing or named wrongly ends in one line and never in a traceback, and changes nothing."""
    first = shelf.put(1, current=True)
    done = riskd("models", *words)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("riskd: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert shelf.current == first


def test_nothing_that_a_terminal_obeys_is_printed(riskd: Riskd, shelf: Shelf, world: Simulated, tmp_path: Path) -> None:
    """Escapes in a manifest, in the history and in the kinds of a truth are shown as what they are."""
    first, second = shelf.put(1, CALM, current=True), shelf.put(2, CALM)
    manifest = shelf.models / second / MANIFEST_FILE
    manifest.write_text(re.sub(r'"source": ?"[^"]*"', r'"source":"x\\u001b[2Jy"', manifest.read_text()))
    assert riskd("models", "promote", second, "--force", "--reason", "r\x1b[31m", "--by", "\x1b[2Jme").returncode == 0
    truth = tmp_path / "truth.jsonl"
    truth.write_text(world.truth.read_text().replace('"label":"stuffing"', '"label":"st\\u001b[2Juf"'))
    shown = riskd("models", "show")
    compared = riskd("models", "compare", first, second, "--log", world.log, "--truth", truth)
    for done, words in ((shown, ("x\ufffd[2Jy", "by \ufffd[2Jme: r\ufffd[31m")), (compared, ("st\ufffd[2Juf",))):
        assert done.returncode == 0, done.stderr
        assert [word for word in words if word not in done.stdout] == []
        assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("content", [None, "", "../../etc", "20990101-00000001"])
def test_without_a_current_model_force_is_the_way_out(riskd: Riskd, shelf: Shelf, content: str | None) -> None:
    """Whatever is wrong with CURRENT, the list still comes and says how to mend it, and what it says works."""
    version = shelf.put(1)
    if content is not None:
        (shelf.models / CURRENT_FILE).write_text(content)
    listed = riskd("models", "list")
    assert (listed.returncode, version in listed.stdout) == (0, True), listed.stderr
    assert "None is current; riskd models promote VERSION --force --reason" in listed.stdout
    assert riskd("models", "promote", version, "--force", "--reason", "CURRENT was damaged").returncode == 0
    assert shelf.current == version


def test_an_empty_shelf(riskd: Riskd) -> None:
    """Where there are no models yet, it says how to make one."""
    assert "riskd train" in riskd("models", "list").stdout
    done = riskd("models", "rollback")
    assert done.returncode == 78
    assert "riskd train" in done.stderr


def test_only_signed_models_where_keys_are_set(riskd: Riskd, shelf: Shelf) -> None:
    """A key is made, a model signed by it is promoted and an unsigned one is not; the list says whose it is."""
    shelf.put(1, current=True)
    second, third = shelf.put(2), shelf.put(3)
    assert riskd("policy", "keygen", "team").returncode == 0
    signed = riskd("models", "sign", second, "--key", "team.key")
    assert signed.returncode == 0, signed.stderr
    key = signed.stdout.split()[-1]
    forced = ("--force", "--reason", "test")
    keys = {"MODEL_KEYS": str(shelf.models.parent / "team.pub")}
    refused = riskd("models", "promote", third, *forced, **keys)
    assert refused.returncode == 78
    assert f"not signed: there is no manifest.json.sig; see `riskd models sign {third}`" in refused.stderr
    assert riskd("models", "promote", second, *forced, **keys).returncode == 0
    listed = json.loads(riskd("models", "list", "--json", **keys).stdout)
    assert [(one["signature"], one["problem"] is None) for one in listed] == [
        ("unsigned", False),
        (f"says {key}", True),
        ("unsigned", False),
    ]
    assert shelf.current == second
