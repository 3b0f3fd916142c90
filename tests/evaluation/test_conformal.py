"""Intervals for single predictions: the rank that is taken, and the coverage that follows from it."""

import numpy as np
import pytest

from biograft.evaluation.conformal import residual_quantile


def test_the_rank_of_the_residual() -> None:
    truth, values = np.zeros(19), np.arange(1.0, 20.0) * np.where(np.arange(19) % 2, 1, -1)
    assert residual_quantile(truth, values) == 19.0  # the ⌈20 · 0.95⌉ = 19th of 1, 2, ..., 19
    assert residual_quantile(truth, values, level=0.5) == 10.0


def test_too_few_records_promise_nothing() -> None:
    assert residual_quantile(np.zeros(18), np.ones(18)) is None
    assert residual_quantile(np.zeros(0), np.zeros(0)) is None
    assert residual_quantile(np.zeros(4), np.ones(4), level=0.8) == 1.0


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_new_values_are_covered_as_often_as_promised(level: float) -> None:
    """Whatever the errors look like: here they are skewed and heavy-tailed."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        errors = rng.exponential(size=60) ** 2
        half_width = residual_quantile(errors[:59], np.zeros(59), level)
        assert half_width is not None
        covered.append(errors[59] <= half_width)
    assert level - 0.015 < np.mean(covered) < level + 1 / 60 + 0.015
