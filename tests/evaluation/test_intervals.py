"""Draws of families, the intervals that come of them, and how often these hold the truth."""

import json

import numpy as np
import pytest

from biograft.errors import BiograftError
from biograft.evaluation.intervals import Interval, bootstrap, class_bounds, family_codes, family_draws, resample
from biograft.tasks.metrics import METRICS, Predicted

ACCURACY = METRICS["accuracy"]


def families_of_luck(seed: int, families: int = 60) -> tuple[np.ndarray, Predicted, np.ndarray]:
    """Truth, answers right in 70 % of the families' units on average, and families of 1 to about 60 units."""
    rng = np.random.default_rng(seed)
    sizes = rng.geometric(0.08, size=families)
    groups = np.repeat(np.arange(families), sizes)
    right = rng.random(len(groups)) < rng.beta(3.5, 1.5, size=families)[groups]
    truth = rng.integers(2, size=len(groups))
    return truth, Predicted(codes=np.where(right, truth, 1 - truth)), groups


def test_draws_take_as_many_families_as_there_are() -> None:
    draws = family_draws(30, 200, seed=1)
    assert draws.shape == (200, 30)
    assert (draws.sum(axis=1) == 30).all()
    assert draws.std() == pytest.approx(1.0, abs=0.05)  # near Poisson of mean 1
    np.testing.assert_array_equal(draws, family_draws(30, 200, seed=1))
    assert (draws != family_draws(30, 200, seed=2)).any()


def test_the_value_is_of_the_whole_set_and_the_interval_that_of_listed_families() -> None:
    truth, answer, groups = families_of_luck(0, families=12)
    assert answer.codes is not None
    found = bootstrap([ACCURACY], truth, answer, groups, draws=50, seed=4, level=0.8)["accuracy"]
    values = []
    for draw in family_draws(12, 50, seed=4):
        units = np.concatenate([np.flatnonzero(groups == family) for family in np.repeat(np.arange(12), draw)])
        values.append(np.mean(truth[units] == answer.codes[units]))
    assert found.value == ACCURACY(truth, answer)
    np.testing.assert_allclose([found.low, found.high], np.quantile(values, [0.1, 0.9]))
    assert (found.draws, found.families, found.valid_draws, found.level) == (50, 12, 50, 0.8)
    assert found.note == ""
    assert found.half_width == pytest.approx((found.high - found.low) / 2)


def test_metrics_share_draws_and_families_may_have_any_name() -> None:
    truth, answer, groups = families_of_luck(0)
    names = np.array([f"family {code}" for code in groups])
    found = bootstrap([ACCURACY, METRICS["q3"]], truth, answer, names, draws=100)
    assert list(found) == ["accuracy", "q3"]
    assert found["accuracy"] == found["q3"]
    order = np.argsort(truth, kind="stable")
    shuffled = Predicted(codes=np.asarray(answer.codes)[order])
    assert bootstrap([ACCURACY], truth[order], shuffled, names[order], draws=100)["accuracy"] == found["accuracy"]


def test_units_of_a_family_stay_together() -> None:
    """Copying every unit ten times within its family must not make the interval any narrower."""
    truth, answer, groups = families_of_luck(3)
    index = np.repeat(np.arange(len(truth)), 10)
    copied = Predicted(codes=np.asarray(answer.codes)[index])
    once = bootstrap([ACCURACY], truth, answer, groups)["accuracy"]
    assert bootstrap([ACCURACY], truth[index], copied, groups[index])["accuracy"] == once
    alone = bootstrap([ACCURACY], truth, answer, np.arange(len(truth)))["accuracy"]
    assert alone.half_width < once.half_width


def test_one_family_has_no_interval() -> None:
    found = bootstrap([ACCURACY], np.array([0, 1]), Predicted(codes=np.array([0, 0])), np.array(["a", "a"]))
    interval = found["accuracy"]
    assert np.isnan(interval.low) and np.isnan(interval.high)
    fields = interval.as_dict()
    assert (fields["value"], fields["low"], fields["high"]) == (0.5, None, None)
    assert fields["note"] == "one family: no interval"
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields


def test_few_families_are_remarked() -> None:
    truth, answer, groups = families_of_luck(0, families=4)
    note = bootstrap([ACCURACY], truth, answer, groups)["accuracy"].note
    assert note == "only 4 families: the interval is likely too narrow"


def test_no_units_and_undefined_values_are_said() -> None:
    nothing = np.zeros(0, dtype=int)
    empty = bootstrap([ACCURACY], nothing, Predicted(codes=nothing), nothing)["accuracy"]
    assert empty.as_dict() | {"note": ""} == {
        "value": None,
        "low": None,
        "high": None,
        "draws": 0,
        "families": 0,
        "valid_draws": 0,
        "level": 0.95,
        "note": "",
    }
    assert empty.note == "no units"
    scores = Predicted(scores=np.full((20, 2), 0.5))
    area = bootstrap([METRICS["roc_auc"]], np.ones(20, int), scores, np.arange(20))["roc_auc"]
    assert np.isnan(area.value) and area.note == "undefined for this set"


def test_draws_without_a_value_are_left_out_and_counted() -> None:
    truth = np.array([1] + [0] * 19)
    answer = Predicted(scores=np.column_stack([np.linspace(1, 0, 20), np.linspace(0, 1, 20)]))
    found = bootstrap([METRICS["roc_auc"]], truth, answer, np.arange(20))["roc_auc"]
    missing = int((family_draws(20, 1000, 0)[:, 0] == 0).sum())
    assert 300 < missing < 420  # (19/20)^20 of the draws lack the only positive
    assert found.valid_draws == 1000 - missing
    assert found.note == f"undefined in {missing} of 1000 draws, which are left out"
    assert found.low <= found.value <= found.high

    def never(weights: np.ndarray) -> np.ndarray:
        return np.where((weights == 1).all(axis=1), 0.5, np.nan)

    nowhere = resample(never, family_draws(20, 10, 0))
    assert (nowhere.value, nowhere.note) == (0.5, "undefined in every draw: no interval")


def test_a_dict_drops_an_empty_note_only() -> None:
    assert "note" not in Interval(0.5, 0.4, 0.6, 10, 20, 10).as_dict()


def test_bad_arguments() -> None:
    answer = Predicted(codes=np.zeros(3, int))
    with pytest.raises(BiograftError, match="got 2 families for 3 units, expected as many"):
        family_codes(np.array([0, 1]), 3)
    with pytest.raises(BiograftError, match="An interval needs draws: got 0, expected 1 or more"):
        bootstrap([ACCURACY], np.zeros(3, int), answer, np.arange(3), draws=0)
    with pytest.raises(BiograftError, match="lies between 0 and 1: got 95"):
        bootstrap([ACCURACY], np.zeros(3, int), answer, np.arange(3), level=95)


@pytest.mark.slow
def test_intervals_of_accuracy_hold_the_truth() -> None:
    """95 % intervals over 60 families of uneven sizes and uneven luck; the true accuracy is 0.7."""
    held = []
    for seed in range(600):
        truth, answer, groups = families_of_luck(seed)
        interval = bootstrap([ACCURACY], truth, answer, groups, seed=seed)["accuracy"]
        held.append(interval.low <= 0.7 <= interval.high)
    assert 0.90 <= np.mean(held) <= 0.98


@pytest.mark.slow
def test_intervals_of_spearman_hold_the_truth() -> None:
    """Truth and answer share a family's shift and half of the rest: a bivariate normal of correlation 3/4."""
    true, held = 6 / np.pi * np.arcsin(0.75 / 2), []  # Spearman's correlation of a bivariate normal
    for seed in range(400):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), rng.geometric(0.1, size=60))
        truth = (rng.normal(size=60)[groups] + rng.normal(size=len(groups))) / np.sqrt(2)
        noise = (rng.normal(size=60)[groups] + rng.normal(size=len(groups))) / np.sqrt(2)
        values = 0.75 * truth + np.sqrt(1 - 0.75**2) * noise
        answer = Predicted(values=values)
        interval = bootstrap([METRICS["spearman"]], truth, answer, groups, seed=seed)["spearman"]
        held.append(interval.low <= true <= interval.high)
    assert 0.90 <= np.mean(held) <= 0.98


def test_bounds_of_a_class_are_those_of_the_same_metric_of_that_class_alone() -> None:
    truth, answer, groups = families_of_luck(4)
    assert answer.codes is not None
    low, high = class_bounds(truth, answer, 2, groups, draws=300, seed=5)
    of_one = truth == 1
    recall = bootstrap([ACCURACY], truth[of_one], Predicted(codes=answer.codes[of_one]), groups[of_one], 300, 5)
    assert len(np.unique(groups[of_one])) < len(np.unique(groups))  # not the very same draws
    assert low.recall[1] == pytest.approx(recall["accuracy"].low, abs=0.03)
    assert high.recall[1] == pytest.approx(recall["accuracy"].high, abs=0.03)
    assert (low.f1 < high.f1).all() and (low.precision < high.precision).all()


def test_a_class_of_one_family_has_no_bounds() -> None:
    truth, codes, groups = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    low, high = class_bounds(truth, Predicted(codes=codes), 3, groups, draws=50)
    assert np.isfinite(low.recall[0]) and np.isnan(low.recall[1:]).all() and np.isnan(high.f1[1:]).all()
    assert np.isnan(class_bounds(truth, Predicted(codes=codes), 2, np.zeros(6), draws=50)[0].f1).all()
