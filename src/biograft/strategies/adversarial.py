"""Features that don't tell which of two domains a sequence is from (``adversarial``, DANN, arXiv:1505.07818).

A domain head learns to tell the training part from unlabelled records of the domain in which the model will be used;
the backbone gets its gradient reversed. What is called source there is the training part here, and its target the
unlabelled records.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.backbones.backbone import Backbone
from biograft.data.examples import Batch
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model, SharedBackbone
from biograft.strategies.full import all_learn
from biograft.strategies.objective import Term, check_weight, features, supervised
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["Adversarial", "DomainHead", "reverse"]

TARGET, UNLABELLED = "target", "unlabelled"
STEEPNESS = 10.0  # of the schedule, γ in the paper


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse(values: Tensor, strength: float) -> Tensor:
    """The values as they are; their gradient comes back times ``-strength``."""
    found: Tensor = _Reversal.apply(values, strength)
    return found


class DomainHead(nn.Module):
    """One hidden layer: ``(units, features)`` -> ``(units,)`` logits of being from the unlabelled domain."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, values: Tensor) -> Tensor:
        """In single precision, as the other heads."""
        with torch.autocast(values.device.type, enabled=False):
            found: Tensor = self.layers(values)[:, 0]
        return found


@dataclass(frozen=True)
class Adversarial(Strategy):
    """All weights learn the task, and the backbone unlearns what tells the two domains apart.

    The strength of the reversal rises with the share p of the steps as ``weight * (2 / (1 + exp(-10 p)) - 1)``, so that
    a domain head which knows nothing yet does no harm; the head itself always learns at full strength.

    Attributes:
        weight: of the reversed gradient at the end; the paper takes 1, at which some runs here fell apart.
        learning_rate: of the backbone.
        head_learning_rate: of the head.
        domain_learning_rate: of the domain head. One that is slow to tell the domains teaches nothing; one that is
            much faster than the backbone drowns the task.
        hidden: width of the domain head.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "adversarial"
    streams: ClassVar[tuple[str, ...]] = (TARGET, UNLABELLED)
    weight: float = 0.3
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    domain_learning_rate: float = 1e-3
    hidden: int = 64
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_weight(self.weight, 0.3)
        if self.hidden < 1:
            raise BiograftError(f"Choice 'hidden' is a width: got {self.hidden}, expected 1 or more. 64 is usual.")

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Let everything learn."""
        return all_learn(model, self.name, "fine-tuning")

    def learner(self, model: Model, source: Model | None = None) -> nn.Module:
        """The model, and beside it a domain head on what its own head reads."""
        shared = SharedBackbone(model.backbone, {TARGET: model})
        shared.add_module("domain", DomainHead(model.level.features(model.backbone.width), self.hidden))
        shared.requires_grad_(True)
        return shared

    def target(self, learner: nn.Module) -> Model:
        """The model without the domain head."""
        found = learner.models[TARGET] if isinstance(learner, SharedBackbone) else learner
        assert isinstance(found, Model)
        return found

    def phases(self, learner: Any) -> list[Phase]:
        """One phase, three rates, two losses."""
        model = self.target(learner)
        groups = (
            Group(parameters([model.backbone]), self.learning_rate, self.weight_decay),
            Group(parameters([model.head]), self.head_learning_rate, self.weight_decay),
            Group(parameters([learner.domain]), self.domain_learning_rate, self.weight_decay),
        )
        terms = (
            Term(TARGET, lambda both, batch: supervised(both.models[TARGET], batch)),
            Term("domain", self._domain_loss, UNLABELLED, scheduled=True),
        )
        return [Phase(groups, terms=terms)]

    def strength(self, share: float) -> float:
        """Of the reversal when ``share`` of the steps is done."""
        return self.weight * (2.0 / (1.0 + math.exp(-STEEPNESS * share)) - 1.0)

    def _domain_loss(self, learner: Any, batch: Batch, share: float) -> Tensor:
        """Cross entropy, both domains with the same say; log 2 where they can't be told apart."""
        values = features(learner.models[TARGET], batch)
        losses = F.binary_cross_entropy_with_logits(
            learner.domain(reverse(values, self.strength(share))), batch.targets.float(), reduction="none"
        )
        parts = [losses[batch.targets == domain] for domain in (0, 1)]
        return torch.stack([part.mean() for part in parts if len(part)]).mean()
