"""The backbone stays as it is; only a head is learned, on vectors that are computed once.

A label per sequence takes a linear head, solved exactly where its kind has a solver and else learned by the loop;
labels per residue take a small convolutional head. Other heads, and a lower layer, are choices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.heads import AttentionHead, CentroidHead, MLPHead, NeighboursHead
from biograft.judgement import Judge
from biograft.model import ConvolutionalHead, LinearHead, Model
from biograft.strategies.directions import centroids, neighbours
from biograft.strategies.discriminant import discriminant
from biograft.strategies.linear import logistic, ridge
from biograft.strategies.mixing import weighed
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Refusal, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["SOLVERS", "Fit", "Frozen", "Solver"]


class Fit(Protocol):
    """A head that was found without the loop."""

    @property
    def scores(self) -> dict[str, float]:
        """Of every candidate on the inner folds, smaller is better; empty where there were too few rows."""

    @property
    def how(self) -> str:
        """A sentence on what was chosen, and by what."""

    def put(self, head: nn.Module) -> None:
        """Give the head what was found."""


Solver = Callable[[FixedFeatures, int, bool | None], Fit]


def _ridge(features: FixedFeatures, outputs: int, standardise: bool | None) -> Fit:
    return ridge(features.values, features.targets, features.families, standardise=standardise, seed=features.seed)


def _values_nearby(features: FixedFeatures, outputs: int, standardise: bool | None) -> Fit:
    return neighbours(
        features.values, features.targets, None, features.families, standardise=standardise, seed=features.seed
    )


def _classifier(solve: Callable[..., Fit]) -> Solver:
    def solved(features: FixedFeatures, outputs: int, standardise: bool | None) -> Fit:
        return solve(
            features.values, features.targets, outputs, features.families, standardise=standardise, seed=features.seed
        )

    return solved


SOLVERS: Mapping[str, Mapping[str, Solver]] = {
    "linear": {"regression": _ridge, "classification": _classifier(logistic)},
    "lda": {"classification": _classifier(discriminant)},
    "centroid": {"classification": _classifier(centroids)},
    "knn": {"regression": _values_nearby, "classification": _classifier(neighbours)},
}
"""By head and label kind: what finds it without the loop, for labels per sequence."""

_MIXED = "All layers are read, with the shares"
_ADVICE = "Choose another head with --strategy-option head=NAME"


@dataclass(frozen=True)
class Frozen(Strategy):
    """A head on a backbone at rest.

    Attributes:
        head_: ``linear``, ``lda`` (shrunken covariance), ``centroid``, ``knn``, ``attention``, ``mlp``, ``conv``; or
            ``auto``: linear per sequence, conv per residue.
        layer: of the backbone: ``last``, a number from 1, ``auto``: chosen inside the training part, or ``mix``: all of
            them, each weighed by a number that is learned with the head.
        learning_rate: of a head that needs the loop.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        channels: of the convolutional head, and hidden ones of ``mlp``.
        dropout: of heads that need the loop.
        mix_learning_rate: of the weights of layers, where the head needs the loop: Adam moves each by no more per step.
    """

    name: ClassVar[str] = "frozen"
    cacheable: ClassVar[bool] = True
    head_: Literal["auto", "linear", "lda", "centroid", "knn", "attention", "mlp", "conv"] = "auto"
    layer: str = "last"
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    channels: int = 64
    dropout: float = 0.1
    mix_learning_rate: float = 0.02

    def __post_init__(self) -> None:
        if self.layer not in ("last", "auto", "mix") and not (self.layer.isdecimal() and int(self.layer)):
            raise BiograftError(
                f"Choice 'layer' of strategy 'frozen': got '{self.layer}', expected last, auto, mix or a number "
                "from 1. Mend it."
            )

    def kind_of_head(self, level: Level) -> str:
        """What ``auto`` means at a level."""
        if self.head_ != "auto":
            return self.head_
        return "linear" if level.resolution is None else "conv"

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A fresh one. Raises BiograftError where it doesn't suit the backbone, the level or the labels."""
        name = self.kind_of_head(level)
        self._check(name, backbone, level, kind)
        if name == "centroid":
            return CentroidHead(level, backbone.width, kind.width)
        if name == "knn":
            return NeighboursHead(level, backbone.width, kind.width, shares=kind.name == "classification")
        if name == "attention":
            return AttentionHead(level, backbone.width, kind.width, dropout=self.dropout)
        if name == "mlp":
            return MLPHead(level, backbone.width, kind.width, self.channels, dropout=self.dropout)
        if name == "conv":
            return ConvolutionalHead(level, backbone.width, kind.width, self.channels, dropout=self.dropout)
        return LinearHead(level, backbone.width, kind.width)

    def _check(self, name: str, backbone: Backbone, level: Level, kind: LabelKind) -> None:
        per_sequence = level.resolution is None
        if name in ("lda", "centroid", "knn", "attention") and not per_sequence:
            raise Refusal(
                f"Head '{name}' answers for whole sequences: got a task per {level.name}. {_ADVICE}: conv, mlp or "
                "linear."
            )
        if name in ("lda", "centroid", "knn") and kind.name not in SOLVERS[name]:
            raise Refusal(
                f"Head '{name}' has no answer for a task of {kind.name}: expected {' or '.join(SOLVERS[name])}. "
                f"{_ADVICE}: linear, attention or mlp."
            )
        if name in ("attention", "conv") and per_sequence and backbone.resolution == 0:
            raise Refusal(
                f"Head '{name}' reads a vector per letter: got backbone '{backbone.name}', with one per sequence. "
                f"{_ADVICE}: linear or mlp."
            )

    def exact(self, level: Level) -> bool:
        """True for labels per sequence and a head that has a solver."""
        return level.resolution is None and self.kind_of_head(level) in SOLVERS

    def solver(self, level: Level, kind: LabelKind) -> Solver | None:
        """What finds the head without the loop; None where the loop has to."""
        return SOLVERS[self.kind_of_head(level)].get(kind.name) if self.exact(level) else None

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Freeze the backbone; find a head where it has a solver for the label kind."""
        model.requires_grad_(False)
        solver = self.solver(model.level, model.kind)
        if features is None or solver is None:
            for learning in (model.head, model.mix):
                if learning is not None:
                    learning.requires_grad_(True)
            return []
        standardise = None if model.backbone.standardise else False

        def solve(given: FixedFeatures) -> Fit:
            return solver(given, model.kind.width, standardise)

        if model.mix is None:
            fit = solve(features)
            fit.put(model.head)
            return [fit.how]
        shares, fit, how = weighed(features, solve)
        model.mix.set_shares(shares)
        fit.put(model.head)
        return [f"{_MIXED} ({model.mix.told()}), {how}.", fit.how]

    def phases(self, learner: Model) -> list[Phase]:
        """None for a solved head; else one phase that moves the head, and the weights of layers if there are any."""
        learning = tuple(p for p in parameters([learner.head]) if p.requires_grad)
        if not learning:
            return []
        groups = [Group(learning, self.learning_rate, self.weight_decay)]
        if learner.mix is not None:
            groups.append(Group(parameters([learner.mix]), self.mix_learning_rate, 0.0))
        return [Phase(tuple(groups))]

    def finish(self, model: Model, judge: Judge | None = None, began: Mapping[str, Tensor] | None = None) -> list[str]:
        """Says how layers were mixed, where that was learned by the loop."""
        if model.mix is None or self.solver(model.level, model.kind) is not None:
            return []
        scale = model.mix.scale.item()
        return [f"{_MIXED} ({model.mix.told()}), learned together with the head; scale of the mix {scale:.2f}."]
