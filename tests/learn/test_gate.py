"""The gate of a build: bands and their file, verdicts, and a real world played against a real engine."""

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from riskd.errors import PolicyError
from riskd.learn.bands import SHIPPED_BANDS, Band, Bands, Honest, read_bands
from riskd.learn.evaluate.resample import GROUPS, Resampling
from riskd.learn.gate import Gated, Verdict, gate
from riskd.learn.share import Share
from riskd.learn.simulate.chosen import GATE_NAMES
from riskd.learn.simulate.stream import Size
from riskd.policy import Policy
from riskd.policy.load import MAX_MISTAKES
from tests.command import riskd


def bands_in(tmp_path: Path, text: str) -> Bands:
    """Read bands out of a file with this text."""
    path = tmp_path / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    return read_bands(path)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    """Return what is wrong with a file of bands."""
    with pytest.raises(PolicyError) as refused:
        bands_in(tmp_path, text)
    return [str(mistake) for mistake in refused.value.mistakes]


@pytest.fixture(scope="module")
def gated(policy: Policy) -> Gated:
    """A small world played against the shipped policy without a model, held to bands of which some cannot hold."""
    bands = Bands(
        honest=Honest(logins=Band(most=0.05), denied=Band(most=0.05), actions=Band(least=0.5)),
        stopped={
            "stuffing": Band(least=0.5),
            "takeover": Band(most=0.1),
            "payout": Band(least=0.0, most=1.0),
            "very-targeted": Band(least=0.01),
        },
    )
    return gate(policy, None, bands, Size(subjects=1200, days=60, seed=2), rate=40.0)


def of(gated: Gated, name: str) -> Verdict:
    """Return the verdict with this name."""
    return next(verdict for verdict in gated.verdicts if verdict.name == name)


def test_a_world_is_played_and_judged(gated: Gated) -> None:
    """Every band has a verdict on real decisions, with the kinds that it names in the truth."""
    assert len(gated.verdicts) == 7
    assert all(verdict.share.total > 5 for verdict in gated.verdicts)
    assert gated.model_version is None
    assert of(gated, "stuffing stopped").status == "held"
    assert of(gated, "payout stopped").status == "held"


def test_what_left_its_band_fails(gated: Gated) -> None:
    """Broken and untold bands fail, each with one line that says what was measured and the band."""
    assert of(gated, "takeover stopped").status == "broken"
    assert of(gated, "honest actions").status == "broken"
    assert of(gated, "very-targeted stopped").status == "untold"
    assert [verdict.name for verdict in gated.failed] == [
        "honest actions",
        "takeover stopped",
        "very-targeted stopped",
    ]
    line = str(of(gated, "takeover stopped"))
    assert line.startswith("takeover stopped: ")
    assert "the band is at most 10 %" in line
    assert "more --subjects" in str(of(gated, "very-targeted stopped"))


def test_the_result_is_junit_and_json(gated: Gated) -> None:
    """A build server reads a test for each band; broken ones are failures, untold ones errors."""
    root = ET.fromstring(gated.junit(datetime(2026, 1, 2, tzinfo=UTC)))  # noqa: S314 - our own document
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "1")
    failures = root.findall(".//failure")
    assert [failure.get("type") for failure in failures] == ["BandBroken", "BandBroken"]
    assert "the band is at most 10 %" in str(failures[1].get("message"))
    told = json.loads(json.dumps(gated.to_json()))
    assert told["passed"] is False
    assert told["bands"][0]["interval"][0] <= told["bands"][0]["share"] <= told["bands"][0]["interval"][1]


@pytest.mark.parametrize(
    ("hits", "total", "band", "status"),
    [
        (90, 100, Band(least=0.8), "held"),
        (78, 100, Band(least=0.8), "unsure"),
        (60, 100, Band(least=0.8), "broken"),
        (5, 100, Band(most=0.01), "broken"),
        (2, 100, Band(most=0.01), "unsure"),
        (1, 100, Band(most=0.01), "held"),
        (99, 100, Band(least=0.5, most=0.9), "broken"),
        (0, 0, Band(least=0.1), "untold"),
        (3, 3, Band(least=0.1), "untold"),
        (30, 30, Band(least=0.01), "untold"),
        (0, 1, Band(most=0.9), "untold"),
        (0, 100, Band(least=0.0, most=1.0), "held"),
    ],
)
def test_a_band_is_broken_when_the_whole_interval_is_outside(hits: int, total: int, band: Band, status: str) -> None:
    """What may be chance passes and is said; what no outcome could have broken holds nobody to anything and fails."""
    verdict = Verdict("x", Share(hits, total), band)
    assert verdict.status == status
    assert verdict.fails == (status in {"broken", "untold"})


@pytest.mark.parametrize(("victims", "status"), [(1, "untold"), (4, "untold"), (10, "broken")])
def test_one_victim_breaks_no_band(victims: int, status: str) -> None:
    """Forty attacks on one account that all came through say nothing of the next account, and that is what is said."""
    total = np.zeros(GROUPS, np.uint32)
    total[:victims] = 40
    verdict = Verdict("takeover stopped", Resampling().share(np.zeros_like(total), total), Band(least=0.9))
    assert verdict.status == status
    assert verdict.fails


def test_the_shipped_bands_are_sound() -> None:
    """They name the attackers that a build is held to, and all of honest people's trouble."""
    bands = read_bands(SHIPPED_BANDS)
    assert tuple(bands.stopped) == GATE_NAMES
    assert None not in {bands.honest.logins, bands.honest.denied, bands.honest.actions}


def test_shares_are_read_as_people_write_them(tmp_path: Path) -> None:
    """`1%`, `1 %` and 0.01 are the same."""
    for text in ("1%", "'1 %'", "0.01"):
        assert bands_in(tmp_path, f"honest: {{logins: {{most: {text}}}}}").honest.logins == Band(most=0.01)


def test_every_mistake_is_told_with_line_and_nearest(tmp_path: Path) -> None:
    """A wrong share, key and attacker, all at once, in the order of the file."""
    text = (
        "honest:\n  login: {most: 1%}\nstopped:\n  stufing: {least: 95%}\n  naive: {leest: 5%}\n  vpn: {least: lots}\n"
    )
    assert mistakes(tmp_path, text) == [
        "line 2: honest.login: no such key: 'login'; did you mean logins?",
        "line 4: stopped.stufing: no such attacker: 'stufing'; did you mean stuffing?",
        "line 5: stopped.naive.leest: no such key: 'leest'; did you mean least?",
        "line 6: stopped.vpn.least: is no share: write 1% or 0.01 (got 'lots')",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be a mapping"),
        ("[1]", "must be a mapping"),
        ("{}", "names no band"),
        ("honest: {}", "names no band"),
        ("stopped: {naive: {}}", "neither `least` nor `most`"),
        ("stopped: {naive: {least: 60%, most: 50%}}", "nothing lies within"),
        ("stopped: {naive: 50%}", "should be a mapping"),
        ("stopped: {naive: }", "should be a mapping"),
        ("stopped: 3", "valid dictionary"),
        ("stopped: {naive: {least: true}}", "is no share"),
        ("stopped: {naive: {least: [1]}}", "is no share"),
        ("stopped: {naive: {least: nan}}", "is not between"),
        ("stopped: {naive: {least: 1e999}}", "is not between"),
        ("stopped: {naive: {least: 101%}}", "is not between"),
        ("stopped: {naive: {least: -1}}", "is not between"),
        ("stopped: {naive: {least: 1%}, naive: {least: 1%}}", "twice"),
        ("stopped: {" + "x" * 1000 + ": {least: 1%}}", "no such attacker"),
        ("a: [" * 100, "deep"),
    ],
)
def test_a_file_that_says_nothing_sound_is_refused(text: str, told: str, tmp_path: Path) -> None:
    """Whatever stands in the file, the error says in words what is wrong with it."""
    said = " ".join(mistakes(tmp_path, text))
    assert told in said
    assert len(said) < 2500


def test_of_very_many_mistakes_the_first_are_told(tmp_path: Path) -> None:
    """A file of thousands of wrong attackers is refused with a bounded list."""
    text = "stopped:\n" + "".join(f"  stranger{n}: {{least: 1%}}\n" for n in range(5000))
    assert len(mistakes(tmp_path, text)) == MAX_MISTAKES + 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("gate", "--bands", "none.yaml"), 78, "none.yaml: cannot be read"),
        (("gate", "--model", "20200101-00000000"), 78, "No such file"),
        (("gate", "--model", "newest"), 78, "'newest' is no model version"),
        (("gate", "--days", "9999"), 2, "1 to 362 days"),
        (("simulate", "--out", "w", "--attackers", "naiv"), 2, "no such attacker: 'naiv'; did you mean naive?"),
        (("simulate", "--out", "w", "--off-rhythm"), 2, "name them, e.g. --attackers"),
    ],
)
def test_a_wrong_word_is_one_line_with_a_way_out(words: tuple[str, ...], code: int, told: str, tmp_path: Path) -> None:
    """As a person runs it: the exit code, one line, and nothing left behind."""
    done = riskd(*words, cwd=tmp_path, MODELS_DIR=Path(__file__).parents[2] / "models")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert list(tmp_path.iterdir()) == []
