"""All weights learn: from what the backbone knows, or from nothing."""

import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN, OneHot
from biograft.data.alphabet import PROTEIN
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model
from biograft.strategies.full import Full, Scratch
from biograft.strategies.staged import Gradual
from biograft.strategies.strategy import Strategy, by_height
from biograft.tasks.levels import Sequence
from biograft.tasks.regression import Regression


def model(strategy: Strategy, pretrained: bool = True) -> Model:
    torch.manual_seed(0)
    backbone = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1, 2)))
    backbone.pretrained = pretrained
    level, kind = Sequence(), Regression(0.0, 1.0)
    return Model(backbone, strategy.head(backbone, level, kind), level, kind)


def test_full_moves_everything_the_head_faster() -> None:
    strategy = Full(learning_rate=1e-4, head_learning_rate=1e-3, weight_decay=0.05)
    net = model(strategy)
    before = net.backbone.fingerprint()
    assert strategy.start(net, None) == [] and net.backbone.fingerprint() == before
    (phase,) = strategy.phases(net)
    moving = {parameter: group.learning_rate for group in phase.groups for parameter in group.parameters}
    assert moving.keys() == set(net.parameters())
    assert all(rate == (1e-3 if name.startswith("head") else 1e-4) for name, p in net.named_parameters()
               for rate in [moving[p]])  # fmt: skip
    assert {group.weight_decay for group in phase.groups} == {0.05}
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_rates_that_fall_block_by_block_from_the_top() -> None:
    strategy = Full(learning_rate=1e-3, head_learning_rate=1e-2, layer_decay=0.5)
    net = model(strategy)
    (phase,) = strategy.phases(net)
    moving = {parameter: group.learning_rate for group in phase.groups for parameter in group.parameters}
    assert moving.keys() == set(net.parameters())
    found = {name: moving[parameter] for name, parameter in net.named_parameters()}
    starts = {"backbone.embedding": 2.5e-4, "backbone.layers.0": 5e-4, "backbone.layers.1": 1e-3,
              "backbone.normalise": 1e-3, "head": 1e-2}  # fmt: skip
    assert all(rate == rates[0] for name, rate in found.items()
               for rates in [[r for start, r in starts.items() if name.startswith(start)]])  # fmt: skip


def test_weights_outside_all_blocks_learn_with_the_lowest() -> None:
    net = model(Full())
    extra = net.backbone.extra = torch.nn.Linear(2, 2)
    lowest, _, top = by_height(net.backbone)
    assert set(extra.parameters()) < set(lowest) and not set(extra.parameters()) & set(top)
    net.backbone.blocks = list  # type: ignore[method-assign]
    (everything,) = by_height(net.backbone)
    assert set(everything) == set(net.backbone.parameters())
    assert by_height(OneHot(PROTEIN)) == []


def test_one_rate_stays_one_group() -> None:
    (phase,) = Full().phases(model(Full()))
    assert len(phase.groups) == 2


@pytest.mark.parametrize("decay", [0.0, 1.5, float("nan")])
def test_rates_that_rise_towards_the_letters_are_refused(decay: float) -> None:
    with pytest.raises(BiograftError, match=f"'layer_decay' .* got {decay:g}, expected above 0 and up to 1"):
        Full(layer_decay=decay)
    with pytest.raises(BiograftError, match="'layer_decay'"):
        Gradual(layer_decay=decay)


def test_full_on_a_backbone_that_knows_nothing_says_so() -> None:
    (note,) = Full().start(model(Full(), pretrained=False), None)
    assert note == "Backbone 'cnn' was never trained: full fine-tuning of it is training from scratch."


def test_scratch_keeps_the_shape_and_none_of_the_weights() -> None:
    net = model(Scratch())
    old, head = net.backbone, net.head.linear.weight.detach().clone()
    assert Scratch().start(net, None) == []
    assert net.backbone is not old and net.backbone.configuration() == old.configuration()
    assert net.backbone.fingerprint() != old.fingerprint() and not net.backbone.pretrained
    assert torch.equal(net.head.linear.weight, head)
    (phase,) = Scratch().phases(net)
    assert set(phase.groups[0].parameters) == set(net.parameters())


@pytest.mark.parametrize("strategy", [Full(), Scratch()], ids=lambda strategy: strategy.name)
def test_letters_alone_have_nothing_to_learn(strategy: Strategy) -> None:
    backbone, level, kind = OneHot(PROTEIN), Sequence(), Regression(0.0, 1.0)
    net = Model(backbone, LinearHead(level, 20, 1), level, kind)
    with pytest.raises(BiograftError, match=rf"'onehot' has no weights .* got --strategy {strategy.name}\. Use"):
        strategy.start(net, None)
    assert not strategy.cacheable and not strategy.exact(level)
