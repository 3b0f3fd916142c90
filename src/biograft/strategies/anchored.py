"""Fine-tuning that stays near where it began: pulled back at each step (``l2sp``), or once at the end (``wise``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.judgement import Judge, Judgement
from biograft.model import LinearHead, Model
from biograft.strategies.full import trainable, untrained
from biograft.strategies.staged import Probed
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["L2SP", "Wise"]


@dataclass(frozen=True)
class L2SP(Strategy):
    """Fine-tuning whose backbone decays to its pretrained weights instead of to zero (arXiv:1802.01483).

    The paper adds the distance to the loss; here it is decoupled, as AdamW decouples weight decay, because a penalty in
    the loss would be divided by Adam's second moments. A step of AdamW is about as long as the rate at most, so that no
    weight gets further than about ``1 / strength`` from where it began.

    Attributes:
        learning_rate: of the backbone.
        head_learning_rate: of the head.
        strength: of the pull on the backbone, per unit of the rate; 0 lets go of it.
        weight_decay: of the head, to zero, decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "l2sp"
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    strength: float = 10.0
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.strength * self.learning_rate <= 1:
            raise BiograftError(
                f"Choice 'strength' times 'learning_rate' is the share of the way back per step: got "
                f"{self.strength * self.learning_rate:g}, expected 0 to 1. Mend one of them."
            )

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Nothing to prepare; says so where there is nothing to stay near to."""
        trainable(model, self.name)
        return untrained(model.backbone, "anchored fine-tuning")

    def phases(self, learner: Model) -> list[Phase]:
        """One phase, two rates, two places to decay to."""
        moving = parameters([learner.backbone])
        anchor = tuple(parameter.detach().clone() for parameter in moving)
        backbone = Group(moving, self.learning_rate, self.strength, anchor=anchor)
        return [Phase((backbone, Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay)))]


@dataclass(frozen=True)
class Wise(Probed):
    """``lpft``, then the weights between its two ends that do best on the validation part (arXiv:2109.01903).

    Attributes:
        points: weights that are tried, evenly spaced, both ends among them.
    """

    name: ClassVar[str] = "wise"
    remembers: ClassVar[bool] = True
    points: int = 11

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.points < 2:
            raise BiograftError(f"Choice 'points' counts both ends: got {self.points}, expected 2 or more. Mend it.")

    def finish(self, model: Model, judge: Judge | None = None, began: Mapping[str, Tensor] | None = None) -> list[str]:
        """Take the best point; the middle, as the paper advises, where nobody judges."""
        if not began:
            return []
        line = _Line(model, began)
        if judge is None:
            line.stand(0.5)
            return ["Half way between the probe and the fine-tuned weights: there is no validation part to choose on."]
        judged: dict[float, Judgement] = {}
        for point in np.linspace(0, 1, self.points).tolist():
            line.stand(point)
            judged[point] = judge(model)
        best = max(judged, key=lambda point: judged[point].rank)
        line.stand(best)
        found = judged[best]
        return [
            f"{best:.0%} of the way from the probe to the fine-tuned weights, the best of {self.points} points on the "
            f"validation part: {found.metric} {found.value:.3f} (the probe {judged[0.0].value:.3f}, fine-tuned "
            f"{judged[1.0].value:.3f})"
        ]


class _Line:
    """The straight line between two states of a model; counts and other whole numbers stay those of the second."""

    def __init__(self, model: Model, began: Mapping[str, Tensor]) -> None:
        now = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self._ends = [(now[name], start, now[name].detach().clone()) for name, start in began.items()]

    @torch.no_grad()
    def stand(self, point: float) -> None:
        """Put the model at a point: 0 where it began, 1 where it ended, both exactly."""
        for tensor, start, end in self._ends:
            if tensor.is_floating_point():
                tensor.copy_(torch.lerp(start, end, point))
