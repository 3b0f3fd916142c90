"""A mix of layers by hand."""

import numpy as np
import torch

from biograft.backbones.mix import LayerMix
from biograft.data.packed import Packed


def test_a_mix_by_hand() -> None:
    mix = LayerMix(2, 2)
    mix.set_scales(np.array([[1.0, 1.0], [0.0, 10.0]]), np.array([1.0, 10.0]))
    mix.set_shares(np.array([0.25, 0.75]))
    mix.scale.data.fill_(2.0)
    found = mix(Packed.of([torch.tensor([[2.0, 3.0, 10.0, 30.0]])])).values
    torch.testing.assert_close(found, torch.tensor([[2 * (0.25 * 1 + 0.75 * 1), 2 * (0.25 * 2 + 0.75 * 2)]]))
    assert mix.told() == "1: 0.25, 2: 0.75"


def test_the_mix_of_means_is_the_mean_of_mixes() -> None:
    torch.manual_seed(0)
    mix = LayerMix(3, 4)
    mix.set_scales(np.random.default_rng(0).normal(size=(3, 4)), np.array([0.5, 1.0, 3.0]))
    mix.weights.data.normal_()
    rows = Packed.of([torch.randn(7, 12), torch.randn(2, 12)])
    means = Packed.of(list(rows.mean()[:, None]))
    torch.testing.assert_close(mix(rows).mean(), mix(means).values)


def test_a_share_of_zero_stays_finite() -> None:
    mix = LayerMix(2, 2)
    mix.set_shares(np.array([0.0, 1.0]))
    assert torch.isfinite(mix.weights).all() and mix.shares[0] < 1e-9
