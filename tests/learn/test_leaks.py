"""The leak audit: nothing but the victim's own history tells a simulated attacker from an honest person.

A small boosted classifier that sees only the client, only the amount of history, only the rhythm, only the rarity or
only the network of single attempts must not find attackers, or a catch rate would measure the generator's own marks.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from math import log

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import GroupKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from riskd.learn.simulate.attempt import KINDS, LOGIN, TRANSFER, Attempt
from riskd.learn.simulate.chosen import rates_of
from riskd.learn.simulate.devices import MODELS, user_agent
from riskd.learn.simulate.stream import Size, simulate_stream
from riskd.learn.truth import HONEST

GROUPS = {
    "device": slice(0, 4),
    "history": slice(4, 6),
    "rhythm": slice(6, 9),
    "rarity": slice(9, 12),
    "infrastructure": slice(12, 14),
}
MOST_AUC, MOST_CATCH = 0.60, 0.10
"""The bar of the literature's own audit: AUC, and catch where one honest attempt in a hundred is stopped."""
MODEL_NUMBERS = {model.name: number for number, model in enumerate(MODELS)}
KIND_NUMBERS = {"mobile": 0, "desktop": 1, "tablet": 2}
NETWORK_NUMBERS = {"residential": 0, "mobile": 1, "business": 2, "vpn": 3}


@dataclass
class Row:
    """One attempt as the audit sees it."""

    label: str
    action: str
    group: str
    values: tuple[float, ...]


def _rarity(count: int, total: int) -> float:
    return -log((count + 0.5) / total)


def _rows(stream: list[Attempt]) -> list[Row]:
    """Rows of all attempts by people who logged in before, described without reference to what they usually do."""
    honest = [attempt for attempt in stream if attempt.label == HONEST]
    countries = Counter(attempt.origin.city.country for attempt in honest)
    networks = Counter(attempt.origin.network.asn for attempt in honest)
    models = Counter(attempt.device.model.name for attempt in honest)
    logins: dict[str, list[float]] = defaultdict(list)
    rows = []
    for attempt in stream:
        times = logins[attempt.subject]
        earlier = [time for time in times if attempt.auth_time is None or time < attempt.auth_time]
        if earlier and attempt.password_right | (attempt.label != HONEST):
            time, model = attempt.time, attempt.device.model
            version = re.search(r"(?:Chrome|Firefox|Version)/(\d+)", user_agent(attempt.device, time))
            assert version is not None
            values = (
                MODEL_NUMBERS[model.name],
                KIND_NUMBERS[model.kind],
                int(version[1]) - time / 86_400 / 28,
                attempt.device.updated,
                len(earlier),
                (time - earlier[0]) / 86_400,
                log(time - (attempt.auth_time or times[-1]) + 1),
                time / 3600 % 24,
                time / 86_400 % 7,
                _rarity(countries[attempt.origin.city.country], len(honest)),
                _rarity(networks[attempt.origin.network.asn], len(honest)),
                _rarity(models[model.name], len(honest)),
                NETWORK_NUMBERS[attempt.origin.kind],
                attempt.origin.accuracy_km,
            )
            rows.append(Row(attempt.label, attempt.action, attempt.sequence or attempt.subject, values))
        if attempt.label == HONEST and attempt.action == LOGIN and attempt.password_right:
            times.append(attempt.time)
    return rows


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """The rows of ten simulated months."""
    return _rows(list(simulate_stream(Size(subjects=12_000, days=300, seed=11))))


ASKED = ("naive", "vpn", "targeted", "very-targeted", "clone", "payout")
BY_DEFINITION = {"very_targeted": {"rarity", "infrastructure"}, "clone": {"rhythm"}}
"""What a kind is: one comes from rare networks, the other at anybody's hour."""


@pytest.fixture(scope="module")
def asked() -> list[Row]:
    """The rows of the same months with the attackers of the literature."""
    return _rows(list(simulate_stream(Size(subjects=12_000, days=300, seed=11), rates=rates_of(ASKED, rate=10))))


def _comparable(kind: str, rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Honest rows and attacks of one kind, of the same actions: a payment compares with payments."""
    actions = {"session_theft": {r.action for r in rows} - {LOGIN}, "payment_fraud": {TRANSFER}}.get(kind, {LOGIN})
    chosen = [row for row in rows if row.action in actions]
    honest = [row for row in chosen if row.label == HONEST]
    # Every n-th honest row is plenty, and quick.
    return honest[:: 1 + len(honest) // 12_000], [row for row in chosen if row.label == kind]


@pytest.mark.parametrize("kind", KINDS)
def test_no_group_of_attributes_betrays_an_attacker(kind: str, rows: list[Row]) -> None:
    """Each group alone stays at chance level, whole campaigns and people held out together."""
    _audit(kind, rows, frozenset())


@pytest.mark.parametrize("name", ASKED)
def test_nor_one_of_the_literature(name: str, asked: list[Row]) -> None:
    """The same holds for attackers who are asked for, but for what they are by definition."""
    kind = name.replace("-", "_")
    _audit(kind, asked, frozenset(BY_DEFINITION.get(kind, ())))


def _audit(kind: str, rows: list[Row], excused: frozenset[str]) -> None:
    honest, attacks = _comparable(kind, rows)
    assert len(attacks) > 150
    matrix = np.array([row.values for row in honest + attacks], dtype=float)
    truth = np.array([0] * len(honest) + [1] * len(attacks))
    numbers = {name: number for number, name in enumerate(sorted({row.group for row in honest + attacks}))}
    groups = np.array([numbers[row.group] for row in honest + attacks])
    for name, columns in GROUPS.items():
        if name in excused:
            continue
        classifier = HistGradientBoostingClassifier(
            max_iter=30, max_leaf_nodes=8, min_samples_leaf=60, class_weight="balanced", random_state=1
        )
        with threadpool_limits(1):  # many threads on few busy cores wait for each other
            scores = cross_val_predict(
                classifier, matrix[:, columns], truth, groups=groups, cv=GroupKFold(5), method="predict_proba"
            )[:, 1]
        auc = roc_auc_score(truth, scores)
        stopped, caught, _ = roc_curve(truth, scores)
        catch = caught[np.searchsorted(stopped, 0.01, side="right") - 1]
        assert auc <= MOST_AUC, f"{name} alone finds {kind}: AUC {auc:.3f}"
        assert catch <= MOST_CATCH, f"{name} alone finds {kind}: catch {catch:.3f}"
