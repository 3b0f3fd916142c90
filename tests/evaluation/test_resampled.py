"""Means over overlapping splits: the corrected t test, and what can't be said."""

import numpy as np
import pytest
from scipy import stats

from biograft.evaluation.comparison import judged
from biograft.evaluation.resampled import OverSplits
from biograft.evaluation.verdict import corrected_t
from biograft.tasks.metrics import METRICS

MCC = METRICS["mcc"]


def test_interval_and_p_value_agree_with_each_other_and_with_the_corrected_t() -> None:
    values = (0.05, 0.11, -0.02, 0.09, 0.07, 0.03, 0.12)
    found = OverSplits(values, 0.25, 30)
    assert found.p == pytest.approx(corrected_t(values, 0.25)[1])
    edge = OverSplits(tuple(np.array(values) - found.interval.low), 0.25, 30)
    assert edge.p == pytest.approx(0.05)  # no difference lies just on the end of the interval
    assert found.half_width(0.99) > found.half_width(0.95)
    assert found.interval.families == 30


def test_overlap_widens_what_independent_samples_would_give() -> None:
    values = (0.1, 0.3, -0.1, 0.2)
    plain = stats.ttest_1samp(values, 0).confidence_interval()
    apart = OverSplits(values, 0.0, 9).interval
    assert (apart.low, apart.high) == pytest.approx((plain.low, plain.high))
    assert OverSplits(values, 0.3, 9).interval.low < apart.low


def test_one_split_and_equal_ones() -> None:
    alone = OverSplits((0.4,), 0.25, 9)
    assert alone.p == 1.0 and np.isnan(alone.interval.low)
    told = judged({"it": alone}, {"it": "twin"}, MCC)["it"]
    assert told.verdict.answer == "cannot tell"
    assert told.sentence() == "cannot tell: 1 of the splits gave a number, and two are needed."
    same = OverSplits((0.0, 0.0), 0.25, 9)
    assert same.p == 1.0
    equal = OverSplits((0.9 - 0.8, 0.8 - 0.7), 0.25, 9)  # by luck: two splits can't tell how much differences vary
    assert equal.p == 0.5 and judged({"it": equal}, {"it": "twin"}, MCC)["it"].verdict.answer == "cannot tell"
    assert judged({"it": OverSplits((1.0,) * 10, 0.25, 9)}, {"it": "twin"}, MCC)["it"].verdict.answer == "helped"
    assert judged({"it": same}, {"it": "twin"}, MCC)["it"].verdict.answer == "cannot tell"


def test_values_stay_within_what_a_metric_can_be() -> None:
    found = OverSplits((0.9, 1.0, 0.7), 0.25, 9).within((0.0, 1.0))
    assert found.high == 1.0 and found.low > 0


def test_answers_over_splits_are_corrected_for_their_number() -> None:
    clear = OverSplits((0.20, 0.22, 0.19, 0.21, 0.20), 0.25, 20)
    weak = OverSplits((0.03, 0.10, 0.02, 0.06, 0.12), 0.05, 20)
    assert weak.p < 0.05
    alone = judged({"weak": weak}, {"weak": "twin"}, MCC)
    many = judged({"clear": clear, "weak": weak, "third": weak}, dict.fromkeys(("clear", "weak", "third"), "twin"), MCC)
    assert alone["weak"].verdict.answer == "helped"
    assert (many["clear"].verdict.answer, many["weak"].verdict.answer) == ("helped", "cannot tell")
