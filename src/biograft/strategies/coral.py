"""Features whose covariance is the same in two domains (``coral``, Deep CORAL, arXiv:1607.01719)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.data.examples import Batch
from biograft.model import LinearHead, Model
from biograft.strategies.full import all_learn
from biograft.strategies.objective import Term, check_weight, features, supervised
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["Coral", "covariance_distance"]

UNLABELLED = "unlabelled"


def covariance_distance(first: Tensor, second: Tensor) -> Tensor:
    """``‖C₁ - C₂‖² / (‖C₁‖² + ‖C₂‖²)`` of the covariances of ``(units, features)`` each: 0 where equal, at most 1.

    The paper divides by 4 d² for d features: then a weight means something else for every backbone, and features gain
    by shrinking all at once. This distance doesn't change with their scale. Zero where a side has fewer than two units.
    """
    if min(len(first), len(second)) < 2:
        return (first.sum() + second.sum()) * 0.0
    one, two = ((side - side.mean(dim=0)) / math.sqrt(len(side) - 1) for side in (first, second))
    if len(first) + len(second) < first.shape[1]:  # products of units are smaller than those of features
        own, other, across = one @ one.T, two @ two.T, one @ two.T
        sizes = own.square().sum() + other.square().sum()
        distance = sizes - 2 * across.square().sum()
    else:
        own, other = one.T @ one, two.T @ two
        sizes = own.square().sum() + other.square().sum()
        distance = (own - other).square().sum()
    return distance / sizes.clamp(min=torch.finfo(sizes.dtype).tiny)


@dataclass(frozen=True)
class Coral(Strategy):
    """All weights learn the task, while the features of the training part and of unlabelled records covary alike.

    Attributes:
        weight: of the distance between the covariances, against the task's loss.
        learning_rate: of the backbone.
        head_learning_rate: of the head.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "coral"
    streams: ClassVar[tuple[str, ...]] = ("target", UNLABELLED)
    weight: float = 0.1
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_weight(self.weight, 0.1)

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Let everything learn."""
        return all_learn(model, self.name, "fine-tuning")

    def phases(self, learner: Model) -> list[Phase]:
        """One phase, two rates, two losses."""
        groups = (
            Group(parameters([learner.backbone]), self.learning_rate, self.weight_decay),
            Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay),
        )
        terms = (Term("target", supervised), Term("coral", _between_domains, UNLABELLED, self.weight))
        return [Phase(groups, terms=terms)]


def _between_domains(model: Model, batch: Batch) -> Tensor:
    """The targets of such a batch name the domain of each unit."""
    values = features(model, batch)
    with torch.autocast(values.device.type, enabled=False):
        return covariance_distance(values[batch.targets == 0], values[batch.targets == 1])
