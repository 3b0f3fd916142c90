"""Biases and norms learn, the matrices rest."""

from typing import Any

import torch
from torch import nn

from biograft.strategies.light import BitFit


def test_only_what_has_one_dimension_moves_and_the_head(net: Any, loop: Any) -> None:
    strategy = BitFit()
    model = net(strategy)
    model.backbone.layers[0].extra = nn.BatchNorm1d(8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (told,) = strategy.start(model, None)
    whole = sum(p.numel() for p in model.backbone.parameters())
    assert told == f"80 of the {whole:,} weights of backbone 'cnn' learn: biases and norms."  # 2 x (4 x 8) + 2 x 8
    loop(strategy, model).run()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    one = {
        name for name, p in model.backbone.named_parameters(prefix="backbone") if p.ndim == 1 and "extra" not in name
    }
    assert moved == one | {"head.linear.weight", "head.linear.bias"}


def test_scales_do_not_decay(net: Any) -> None:
    model = net(BitFit())
    (phase,) = BitFit(weight_decay=0.3).phases(model)
    assert [group.weight_decay for group in phase.groups] == [0.0, 0.3]


def test_a_backbone_that_knows_nothing_is_told_of(net: Any) -> None:
    model = net(BitFit())
    model.backbone.pretrained = False
    assert "was never trained" in BitFit().start(model, None)[1]
