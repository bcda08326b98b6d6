"""What is measured of a decision, and the bins it falls into."""

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace

from riskd.anomaly.model import Model
from riskd.evaluation import measure_all
from riskd.facts import Facts
from riskd.features import MODEL_FEATURES, Extractor
from riskd.features.declared import AttributeInput
from riskd.features.population import Population
from riskd.learn.drift.measures import (
    MAX_TEXT,
    MOST_VALUES,
    TEXTS,
    Bins,
    Measure,
    Rows,
    Sample,
    _number,
    _text,
    numbers_of,
    rows_of,
)
from riskd.record.schema import DecisionRecord, Record
from tests.models import BrokenModel, FixedModel

NUMBERS = numbers_of(None)


def decisions_of(records: Sequence[Record], count: int = 400) -> list[DecisionRecord]:
    """The first decisions of a log."""
    return [record for record in records if isinstance(record, DecisionRecord)][:count]


def placed(measure: Measure, values: Sequence[float | None]) -> list[str]:
    """The names of the bins that numbers fall into."""
    sample = [_number(name, np.array([0.0])) for name in NUMBERS]
    sample[0] = measure
    bins = Bins((*sample, *(_text(name, []) for name in TEXTS), Measure("reported", "result", ("a", "b", "c"))))
    numbers = np.full((len(values), len(NUMBERS)), np.nan)
    numbers[:, 0] = [np.nan if value is None else value for value in values]
    found = bins.place(Rows(numbers, [(None,) * len(TEXTS)] * len(values)))
    return [measure.bins[at] for at in found[:, 0]]


def test_numbers_are_cut_at_deciles_and_the_last_hundredth() -> None:
    """A continuous number has eleven bins and one for unknown; the first nine hold a tenth of the reference each."""
    values = np.linspace(0, 1, 10_001)
    measure = _number("ips_1h", values)
    assert len(measure.bins) == 12
    assert measure.edges == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99))
    names = placed(measure, values.tolist())
    assert [names.count(name) for name in measure.bins[:9]] == pytest.approx([1000] * 9, abs=2)
    assert placed(measure, [None, -5.0, 7.0, float("inf")]) == ["unknown", measure.bins[0], "> 0.99", "> 0.99"]


def test_a_flag_keeps_its_two_values_apart_however_rare_one_is() -> None:
    """Yes and no are bins of their own, also where one was never or hardly seen."""
    for often in (1.0, 0.0):
        measure = _number("hosting", np.array([often] * 9_990 + [1.0 - often] * 10))
        assert len({*placed(measure, [0.0, 1.0, None])}) == 3
    never = _number("hosting", np.zeros(100))
    assert placed(never, [0.0, 1.0, None]) == ["≤ 0", "> 0", "unknown"]


def test_what_was_never_known_is_seen_when_it_is() -> None:
    """A number that the reference never knew has two bins: known and unknown."""
    assert placed(_number("rtt_deviation_sd", np.array([np.nan] * 5)), [3.0, None]) == ["known", "unknown"]


def test_texts_have_bins_for_the_most_common_values() -> None:
    """The rest is one bin, unknown another, and outcomes are always the three."""
    measure = _text("country", [f"C{number % 40}" for number in range(400)] + ["C7"] * 10 + [None])
    assert len(measure.bins) == MOST_VALUES + 2
    assert "C7" in measure.values
    assert measure.bins[-2:] == ("(others)", "unknown")
    assert _text("outcome", ["allow"]).bins[:3] == ("allow", "step_up", "deny")


def test_a_sample_does_not_depend_on_the_order(steady: list[Record], model: Model) -> None:
    """The same decisions give the same bins, in whatever order and portions they come."""
    records = decisions_of(steady)
    one, other = Sample(model, size=100), Sample(model, size=100)
    one.offer(records)
    for at in range(0, len(records), 30):
        other.offer(records[::-1][at : at + 30])
    assert one.measures() == other.measures()
    assert one.seen == other.seen == len(records)
    assert [measure.name for measure in one.measures()] == [*NUMBERS, *TEXTS, "reported"]


def test_every_row_falls_into_one_bin_of_each_measure(steady: list[Record], model: Model) -> None:
    """Each measure's bin is within its own span, and the names of bins are distinct."""
    records = decisions_of(steady)
    sample = Sample(model)
    sample.offer(records)
    bins = Bins(sample.measures())
    found = bins.place(rows_of(records, model))
    for measure, span, column in zip(bins.measures, bins.spans, found.T, strict=False):
        assert span.start <= column.min() <= column.max() < span.stop
        assert len(set(measure.bins)) == len(measure.bins)
    assert bins.size == bins.spans[-1].stop


def test_days_are_measured_with_one_model(steady: list[Record]) -> None:
    """What another model recorded is not read: vector and score come anew from the facts."""
    records = decisions_of(steady, 20)
    retrained = [replace(record, anomaly=0.123, vector=(1.0,), model_version="20200101-00000000") for record in records]
    model = FixedModel(0.5)
    np.testing.assert_array_equal(rows_of(records, model).numbers, rows_of(retrained, model).numbers)
    assert (rows_of(records, model).numbers[:, NUMBERS.index("anomaly")] == 0.5).all()


def test_a_failing_model_leaves_its_score_unknown(steady: list[Record]) -> None:
    """Neither a broken model nor a feature that fails ends the reading: they are unknown."""
    record = next(one for one in decisions_of(steady) if one.facts.history is not None)
    facts: Facts = replace(record.facts, history=replace(record.facts.history, last_confirmed_age_s="late"))
    assert measure_all([facts], None)[0].faulty
    rows = rows_of([record, replace(record, facts=facts)], BrokenModel())
    assert np.isnan(rows.numbers[:, NUMBERS.index("anomaly")]).all()
    assert np.isnan(rows.numbers[1, MODEL_FEATURES.index("gap_since_success_hours")])


def test_long_texts_are_cut(steady: list[Record]) -> None:
    """A hostile name takes no more memory than any other."""
    (record,) = decisions_of(steady, 1)
    facts = replace(record.facts, action=replace(record.facts.action, name="x" * 60_000))
    rows = rows_of([replace(record, facts=facts)], None)
    assert max(len(text) for text in rows.texts[0] if text) <= MAX_TEXT


def test_attributes_that_the_model_reads_are_measured_too(steady: list[Record]) -> None:
    """A number as it is, a category by what was learned of it, and what was never seen is unknown."""
    model = FixedModel(0.5)
    inputs = AttributeInput("cart"), AttributeInput("segment", {"vip": -1.5})
    model.extract = Extractor(Population(), inputs)
    (record,) = decisions_of(steady, 1)
    told = {"cart": 12.5, "segment": "vip"}, {"cart": "much", "segment": "new"}
    records = [replace(record, facts=replace(record.facts, attributes=one)) for one in told]
    columns = [numbers_of(model).index(name) for name in ("attributes.cart", "attributes.segment")]
    np.testing.assert_array_equal(rows_of(records, model).numbers[:, columns], [[12.5, -1.5], [np.nan, np.nan]])


def test_the_numbers_are_those_of_the_model(model: Model) -> None:
    """They are the features that the shipped model reads, in its order, and the scores behind them."""
    assert numbers_of(model) == (*model.inputs, "anomaly", "score")
