"""Solved heads with known answers: a line found again, families that betray a weak penalty, small and odd sets."""

import numpy as np
import pytest

from biograft.errors import BiograftError
from biograft.strategies.linear import logistic, ridge


def line(rows: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 4)).astype(np.float32) * 3 + 10
    weight = np.array([1.0, -2.0, 0.0, 0.5])
    return values, values @ weight + 7 + noise * random.normal(size=rows), weight


def test_ridge_finds_a_line_without_noise() -> None:
    values, target, weight = line(50, 0.0)
    fit = ridge(values, target, np.arange(50), standardise=False, seed=0)
    np.testing.assert_allclose(fit.weight[0], weight, atol=1e-3)
    assert fit.bias[0] == pytest.approx(7, abs=0.02)
    assert fit.weight.dtype == fit.bias.dtype == np.float32
    assert fit.how.startswith("ridge regression on raw features, penalty")


def test_ridge_gives_the_mean_where_there_is_nothing_to_learn() -> None:
    random = np.random.default_rng(0)
    values, target = random.normal(size=(80, 30)).astype(np.float32), random.normal(size=80) + 40
    fit = ridge(values, target, np.arange(80), standardise=None, seed=0)
    assert np.ptp(values @ fit.weight[0]) < 0.5 * np.ptp(target)
    assert (values @ fit.weight[0] + fit.bias[0]).mean() == pytest.approx(target.mean(), abs=0.05)


def test_relatives_on_both_sides_would_choose_too_weak_a_penalty() -> None:
    """Copies of 12 rows: apart, they look learnable; as families, nothing but the mean is."""
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(size=(12, 40)), 8, axis=0).astype(np.float32)
    values += random.normal(size=values.shape).astype(np.float32) * 0.01
    target = np.repeat(random.normal(size=12), 8)
    families = np.repeat(np.arange(12), 8)
    kept = ridge(values, target, families, standardise=False, seed=0)
    mixed = ridge(values, target, np.arange(96), standardise=False, seed=0)
    assert "families kept together" in kept.how and kept.penalty > 100 * mixed.penalty


def test_more_features_than_rows_give_what_fewer_would() -> None:
    values, target, _ = line(40, 1.0)
    wide = np.concatenate([values, np.zeros((40, 100), np.float32)], axis=1)
    tall_fit, wide_fit = (ridge(v, target, np.arange(40), standardise=False, seed=0) for v in (values, wide))
    np.testing.assert_allclose(wide_fit.weight[0, :4], tall_fit.weight[0], atol=1e-4)
    assert not wide_fit.weight[0, 4:].any()


def test_large_sets_in_single_precision_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values, target, _ = line(400, 2.0)
    exact = ridge(values, target, np.arange(400), standardise=True, seed=0)
    for module in ("linear", "inner", "softmax"):
        monkeypatch.setattr(f"biograft.strategies.{module}.SMALL", 2)
    rough = ridge(values, target, np.arange(400), standardise=True, seed=0)
    assert "inner hold-out" in rough.how
    np.testing.assert_allclose(rough.weight, exact.weight, atol=0.05)
    codes = (target > np.median(target)).astype(int)
    monkeypatch.undo()
    exact = logistic(values, codes, 2, np.arange(400), standardise=True, seed=0)
    monkeypatch.setattr("biograft.strategies.softmax.SMALL", 2)
    rough = logistic(values, codes, 2, np.arange(400), standardise=True, seed=0)
    assert rough.penalty == pytest.approx(exact.penalty)
    np.testing.assert_allclose(rough.weight, exact.weight, atol=0.02)


def test_one_and_two_rows_are_enough_for_an_answer() -> None:
    values, target, _ = line(2, 0.0)
    for rows in (1, 2):
        fit = ridge(values[:rows], target[:rows], np.arange(rows), standardise=None, seed=0)
        assert np.isfinite(fit.weight).all() and (values[:rows] @ fit.weight[0] + fit.bias[0]).mean() == pytest.approx(
            target[:rows].mean(), rel=1e-3
        )
    fit = logistic(values, np.array([0, 1]), 2, np.arange(2), standardise=None, seed=0)
    assert (values @ fit.weight.T + fit.bias).argmax(1).tolist() == [0, 1]


def blobs(sizes: list[int], apart: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    return (random.normal(size=(len(codes), 5)) + apart * np.eye(len(sizes), 5)[codes]).astype(np.float32), codes


def test_logistic_regression_parts_what_is_apart() -> None:
    values, codes = blobs([30, 20, 25], 8.0)
    fit = logistic(values, codes, 3, np.arange(75), standardise=None, seed=0)
    assert ((values @ fit.weight.T + fit.bias).argmax(1) == codes).all()
    assert fit.how.startswith("logistic regression on")


def test_logistic_regression_gives_class_shares_where_there_is_nothing_to_learn() -> None:
    values, codes = blobs([60, 30, 10], 0.0)
    fit = logistic(values, codes, 3, np.arange(100), standardise=None, seed=0)
    logits = values @ fit.weight.T + fit.bias
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(shares.mean(0), [0.6, 0.3, 0.1], atol=0.01)
    assert shares.std(0).max() < 0.15


def test_a_class_without_rows_is_never_the_answer() -> None:
    values, codes = blobs([30, 30], 6.0)
    fit = logistic(values, codes * 2, 4, np.arange(60), standardise=None, seed=0)
    assert fit.weight.shape == (4, 5) and not fit.weight[[1, 3]].any()
    assert set((values @ fit.weight.T + fit.bias).argmax(1)) == {0, 2}


def test_a_class_of_one_row_can_be_learned_from() -> None:
    values, codes = blobs([20, 20, 1], 6.0)
    fit = logistic(values, codes, 3, np.arange(41), standardise=None, seed=0)
    assert np.isfinite(fit.weight).all() and np.isfinite(fit.bias).all()


def test_the_same_arguments_give_the_same_fit() -> None:
    values, codes = blobs([30, 20], 1.0)
    one, other = (logistic(values, codes, 2, np.arange(50), standardise=None, seed=5) for _ in range(2))
    assert np.array_equal(one.weight, other.weight) and one.scores == other.scores


def test_one_class_is_refused() -> None:
    values, _ = blobs([5, 5], 1.0)
    with pytest.raises(BiograftError, match="A classifier needs two classes: got one among 10 training records"):
        logistic(values, np.zeros(10, int), 2, np.arange(10), standardise=None, seed=0)
