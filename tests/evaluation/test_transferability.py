"""Numbers that promise transfer, against what is known by hand or by brute force."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from biograft.evaluation.transferability import h_score, leep, logme, nce


def brute_evidence(features: np.ndarray, target: np.ndarray) -> float:
    """Largest density per contrast of ``N(0, features features.T / alpha + 1 / beta)``, over all alpha and beta."""
    rows = len(target)
    contrasts = np.linalg.svd(np.ones((1, rows)))[2][1:]  # an orthonormal basis of all that sums to zero
    gram, target = contrasts @ features @ features.T @ contrasts.T, contrasts @ target

    def negative(logs: np.ndarray) -> float:
        covariance = gram * np.exp(-logs[0]) + np.eye(rows - 1) * np.exp(-logs[1])
        return -float(multivariate_normal(np.zeros(rows - 1), covariance).logpdf(target))

    starts = [(a, b) for a in (-2.0, 0.0, 3.0) for b in (-1.0, 2.0)]
    bounds = [(-8, 12), (-8, 12)]
    found = [
        minimize(negative, start, method="Nelder-Mead", bounds=bounds, options={"fatol": 1e-9}) for start in starts
    ]
    return -min(one.fun for one in found) / (rows - 1)


@pytest.mark.parametrize("shape", [(40, 5), (25, 25), (20, 35)])
def test_the_evidence_is_the_largest_that_any_precisions_give(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=shape) * 3 + 7
    target = features[:, :3] @ [1.0, -0.5, 0.2] + random.normal(size=shape[0]) + 100
    assert logme(features, target) == pytest.approx(brute_evidence(features, target), abs=1e-4)


def test_of_classes_it_is_the_mean_over_each_against_the_others() -> None:
    random = np.random.default_rng(1)
    codes = np.arange(30) % 3
    features = random.normal(size=(30, 4)) + np.eye(3)[codes] @ random.normal(size=(3, 4))
    each = [brute_evidence(features, (codes == code).astype(float)) for code in range(3)]
    assert logme(features, codes, 3) == pytest.approx(np.mean(each), abs=1e-4)
    assert logme(features, codes, 4) == pytest.approx(np.mean(each), abs=1e-4)


def test_features_that_explain_more_have_more_evidence() -> None:
    random = np.random.default_rng(2)
    target = random.normal(size=200)
    values = [logme(np.c_[target + noise * random.normal(size=200), random.normal(size=(200, 9))], target)
              for noise in (0.1, 0.5, 2.0)]  # fmt: skip
    assert values == sorted(values, reverse=True)


def test_constant_features_are_no_fault() -> None:
    assert np.isfinite(logme(np.ones((10, 3)), np.arange(10.0)))
    assert h_score(np.ones((10, 3)), np.arange(10) % 2) == pytest.approx(0.0)


def test_the_plain_h_score_says_the_same_of_any_labels_once_features_are_many() -> None:
    random = np.random.default_rng(0)
    features, codes = random.normal(size=(60, 100)), np.arange(60) % 4
    informative = features + 3 * np.eye(4)[codes] @ random.normal(size=(4, 100))
    for values in (features, informative):
        assert h_score(values, codes, regularised=False) == pytest.approx(3.0)
    assert h_score(features, codes) < 0.3 < 0.5 < h_score(informative, codes) < 3.0


def test_with_few_features_the_h_score_is_the_share_between_classes() -> None:
    features = np.array([[0.0], [2.0], [4.0], [6.0]])  # class means 1 and 5, variance 5, of which 4 between
    assert h_score(features, np.array([0, 0, 1, 1]), regularised=False) == pytest.approx(0.8)


def test_the_regularised_h_score_by_its_formula() -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    random = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [10, 6, 4])
    features = random.normal(size=(20, 7)) + np.eye(3)[codes] @ random.normal(size=(3, 7))
    centred = features - features.mean(0)
    found = covariance.LedoitWolf(assume_centered=True).fit(centred)
    means = np.stack([centred[codes == code].mean(0) for code in range(3)])[codes]
    between = (1 - found.shrinkage_) * means.T @ means / 20
    expected = np.trace(np.linalg.inv(found.covariance_) @ between)
    assert h_score(features, codes) == pytest.approx(expected, rel=1e-9)


def test_leep_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])
    codes = np.array([0, 0, 1, 1])
    # joint: label 0 with the source's classes (1.4, 0.6) / 4, label 1 with (0.6, 1.4) / 4; given a class .7 and .3
    expected = [0.8 * 0.7 + 0.2 * 0.3, 0.6 * 0.7 + 0.4 * 0.3, 0.1 * 0.3 + 0.9 * 0.7, 0.5 * 0.3 + 0.5 * 0.7]
    assert leep(probabilities, codes) == pytest.approx(np.log(expected).mean())


def test_leep_of_a_source_that_tells_nothing_is_minus_the_entropy() -> None:
    assert leep(np.full((10, 3), 1 / 3), np.repeat([0, 1], [8, 2])) == pytest.approx(
        0.8 * np.log(0.8) + 0.2 * np.log(0.2)
    )


def test_nce_by_hand() -> None:
    source, codes = np.array([0, 0, 0, 2, 2]), np.array([1, 1, 0, 0, 0])
    # the source's class 0 leaves 2 to 1, its class 2 leaves no doubt
    assert nce(source, codes) == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3)) / 5)
    assert nce(codes, codes) == pytest.approx(0.0)
