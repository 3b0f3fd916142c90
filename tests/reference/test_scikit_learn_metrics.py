"""Our weighted metrics against scikit-learn and scipy on arrays in which every unit is listed out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from biograft.tasks.metrics import METRICS, Predicted, per_class

seeds = st.integers(0, 10**6)
quick = settings(deadline=None, max_examples=40)


def drawn(seed: int, units: int, classes: int, lowest: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, coarse scores (with ties) and multiplicities; every class is left after repeating."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(lowest, classes), rng.integers(lowest, classes, size=units)])
    scores = rng.integers(1, 6, size=(len(truth), classes)).astype(np.float64)
    weights = rng.integers(0, 4, size=len(truth))
    weights[: classes - lowest] = 1
    return truth, scores / scores.sum(axis=1, keepdims=True), weights


@quick
@given(seed=seeds, units=st.integers(1, 40), classes=st.integers(2, 5), lowest=st.sampled_from([-1, 0]))
def test_metrics_of_classes(seed: int, units: int, classes: int, lowest: int) -> None:
    truth, scores, weights = drawn(seed, units, classes, lowest)
    codes, index = scores.argmax(axis=1), np.repeat(np.arange(len(truth)), weights)
    for name, theirs in (
        ("accuracy", sklearn_metrics.accuracy_score),
        ("balanced_accuracy", sklearn_metrics.balanced_accuracy_score),
        ("mcc", sklearn_metrics.matthews_corrcoef),
        ("macro_f1", lambda t, p: sklearn_metrics.f1_score(t, p, average="macro", zero_division=0)),
    ):
        ours = METRICS[name](truth, Predicted(codes=codes, scores=scores), weights)
        assert ours == pytest.approx(theirs(truth[index], codes[index]), abs=1e-12), name


@quick
@given(seed=seeds, units=st.integers(1, 40), classes=st.integers(2, 5))
def test_metrics_of_probabilities(seed: int, units: int, classes: int) -> None:
    truth, scores, weights = drawn(seed, units, classes)
    index, answer = np.repeat(np.arange(len(truth)), weights), Predicted(scores=scores)
    shown = scores[index, 1] if classes == 2 else scores[index]
    area = sklearn_metrics.roc_auc_score(truth[index], shown, multi_class="ovr", average="macro")
    precision = sklearn_metrics.average_precision_score(truth[index], shown, average="macro")
    loss = sklearn_metrics.log_loss(truth[index], scores[index], labels=range(classes))
    assert METRICS["roc_auc"](truth, answer, weights) == pytest.approx(area, abs=1e-12)
    assert METRICS["average_precision"](truth, answer, weights) == pytest.approx(precision, abs=1e-12)
    assert METRICS["log_loss"](truth, answer, weights) == pytest.approx(loss, rel=1e-12)


@quick
@given(seed=seeds, units=st.integers(3, 40), levels=st.integers(2, 100))
def test_metrics_of_values(seed: int, units: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.concatenate([[0, levels - 1], rng.integers(levels, size=units)]) / 7 + 20
    values = np.concatenate([[0, levels - 1], rng.integers(levels, size=units)]) / 3 + 10
    weights = np.concatenate([[1, 1], rng.integers(0, 4, size=units)])
    index, answer = np.repeat(np.arange(len(truth)), weights), Predicted(values=values)
    listed = truth[index], values[index]
    for name, theirs in (
        ("spearman", stats.spearmanr(*listed).statistic),
        ("pearson", stats.pearsonr(*listed).statistic),
        ("r2", sklearn_metrics.r2_score(*listed)),
        ("rmse", sklearn_metrics.root_mean_squared_error(*listed)),
        ("mae", sklearn_metrics.mean_absolute_error(*listed)),
    ):
        assert METRICS[name](truth, answer, weights) == pytest.approx(theirs, rel=1e-9, abs=1e-12), name


def test_fractions_as_weights() -> None:
    truth, scores, _ = drawn(1, 60, 2)
    weights = np.random.default_rng(0).random(len(truth))
    area = sklearn_metrics.roc_auc_score(truth, scores[:, 1], sample_weight=weights)
    precision = sklearn_metrics.average_precision_score(truth, scores[:, 1], sample_weight=weights)
    codes = scores.argmax(axis=1)
    mcc = sklearn_metrics.matthews_corrcoef(truth, codes, sample_weight=weights)
    assert METRICS["roc_auc"](truth, Predicted(scores=scores), weights) == pytest.approx(area)
    assert METRICS["average_precision"](truth, Predicted(scores=scores), weights) == pytest.approx(precision)
    assert METRICS["mcc"](truth, Predicted(codes=codes), weights) == pytest.approx(mcc)


@quick
@given(seed=seeds, units=st.integers(1, 40), classes=st.integers(2, 5))
def test_per_class(seed: int, units: int, classes: int) -> None:
    truth, scores, weights = drawn(seed, units, classes)
    codes, index = scores.argmax(axis=1), np.repeat(np.arange(len(truth)), weights)
    theirs = sklearn_metrics.precision_recall_fscore_support(
        truth[index], codes[index], labels=range(classes), zero_division=np.nan
    )
    for ours, their in zip(per_class(truth, Predicted(codes=codes, scores=scores), weights), theirs, strict=True):
        np.testing.assert_allclose(ours, np.asarray(their, dtype=float))
