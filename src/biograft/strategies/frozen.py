"""The backbone stays as it is; only a head is learned, on vectors that are computed once.

A label per sequence takes a linear head, solved exactly where its kind has a solver and else learned by the loop;
labels per residue take a small convolutional head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.model import ConvolutionalHead, LinearHead, Model
from biograft.strategies.linear import LinearFit, logistic, ridge
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["SOLVERS", "Frozen"]


def _ridge(features: FixedFeatures, outputs: int, standardise: bool | None) -> LinearFit:
    return ridge(features.values, features.targets, features.families, standardise=standardise, seed=features.seed)


def _logistic(features: FixedFeatures, outputs: int, standardise: bool | None) -> LinearFit:
    return logistic(
        features.values, features.targets, outputs, features.families, standardise=standardise, seed=features.seed
    )


SOLVERS: Mapping[str, Callable[[FixedFeatures, int, bool | None], LinearFit]] = {
    "regression": _ridge,
    "classification": _logistic,
}
"""By label kind: what finds a linear head without the loop."""


@dataclass(frozen=True)
class Frozen(Strategy):
    """Linear probe or small convolutional head on a backbone at rest.

    Attributes:
        learning_rate: of a head that needs the loop.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        channels: of the convolutional head.
        dropout: of the convolutional head.
    """

    name: ClassVar[str] = "frozen"
    cacheable: ClassVar[bool] = True
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    channels: int = 64
    dropout: float = 0.1

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """Linear where :meth:`exact` holds, else convolutional."""
        if self.exact(level):
            return LinearHead(level, backbone.width, kind.width)
        return ConvolutionalHead(level, backbone.width, kind.width, self.channels, dropout=self.dropout)

    def exact(self, level: Level) -> bool:
        """True for labels per sequence."""
        return level.resolution is None

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Freeze the backbone; solve a linear head where the label kind has a solver."""
        model.backbone.requires_grad_(False)
        solve = SOLVERS.get(model.kind.name)
        if features is None or solve is None:
            model.head.requires_grad_(True)
            return []
        model.head.requires_grad_(False)
        if not isinstance(model.head, LinearHead):
            raise TypeError(f"Fixed features are solved for a LinearHead, got {type(model.head).__name__}.")
        fit = solve(features, model.kind.width, None if model.backbone.standardise else False)
        model.head.set_linear(fit.weight, fit.bias)
        return [fit.how]

    def phases(self, learner: Model) -> list[Phase]:
        """None for a solved head; else one phase that moves the head alone."""
        learning = tuple(p for p in parameters([learner.head]) if p.requires_grad)
        return [Phase((Group(learning, self.learning_rate, self.weight_decay),))] if learning else []
