"""Paired differences, what is concluded from them, and tests for repeated splits."""

import json

import numpy as np
import pytest
from scipy import stats

from biograft.errors import BiograftError
from biograft.evaluation.intervals import Interval, bootstrap
from biograft.evaluation.verdict import corrected_t, holm, paired, verdict
from biograft.tasks.metrics import METRICS, Predicted

MCC, RMSE = METRICS["mcc"], METRICS["rmse"]


def regression(seed: int = 0, units: int = 300) -> tuple[np.ndarray, Predicted, Predicted, np.ndarray]:
    """Truth, a good and a poor answer, and 40 families."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=units)
    good, poor = (Predicted(values=truth + spread * rng.normal(size=units)) for spread in (0.3, 1.0))
    return truth, good, poor, rng.permutation(np.arange(units) % 40)


def test_positive_is_better_for_errors_and_for_scores() -> None:
    truth, good, poor, groups = regression()
    for name in ("rmse", "spearman"):
        better = paired(METRICS[name], truth, good, poor, groups, draws=200)
        worse = paired(METRICS[name], truth, poor, good, groups, draws=200)
        assert better.low > 0
        assert worse.high < 0
        assert (worse.value, worse.low) == pytest.approx((-better.value, -better.high))
        assert verdict(better, "scratch", METRICS[name]).answer == "helped"
        assert verdict(worse, "scratch", METRICS[name]).answer == "hurt"
    assert paired(RMSE, truth, good, poor, groups).value == pytest.approx(RMSE(truth, poor) - RMSE(truth, good))


def test_pairing_sees_what_two_intervals_do_not() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), 10)
    truth = np.zeros(300)
    shared = rng.normal(size=30)[groups] * 5
    rival, ours = Predicted(values=shared + 1.0), Predicted(values=shared + 0.8 + 0.01 * rng.normal(size=300))
    mae = METRICS["mae"]
    apart = [bootstrap([mae], truth, answer, groups)["mae"] for answer in (ours, rival)]
    difference = paired(mae, truth, ours, rival, groups)
    assert difference.half_width < 0.2 * min(interval.half_width for interval in apart)


def test_the_same_answer_cannot_be_told() -> None:
    truth, good, _, groups = regression()
    found = verdict(paired(RMSE, truth, good, good, groups, draws=50), "scratch", RMSE)
    assert found.answer == "cannot tell"
    assert found.sentence() == "It cannot be told whether transfer helped: rmse is the same as of scratch."


def test_report_fields_and_sentences() -> None:
    helped = verdict(Interval(0.041, 0.01, 0.072, 1000, 60, 1000), "scratch", MCC)
    assert helped.as_dict() == {
        "against": "scratch",
        "metric": "mcc",
        "difference": 0.041,
        "low": 0.01,
        "high": 0.072,
        "answer": "helped",
        "detectable": pytest.approx(0.031),
        "families": 60,
    }
    assert helped.sentence() == (
        "Transfer helped: mcc differs by +0.041 from scratch (95 % interval +0.01 to +0.072, positive is "
        "better, 60 families resampled)."
    )
    hurt = verdict(Interval(-0.041, -0.072, -0.01, 1000, 60, 1000), "scratch", MCC)
    assert hurt.sentence().startswith("Transfer hurt: mcc differs by -0.041 from scratch (95 % interval -0.072")
    unclear = verdict(Interval(0.02, -0.01, 0.05, 1000, 60, 1000), "k-mers", MCC)
    assert unclear.answer == "cannot tell"
    assert unclear.sentence() == (
        "It cannot be told whether transfer helped: mcc differs by +0.02 from k-mers (95 % interval -0.01 "
        "to +0.05, positive is better, 60 families resampled); a difference smaller than 0.03 would more "
        "often than not go unseen here."
    )
    assert verdict(Interval(0.02, -0.01, 0.05, 9, 60, 9), "k-mers", MCC, detectable=0.1).detectable == 0.1


def test_a_difference_of_just_the_detectable_size_is_seen_in_half_of_all_tests() -> None:
    seen, size = [], 0.0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=60)
        rival = Predicted(values=np.full(60, 10.0))
        size = 2 * 1.96 / np.sqrt(60) / 2  # half the width of the interval of a mean of 60 normal numbers
        ours = Predicted(values=10 - size + noise)
        difference = paired(METRICS["mae"], np.zeros(60), ours, rival, np.arange(60), draws=200, seed=seed)
        seen.append(difference.low > 0)
        assert difference.half_width == pytest.approx(size, rel=0.5)
    assert 0.4 < np.mean(seen) < 0.62


def test_without_an_interval_nothing_is_told() -> None:
    truth, good, poor, _ = regression()
    found = verdict(paired(RMSE, truth, good, poor, np.zeros(300)), "scratch", RMSE)
    assert found.answer == "cannot tell"
    fields = found.as_dict()
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    assert (fields["low"], fields["high"], fields["detectable"]) == (None, None, None)
    assert fields["difference"] > 0
    assert found.sentence() == ("It cannot be told whether transfer helped against scratch: one family: no interval.")


def test_a_rival_that_is_no_twin_tells_nothing_of_transfer() -> None:
    best = "the best simple baseline"
    for (low, high), told in {
        (
            0.01,
            0.07,
        ): "Better than the best simple baseline: mcc differs by +0.04 from kmer linear (95 % interval +0.01",
        (-0.09, -0.01): "Worse than the best simple baseline: mcc differs by -0.05 from kmer linear (95 % interval",
        (
            -0.01,
            0.05,
        ): "It cannot be told whether the model is better than the best simple baseline: mcc differs by +0.02",
        (
            0.0,
            0.0,
        ): "It cannot be told whether the model is better than the best simple baseline: mcc is the same as of "
        "kmer linear.",
    }.items():
        sentence = verdict(Interval((low + high) / 2, low, high, 1000, 60, 1000), "kmer linear", MCC).sentence(best)
        assert sentence.startswith(told) and "ransfer" not in sentence
    alone = Interval(0.1, np.nan, np.nan, 0, 1, 0, note="one family: no interval")
    assert verdict(alone, "kmer linear", MCC).sentence(best) == (
        "It cannot be told whether the model is better than the best simple baseline, kmer linear: one family: no "
        "interval."
    )


def test_five_families_cannot_convince() -> None:
    five = verdict(Interval(0.2, 0.1, 0.3, 1000, 5, 1000, note="only 5 families"), "scratch", MCC)
    assert five.answer == "cannot tell"
    assert five.sentence().endswith("5 families resampled; only 5 families); so few families may lean one way by luck.")
    assert verdict(Interval(0.2, 0.1, 0.3, 1000, 6, 1000), "scratch", MCC).answer == "helped"


def test_corrected_t_gives_the_values_of_the_scikit_learn_guide() -> None:
    """Ten times ten folds: t 2.611 uncorrected, 0.750 corrected, with p 0.227 on one side."""
    raw = np.random.default_rng(0).normal(size=100)
    standard = (raw - raw.mean()) / raw.std(ddof=1)
    differences = standard + 2.611 / np.sqrt(100)
    assert stats.ttest_1samp(differences, 0).statistic == pytest.approx(2.611)
    statistic, p_value = corrected_t(differences, test_to_train=1 / 9)
    assert statistic == pytest.approx(0.750, abs=5e-4)
    assert p_value / 2 == pytest.approx(0.227, abs=5e-4)


def test_corrected_t_without_overlap_is_the_plain_t_test() -> None:
    differences = [0.1, 0.3, -0.1, 0.2]
    plain = stats.ttest_1samp(differences, 0)
    assert corrected_t(differences, 0.0) == pytest.approx((plain.statistic, plain.pvalue))


def test_corrected_t_at_its_edges() -> None:
    assert corrected_t([0.1, 0.1, 0.1], 0.25) == (np.inf, 0.0)
    assert corrected_t([-0.1, -0.1], 0.25) == (-np.inf, 0.0)
    assert np.isnan(corrected_t([0.0, 0.0], 0.25)).all()
    with pytest.raises(BiograftError, match=r"two or more splits: got 1\. Ask for more --seeds"):
        corrected_t([0.1], 0.25)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    assert holm([]).shape == (0,)
