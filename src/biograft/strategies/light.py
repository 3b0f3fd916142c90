"""A small share of the backbone's weights learns: its biases and norms (``bitfit``)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.model import LinearHead, Model
from biograft.strategies.full import trainable, untrained
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, but_batch_norms, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["BitFit"]


@dataclass(frozen=True)
class BitFit(Strategy):
    """Biases and the scales of norms learn, with the head; matrices, convolutions and embeddings rest.

    The paper (arXiv:2106.10199) moves biases alone; norms of many encoders have none, so that their scales learn too.
    Batch norms rest, and their statistics with them.

    Attributes:
        learning_rate: of the backbone's part; larger than in full fine-tuning.
        head_learning_rate: of the head.
        weight_decay: of the head, decoupled (AdamW, arXiv:1711.05101); a scale would decay to zero, so these don't.
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "bitfit"
    learning_rate: float = 1e-3
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Tell how much will move."""
        trainable(model, self.name)
        parts = (self._moving(model).parameters, model.backbone.parameters())
        moving, all_of_it = (sum(parameter.numel() for parameter in part) for part in parts)
        told = f"{moving:,} of the {all_of_it:,} weights of backbone '{model.backbone.name}' learn: biases and norms."
        return [told, *untrained(model.backbone, "fine-tuning")]

    def phases(self, learner: Model) -> list[Phase]:
        """One phase, two rates."""
        head = Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay)
        return [Phase((self._moving(learner), head))]

    def _moving(self, model: Model) -> Group:
        """Biases and the scales of norms are what has one dimension at most."""
        vectors = tuple(parameter for parameter in model.backbone.parameters() if parameter.ndim <= 1)
        return but_batch_norms(Group(vectors, self.learning_rate, 0.0), model.backbone)
