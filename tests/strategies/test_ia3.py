"""Factors on keys, values and feed-forward activations: ones at first, merged at the end, nowhere else."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model
from biograft.strategies.ia3 import IA3, Rescaled, merge, rescale
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence

ROWS = [PROTEIN.encode(text) for text in ("ACDEF", "WY", "MKVLAAGIT")]
PATHS = {  # as encoders name their layers -> where factors go: outputs, those behind the queries, inputs, nowhere
    "layers.0.attention.project": "fused", "layers.0.attention.combine": None,
    "layers.0.expand": None, "layers.0.contract": "inputs",
    "encoder.layer.0.attention.self.query": None, "encoder.layer.0.attention.self.key": "outputs",
    "encoder.layer.0.attention.self.value": "outputs", "encoder.layer.0.attention.output.dense": None,
    "encoder.layer.0.intermediate.dense": None, "encoder.layer.0.output.dense": "inputs",
    "transformer.layer.0.attention.k_lin": "outputs", "transformer.layer.0.attention.out_lin": None,
    "transformer.layer.0.ffn.lin1": None, "transformer.layer.0.ffn.lin2": "inputs",
    "layers.0.self_attn.v_proj": "outputs", "layers.0.self_attn.o_proj": None,
    "layers.0.mlp.up_proj": None, "layers.0.mlp.gate_proj": None, "layers.0.mlp.down_proj": "inputs",
    "layers.0.attn.Wqkv": "fused", "layers.0.attn.Wo": None, "layers.0.mlp.Wi": None, "layers.0.mlp.Wo": "inputs",
    "albert_layers.0.attention.dense": None, "albert_layers.0.ffn": None, "albert_layers.0.ffn_output": "inputs",
    "block.0.layer.0.SelfAttention.k": "outputs", "block.0.layer.0.SelfAttention.o": None,
    "block.0.layer.1.DenseReluDense.wi": None, "block.0.layer.1.DenseReluDense.wo": "inputs",
}  # fmt: skip


class Nested(nn.Module):
    """One linear layer at the end of a path; the whole is one block."""

    def __init__(self, path: str) -> None:
        super().__init__()
        *above, name = path.split(".")
        inner: nn.Module = self
        for part in above:
            inner.add_module(part, nn.Module())
            inner = getattr(inner, part)
        inner.add_module(name, nn.Linear(4, 12))

    def blocks(self) -> list[nn.Module]:
        return [self]


def shaken(layers: list[Rescaled]) -> None:
    """As if they had learned something."""
    with torch.no_grad():
        for layer in layers:
            layer.scale.add_(torch.randn(layer.scale.shape, generator=torch.Generator().manual_seed(1)))


def model() -> Model:
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        backbone = Encoder(PROTEIN, EncoderConfiguration(layers=2, width=16, heads=2, inner=24))
        backbone.pretrained = True
        return Model(backbone, LinearHead(Sequence(), 16, 2), Sequence(), Classification(("a", "b")))


@pytest.mark.parametrize(("path", "where"), PATHS.items())
def test_layers_are_found_by_their_names(path: str, where: str | None) -> None:
    found: Any = rescale(Nested(path))  # type: ignore[arg-type]
    expected = {"outputs": [(False, 0, 12)], "fused": [(False, 4, 8)], "inputs": [(True, 0, 4)], None: []}[where]
    assert [(layer.inputs, layer.first, len(layer.scale)) for layer in found] == expected


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("inputs", "first"), [(False, 0), (False, 2), (True, 0)])
def test_merged_is_unmerged_and_the_product_of_the_paper(inputs: bool, first: int, bias: bool) -> None:
    layer, values = nn.Linear(5, 6, bias), torch.randn(7, 5)
    before = layer(values)
    made = Rescaled(layer, inputs, first)
    assert torch.equal(made(values), before)
    shaken([made])
    factors = made.scale if inputs else torch.cat([torch.ones(first), made.scale])
    expected = layer(values * factors) if inputs else before * factors
    torch.testing.assert_close(made(values), expected)
    plain = made.merged()
    assert type(plain) is nn.Linear and not hasattr(plain, "scale")
    torch.testing.assert_close(plain(values), expected)


def test_an_encoder_gets_its_factors_and_is_plain_again_when_merged() -> None:
    whole = model().backbone
    names = [name for name, _ in whole.named_parameters()]
    made = rescale(whole)
    assert {name for name, module in whole.named_modules() if isinstance(module, Rescaled)} == {
        f"layers.{block}.{name}" for block in (0, 1) for name in ("attention.project", "contract")
    }
    assert sorted(len(layer.scale) for layer in made) == [24, 24, 32, 32]
    merge(whole)
    assert [name for name, _ in whole.named_parameters()] == names


def test_factors_and_head_learn_and_all_else_is_bit_identical(loop: Any) -> None:
    strategy, net = IA3(), model()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    (told,) = strategy.start(net, None)
    assert told.startswith("112 factors on 4 layers learn beside ")
    loop(strategy, net).run()
    moved = {name for name, t in net.state_dict().items() if name in before and not torch.equal(t, before[name])}
    assert moved == {"head.linear.weight", "head.linear.bias"}
    unmerged = net.outputs(ROWS)
    strategy.finish(net)
    assert net.state_dict().keys() == before.keys()
    np.testing.assert_allclose(net.outputs(ROWS), unmerged, atol=1e-6)
    project = "backbone.layers.0.attention.project.weight"
    assert torch.equal(net.state_dict()[project][:16], before[project][:16])  # the queries
    assert not torch.equal(net.state_dict()[project][16:], before[project][16:])


def test_factors_do_not_decay() -> None:
    strategy, net = IA3(weight_decay=0.3), model()
    strategy.start(net, None)
    (phase,) = strategy.phases(net)
    assert [group.weight_decay for group in phase.groups] == [0.0, 0.3]


def test_a_backbone_without_such_layers_is_refused_and_left_as_it_was(net: Any) -> None:
    other = net(IA3())
    with pytest.raises(BiograftError, match=r"got backbone 'cnn', where neither was found\. Choose --strategy bitfit"):
        IA3().start(other, None)
    half = model()
    for layer in half.backbone.layers:
        layer.contract = nn.Sequential(layer.contract)
    with pytest.raises(BiograftError, match="where no feed-forward net was found"):
        IA3().start(half, None)
    assert not any(isinstance(module, Rescaled) for module in half.modules())
