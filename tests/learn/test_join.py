"""One score out of three: beside a head that later labels bear out, oddness alone alarms more seldom."""

import numpy as np
import pytest

from riskd.features import MODEL_FEATURES
from riskd.learn.calibrate import calibrate
from riskd.learn.join import WIDENED, Later, Said, join

CHANCE = np.random.default_rng(3)


def said(many: int, *, odd: float = 0.0, margin: float = 0.0) -> Said:
    """What forest and head say of attempts of which the likelihood core knows nothing."""
    vectors = np.full((many, len(MODEL_FEATURES)), np.nan, dtype=np.float32)
    return Said(vectors, CHANCE.exponential(0.1, many) + odd, CHANCE.exponential(1.0, many) + margin)


def both(honest: Said, attacks: Said) -> Later:
    """Labelled attempts of both kinds."""
    assert honest.margins is not None
    assert attacks.margins is not None
    whole = Said(
        np.concatenate((honest.vectors, attacks.vectors)),
        np.concatenate((honest.isolation, attacks.isolation)),
        np.concatenate((honest.margins, attacks.margins)),
    )
    many = len(whole.isolation)
    return Later(whole, np.arange(many) >= len(honest.isolation), np.ones(many))


@pytest.mark.parametrize(
    ("honest_are", "attacks_are", "widened"),
    [
        ({"odd": 0.3}, {"margin": 6.0}, WIDENED[-1]),  # the honest grew odd, and labels tell the attacks
        ({}, {"odd": 5.0}, WIDENED[0]),  # attacks that only the forest sees
    ],
)
def test_later_labels_say_by_how_much(
    honest_are: dict[str, float], attacks_are: dict[str, float], widened: float
) -> None:
    """The other parts are widened as far as more attacks are found by it, and no further."""
    held_out = said(3000)
    joined = join(held_out, calibrate(held_out.isolation), both(said(3000, **honest_are), said(300, **attacks_are)))
    assert joined is not None
    assert joined.widened == widened


def test_without_later_labels_nothing_is_widened() -> None:
    """All parts count alike; without a head, and without a likelihood core, the forest stands alone."""
    held_out = said(3000)
    joined = join(held_out, calibrate(held_out.isolation))
    assert joined is not None
    assert joined.widened == 1.0
    assert join(Said(held_out.vectors, held_out.isolation, None), calibrate(held_out.isolation)) is None
