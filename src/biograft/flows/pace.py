"""How long a strategy would take on this machine: a few steps are timed, the rest is multiplication."""

import time
from contextlib import suppress
from dataclasses import dataclass
from math import floor
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from biograft.flows.learning import Lesson
from biograft.model import Model
from biograft.run import RunFolder
from biograft.strategies.strategy import Strategy
from biograft.trainer import Trainer

__all__ = ["Pace", "measure"]

TIMED = 6  # steps; the first one is left out, for it also sets up what later ones find
SHORTEST = 1 / 3  # of the usual steps: what would have to stop earlier is not worth a try


@dataclass(frozen=True)
class Pace:
    """Of a strategy, in seconds.

    Attributes:
        step: of the loop.
        validation: of the whole validation part.
        around: before and after the loop.
        steps: that it usually makes.
        every: steps between validations.
    """

    step: float
    validation: float
    around: float
    steps: int
    every: int

    def seconds(self, steps: int) -> float:
        """For so many steps."""
        return self.around + steps * self._per_step

    def within(self, seconds: float) -> int:
        """Steps that fit, at most the usual number; 0 where fewer than a third of that do."""
        fit = min(self.steps, floor((seconds - self.around) / max(self._per_step, 1e-9)))
        return fit if fit >= self.steps * SHORTEST else 0

    @property
    def _per_step(self) -> float:
        return self.step + self.validation / self.every


class _Enough(Exception):
    """Ends a loop that was only timed."""


def measure(lesson: Lesson, model: Model, strategy: Strategy, answered: float) -> Pace:
    """Time a few steps of the last phase, in which most moves, and one validation; the model is spoilt by it.

    Args:
        answered: how often the whole validation part is read before and after the loop, or as much of other parts.
    """
    judge = lesson.judge
    if judge is None:
        raise ValueError("A strategy is timed together with its validations: got an empty validation part.")
    begun, ends = lesson.begin(model, strategy, solve=False), []
    target = begun.streams["target"]
    steps = lesson.training.count(target)

    def note(step: int) -> None:
        ends.append(time.monotonic())
        if step == TIMED:
            raise _Enough

    with TemporaryDirectory() as folder:
        trainer = Trainer(
            begun.learner, begun.phases[-1:], begun.streams, None, lesson.training, lesson.hardware, RunFolder(folder),
            lesson.seed,
        )  # fmt: skip
        ends.append(time.monotonic())
        with suppress(_Enough):
            trainer.run(after_step=note)
    began = time.monotonic()
    judge(strategy.target(begun.learner))
    validation = time.monotonic() - began
    taken = np.diff(ends).tolist()
    return Pace(
        step=median(taken[1:] or taken),
        validation=validation,
        around=validation * answered,
        steps=steps,
        every=lesson.training.interval(steps, target),
    )
