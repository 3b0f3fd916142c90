"""Source and target learned together:  min over θ, w   L(θ, w) = L_source(θ, w_s) + λ · L_target(θ, w_t).

Carried out as (1 - a) ℓ_source / κ_source + a ℓ_target / κ_target with a = λ / (1 + λ), times κ_target: a change of λ
is no hidden change of the step size, λ = ∞ is exactly full fine-tuning, and tasks of many classes don't drown others.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.data.examples import Batch
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model, SharedBackbone
from biograft.strategies.full import trainable
from biograft.strategies.objective import Term, supervised, worth
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["Joint"]

SOURCE, TARGET = "source", "target"


@dataclass(frozen=True)
class Joint(Strategy):
    """The source keeps counting while the target is learned; the best state is chosen by the target alone.

    Attributes:
        weight: λ, above 0; infinity leaves the source out.
        schedule: ``fixed``; ``rising``, where a climbs from .5 to 1, whatever λ is; or ``learned``, where both weights
            are learned as precisions (arXiv:1705.07115).
        project: take the part of the source's gradient that is against the target's out (arXiv:2001.06782).
        learning_rate: of the backbone.
        head_learning_rate: of the heads.
        balance_learning_rate: of the logarithms of the two variances, where the weights are learned; larger, for Adam
            moves each by no more per step.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the target's head.
    """

    name: ClassVar[str] = "joint"
    streams: ClassVar[tuple[str, ...]] = (TARGET, SOURCE)
    weight: float = 1.0
    schedule: Literal["fixed", "rising", "learned"] = "fixed"
    project: bool = False
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    balance_learning_rate: float = 0.01
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise BiograftError(
                f"λ weighs the target against the source: got {self.weight:g}, expected above 0 or inf."
            )
        if self.schedule not in ("fixed", "rising", "learned"):
            raise BiograftError(
                f"Unknown schedule of λ: got '{self.schedule}', expected fixed, rising or learned. Choose one of them."
            )

    @property
    def alone(self) -> bool:
        """Whether the source is left out altogether."""
        return math.isinf(self.weight) and self.schedule == "fixed"

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Let everything learn."""
        trainable(model, self.name)
        model.requires_grad_(True)
        return []

    def learner(self, model: Model, source: Model | None = None) -> nn.Module:
        """One backbone under both models; where λ is learned, the logarithms of the two variances too."""
        if self.alone:
            return model
        if source is None:
            raise BiograftError(
                "Joint learning needs a source: got none. Name one with --source TABLE --source-label COL."
            )
        shared = SharedBackbone(model.backbone, {TARGET: model, SOURCE: source})
        shared.requires_grad_(True)
        if self.schedule == "learned":
            zeros = {name: nn.Parameter(torch.zeros(())) for name in (TARGET, SOURCE)}
            shared.add_module("log_variances", nn.ParameterDict(zeros))
        return shared

    def target(self, learner: nn.Module) -> Model:
        """The model of the target."""
        found = learner.models[TARGET] if isinstance(learner, SharedBackbone) else learner
        assert isinstance(found, Model)
        return found

    def phases(self, learner: Any) -> list[Phase]:
        """One phase, two rates, two losses."""
        target = self.target(learner)
        heads = parameters([target.head])
        groups = [Group(parameters([target.backbone]), self.learning_rate, self.weight_decay)]
        if self.alone:
            return [Phase((*groups, Group(heads, self.head_learning_rate, self.weight_decay)))]
        source = learner.models[SOURCE]
        own = {id(parameter) for parameter in heads}
        heads += tuple(parameter for parameter in source.head.parameters() if id(parameter) not in own)
        groups.append(Group(heads, self.head_learning_rate, self.weight_decay))
        if self.schedule == "learned":
            groups.append(Group(parameters([learner.log_variances]), self.balance_learning_rate, 0.0))
        exchange = worth(target.kind) / worth(source.kind)
        terms = (
            Term(TARGET, self._loss(TARGET), TARGET, self._share(TARGET)),
            Term(SOURCE, self._loss(SOURCE), SOURCE, self._share(SOURCE, exchange)),
        )
        return [Phase(tuple(groups), terms=terms, meeting="project" if self.project else "compare")]

    def _share(self, name: str, factor: float = 1.0) -> float | Callable[[float], float]:
        """a for the target, (1 - a) for the source, times a factor."""
        if self.schedule == "learned":
            return factor
        if self.schedule == "rising":
            return lambda done: factor * (0.5 + 0.5 * done if name == TARGET else 0.5 - 0.5 * done)
        share = 1.0 if math.isinf(self.weight) else self.weight / (1.0 + self.weight)
        return factor * (share if name == TARGET else 1.0 - share)

    def _loss(self, name: str) -> Callable[[Any, Batch], Tensor]:
        def loss(learner: Any, batch: Batch) -> Tensor:
            model = learner.models[name]
            found = supervised(model, batch)
            if self.schedule != "learned":
                return found
            log_variance = learner.log_variances[name]
            # times κ, for the loss is not divided by it here: the best variance is ℓ / κ, and both tasks pull alike
            return torch.exp(-log_variance) * found + worth(model.kind) * log_variance

        return loss
