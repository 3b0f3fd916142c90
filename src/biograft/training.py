"""How long the loop learns, in what batches, and how rates rise and fall meanwhile."""

import math
from dataclasses import dataclass

import numpy as np

from biograft.data.examples import Stream

__all__ = ["Training"]

SCHEDULES = ("cosine", "wsd", "constant")
USUAL_EPOCHS = 15
MOST_STEPS = 3300


@dataclass(frozen=True)
class Training:
    """How long and how the loop learns; the rates belong to the strategy.

    Attributes:
        epochs: passes over the target's training part; None: ``USUAL_EPOCHS``, fewer (but never less than one) where
            these take more than ``MOST_STEPS`` steps.
        min_steps: at least so many steps, so that small sets are not under-trained.
        steps: exactly so many, whatever ``epochs`` and ``min_steps`` ask for; needed where no stream is the target.
        batch_letters: letters per batch; None: a twentieth of the training part, between 1,024 and 4,096.
        schedule: of the rate in each phase: ``cosine`` falls to a twentieth; ``wsd`` stays, then falls linearly over
            the last fifth (arXiv:2404.06395); ``constant`` stays.
        warm_up: share of a phase in which the rate rises first.
        clip: largest norm of the gradient.
        every: steps between validations; None: a pass over the target, or a twentieth of the steps.
        patience: validations without gain before the last phase ends (never before ``min_steps``).
        save_seconds: between saved states.
    """

    epochs: float | None = None
    min_steps: int = 300
    steps: int | None = None
    batch_letters: int | None = None
    schedule: str = "cosine"
    warm_up: float = 0.05
    clip: float = 1.0
    every: int | None = None
    patience: int = 6
    save_seconds: float = 20.0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"Unknown schedule: got '{self.schedule}', expected one of {', '.join(SCHEDULES)}.")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"A loop makes steps: got {self.steps}, expected 1 or more.")

    def budget(self, letters: int) -> int:
        """Letters per batch for a training part of so many letters."""
        return self.batch_letters or int(np.clip(letters // 20, 1024, 4096))

    def count(self, target: Stream | None) -> int:
        """Number of steps."""
        if self.steps is not None:
            return self.steps
        if target is None:
            raise ValueError("Without a stream named target the number of steps must be given: got steps=None.")
        usual = min(USUAL_EPOCHS * target.per_epoch, max(MOST_STEPS, target.per_epoch))
        return max(self.min_steps, usual if self.epochs is None else math.ceil(self.epochs * target.per_epoch))

    def interval(self, steps: int, target: Stream | None) -> int:
        """Steps between validations."""
        wanted = max(target.per_epoch, self.min_steps // 10) if target else steps // 20
        return max(1, self.every or min(steps // 2, wanted))

    def rate(self, share: float) -> float:
        """Factor on the learning rate when ``share`` of a phase is done."""
        if share < self.warm_up:
            return (share + 1e-3) / (self.warm_up + 1e-3)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "wsd":
            return min(1.0, (1.0 - share) / 0.2)
        fallen = (share - self.warm_up) / (1.0 - self.warm_up)
        return 0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, fallen)))
