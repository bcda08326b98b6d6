"""The supervised head: what it may learn, what it may never, and that the artifact says what scikit-learn says."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from msgspec.structs import replace
from sklearn.ensemble import IsolationForest

from riskd.anomaly.artifact import LIKELIHOOD, Head, Manifest, encode_manifest
from riskd.anomaly.load import load_manifest, load_model
from riskd.contract import Reported
from riskd.errors import ModelError
from riskd.evaluation import evaluate
from riskd.explain import explain
from riskd.features import MODEL_FEATURES
from riskd.features.declared import AttributeInput
from riskd.learn.calibrate import calibrate
from riskd.learn.declared import learned_categories
from riskd.learn.export import export_forest
from riskd.learn.head import (
    DIRECTIONS,
    LEAST_ATTACKS,
    MOST_WEIGHT,
    FittedHead,
    Labelled,
    fit_head,
    mildest,
    propensity,
    reason_against,
    with_head,
)
from riskd.learn.join import Said, join
from riskd.learn.labelled import LabelledSample
from riskd.learn.sift import Sift
from riskd.policy import Policy
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record, encode
from tests.attempts import NOON, attempt
from tests.faults.artifacts import write

WIDTH = len(MODEL_FEATURES)
NOVEL = [MODEL_FEATURES.index(name) for name in ("device_unseen_days", "network_unseen_days", "failures_1h")]
Rows = npt.NDArray[np.float32]


def rows(many: int, seed: int, *, unknown: float = 0.3) -> Rows:
    """Vectors of honest attempts: every feature skewed, many of them unknown."""
    chance = np.random.default_rng(seed)
    made = chance.lognormal(size=(many, WIDTH)).astype(np.float32)
    made[chance.random(made.shape) < unknown] = np.nan
    return made


def attacked(many: int, seed: int) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Vectors of which a tenth are attacks: much is new in them."""
    made = rows(many, seed)
    attack = np.random.default_rng(seed + 1).random(many) < 0.1
    for column in NOVEL:
        made[attack, column] = np.random.default_rng(column).lognormal(2.0, size=int(attack.sum()))
    return made, attack


SEEN = attacked(6000, 1)
BOUNDS = np.stack([np.nanmin(SEEN[0], axis=0), np.nanmax(SEEN[0], axis=0)])
"""The least and the most of each feature that the head has seen."""


@pytest.fixture(scope="module")
def head() -> FittedHead:
    """A head fitted on six thousand attempts."""
    matrix, attack = SEEN
    return fit_head(Labelled(matrix, attack, np.ones(len(matrix))), seed=1)


def test_it_knows_an_attack(head: FittedHead) -> None:
    """On attempts it has not seen, nine attacks in ten have a higher margin than nine honest attempts in ten."""
    matrix, attack = attacked(4000, 7)
    margins = head.margins(matrix)
    assert np.quantile(margins[attack], 0.1) > np.quantile(margins[~attack], 0.9)


@pytest.mark.parametrize("column", range(WIDTH), ids=MODEL_FEATURES)
def test_novelty_never_lowers_and_familiarity_never_raises(head: FittedHead, column: int) -> None:
    """Raise one feature of some hundred attempts: the margin moves in its direction only."""
    before = rows(300, 3, unknown=0.1)
    after = before.copy()
    after[:, column] *= np.random.default_rng(4).uniform(1.0, 20.0, size=len(after)).astype(np.float32)
    known = ~np.isnan(before[:, column])
    moved = (head.margins(after) - head.margins(before))[known]
    if DIRECTIONS[column]:
        assert (moved * DIRECTIONS[column] >= -1e-9).all()
    assert (moved == 0).sum() < len(moved) or column not in NOVEL


@pytest.mark.parametrize("column", [c for c in range(WIDTH) if DIRECTIONS[c]], ids=lambda c: MODEL_FEATURES[c])
def test_what_is_unknown_is_never_evidence(head: FittedHead, column: int) -> None:
    """An attempt of which one input is unknown has no higher margin than with any value of it that was seen."""
    known = rows(300, 5, unknown=0.0)
    low, high = BOUNDS[:, column]
    known[:, column] = np.random.default_rng(6).uniform(low, high, size=len(known)).astype(np.float32)
    unknown = known.copy()
    unknown[:, column] = np.nan
    assert (head.margins(unknown) <= head.margins(known) + 1e-9).all()


def test_an_unknown_input_counts_as_the_mildest_seen() -> None:
    """The least where more is riskier, the most where less is, the median where neither; 0 where none is known."""
    matrix = np.full((3, WIDTH), np.nan, dtype=np.float32)
    by = {1: MODEL_FEATURES.index("ip_unseen_days"), -1: MODEL_FEATURES.index("account_age_days"),
          0: MODEL_FEATURES.index("gap_since_success_hours")}  # fmt: skip
    for column in by.values():
        matrix[:, column] = (2.0, 7.0, 3.0)
    fill = mildest(matrix)
    assert [fill[by[direction]] for direction in (1, -1, 0)] == [2.0, 7.0, 3.0]
    assert fill.sum() == 12.0


def test_too_few_labels_are_said() -> None:
    """Without a hundred attacks, or a thousand honest, there is no head, and why is a sentence with both numbers."""
    matrix = rows(3000, 1)

    def said(attacks: int, honest: int) -> str | None:
        attack = np.arange(attacks + honest) < attacks
        return reason_against(Labelled(matrix[: len(attack)], attack, np.ones(len(attack))))

    assert said(LEAST_ATTACKS, 1000) is None
    assert said(99, 2000) == "99 labelled attacks, at least 100 are needed"
    assert said(200, 999) == "999 labelled honest attempts, at least 1000 are needed"


def test_who_is_seldom_labelled_stands_for_more() -> None:
    """Where one attempt in four of a kind has a label, each of these stands for four; never for more than the bound."""
    score = np.zeros(2100)
    stopped = np.arange(2100) >= 2000
    has_label = np.arange(2100) % 4 == 0
    has_label[2000:] = True
    weight = propensity(score, stopped, has_label, counted=2100)
    assert (weight[:2000] == 4.0).all()
    assert (weight[2000:] == 1.0).all()
    rare = np.arange(2100) == 5
    assert propensity(score, stopped, rare, counted=2100).max() == MOST_WEIGHT


@pytest.fixture(scope="module")
def forest() -> IsolationForest:
    """A forest on the same attempts."""
    return IsolationForest(n_estimators=40, random_state=1).fit(rows(6000, 1))


def artifact(forest: IsolationForest, head: FittedHead, folder: Path) -> Manifest:
    """Put a model of all three parts on disk."""
    honest = rows(20_000, 11)
    raw = with_head(export_forest(forest, honest[:2000]), head, honest[:4000])
    isolation, margins = -forest.score_samples(honest), head.margins(honest)
    curve = calibrate(isolation)
    made = write(
        folder,
        raw,
        background=(1.0,) * WIDTH,
        calibration=curve,
        joined=join(Said(honest, isolation, margins), curve),
        head=Head(honest=head.honest, attacks=head.attacks),
    )
    return load_manifest(folder, made.name)


def test_one_score_is_a_false_alarm_rate(forest: IsolationForest, head: FittedHead, tmp_path: Path) -> None:
    """Served from disk, the three together alarm on one in a hundred honest attempts they never saw, and on attacks."""
    artifact(forest, head, tmp_path)
    model = load_model(tmp_path, MODEL_FEATURES)
    scores = model.scores(rows(20_000, 12))
    assert 0.007 < (scores >= 0.99).mean() < 0.013
    assert 0.0005 < (scores >= 0.999).mean() < 0.002
    matrix, attack = attacked(4000, 13)
    found = model.scores(matrix)
    assert (found[attack] >= 0.99).mean() > 0.5
    several = [[None if np.isnan(value) else float(value) for value in row] for row in matrix[:50]]
    assert model.score_all(several) == found[:50].tolist()
    assert model.explain(several[0])


def test_each_part_can_raise_the_alarm(forest: IsolationForest, head: FittedHead, tmp_path: Path) -> None:
    """A log ratio beyond all that honest attempts show makes an attempt odd; an unknown one says nothing."""
    artifact(forest, head, tmp_path)
    model = load_model(tmp_path, MODEL_FEATURES)
    usual = np.ones((3, WIDTH), dtype=np.float32)
    column = MODEL_FEATURES.index(LIKELIHOOD)
    usual[1, column], usual[2, column] = 1e4, np.nan
    plain, odd, unknown = model.scores(usual)
    assert odd > 0.999
    assert unknown <= plain < 0.9


def test_a_head_that_differs_is_refused(forest: IsolationForest, head: FittedHead) -> None:
    """An export that would not say what scikit-learn says raises instead of being written."""
    honest = rows(2000, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("riskd.learn.head.rounded_down", lambda thresholds: [float(t) + 0.5 for t in thresholds])
        with pytest.raises(ModelError, match="off scikit-learn"):
            with_head(export_forest(forest, honest), head, honest)


def test_a_manifest_that_contradicts_itself_is_refused(
    forest: IsolationForest, head: FittedHead, tmp_path: Path
) -> None:
    """A head without its calibration, and a likelihood without its feature, are no manifest."""
    manifest = artifact(forest, head, tmp_path)
    assert manifest.joined is not None
    for wrong in (
        replace(manifest, head=None),
        replace(manifest, joined=replace(manifest.joined, head=None)),
        replace(manifest, features=("x", *[n for n in MODEL_FEATURES if n != LIKELIHOOD])),
    ):
        with pytest.raises(ModelError):
            encode_manifest(wrong)


def test_it_reads_what_the_policy_declares(forest: IsolationForest, default_policy: Policy, tmp_path: Path) -> None:
    """A category and a number of the request that go with attacks are learned, served and named in the explanation."""
    matrix, _ = attacked(6000, 21)
    chance = np.random.default_rng(22)
    shop = chance.choice(["books", "phones", "gift cards"], size=6000, p=[0.6, 0.3, 0.1])
    km = chance.exponential(20.0, size=6000).astype(np.float32)
    attack = (chance.random(6000) < 0.02) | ((shop == "gift cards") & (km > 30.0))
    shops = learned_categories("shop", shop.tolist(), attack)
    assert shops.categories is not None
    assert shops.categories["gift cards"] > shops.categories["phones"]
    attributes = (shops, AttributeInput("km"))
    odds = [shops.categories[one] for one in shop]
    whole = np.column_stack((matrix, odds, km)).astype(np.float32)
    head = fit_head(Labelled(whole, attack, np.ones(6000), (1, 0)), seed=1)
    isolation, margins = -forest.score_samples(matrix), head.margins(whole)
    curve = calibrate(isolation[~attack])
    raw = with_head(export_forest(forest, matrix[:1000]), head, whole)
    joined = join(Said(matrix[~attack], isolation[~attack], margins[~attack]), curve)
    told = Head(honest=head.honest, attacks=head.attacks)
    write(tmp_path, raw, background=(1.0,) * WIDTH, calibration=curve, joined=joined, head=told, attributes=attributes)
    model = load_model(tmp_path, MODEL_FEATURES)

    def of(**given: str | float) -> float:
        found = evaluate(attempt(attributes=given), default_policy, model)
        assert found.degraded == ()
        assert found.anomaly is not None
        return found.anomaly

    odd = of(shop="gift cards", km=60.0)
    assert odd > of(shop="books", km=60.0)
    assert odd > of(shop="gift cards", km=1.0)
    assert odd > of(shop="never heard of", km=60.0) >= of(km=60.0)
    assert of(shop=7.0, km="far") == of()
    explained = explain(attempt(attributes={"shop": "gift cards", "km": 60.0}), default_policy, model)
    assert {"attributes.shop", "attributes.km"} <= {line.feature for line in explained.features}


NUMBERS = count()


def decision(outcome: str = "allow", score: float = 0.0, **facts: object) -> DecisionRecord:
    """A decision of a subject of its own."""
    number = next(NUMBERS)
    return DecisionRecord(
        decision_id=f"{number:032x}",
        evaluated_at=NOON,
        facts=replace(attempt(subject={"token": f"t{number}"}, **facts), time=NOON + timedelta(seconds=number)),
        vector=(),
        feature_schema="",
        catalogue="",
        score=score,
        score_range=(score, score),
        outcome=outcome,  # type: ignore[arg-type]
        policy_revision="p",
    )


def outcome(of: DecisionRecord, what: Reported, after_s: float = 60.0) -> OutcomeRecord:
    """What became of it."""
    at = NOON + timedelta(seconds=after_s)
    return OutcomeRecord(
        decision_id=of.decision_id, recorded_at=at, at=at, subject=None, outcome=what, source="reported",
        decided="allow", confirms=False,
    )  # fmt: skip


def teach(sample: LabelledSample, records: Sequence[Record]) -> None:
    """Go through a log twice, in blocks of a hundred lines."""
    lines = [encode(record) + b"\n" for record in records]
    blocks = [b"".join(lines[at : at + 100]) for at in range(0, len(lines), 100)]
    sift = Sift(now=None, since=None, until=None, kinds=None)
    for block in blocks:
        sample.hear(sift(block).told)
    find = sample.find()
    for block in blocks:
        sample.take(find(block))


def test_labels_find_their_decisions() -> None:
    """An analyst's word outweighs a success, an owner's too; a denied attempt and one without a word have no label."""
    fraud, disowned, honest, silent = decision(), decision(), decision("step_up", 50.0), decision()
    denied = decision("deny", 99.0)
    told = [
        outcome(fraud, Reported.CONFIRMED_FRAUD, 10),
        outcome(fraud, Reported.LOGIN_SUCCEEDED, 90),
        outcome(disowned, Reported.LOGIN_SUCCEEDED),
        outcome(disowned, Reported.REPORTED_BY_USER, 5),
        outcome(honest, Reported.STEP_UP_PASSED),
        outcome(denied, Reported.STEP_UP_FAILED),
    ]
    sample = LabelledSample()
    teach(sample, [fraud, disowned, honest, silent, denied, *told])
    rows = sample.rows()
    assert [facts.subject.token for facts in rows.facts] == [d.facts.subject.token for d in (fraud, disowned, honest)]
    assert rows.attack.tolist() == [True, True, False]
    assert rows.weight.tolist() == [1.5, 1.5, 1.0]  # of three let in two have a label, of one stepped up one
    assert sample.denied == 1


def test_a_flood_of_labels_stays_bounded() -> None:
    """Of more labels than are kept a fair part stays, the few attacks all, and weights say for how many each stands."""
    decisions = [decision(score=float(n % 7)) for n in range(3000)]
    told = [outcome(d, Reported.CONFIRMED_FRAUD if n < 30 else Reported.LOGIN_SUCCEEDED)
            for n, d in enumerate(decisions) if n < 30 or n % 3 == 0]  # fmt: skip
    sample = LabelledSample(most=200)
    teach(sample, [*told, *decisions])
    assert sample.too_few() == "30 labelled attacks, at least 100 are needed"
    rows = sample.rows()
    assert rows.attack.sum() == 30
    assert 200 <= len(rows.facts) <= 230
    assert 2.0 < np.median(rows.weight) < 4.5
    assert len(sample._drawn) <= 430
