"""Tables of the likelihood core that are not whole are refused."""

from typing import Any

import msgspec
import pytest

from riskd.features.likelihood.tables import GAP_CLASSES, Likelihood, Weights
from riskd.features.population import Population
from tests.features.likelihood.learnt import POPULATION, whole


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"place": ()}, "likelihood.place"),
        ({"place": (*whole()["place"][:4], whole()["place"][0] * 2)}, "likelihood.place"),
        ({"place": (*whole()["place"][:4], (*whole()["place"][0][:11], (1.0,)))}, "likelihood.place"),
        ({"client": ((0.5, 0.5, 0.0, 0.0, 0.0, 0.0),) * 5}, "likelihood.client"),
        ({"drift": ((0.5,) * 8,) * GAP_CLASSES}, "likelihood.drift"),
        ({"stray": (float("nan"),) * 8}, "likelihood.stray"),
        ({"stale": (0.125,) * 7}, "likelihood.stale"),
        ({"os": {"Windows": 0.0}}, "os"),
        ({"address": 2.0}, "address"),
        ({"rtt": {"NO": (float("inf"), 1.0)}}, "likelihood.rtt"),
        ({"rtt": {"NO": (1.0, 0.0)}}, "likelihood.rtt"),
        ({"rtt_own": 1.0}, "rtt_own"),
        ({"weights": Weights(naive=-1.0)}, "weights"),
        ({"weights": Weights(targeted=0.0)}, "targeted"),
        ({"weights": Weights(cold=1e9)}, "weights"),
        ({"weights": Weights(naive=float("nan"))}, "weights"),
        ({"weights": Weights(hour=float("nan"))}, "weights"),
    ],
)
def test_what_is_not_whole_is_refused(changes: dict[str, Any], fault: str) -> None:
    """A missing row, shares that do not add up, a weight that is no number: each is refused and named."""
    with pytest.raises(ValueError, match=fault):
        Likelihood(**whole(**changes))


def test_a_foreign_artifact_is_refused_when_it_is_read() -> None:
    """The same holds for tables out of a file, whose keys must be known."""
    raw = msgspec.json.encode(POPULATION)
    assert msgspec.json.decode(raw, type=Population) == POPULATION
    plain = msgspec.json.decode(raw)
    with pytest.raises(msgspec.ValidationError, match="foreign"):
        msgspec.convert({**plain, "foreign": 1}, Population, str_keys=True)
    plain["likelihood"]["place"].pop()
    with pytest.raises(msgspec.ValidationError, match="needs 60 rows"):
        msgspec.json.decode(msgspec.json.encode(plain), type=Population)
