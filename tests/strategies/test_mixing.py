"""Shares of layers for solved heads, where the layer that knows is given."""

import numpy as np
import pytest

from biograft.strategies.linear import LinearFit, ridge
from biograft.strategies.mixing import weighed
from biograft.strategies.strategy import FixedFeatures


def solve(given: FixedFeatures) -> LinearFit:
    return ridge(given.values, given.targets, given.families, standardise=False, seed=given.seed)


def layers(rows: int, knowing: tuple[int, ...], seed: int = 0) -> FixedFeatures:
    """Three layers of four features; targets are sums of what the knowing layers hold, the others are noise."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 3, 4)).astype(np.float32)
    targets = sum(values[:, place] @ np.arange(1.0, 5.0) for place in knowing)
    return FixedFeatures(values, np.asarray(targets), np.arange(rows), 0)


def test_the_one_layer_that_knows_is_read_alone() -> None:
    shares, fit, how = weighed(layers(120, (1,)), solve)
    np.testing.assert_allclose(shares, [0, 1, 0], atol=1e-6)
    assert fit.scores and "on inner folds of the training part" in how and "single layers: 1: " in how


def test_layers_that_know_a_part_each_are_mixed() -> None:
    shares, _, _ = weighed(layers(120, (0, 1, 2)), solve)
    assert shares.min() > 0.1 and np.isclose(shares.sum(), 1)


def test_equal_shares_where_there_are_too_few_rows() -> None:
    shares, fit, how = weighed(layers(1, (0,)), solve)
    np.testing.assert_allclose(shares, 1 / 3)
    assert not fit.scores and "too few rows" in how


def test_many_rows_choose_on_a_draw_and_learn_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biograft.strategies.mixing.MOST", 60)
    seen: list[int] = []

    def counted(given: FixedFeatures) -> LinearFit:
        seen.append(len(given.values))
        return solve(given)

    weighed(layers(120, (2,)), counted)
    assert seen[-1] == 120 and set(seen[:-1]) == {60}
