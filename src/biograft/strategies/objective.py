"""Terms of the objective  Σ λ · loss(stream):  the target's loss, a source's loss, a penalty are one Term each."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from biograft.data.examples import Batch
from biograft.errors import BiograftError
from biograft.model import Model
from biograft.tasks.task import LabelKind

__all__ = ["Term", "check_weight", "features", "supervised", "worth"]


@dataclass(frozen=True)
class Term:
    """One loss with its weight λ and the stream that it draws batches from.

    Attributes:
        name: under which it is logged.
        loss: ``(model, batch) -> ()`` scalar; the model is whatever the loop trains.
        stream: name of it, such as ``target`` or ``source``.
        weight: λ, fixed, or a function of the share of the steps done (0 to 1).
        scheduled: whether the loss is told that share too, as a third argument.
    """

    name: str
    loss: Callable[..., Tensor]
    stream: str = "target"
    weight: float | Callable[[float], float] = 1.0
    scheduled: bool = False

    def value(self, model: Any, batch: Batch, share: float) -> Tensor:
        """The loss without λ when ``share`` of the steps is done."""
        return self.loss(model, batch, share) if self.scheduled else self.loss(model, batch)

    def weight_at(self, share: float) -> float:
        """λ when ``share`` of the steps is done."""
        return self.weight(share) if callable(self.weight) else self.weight


def check_weight(weight: float, usual: float) -> None:
    """Refuse what can't weigh a loss that makes domains alike."""
    if not (weight >= 0 and math.isfinite(weight)):
        raise BiograftError(
            f"Choice 'weight' is how strongly the domains are made alike: got {weight:g}, expected 0 or more. "
            f"{usual:g} is usual."
        )


def worth(kind: LabelKind) -> float:
    """Loss of an answer that knows nothing: log of the number of classes, 1 for standardised values."""
    return math.log(kind.width) if kind.width > 1 else 1.0


def features(model: Model, batch: Batch) -> Tensor:
    """``(units, features)`` float32 that the model's head reads."""
    return model.level.readout(model.backbone.vectors(batch.inputs)).float()


def supervised(model: Model, batch: Batch) -> Tensor:
    """Mean loss of the model's own task over the units that count; 0 where a batch has none."""
    losses = model.kind.loss(model(batch.inputs), batch.targets)
    counted = batch.counted.to(losses.dtype)
    return (losses * counted).sum() / counted.sum().clamp(min=1.0)
