"""Which state of a model is the best: what the loop is told by whoever judges, and the judge of a labelled part."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from biograft.data.examples import Examples
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.tasks.metrics import METRICS

__all__ = ["Judge", "Judgement", "by_part", "of_target"]


@dataclass(frozen=True)
class Judgement:
    """How good a model is now.

    Attributes:
        metric: name of what selects.
        value: of the metric as users read it; nan where it is undefined, which loses against any number.
        loss: decides where values are equal, smaller is better.
        greater_is_better: of the metric.
        also: further numbers for the log.
    """

    metric: str
    value: float
    loss: float
    greater_is_better: bool = True
    also: Mapping[str, float] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[float, float]:
        """What selects: the greater, the better."""
        signed = self.value if self.greater_is_better else -self.value
        return _or_lowest(signed), _or_lowest(-self.loss)

    def entry(self) -> dict[str, float | None]:
        """For the log; None where a number is not finite."""
        numbers = {self.metric: self.value, "loss": self.loss, **self.also}
        return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def _or_lowest(number: float) -> float:
    return number if math.isfinite(number) else -math.inf


Judge = Callable[[Any], Judgement]
"""Called with what the loop trains; leaves its weights alone and draws no random numbers."""


def of_target(judge: Judge, target: Callable[[Any], Model]) -> Judge:
    """Judge the model of the target within what the loop trains."""
    return lambda learner: judge(target(learner))


def by_part(examples: Examples, hardware: Hardware) -> Judge:
    """Judge by the first metric of the label kind, over all units of a part that count."""

    def judge(model: Model) -> Judgement:
        outputs = model.outputs(examples.rows, hardware)[examples.counted]
        targets = examples.targets[examples.counted]
        loss = float(model.kind.loss(torch.from_numpy(outputs), torch.from_numpy(targets)).mean())
        metric = METRICS[model.kind.metrics[0]]
        value = metric(model.kind.truth(targets), model.kind.decode(outputs), np.ones(len(targets)))
        return Judgement(metric.name, float(value), loss, metric.greater_is_better)

    return judge
