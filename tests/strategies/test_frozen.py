"""A backbone at rest: which head it gets, and how that is found."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN, KMer, OneHot
from biograft.data.alphabet import PROTEIN
from biograft.model import ConvolutionalHead, LinearHead, Model
from biograft.strategies.frozen import SOLVERS, Frozen
from biograft.strategies.linear import logistic, ridge
from biograft.strategies.strategy import FixedFeatures
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression
from biograft.tasks.task import LabelKind, Level

WIDTH = 8


def model(level: Level, kind: LabelKind) -> Model:
    torch.manual_seed(0)
    backbone = DilatedCNN(PROTEIN, CNNConfiguration(WIDTH, 3, (1,), 0.0))
    return Model(backbone, Frozen().head(backbone, level, kind), level, kind)


def features(classes: int = 0) -> FixedFeatures:
    random = np.random.default_rng(0)
    values = random.normal(size=(60, WIDTH)).astype(np.float32)
    targets = values[:, 0] * 2 + 1
    codes = np.digitize(targets, [0.0, 2.0]) if classes else targets
    return FixedFeatures(values, codes, np.arange(60) // 2, 3)


def test_a_solved_head_is_the_regression_itself() -> None:
    net, given = model(Sequence(), Regression(0.0, 1.0)), features()
    (how,) = Frozen().start(net, given)
    fit = ridge(given.values, given.targets, given.families, standardise=None, seed=3)
    assert how == fit.how and isinstance(net.head, LinearHead)
    np.testing.assert_array_equal(net.head.linear.weight.detach().numpy(), fit.weight)
    np.testing.assert_array_equal(net.head.linear.bias.detach().numpy(), fit.bias)
    assert not any(parameter.requires_grad for parameter in net.parameters())
    assert Frozen().phases(net) == []


def test_classes_are_solved_by_logistic_regression() -> None:
    net, given = model(Sequence(), Classification(("a", "b", "c"))), features(3)
    Frozen().start(net, given)
    fit = logistic(given.values, given.targets, 3, given.families, standardise=None, seed=3)
    np.testing.assert_array_equal(net.head.linear.weight.detach().numpy(), fit.weight)


def test_a_backbone_of_comparable_features_is_not_standardised() -> None:
    backbone = KMer(PROTEIN, 1)
    net = Model(backbone, LinearHead(Sequence(), 20, 1), Sequence(), Regression(0.0, 1.0))
    given = replace(features(), values=np.random.default_rng(0).random((60, 20)).astype(np.float32))
    assert "on raw features" in Frozen().start(net, given)[0]


def test_residues_get_a_convolutional_head_that_the_loop_learns() -> None:
    net = model(Residue(), Regression(0.0, 1.0))
    assert isinstance(net.head, ConvolutionalHead)
    assert Frozen().start(net, None) == []
    (phase,) = Frozen().phases(net)
    (group,) = phase.groups
    assert set(group.parameters) == set(net.head.parameters())
    assert group.learning_rate == Frozen().learning_rate
    net.train()
    assert net.head.training and not net.backbone.training


@dataclass(frozen=True)
class Angle(Regression):
    """A kind of label that nobody has written a solver for."""

    name: ClassVar[str] = "angle"


def test_a_kind_without_a_solver_is_learned_by_the_loop() -> None:
    assert "angle" not in SOLVERS
    net = model(Sequence(), Angle(0.0, 1.0))
    assert Frozen().start(net, features()) == []
    (phase,) = Frozen().phases(net)
    assert set(phase.groups[0].parameters) == set(net.head.parameters())


def test_only_a_linear_head_can_be_solved() -> None:
    net = model(Residue(), Regression(0.0, 1.0))
    with pytest.raises(TypeError, match="solved for a LinearHead, got ConvolutionalHead"):
        Frozen().start(net, features())


def test_it_can_be_cached_and_needs_features_for_labels_per_sequence_alone() -> None:
    assert Frozen.cacheable
    assert Frozen().exact(Sequence()) and not Frozen().exact(Residue())
    assert Frozen().exact(Sequence("positions", 9))
    head = Frozen().head(OneHot(PROTEIN), Sequence("positions", 9), Regression(0.0, 1.0))
    assert isinstance(head, LinearHead) and head.linear.in_features == 180
