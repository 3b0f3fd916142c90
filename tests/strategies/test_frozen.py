"""A backbone at rest: which head it gets, and how that is found."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from biograft.backbones.backbone import Backbone
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN, KMer, OneHot
from biograft.data.alphabet import PROTEIN
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.model import ConvolutionalHead, LinearHead, Model
from biograft.strategies.choices import strategy_of
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
    assert "angle" not in SOLVERS["linear"]
    net = model(Sequence(), Angle(0.0, 1.0))
    assert Frozen().start(net, features()) == []
    (phase,) = Frozen().phases(net)
    assert set(phase.groups[0].parameters) == set(net.head.parameters())


def test_only_a_linear_head_can_be_solved() -> None:
    net = model(Sequence(), Regression(0.0, 1.0))
    net.head = ConvolutionalHead(Sequence(), WIDTH, 1)
    with pytest.raises(TypeError, match="solved for a LinearHead, got ConvolutionalHead"):
        Frozen().start(net, features())


SOLVED = [("lda", 3), ("centroid", 3), ("knn", 3), ("knn", 0), ("linear", 3)]
LEARNED = [
    ("attention", Sequence()),
    ("mlp", Sequence()),
    ("conv", Sequence()),
    ("mlp", Residue()),
    ("linear", Residue()),
]


@pytest.mark.parametrize(("head", "classes"), SOLVED)
def test_other_heads_are_found_without_the_loop(head: str, classes: int) -> None:
    kind = Classification(("a", "b", "c")) if classes else Regression(0.0, 1.0)
    plan, backbone = Frozen(head_=head), DilatedCNN(PROTEIN, CNNConfiguration(WIDTH, 3, (1,), 0.0))
    net, given = Model(backbone, plan.head(backbone, Sequence(), kind), Sequence(), kind), features(classes)
    (how,) = plan.start(net, given)
    assert plan.exact(Sequence()) and plan.phases(net) == [] and "inner folds" in how
    outputs = net.head(Packed.of([row[None] for row in given.values])).numpy()
    if classes:
        assert (outputs.argmax(1) == given.targets).mean() > 0.6
    else:
        assert np.corrcoef(outputs[:, 0], given.targets)[0, 1] > 0.6


@pytest.mark.parametrize(("head", "level"), LEARNED)
def test_heads_that_the_loop_learns(head: str, level: Level) -> None:
    plan, backbone = Frozen(head_=head), DilatedCNN(PROTEIN, CNNConfiguration(WIDTH, 3, (1,), 0.0))
    net = Model(backbone, plan.head(backbone, level, Regression(0.0, 1.0)), level, Regression(0.0, 1.0))
    assert not plan.exact(level) and plan.start(net, None) == []
    assert set(plan.phases(net)[0].groups[0].parameters) == set(net.head.parameters())


@pytest.mark.parametrize(
    ("head", "level", "kind", "backbone", "told"),
    [
        ("lda", Sequence(), Regression(0.0, 1.0), OneHot(PROTEIN), "no answer for a task of regression"),
        ("centroid", Sequence(), Regression(0.0, 1.0), OneHot(PROTEIN), "expected classification"),
        ("attention", Residue(), Regression(0.0, 1.0), OneHot(PROTEIN), "got a task per residue"),
        ("knn", Residue(), Regression(0.0, 1.0), OneHot(PROTEIN), "answers for whole sequences"),
        ("attention", Sequence(), Regression(0.0, 1.0), KMer(PROTEIN, 1), "with one per sequence"),
        ("conv", Sequence(), Regression(0.0, 1.0), KMer(PROTEIN, 1), "reads a vector per letter"),
    ],
)
def test_heads_that_do_not_suit_are_refused(
    head: str, level: Level, kind: LabelKind, backbone: Backbone, told: str
) -> None:
    with pytest.raises(BiograftError, match=f"{told}.*Choose another head"):
        Frozen(head_=head).head(backbone, level, kind)


def test_a_layer_is_a_number_or_a_word() -> None:
    assert Frozen(layer="3").layer == "3"
    for wrong in ("0", "first", "-1", "1.5"):
        with pytest.raises(BiograftError, match=f"got '{wrong}', expected last, auto, mix or a number"):
            Frozen(layer=wrong)


def test_the_head_is_named_by_users_as_head() -> None:
    assert strategy_of("frozen", ["head=lda", "layer=2"]) == Frozen(head_="lda", layer="2")
    with pytest.raises(BiograftError, match=r"Choice 'head'.*got 'lDA', expected one of auto, linear, lda"):
        strategy_of("frozen", ["head=lDA"])


def test_it_can_be_cached_and_needs_features_for_labels_per_sequence_alone() -> None:
    assert Frozen.cacheable
    assert Frozen().exact(Sequence()) and not Frozen().exact(Residue())
    assert Frozen().exact(Sequence("positions", 9))
    head = Frozen().head(OneHot(PROTEIN), Sequence("positions", 9), Regression(0.0, 1.0))
    assert isinstance(head, LinearHead) and head.linear.in_features == 180
