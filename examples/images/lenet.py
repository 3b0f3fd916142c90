"""LeNet as a backbone: an image is a row of one token, its vector the layer below the last one."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.data.examples import Batch, ExampleStream
from biograft.data.packed import Packed
from biograft.strategies.full import Scratch
from biograft.strategies.strategy import Group, Phase, parameters

__all__ = ["SIDE", "Classic", "LeNet", "VariedStream"]

SIDE = 32  # pixels of an image
MARGIN = 4  # pixels by which a crop may be off the middle


class LeNet(Backbone):
    """Convolutions of 6 and 16 channels, dense layers of 120 and 84 units; the head is the last layer.

    After LeCun et al. 1998, doi:10.1109/5.726791, with ReLU and max pooling as it is mostly used today.
    """

    name: ClassVar[str] = "lenet"
    width = 84
    resolution = 0

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.first = nn.Sequential(nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2))
        self.second = nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.third = nn.Sequential(nn.Linear(16 * 5 * 5, 120), nn.ReLU())
        self.fourth = nn.Sequential(nn.Linear(120, 84), nn.ReLU())

    def forward(self, batch: Packed) -> Packed:
        """Packed images ``(images, channels, 32, 32)`` -> packed vectors ``(images, 84)``."""
        vectors: Tensor = batch.values
        for block in self.blocks():
            vectors = block(vectors)
        return batch.with_values(vectors)

    def blocks(self) -> list[nn.Module]:
        """Bottom to top."""
        return [self.first, self.second, self.third, self.fourth]

    def configuration(self) -> dict[str, Any]:
        """Number of channels of an image."""
        return {"channels": self.channels}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """From what :meth:`configuration` gave."""
        return cls(**configuration)


class Classic(Scratch):
    """All weights learn, by stochastic gradient descent with momentum at one constant rate: the recipe of old."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__(learning_rate=learning_rate, weight_decay=0.0, dropout=0.0)

    def phases(self, learner: Any) -> list[Phase]:
        """One phase, one rate."""
        moving = parameters([learner.backbone, learner.head])
        return [Phase((Group(moving, self.learning_rate, self.weight_decay, optimiser="sgd"),))]


@dataclass(frozen=True, eq=False)
class VariedStream(ExampleStream):
    """Batches of images that are moved by up to four pixels at random, and mirrored where that changes nothing.

    As every stream it is a function of the step, so that a continued run sees the same variants.

    Attributes:
        mirrored: half of the images: right for photographs, wrong for digits.
    """

    mirrored: bool = False

    def batch(self, step: int) -> Batch:
        """Batch number ``step``, from 0."""
        plain = super().batch(step)
        generator = np.random.default_rng([self.seed, step, 1])
        images, count = plain.inputs.values, len(plain.inputs)
        padded = nn.functional.pad(images, [MARGIN] * 4)
        down, right = torch.from_numpy(generator.integers(0, 2 * MARGIN + 1, size=(2, count)))
        rows, columns = (start[:, None] + torch.arange(SIDE) for start in (down, right))
        if self.mirrored:
            flipped = torch.from_numpy(generator.random(count) < 0.5)
            columns = torch.where(flipped[:, None], columns.flip(1), columns)
        moved = padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
        return Batch(plain.inputs.with_values(moved.contiguous()), plain.targets, plain.counted)
