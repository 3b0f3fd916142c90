"""The shrunken covariance: limits that are known without computing."""

import numpy as np
import pytest

from biograft.evaluation.shrinkage import ledoit_wolf


def test_many_rows_of_unequal_variance_need_no_shrinkage() -> None:
    values = np.random.default_rng(0).normal(size=(20_000, 5)) * [1, 2, 3, 4, 5]
    share, variance = ledoit_wolf(values)
    assert share < 0.01 and variance == pytest.approx(11.0, rel=0.05)


def test_a_true_sphere_is_taken_whole() -> None:
    share, variance = ledoit_wolf(np.random.default_rng(0).normal(size=(50, 400)))
    assert share > 0.95 and variance == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("values", [np.zeros((4, 3)), np.ones((1, 1))])
def test_nothing_to_shrink(values: np.ndarray) -> None:
    assert ledoit_wolf(values)[0] == 0.0


def test_a_turn_of_the_axes_changes_nothing() -> None:
    random = np.random.default_rng(0)
    values, turn = random.normal(size=(30, 8)) * np.arange(1, 9), np.linalg.qr(random.normal(size=(8, 8)))[0]
    assert ledoit_wolf(values @ turn) == pytest.approx(ledoit_wolf(values))
