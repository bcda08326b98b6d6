"""The bands that a build is held to, and the file that says them: `takeover: {least: 80%}` below `stopped`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from riskd.errors import PolicyError
from riskd.learn.share import read_share
from riskd.learn.simulate.chosen import NAMES
from riskd.policy.finding import LONGEST_WORD, Finding, nearest
from riskd.policy.load import MAX_MISTAKES, finding, located, read_file, read_tree, whole_file
from riskd.policy.section import Section

SHIPPED_BANDS = Path(__file__).with_name("bands.yaml")
"""The bands for the shipped policy and model; docs/ci.md has the figures that they come from."""


def _share(value: object) -> object:
    """Read `1%`, `1 %` or 0.01."""
    return read_share(str(value) if isinstance(value, str | int | float) else "")  # True is no number either


Share = Annotated[float, BeforeValidator(_share)]


class Band(Section):
    """Where a share may lie; at least one end is said."""

    least: Share | None = None
    most: Share | None = None

    def __str__(self) -> str:
        """Readable: `at least 80 %`, `at most 1.5 %`, `80 to 95 %`."""
        if self.least is not None and self.most is not None:
            return f"{100 * self.least:g} to {100 * self.most:g} %"
        return f"at least {100 * self.least:g} %" if self.least is not None else f"at most {100 * (self.most or 0):g} %"


def _sound(band: Band) -> Band:
    if band.least is None and band.most is None:
        raise ValueError("says neither `least` nor `most`")
    if band.least is not None and band.most is not None and band.least > band.most:
        raise ValueError("has `least` above `most`: nothing lies within")
    return band


SoundBand = Annotated[Band, AfterValidator(_sound)]


class Honest(Section):
    """What honest people may be troubled."""

    logins: SoundBand | None = None
    """Logins stepped up or denied, of people whose account no attacker entered before."""
    denied: SoundBand | None = None
    """Logins denied."""
    actions: SoundBand | None = None
    """Other actions stepped up or denied."""


class Bands(Section):
    """A file of bands."""

    honest: Honest = Honest()
    stopped: Annotated[dict[str, SoundBand], Field(default_factory=dict, max_length=100)]
    """By attacker, as `riskd simulate --attackers` names them; those that are named here are played, and no others."""


def read_bands(path: Path) -> Bands:
    """Read a file of bands; raises PolicyError with every mistake found, its place and the nearest right words."""
    source = str(path)
    text, tree = read_tree(read_file(path), source)
    if not isinstance(tree, dict):
        raise whole_file(source, "must be a mapping with `honest` and `stopped`")
    strangers = _strangers(tree)
    try:
        bands = Bands.model_validate(tree)
    except ValidationError as error:
        found = [*(finding(detail, Bands) for detail in error.errors(include_url=False)[:MAX_MISTAKES]), *strangers]
        raise PolicyError(source, located(text, found[:MAX_MISTAKES], error.error_count() + len(strangers))) from None
    if strangers:
        raise PolicyError(source, located(text, strangers[:MAX_MISTAKES], len(strangers)))
    if not bands.stopped and bands.honest == Honest():
        raise whole_file(source, "names no band, so nothing could break")
    return bands


def _strangers(tree: dict[str, Any]) -> list[Finding]:
    stopped = tree.get("stopped")
    words = [word for word in stopped if word not in NAMES] if isinstance(stopped, dict) else []
    return [
        Finding(("stopped", word), f"no such attacker: {word[:LONGEST_WORD]!r}", nearest(word, NAMES), of_key=True)
        for word in words[:MAX_MISTAKES]
    ]
