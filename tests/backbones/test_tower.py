"""Layers of a backbone one by one: as a tower, and as backbones that end lower."""

import pytest
import torch

from biograft.backbones.backbone import Backbone
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN, KMer, OneHot
from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.backbones.tower import Tower
from biograft.data.alphabet import PROTEIN
from biograft.data.packed import Packed
from biograft.errors import BiograftError

WIDTH = 8


def backbones() -> list[Backbone]:
    torch.manual_seed(0)
    made = [
        DilatedCNN(PROTEIN, CNNConfiguration(WIDTH, 3, (1, 4, 2), 0.1)),
        ByteNet(PROTEIN, ByteNetConfiguration(3, WIDTH, 4, 3, (1, 2))),
        Encoder(PROTEIN, EncoderConfiguration(3, WIDTH, 2, 16, max_length=20)),
    ]
    with torch.no_grad():
        for backbone in made:
            for parameter in backbone.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return [backbone.eval() for backbone in made]


def rows(*lengths: int) -> Packed:
    generator = torch.Generator().manual_seed(1)
    return Packed.of([torch.randint(20, (length,), generator=generator).to(torch.uint8) for length in lengths])


@pytest.mark.parametrize("backbone", backbones(), ids=lambda backbone: backbone.name)
def test_a_backbone_that_ends_lower_gives_that_layer(backbone: Backbone) -> None:
    backbone.pretrained = True
    batch, state = rows(5, 50, 1), torch.get_rng_state()
    tower = Tower(backbone)
    layers = tower.vectors(batch).values.reshape(-1, 3, WIDTH)
    assert backbone.heights == 3 and tower.width == 3 * WIDTH
    for height in (1, 2, 3):
        lower = backbone.lower(height)
        torch.testing.assert_close(lower.vectors(batch).values, layers[:, height - 1], atol=1e-5, rtol=1e-5)
        assert lower.heights == height and lower.pretrained and not lower.training
        again = type(lower).from_configuration(lower.configuration())
        again.load_state_dict(lower.state_dict())
        assert torch.equal(again.eval().vectors(batch).values, lower.vectors(batch).values)
    assert backbone.lower(3) is backbone and lower.fingerprint() != backbone.lower(1).fingerprint()
    torch.testing.assert_close(layers[:, 2], backbone.vectors(batch).values)
    assert not torch.allclose(layers[:, 1], layers[:, 2], atol=1e-2)
    torch.manual_seed(9)
    expected = torch.get_rng_state()
    backbone.lower(1)
    assert torch.equal(torch.get_rng_state(), expected)
    torch.set_rng_state(state)


@pytest.mark.parametrize("height", [0, 4])
def test_a_layer_that_is_not_there_is_refused(height: int) -> None:
    with pytest.raises(BiograftError, match=f"layers 1 to 3: got layer {height}"):
        backbones()[0].lower(height)


def test_a_backbone_without_layers_has_its_last_one_alone() -> None:
    assert OneHot(PROTEIN).heights == 1 and KMer(PROTEIN).lower(1).name == "kmer"
    with pytest.raises(BiograftError, match=r"its last layer alone: got layer 2.*layer=last"):
        OneHot(PROTEIN).lower(2)
    batch = rows(3, 4)
    assert torch.equal(Tower(OneHot(PROTEIN)).vectors(batch).values, OneHot(PROTEIN).vectors(batch).values)


def test_a_tower_is_no_part_of_a_model() -> None:
    with pytest.raises(TypeError, match="stands on a backbone"):
        Tower.from_configuration({})
    one, other = backbones()[:2]
    assert len({Tower(one).fingerprint(), Tower(other).fingerprint(), one.fingerprint()}) == 3
