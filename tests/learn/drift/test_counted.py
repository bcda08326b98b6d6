"""What the live service counts of scores and unknowns, so that drift shows between two looks at the log."""

from collections.abc import Callable

from riskd.contract import DecideRequest
from riskd.http.metrics import render
from tests.conftest import NOON, Live
from tests.models import FixedModel


def numbers(live: Live) -> dict[str, float]:
    """What a Prometheus server would scrape, by name with labels."""
    lines = render(live.metrics.snapshot()).decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


async def test_scores_and_unknown_signals_of_decisions_are_counted(
    live: Live, make_request: Callable[..., DecideRequest]
) -> None:
    """Each decision counts once: its score, the signals that could not tell, and the anomaly where a model scored."""
    for score in (0.3, 0.95, 0.9995):
        await live.with_model(FixedModel(score)).decide(make_request(), now=NOON)
    await live.engine.decide(make_request(subject={"id": "bob"}, context={"ip": "10.0.0.1"}), now=NOON)
    found = numbers(live)
    below = [found[f'riskd_anomaly_score_bucket{{le="{bound}"}}'] for bound in ("0.5", "0.9", "0.99", "0.999", "+Inf")]
    assert below == [1, 1, 2, 2, 3]
    assert found["riskd_anomaly_score_count"] == 3
    assert found["riskd_score_count"] == 4
    assert found['riskd_signals_unknown_total{code="new_country"}'] >= 1
