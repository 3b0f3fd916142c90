"""The distance between covariances: what it is, that scale doesn't count, and that learning makes it smaller."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.data.examples import Examples, ExampleStream
from biograft.errors import BiograftError
from biograft.hardware import Hardware
from biograft.run import RunFolder
from biograft.strategies.coral import Coral, covariance_distance
from biograft.strategies.objective import features
from biograft.trainer import Trainer
from biograft.training import Training


def sides(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(width)
    one = torch.randn(9, width, generator=generator, dtype=torch.float64) @ torch.randn(
        width, width, generator=generator, dtype=torch.float64
    )
    return one, torch.randn(7, width, generator=generator, dtype=torch.float64) + 5.0


@pytest.mark.parametrize("width", [3, 40])  # products of features, and of units
def test_it_is_the_distance_of_the_covariances(width: int) -> None:
    one, other = sides(width)
    first, second = np.cov(one.numpy().T), np.cov(other.numpy().T)
    expected = ((first - second) ** 2).sum() / ((first**2).sum() + (second**2).sum())
    assert float(covariance_distance(one, other)) == pytest.approx(expected)
    assert float(covariance_distance(3.0 * one, 3.0 * other)) == pytest.approx(expected)
    assert float(covariance_distance(one, one + 4.0)) == pytest.approx(0.0, abs=1e-12)
    assert 0 < expected < 1


@pytest.mark.parametrize("width", [3, 40])
def test_its_gradient_is_that_of_finite_differences(width: int) -> None:
    one, other = (side.requires_grad_(True) for side in sides(width))
    assert torch.autograd.gradcheck(covariance_distance, (one, other), atol=1e-6)
    covariance_distance(one, other).backward()
    along = (one.grad * one.detach()).sum() + (other.grad * other.detach()).sum()  # type: ignore[operator]
    assert abs(float(along)) < 1e-10  # growing or shrinking all at once gains nothing


def test_one_unit_has_no_covariance() -> None:
    one, other = torch.randn(1, 4, requires_grad=True), torch.randn(5, 4)
    found = covariance_distance(one, other)
    found.backward()
    assert float(found.detach()) == 0.0 and one.grad is not None and not bool(one.grad.any())
    assert float(covariance_distance(other[:0], other)) == 0.0
    assert float(covariance_distance(torch.ones(3, 4), torch.ones(3, 4))) == 0.0


def test_learning_brings_the_covariances_nearer(net: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(2, size=64)
    rows = [(generator.integers(0, 8, size=10) + 8 * label).astype(np.uint8) for label in classes]
    others = [np.repeat(generator.integers(0, 20, size=2), 5).astype(np.uint8) for _ in range(64)]
    ones = np.ones(128, dtype=np.int64)
    train = Examples(rows, classes, ones[:64].astype(bool), ones[:64], np.arange(64))
    both = Examples([*rows, *others], np.repeat([0, 1], 64), ones.astype(bool), ones, np.arange(128))
    left = {}
    for weight in (0.0, 1.0):
        strategy = Coral(weight=weight, learning_rate=3e-3)
        model = net(strategy)
        strategy.start(model, None)
        streams = {"target": ExampleStream(train, 160, 1), "unlabelled": ExampleStream(both, 640, 1, both.targets)}
        run = RunFolder.open(tmp_path / f"{weight}", {})
        Trainer(model, strategy.phases(model), streams, None, Training(steps=60), Hardware(), run, 3).run()
        batch = both.batch(np.arange(128))
        with torch.no_grad():
            values = features(model, batch)
        left[weight] = float(covariance_distance(values[batch.targets == 0], values[batch.targets == 1]))
        assert {"target", "coral"} == run.history()[0]["loss"].keys()
    assert left[1.0] < 0.5 * left[0.0]


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_a_weight_that_cannot_be_is_refused(weight: float) -> None:
    with pytest.raises(BiograftError, match="Choice 'weight' is how strongly the domains are made alike"):
        Coral(weight=weight)
