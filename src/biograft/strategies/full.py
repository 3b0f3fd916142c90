"""Every weight learns: from what the backbone knows (``full``), or from nothing (``scratch``), its twin."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["Full", "Scratch", "trainable"]


def trainable(model: Model, strategy: str) -> None:
    """Refuse a backbone that has nothing to learn with."""
    if not any(True for _ in model.backbone.parameters()):
        raise BiograftError(
            f"Backbone '{model.backbone.name}' has no weights that could learn: got --strategy {strategy}. "
            "Use --strategy frozen, or a backbone such as cnn."
        )


@dataclass(frozen=True)
class Full(Strategy):
    """Fine-tuning of all weights, the fresh head faster than the backbone.

    Attributes:
        learning_rate: of the backbone.
        head_learning_rate: of the head.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "full"
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Let everything learn; says so where there is no knowledge to start from."""
        trainable(model, self.name)
        model.requires_grad_(True)
        if model.backbone.pretrained:
            return []
        return [f"Backbone '{model.backbone.name}' was never trained: full fine-tuning of it is training from scratch."]

    def phases(self, learner: Model) -> list[Phase]:
        """One phase, two rates."""
        backbone = Group(parameters([learner.backbone]), self.learning_rate, self.weight_decay)
        head = Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay)
        return [Phase((backbone, head))]


@dataclass(frozen=True)
class Scratch(Strategy):
    """The same architecture with fresh weights: what the data alone can teach.

    Attributes:
        learning_rate: of all weights.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "scratch"
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    dropout: float = 0.1

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Replace the backbone by its architecture with fresh weights."""
        trainable(model, self.name)
        model.backbone = type(model.backbone).from_configuration(model.backbone.configuration())
        model.requires_grad_(True)
        return []

    def phases(self, learner: Model) -> list[Phase]:
        """One phase, one rate."""
        return [Phase((Group(parameters([learner.backbone, learner.head]), self.learning_rate, self.weight_decay),))]
