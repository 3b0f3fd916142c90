"""Low-rank adapters: zero at first, merged at the end, never on the head."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.errors import BiograftError
from biograft.judgement import Judgement
from biograft.strategies.lora import Adapted, LoRA, adapt, merge

ROWS = [PROTEIN.encode(text) for text in ("ACDEF", "WY", "MKVLAAGIT")]


def shaken(layers: list[Adapted]) -> None:
    """As if they had learned something."""
    with torch.no_grad():
        for layer in layers:
            layer.up.normal_(generator=torch.Generator().manual_seed(1))


def test_an_adapted_layer_is_the_layer_at_first_and_keeps_its_names() -> None:
    layer = nn.Linear(5, 3)
    adapted, values = Adapted(layer, 2, 4.0), torch.randn(7, 5)
    assert torch.equal(adapted(values), layer(values))
    assert {name: tuple(p.shape) for name, p in adapted.named_parameters()} == {
        "weight": (3, 5), "bias": (3,), "down": (2, 5), "up": (3, 2),
    }  # fmt: skip
    assert bool(adapted.down.any())


@pytest.mark.parametrize("bias", [True, False])
def test_merged_is_unmerged_and_the_sum_of_the_paper(bias: bool) -> None:
    layer = nn.Linear(5, 3, bias)
    weight = layer.weight.detach().clone()
    adapted, values = Adapted(layer, 2, 4.0), torch.randn(7, 5)
    shaken([adapted])
    before = adapted(values)
    plain = adapted.merged()
    assert type(plain) is nn.Linear and not hasattr(plain, "up")
    torch.testing.assert_close(plain(values), before)
    torch.testing.assert_close(plain.weight, weight + 4.0 * adapted.up @ adapted.down)
    assert not torch.allclose(plain.weight, weight)


def test_in_a_transformer_attention_and_feed_forward_net_are_adapted() -> None:
    backbone = Encoder(PROTEIN, EncoderConfiguration(layers=2, width=16, heads=2, inner=24))
    names = {name for name, _ in backbone.named_parameters()}
    made = adapt(backbone, 2, 1.0)
    found = {name for name, module in backbone.named_modules() if isinstance(module, Adapted)}
    within = ("attention.project", "attention.combine", "expand", "contract")
    assert found == {f"layers.{block}.{name}" for block in (0, 1) for name in within}
    assert len(made) == 8
    merge(backbone)
    assert {name for name, _ in backbone.named_parameters()} == names


def test_a_layer_that_stands_in_two_places_stays_one(net: Any) -> None:
    backbone = net(LoRA()).backbone
    backbone.layers[1].mix = backbone.layers[0].mix
    assert len(adapt(backbone, 2, 1.0)) == 1
    assert isinstance(backbone.layers[0].mix, Adapted) and backbone.layers[1].mix is backbone.layers[0].mix
    merge(backbone)
    assert type(backbone.layers[0].mix) is nn.Linear and backbone.layers[1].mix is backbone.layers[0].mix


def test_adapters_and_head_learn_and_all_else_is_bit_identical(net: Any, loop: Any) -> None:
    strategy = LoRA(rank=3)
    model = net(strategy)
    plain = type(model.backbone)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    strategy.start(model, None)
    assert type(model.head.linear) is nn.Linear
    loop(strategy, model).run()
    moved = {name for name, t in model.state_dict().items() if name in before and not torch.equal(t, before[name])}
    assert moved == {"head.linear.weight", "head.linear.bias"}
    unmerged = model.outputs(ROWS)
    strategy.finish(model)
    assert model.state_dict().keys() == before.keys() and type(model.backbone) is plain
    np.testing.assert_allclose(model.outputs(ROWS), unmerged, atol=1e-6)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"head.linear.weight", "head.linear.bias", *(f"backbone.layers.{i}.mix.weight" for i in (0, 1))}


def test_the_best_state_is_that_of_adapters_and_head_together(net: Any, loop: Any) -> None:
    strategy, values = LoRA(), iter([0.1, 0.9, 0.5, 0.2])
    model = net(strategy)
    strategy.start(model, None)
    stands = {}
    trainer = loop(strategy, model, judge=lambda _: Judgement("made_up", next(values), 1.0))
    trainer.run(after_step=lambda step: stands.update({step: {n: t.clone() for n, t in model.state_dict().items()}}))
    assert all(torch.equal(tensor, stands[10][name]) for name, tensor in model.state_dict().items())
    assert not torch.equal(stands[20]["backbone.layers.0.mix.up"], stands[10]["backbone.layers.0.mix.up"])


def test_it_tells_what_learns_and_advises_against_itself_in_a_small_backbone(
    net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, advice = LoRA(rank=2).start(net(LoRA()), None)
    assert told.startswith("64 weights in 2 adapters of rank 2 learn beside ")
    assert "below 100 million" in advice and advice.endswith("Compare with --strategy full.")
    monkeypatch.setattr("biograft.strategies.lora.LARGE", 100)
    assert len(LoRA().start(net(LoRA()), None)) == 1


def test_a_backbone_without_linear_layers_is_refused(net: Any) -> None:
    model = net(LoRA())
    model.backbone.layers = nn.ModuleList([nn.LayerNorm(8)])
    with pytest.raises(BiograftError, match=r"got backbone 'cnn', without any\. Choose --strategy full"):
        LoRA().start(model, None)


def test_a_rank_is_one_at_least() -> None:
    with pytest.raises(BiograftError, match="'rank' is a whole number: got 0, expected 1 or more"):
        LoRA(rank=0)
