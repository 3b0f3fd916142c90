"""Shrinkage and discriminant analysis against scikit-learn's."""

import numpy as np
import pytest

from biograft.evaluation.shrinkage import ledoit_wolf
from biograft.strategies.discriminant import _solved

covariance = pytest.importorskip("sklearn.covariance")
discriminant_analysis = pytest.importorskip("sklearn.discriminant_analysis")


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
def test_the_shrinkage_is_the_same(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=shape) * np.linspace(0.5, 3, shape[1])
    values -= values.mean(0)
    matrix, share = covariance.ledoit_wolf(values, assume_centered=True)
    ours, variance = ledoit_wolf(values)
    assert ours == pytest.approx(share, rel=1e-9)
    np.testing.assert_allclose(
        (1 - ours) * values.T @ values / len(values) + ours * variance * np.eye(shape[1]), matrix, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("features", [5, 60])
def test_the_discriminants_are_those_of_the_shrunken_covariance(features: int) -> None:
    random = np.random.default_rng(1)
    codes = np.repeat([0, 1, 2], [20, 10, 15])
    values = random.normal(size=(45, features)) + 2 * random.normal(size=(3, features))[codes]
    values -= values.mean(0)
    weight, bias, share = _solved(values, codes)
    within = values - np.stack([values[codes == code].mean(0) for code in range(3)])[codes]
    fixed = covariance.LedoitWolf(assume_centered=True).fit(within)

    class Pooled(covariance.EmpiricalCovariance):
        def fit(self, X, y=None):
            self.covariance_ = fixed.covariance_
            return self

    theirs = discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Pooled())
    theirs.fit(values, codes)
    assert share == pytest.approx(fixed.shrinkage_)
    np.testing.assert_allclose(weight, theirs.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(bias, theirs.intercept_, rtol=1e-6, atol=1e-8)
