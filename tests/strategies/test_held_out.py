"""Answers on inner folds, and how sharp they should be."""

import numpy as np
import pytest

from biograft.strategies.held_out import HeldOut
from biograft.strategies.inner import Folds


def test_the_sharpness_makes_claimed_and_true_shares_the_same() -> None:
    logits = np.tile([3.0, 0.0], (100, 1))
    codes = np.repeat([0, 1], [80, 20])  # right four times in five: log odds of log 4
    held = HeldOut([logits], [codes])
    assert held.sharpest() == pytest.approx(np.log(4) / 3, rel=1e-3)
    assert held.loss(held.sharpest()) == pytest.approx(-0.8 * np.log(0.8) - 0.2 * np.log(0.2), rel=1e-5)


def test_rows_of_a_class_that_the_other_folds_lack_are_not_asked() -> None:
    codes = np.array([0, 0, 0, 0, 2, 2, 5])
    folds = Folds(np.array([0, 1, 0, 1, 0, 1, 1]), range(2), "")
    asked = []

    def answer(learn: np.ndarray, own: np.ndarray, out: np.ndarray) -> np.ndarray:
        assert set(own.tolist()) == set(range(len(set(codes[learn].tolist()))))
        asked.extend(out.tolist())
        return np.zeros((len(out), own.max() + 1))

    held = HeldOut.of(folds, codes, answer)
    assert sorted(asked) == [0, 1, 2, 3, 4, 5]
    assert [truth.tolist() for truth in held.codes] == [[0, 0, 1], [0, 0, 1]]
    assert held.loss() == pytest.approx(np.log([3, 3, 3, 2, 2, 2]).mean())


def test_without_folds_nothing_is_known() -> None:
    assert HeldOut.of(Folds(np.zeros(1, dtype=int), range(0), ""), np.zeros(1, dtype=int), None).loss() == np.inf
