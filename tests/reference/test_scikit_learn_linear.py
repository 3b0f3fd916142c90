"""Our solved heads against scikit-learn's Ridge and LogisticRegression at the penalty that was chosen."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from biograft.strategies.inner import Folds
from biograft.strategies.linear import LinearFit, logistic, ridge

SHAPES = pytest.mark.parametrize(("rows", "features"), [(60, 8), (40, 150)], ids=["tall", "wide"])
SCALES = pytest.mark.parametrize("standardise", [False, True], ids=["as they came", "standardised"])


def drawn(rows: int, features: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of unequal spread and far from zero, a noisy linear target, families of three."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, features)) * np.geomspace(0.1, 10, features) + random.normal(size=features) * 5
    target = (values - values.mean(0)) @ (random.normal(size=features) / np.geomspace(0.1, 10, features))
    return values.astype(np.float32), target + random.normal(size=rows), np.arange(rows) // 3


def scaled(values: np.ndarray, standardise: bool) -> np.ndarray:
    values = values.astype(np.float64)
    return (values - values.mean(0)) / values.std(0) if standardise else values


def answers(fit: LinearFit, values: np.ndarray) -> np.ndarray:
    return values @ fit.weight.T.astype(np.float64) + fit.bias


@SHAPES
@SCALES
def test_ridge_at_the_chosen_penalty(rows: int, features: int, standardise: bool) -> None:
    values, target, families = drawn(rows, features)
    fit = ridge(values, target, families, standardise=standardise, seed=0)
    assert "of least squared error" in fit.how
    inputs = scaled(values, standardise)
    theirs = Ridge(alpha=fit.penalty).fit(inputs, target).predict(inputs)
    np.testing.assert_allclose(answers(fit, values)[:, 0], theirs, atol=2e-4 * np.ptp(target))


@SHAPES
@SCALES
def test_the_penalty_of_ridge_is_the_best_on_the_inner_folds(rows: int, features: int, standardise: bool) -> None:
    values, target, families = drawn(rows, features)
    fit = ridge(values, target, families, standardise=standardise, seed=4)
    inputs = scaled(values, standardise)
    unit = 1.0 * features if standardise else float(values.astype(np.float64).var(0).sum())
    folds = Folds.draw(families, np.zeros(rows, dtype=np.int64), False, 4)
    expected = {}
    for exponent in np.arange(6, -6.1, -0.5):
        errors = []
        for learn, out in folds.parts():
            assert not set(families[learn]) & set(families[out])
            theirs = Ridge(alpha=10**exponent * unit).fit(inputs[learn], target[learn])
            errors.append((theirs.predict(inputs[out]) - target[out]) ** 2)
        expected[10**exponent * unit] = np.concatenate(errors).mean()
    label = "standardised" if standardise else "raw"
    for penalty, error in expected.items():
        assert fit.scores[f"{label} features, penalty {penalty:.3g}"] == pytest.approx(error, rel=1e-3)
    chosen = min(expected, key=lambda penalty: abs(np.log(penalty / fit.penalty)))
    assert chosen == pytest.approx(fit.penalty, rel=1e-6)
    assert expected[chosen] <= min(expected.values()) * 1.001


@SHAPES
@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_regression_at_the_chosen_penalty(rows: int, features: int, classes: int) -> None:
    values, target, families = drawn(rows, features)
    codes = np.searchsorted(np.quantile(target, np.arange(1, classes) / classes), target)
    fit = logistic(values, codes, classes, families, standardise=True, seed=0)
    inputs = scaled(values, True)
    strength = 2 / fit.penalty if classes == 2 else 1 / fit.penalty
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn speaks of options that change from version to version
        model = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(inputs, codes)
    ours = answers(fit, values)
    shares = np.exp(ours - ours.max(1, keepdims=True))
    np.testing.assert_allclose(shares / shares.sum(1, keepdims=True), model.predict_proba(inputs), atol=2e-3)
