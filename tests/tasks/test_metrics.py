"""Metrics by hand, as multiplicities, and where they are undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biograft.errors import BiograftError
from biograft.tasks.metrics import METRICS, Predicted, by_class, confusion, per_class

CLASSIFICATION = [name for name, metric in METRICS.items() if metric.kinds == ("classification",)]
REGRESSION = [name for name, metric in METRICS.items() if metric.kinds == ("regression",)]
COUNTED = [
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "roc_auc",
    "q3",
    "q8",
    "spearman",
]  # no rounding


def example(seed: int, units: int, classes: int) -> tuple[np.ndarray, np.ndarray, Predicted]:
    """Truth of classes (some unseen) and of values, and answers with many ties."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, 5, size=(units, classes)).astype(np.float64)
    scores /= scores.sum(axis=1, keepdims=True)
    values = rng.integers(0, 6, size=units) + 0.25
    answer = Predicted(codes=rng.integers(classes, size=units), scores=scores, values=values)
    return rng.integers(-1, classes, size=units), rng.integers(0, 5, size=units) / 3, answer


def take(predicted: Predicted, index: np.ndarray) -> Predicted:
    assert predicted.codes is not None and predicted.scores is not None and predicted.values is not None
    return Predicted(predicted.codes[index], predicted.scores[index], predicted.values[index])


def test_the_names_of_the_design_are_all_there() -> None:
    names = [
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "mcc",
        "roc_auc",
        "average_precision",
        "log_loss",
        "ece",
        "q3",
        "q8",
    ]
    assert names == CLASSIFICATION
    assert REGRESSION == ["spearman", "pearson", "r2", "rmse", "mae"]
    assert {name for name, metric in METRICS.items() if not metric.greater_is_better} == {
        "log_loss",
        "ece",
        "rmse",
        "mae",
    }
    assert all(metric.summary and metric.name == name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", METRICS)
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), units=st.integers(1, 25), classes=st.integers(2, 4))
def test_a_weight_is_a_multiplicity(name: str, seed: int, units: int, classes: int) -> None:
    codes, values, answer = example(seed, units, classes)
    truth = codes if name in CLASSIFICATION else values
    weights = np.random.default_rng(seed + 1).integers(0, 4, size=units)
    repeated = np.repeat(np.arange(units), weights)
    weighted = METRICS[name](truth, answer, weights)
    listed = METRICS[name](truth[repeated], take(answer, repeated))
    if name in COUNTED:
        np.testing.assert_equal(weighted, listed)
    else:
        np.testing.assert_allclose(weighted, listed, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", METRICS)
def test_groups_share_the_weight_of_their_family(name: str) -> None:
    codes, values, answer = example(3, 200, 3)
    truth = codes if name in CLASSIFICATION else values
    groups = np.random.default_rng(0).permutation(np.arange(200) % 20)
    draws = np.random.default_rng(1).integers(0, 3, size=(7, 20))
    together = METRICS[name].prepare(truth, answer, groups)(draws)
    assert together.shape == (7,)
    alone = [METRICS[name](truth, answer, draw[groups]) for draw in draws]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_scale_of_all_weights_changes_nothing(name: str) -> None:
    codes, values, answer = example(5, 60, 3)
    truth = codes if name in CLASSIFICATION else values
    weights = np.random.default_rng(2).random(60)
    assert METRICS[name](truth, answer, weights) == pytest.approx(METRICS[name](truth, answer, weights / 7))


@pytest.mark.parametrize("name", METRICS)
def test_nothing_counted_is_nan(name: str) -> None:
    codes, values, answer = example(5, 6, 2)
    truth = codes if name in CLASSIFICATION else values
    assert np.isnan(METRICS[name](truth, answer, np.zeros(6)))
    nothing = np.arange(0)
    assert np.isnan(METRICS[name](truth[:0], take(answer, nothing)))


@pytest.mark.parametrize("name", [*REGRESSION, "roc_auc", "average_precision", "log_loss", "ece"])
def test_an_answer_that_is_not_finite_has_no_value(name: str) -> None:
    codes, values, answer = example(5, 6, 2)
    assert answer.scores is not None and answer.values is not None
    answer.scores[2, 0] = answer.values[2] = np.nan
    assert np.isnan(METRICS[name](codes if name in CLASSIFICATION else values, answer))


def test_metrics_of_classes_by_hand() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    answer = Predicted(codes=np.array([0, 0, 1, 1, 1, 0]))
    assert METRICS["accuracy"](truth, answer) == 4 / 6
    assert METRICS["q3"](truth, answer) == METRICS["q8"](truth, answer) == 4 / 6
    assert METRICS["balanced_accuracy"](truth, answer) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert METRICS["macro_f1"](truth, answer) == pytest.approx((4 / 6 + 4 / 5 + 0) / 3)
    # covariance 4 * 6 - (3 * 3 + 3 * 2), spreads 36 - 18 and 36 - 14
    assert METRICS["mcc"](truth, answer) == pytest.approx(9 / np.sqrt(18 * 22))


def test_an_unseen_class_is_an_error_whatever_is_predicted() -> None:
    truth = np.array([0, 1, -1])
    for guess in (0, 1):
        answer = Predicted(codes=np.array([0, 1, guess]), scores=np.eye(2)[[0, 1, guess]])
        assert METRICS["accuracy"](truth, answer) == 2 / 3
        assert METRICS["balanced_accuracy"](truth, answer) == pytest.approx(2 / 3)
        assert METRICS["macro_f1"](truth, answer) == pytest.approx((1 + 2 / 3 + 0) / 3)
        assert METRICS["ece"](truth, answer) == pytest.approx(1 / 3)
        clipped = -np.log(np.finfo(np.float64).eps)
        assert METRICS["log_loss"](truth, answer) == pytest.approx(clipped / 3)


def test_ranking_by_hand() -> None:
    truth, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.9])
    answer = Predicted(scores=np.column_stack([1 - scores, scores]))
    assert METRICS["roc_auc"](truth, answer) == 3.5 / 4
    assert METRICS["average_precision"](truth, answer) == pytest.approx((1 + 2 / 3) / 2)


def test_an_unseen_class_is_a_negative_of_every_class() -> None:
    answer = Predicted(scores=np.array([[0.2, 0.8], [0.1, 0.9], [0.7, 0.3]]))
    assert METRICS["roc_auc"](np.array([1, -1, 0]), answer) == 0.5
    assert METRICS["average_precision"](np.array([1, -1, 0]), answer) == 0.5


def test_calibration_error_by_hand() -> None:
    scores = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.6, 0.4]])
    # (14/15, 1]: half right at 0.95; (8/15, 9/15]: all right at 0.6
    expected = (2 * abs(0.5 - 0.95) + 2 * abs(1 - 0.6)) / 4
    assert METRICS["ece"](np.array([0, 1, 0, 0]), Predicted(scores=scores)) == pytest.approx(expected)


def test_metrics_of_values_by_hand() -> None:
    truth, answer = np.array([1.0, 2.0, 4.0]), Predicted(values=np.array([1.0, 3.0, 2.0]))
    assert METRICS["rmse"](truth, answer) == pytest.approx(np.sqrt(5 / 3))
    assert METRICS["mae"](truth, answer) == pytest.approx(1.0)
    assert METRICS["spearman"](truth, answer) == pytest.approx(0.5)
    assert METRICS["r2"](truth, answer) == pytest.approx(1 - 5 / (14 / 3))
    assert METRICS["pearson"](truth, answer) == pytest.approx(1 / np.sqrt(14 / 3 * 2))


def test_correlations_survive_values_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(size=500), rng.normal(size=500)
    near = METRICS["pearson"](truth, Predicted(values=truth + noise))
    far = METRICS["pearson"](truth + 1e7, Predicted(values=truth + noise + 1e7))
    assert far == pytest.approx(near, abs=1e-7)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1e9 + 0.1])
def test_a_side_that_does_not_vary_has_no_correlation(constant: float) -> None:
    same, changing = np.full(7, constant), np.arange(7.0)
    weights = np.array([0.3, 1, 2, 0.7, 1, 1, 5])
    for name in ("spearman", "pearson", "r2"):
        assert np.isnan(METRICS[name](same, Predicted(values=changing), weights))
    for name in ("spearman", "pearson"):
        assert np.isnan(METRICS[name](changing, Predicted(values=same), weights))
    once = np.eye(7)[3] * 5  # a single unit is constant, too
    assert np.isnan(METRICS["pearson"](changing, Predicted(values=changing), once))


def test_one_class_only() -> None:
    answer = Predicted(scores=np.array([[0.2, 0.8], [0.6, 0.4]]))
    assert np.isnan(METRICS["roc_auc"](np.array([1, 1]), answer))
    assert np.isnan(METRICS["roc_auc"](np.array([0, 0]), answer))
    assert np.isnan(METRICS["average_precision"](np.array([0, 0]), answer))
    assert np.isnan(METRICS["roc_auc"](np.array([0, 1]), answer, np.array([0.1, 0.0])))
    assert METRICS["mcc"](np.array([1, 1]), answer) == 0.0
    assert METRICS["balanced_accuracy"](np.array([1, 1]), answer) == 0.5


def test_classes_are_taken_from_the_scores_if_need_be() -> None:
    answer = Predicted(scores=np.array([[0.2, 0.8], [0.6, 0.4]]))
    assert METRICS["accuracy"](np.array([1, 0]), answer) == 1.0


def test_log_loss_is_clipped_by_the_type_of_the_scores() -> None:
    wrong = np.array([[1.0, 0.0]])
    for dtype in (np.float32, np.float64):
        value = METRICS["log_loss"](np.array([1]), Predicted(scores=wrong.astype(dtype)))
        assert value == pytest.approx(-np.log(np.finfo(dtype).eps))


@pytest.mark.parametrize(
    ("name", "predicted", "message"),
    [
        ("roc_auc", Predicted(codes=np.zeros(3, int)), "roc_auc reads the scores of a prediction: got none"),
        ("mcc", Predicted(values=np.zeros(3)), "mcc reads the codes of a prediction: got none, expected an"),
        ("spearman", Predicted(), "fits the label kind, or give Predicted\\(values=...\\)"),
        ("mae", Predicted(values=np.zeros(2)), "unit by unit: got 2 predictions for 3 true labels"),
        ("accuracy", Predicted(codes=np.array([0, -1, 1])), "has a code of 0 or above: got -1"),
    ],
)
def test_an_answer_that_does_not_fit(name: str, predicted: Predicted, message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        METRICS[name](np.zeros(3, int), predicted)


def test_confusion_counts_truth_by_row() -> None:
    truth, codes = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    matrix = confusion(truth, Predicted(codes=codes), 3)
    assert matrix.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    weighted = confusion(truth, Predicted(codes=codes), 2, weights=np.array([1, 2, 1, 1, 0.5]))
    assert weighted.tolist() == [[1, 2], [0.5, 2]]


def test_confusion_shows_unseen_classes_in_a_last_row() -> None:
    matrix = confusion(np.array([0, -1, 1]), Predicted(codes=np.array([0, 1, 1])), 2)
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_confusion_refuses_what_it_cannot_place() -> None:
    with pytest.raises(BiograftError, match="of 2 classes holds codes 0 to 1: got 2"):
        confusion(np.array([0, 1]), Predicted(codes=np.array([0, 2])), 2)
    with pytest.raises(BiograftError, match="confusion matrix reads classes of a prediction: got none"):
        confusion(np.array([0, 1]), Predicted(values=np.zeros(2)), 2)


def test_per_class_by_hand() -> None:
    truth, answer = np.array([0, 0, 1, -1]), Predicted(codes=np.array([0, 1, 1, 1]))
    found = per_class(truth, answer, classes=4)
    np.testing.assert_allclose(found.precision, [1, 1 / 3, np.nan, np.nan])
    np.testing.assert_allclose(found.recall, [0.5, 1, np.nan, np.nan])
    np.testing.assert_allclose(found.f1, [2 / 3, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(found.support, [2, 1, 0, 0])
    assert len(per_class(truth, answer).f1) == 2
    assert len(per_class(truth, Predicted(scores=np.full((4, 3), 1 / 3))).f1) == 3


def test_by_class_is_per_class_for_every_draw_of_groups() -> None:
    generator = np.random.default_rng(0)
    truth, codes = generator.integers(-1, 3, 60), generator.integers(0, 3, 60)
    groups = generator.integers(0, 7, 60)
    groups[:7] = np.arange(7)
    weights = generator.integers(0, 3, (5, 7))
    found = by_class(truth, Predicted(codes=codes), 3, groups)(weights.astype(float))
    for draw, weight in enumerate(weights):
        expected = per_class(truth, Predicted(codes=codes), weight[groups].astype(float), 3)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours[draw], theirs)
