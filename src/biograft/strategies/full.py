"""Every weight learns: from what the backbone knows (``full``), or from nothing (``scratch``), its twin."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Refusal, Strategy, by_height, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["Full", "Scratch", "all_learn", "check_decay", "layered", "trainable", "untrained"]


def trainable(model: Model, strategy: str) -> None:
    """Refuse a backbone that has nothing to learn with."""
    if not any(True for _ in model.backbone.parameters()):
        raise Refusal(
            f"Backbone '{model.backbone.name}' has no weights that could learn: got --strategy {strategy}. "
            "Use --strategy frozen, or a backbone such as cnn."
        )


def untrained(backbone: Backbone, doing: str) -> list[str]:
    """A sentence for the report where a backbone knows nothing that could be carried over."""
    if backbone.pretrained:
        return []
    return [f"Backbone '{backbone.name}' was never trained: {doing} of it is training from scratch."]


def all_learn(model: Model, strategy: str, doing: str) -> list[str]:
    """Let every weight learn; a sentence for the report where there is no knowledge to start from."""
    trainable(model, strategy)
    model.requires_grad_(True)
    return untrained(model.backbone, doing)


def check_decay(layer_decay: float) -> None:
    """Refuse what is no share of a rate."""
    if not 0 < layer_decay <= 1:
        raise BiograftError(
            f"Choice 'layer_decay' is what a block's rate is of the one above: got {layer_decay:g}, expected above 0 "
            "and up to 1. Choose .9, say, or 1 for one rate."
        )


def layered(backbone: Backbone, learning_rate: float, weight_decay: float, layer_decay: float) -> list[Group]:
    """One group per block, bottom to top: the top at ``learning_rate``, each one below slower by ``layer_decay``."""
    blocks = by_height(backbone)
    return [
        Group(block, learning_rate * layer_decay ** (len(blocks) - 1 - height), weight_decay)
        for height, block in enumerate(blocks)
    ]


@dataclass(frozen=True)
class Full(Strategy):
    """Fine-tuning of all weights, the fresh head faster than the backbone.

    The rates are what decides most: with few labels a fast backbone forgets what its source taught it. Try others with
    ``--strategy-option learning_rate=3e-5 --strategy-option head_learning_rate=1e-2``.

    Attributes:
        learning_rate: of the backbone.
        head_learning_rate: of the head.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
        layer_decay: rate of a block as a share of the rate of the block above it (arXiv:1801.06146); 1 for one rate.
    """

    name: ClassVar[str] = "full"
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        check_decay(self.layer_decay)

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Let everything learn; says so where there is no knowledge to start from."""
        return all_learn(model, self.name, "full fine-tuning")

    def phases(self, learner: Model) -> list[Phase]:
        """One phase; two rates, or one per block and one for the head."""
        backbone = [Group(parameters([learner.backbone]), self.learning_rate, self.weight_decay)]
        if self.layer_decay != 1:
            backbone = layered(learner.backbone, self.learning_rate, self.weight_decay, self.layer_decay)
        head = Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay)
        return [Phase((*backbone, head))]


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
