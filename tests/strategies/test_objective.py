"""The terms of the objective: a mean over what counts, and weights that may change on the way."""

import numpy as np
import pytest
import torch

from biograft.backbones.baselines import OneHot
from biograft.data.alphabet import DNA
from biograft.data.examples import Examples
from biograft.model import LinearHead, Model
from biograft.strategies.objective import Term, supervised
from biograft.tasks.levels import Residue
from biograft.tasks.regression import Regression


def test_supervised_is_the_mean_over_units_that_count() -> None:
    backbone, level, kind = OneHot(DNA), Residue(), Regression(0.0, 1.0)
    model = Model(backbone, LinearHead(level, 4, 1), level, kind)
    model.head.set_linear(np.array([[1.0, 2.0, 3.0, 4.0]]), np.zeros(1))  # A C G T
    targets, counted = np.zeros(5), np.array([True, False, True, True, False])
    rows, units = [backbone.encode("ACG"), backbone.encode("TT")], np.array([3, 2])
    examples = Examples(rows, targets, counted, units, np.arange(2))
    loss = supervised(model, examples.batch(np.array([0, 1])))
    assert float(loss.detach()) == pytest.approx((1 + 9 + 16) / 3)
    nothing = Examples(rows, targets, np.zeros(5, bool), units, np.arange(2)).batch(np.array([1]))
    empty = supervised(model, nothing)
    empty.backward()
    assert float(empty.detach()) == 0 and torch.isfinite(model.head.linear.weight.grad).all()


def test_a_weight_may_follow_the_share_of_the_steps() -> None:
    assert Term("target", supervised).weight_at(0.3) == 1.0
    assert Term("source", supervised, "source", lambda share: 1 - share).weight_at(0.25) == 0.75


def test_a_loss_may_follow_the_share_too() -> None:
    assert Term("plain", lambda model, batch: model * batch).value(2, 3, 0.4) == 6  # type: ignore[arg-type]
    told = Term("told", lambda model, batch, share: model * batch * share, scheduled=True)
    assert told.value(2, 3, 0.5) == 3  # type: ignore[arg-type]
