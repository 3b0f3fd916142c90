"""Discriminant analysis as a head: where it is right by construction, and what it refuses."""

import numpy as np
import pytest

from biograft.errors import BiograftError
from biograft.strategies.discriminant import discriminant


def clouds(rows: int, features: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two normal clouds of one covariance, two standard deviations apart on the first axis."""
    random = np.random.default_rng(seed)
    codes = np.arange(rows) % 2
    values = random.normal(size=(rows, features))
    values[:, 0] += 2 * codes
    return (values @ np.linspace(1, 3, features * features).reshape(features, -1) ** 2).astype(np.float32), codes


def test_it_gives_the_probabilities_of_normal_clouds() -> None:
    random = np.random.default_rng(0)
    codes = np.repeat([0, 1], 4000)
    values = random.normal(size=(8000, 3)).astype(np.float32) * [1, 5, 0.2]
    values[:, 0] += 2 * codes
    fit = discriminant(values, codes, 2, np.arange(8000), standardise=True, seed=0)
    odds = (fit.weight[1] - fit.weight[0]) @ values.T + fit.bias[1] - fit.bias[0]
    np.testing.assert_allclose(odds, 2 * values[:, 0] - 2, atol=0.5)
    assert "linear discriminant analysis on standardised features" in fit.how and "5 inner folds" in fit.how


def test_more_features_than_rows_and_new_rows() -> None:
    values, codes = clouds(60, 4)
    noise = np.random.default_rng(1).normal(size=(200, 300)).astype(np.float32)
    wide = np.concatenate([values[:40], noise[:40]], axis=1)
    fit = discriminant(wide, codes[:40], 2, np.arange(40), standardise=None, seed=0)
    assert (((wide @ fit.weight.T + fit.bias).argmax(1)) == codes[:40]).mean() > 0.9
    assert set(fit.scores) == {"raw features", "standardised features"} and 0 < fit.penalty <= 1


def test_a_class_without_rows_is_never_the_answer() -> None:
    values, codes = clouds(40, 3)
    fit = discriminant(values, 2 * codes, 3, np.arange(40), standardise=False, seed=0)
    assert not fit.weight[1].any() and fit.bias[1] == pytest.approx(np.log(0.5 / 40))
    assert not ((values @ fit.weight.T + fit.bias).argmax(1) == 1).any()


@pytest.mark.parametrize("codes", [[0, 1, 2], [0, 0, 0]])
def test_it_needs_two_classes_and_two_records_of_one(codes: list[int]) -> None:
    with pytest.raises(BiograftError, match=r"LDA needs two classes.*head=centroid"):
        discriminant(np.eye(3, dtype=np.float32), np.array(codes), 3, np.arange(3), standardise=None, seed=0)
