"""Our low-rank adapters against those of peft: same corrections, same gradients, same merged weights."""

import copy

import pytest
import torch

from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.packed import Packed
from biograft.strategies.lora import Adapted, adapt, merge

RANK, ALPHA = 4, 12.0


@pytest.fixture
def encoders() -> tuple[Encoder, Encoder]:
    """Ours and peft's, of the same weights and adapters; the corrections are not zero."""
    tuners = pytest.importorskip("peft")
    torch.manual_seed(0)
    ours = Encoder(PROTEIN, EncoderConfiguration(layers=2, width=32, heads=2)).eval()
    theirs = copy.deepcopy(ours)
    names = {name for name, module in ours.named_modules() if type(module) is torch.nn.Linear and "layers" in name}
    adapt(ours, RANK, ALPHA / RANK)
    mine = {name: module for name, module in ours.named_modules() if isinstance(module, Adapted)}
    assert mine and set(mine) == names
    configuration = tuners.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=sorted(names), lora_dropout=0.0)
    tuners.inject_adapter_in_model(configuration, theirs)
    modules = dict(theirs.named_modules())
    with torch.no_grad():
        for name, module in mine.items():
            torch.nn.init.normal_(module.up, std=0.1)
            modules[name].lora_A["default"].weight.copy_(module.down)
            modules[name].lora_B["default"].weight.copy_(module.up)
    return ours, theirs.eval()


def vectors(encoder: Encoder) -> torch.Tensor:
    rows = Packed.of([encoder.encode(text) for text in ("MKTAYIAKQR", "GSHMLEDPVDAFW")])
    return encoder(rows).values


def test_outputs_and_gradients_are_those_of_peft(encoders: tuple[Encoder, Encoder]) -> None:
    ours, theirs = encoders
    one, other = vectors(ours), vectors(theirs)
    assert torch.allclose(one, other, atol=1e-5)
    one.square().sum().backward()
    other.square().sum().backward()
    modules = dict(theirs.named_modules())
    for name, module in ours.named_modules():
        if isinstance(module, Adapted):
            for mine, their in ((module.down, "lora_A"), (module.up, "lora_B")):
                expected = getattr(modules[name], their)["default"].weight.grad
                assert torch.allclose(mine.grad, expected, atol=1e-3, rtol=1e-3), name


def test_merged_weights_are_those_of_peft(encoders: tuple[Encoder, Encoder]) -> None:
    ours, theirs = encoders
    before = vectors(ours)
    merge(ours)
    assert torch.allclose(vectors(ours), before, atol=1e-5)
    modules = dict(theirs.named_modules())
    for name, module in ours.named_modules():
        if hasattr(modules[name], "lora_A"):
            modules[name].merge()
            assert torch.allclose(module.weight, modules[name].base_layer.weight, atol=1e-6), name
