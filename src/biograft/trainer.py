"""The one loop: carries out a strategy's phases, validates, keeps the best state, survives a kill.

A continued run is bit-equal to one that never stopped: batches are a function of seed and step, and the saved state
holds weights, optimiser, random generators, the best weights so far and the length of the log.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from biograft.data.batches import Batches
from biograft.data.examples import Examples
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.progress import Progress
from biograft.run import RunFolder
from biograft.state import restore, save
from biograft.strategies.strategy import Phase
from biograft.tasks.metrics import METRICS

__all__ = ["Outcome", "Trainer", "Training", "score"]


@dataclass(frozen=True)
class Training:
    """How long and how the loop learns; the rates belong to the strategy.

    Attributes:
        epochs: passes over the target's training part.
        min_steps: at least so many steps, so that small sets are not under-trained.
        batch_letters: letters per batch; None: a twentieth of the training part, between 1,024 and 8,192.
        warm_up: share of the steps in which the rate rises; afterwards it falls as a cosine to a twentieth.
        clip: largest norm of the gradient.
        patience: validations without gain before stopping (never before ``min_steps``).
        save_seconds: between saved states.
    """

    epochs: float = 15.0
    min_steps: int = 300
    batch_letters: int | None = None
    warm_up: float = 0.05
    clip: float = 1.0
    patience: int = 6
    save_seconds: float = 20.0

    def budget(self, letters: int) -> int:
        """Letters per batch for a training part of so many letters."""
        return self.batch_letters or int(np.clip(letters // 20, 1024, 8192))

    def rate(self, share: float) -> float:
        """Factor on the learning rate when ``share`` of a phase is done."""
        if share < self.warm_up:
            return (share + 1e-3) / (self.warm_up + 1e-3)
        fallen = (share - self.warm_up) / (1.0 - self.warm_up)
        return 0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, fallen)))


@dataclass(frozen=True)
class Outcome:
    """What the loop reached: the best validation value, the step it was reached at, and the last step."""

    metric: str
    value: float | None
    step: int
    steps: int


@dataclass
class Standing:
    """Where the loop stands, beside the tensors; saved and restored as JSON."""

    step: int = 0
    best: tuple[float, float] | None = None  # metric, minus loss
    best_step: int = 0
    stale: int = 0
    log_size: int = 0
    finished: bool = False


def score(model: Model, examples: Examples, hardware: Hardware) -> tuple[float, float]:
    """(first metric of the kind, signed so that more is better; mean loss) over the units that count."""
    outputs = model.outputs(examples.rows, hardware)[examples.counted]
    targets = examples.targets[examples.counted]
    loss = float(model.kind.loss(torch.from_numpy(outputs), torch.from_numpy(targets)).mean())
    metric = METRICS[model.kind.metrics[0]]
    value = metric(model.kind.truth(targets), model.kind.decode(outputs), np.ones(len(targets)))
    signed = value if metric.greater_is_better else -value
    return (signed if math.isfinite(signed) else -math.inf), loss


@dataclass
class Trainer:
    """Carries out the phases of a strategy on a model, in place.

    Attributes:
        model: what learns; holds the best weights at the end.
        phases: of the strategy.
        streams: examples by name; ``target`` sets the number of steps.
        valid: examples that choose the best state; None keeps the last.
        training: how long and how.
        hardware: where and in which precision.
        folder: of the run.
        seed: of the order of batches.
    """

    model: Model
    phases: list[Phase]
    streams: Mapping[str, Examples]
    valid: Examples | None
    training: Training
    hardware: Hardware
    folder: RunFolder
    seed: int
    standing: Standing = field(default_factory=Standing)

    def __post_init__(self) -> None:
        self.model.to(self.hardware.device)
        target = self.streams["target"]
        budget = self.training.budget(int(target.lengths.sum()))
        self._batches = {name: Batches(rows.lengths, budget, self.seed) for name, rows in self.streams.items()}
        per_epoch = self._batches["target"].per_epoch
        self.steps = max(self.training.min_steps, math.ceil(self.training.epochs * per_epoch))
        self.every = max(1, min(self.steps // 2, max(per_epoch, self.training.min_steps // 10)))
        shares = np.cumsum([phase.share for phase in self.phases])
        self._ends = np.round(self.steps * shares / shares[-1]).astype(int)
        moving = {p for phase in self.phases for group in phase.groups for p in group.parameters}
        self._moving = {name: p for name, p in self.model.named_parameters() if p in moving}
        self._moving |= dict(self.model.named_buffers())
        self._best: dict[str, Tensor] = {}

    def run(self, progress: Progress | None = None, after_step: Callable[[int], None] | None = None) -> Outcome:
        """Learn until done, from the saved state if there is one. Ctrl-C saves first."""
        phase, optimiser = self._enter(0)
        continued = restore(self.folder.state_path, self.model, self._moving, self._best, self.standing)
        if continued:
            phase, optimiser = self._enter(self._phase_at(self.standing.step))
            continued(optimiser)
            self.folder.cut_log(self.standing.log_size)
        saved = time.monotonic()
        with _interruptible() as interrupted:
            while self.standing.step < self.steps and not self.standing.finished:
                if self._phase_at(self.standing.step) != phase:
                    phase, optimiser = self._enter(self._phase_at(self.standing.step))
                self._step(self.phases[phase], optimiser)
                if self.standing.step % self.every == 0 or self.standing.step == self.steps:
                    self._validate()
                if progress:
                    progress(self.standing.step, self.steps)
                if interrupted() or time.monotonic() - saved >= self.training.save_seconds:
                    self._save(optimiser)
                    saved = time.monotonic()
                if interrupted():
                    raise KeyboardInterrupt
                if after_step:
                    after_step(self.standing.step)
        self.standing.finished = True
        self._save(optimiser)
        return self._close()

    def _phase_at(self, step: int) -> int:
        return int(np.searchsorted(self._ends, min(step, self.steps - 1), side="right"))

    def _enter(self, number: int) -> tuple[int, torch.optim.Optimizer]:
        """Let the parameters of a phase move and all others rest."""
        phase = self.phases[number]
        self.model.requires_grad_(False)
        for group in phase.groups:
            for parameter in group.parameters:
                parameter.requires_grad_(True)
        groups = [
            {"params": list(g.parameters), "lr": g.learning_rate, "weight_decay": g.weight_decay} for g in phase.groups
        ]
        return number, torch.optim.AdamW(groups)

    def _step(self, phase: Phase, optimiser: torch.optim.Optimizer) -> None:
        step, number = self.standing.step, self.phases.index(phase)
        begin = self._ends[number - 1] if number else 0
        factor = self.training.rate((step - begin) / max(1, self._ends[number] - begin))
        for group, options in zip(phase.groups, optimiser.param_groups, strict=True):
            options["lr"] = group.learning_rate * factor
        self.model.train()
        optimiser.zero_grad(set_to_none=True)
        losses: dict[str, float] = {}
        for term in phase.terms:
            batch = self.streams[term.stream].batch(self._batches[term.stream].rows(step)).to(self.hardware.device)
            with self.hardware.products():
                loss = term.loss(self.model, batch)
            (loss * term.weight_at(step / self.steps)).backward()
            losses[term.name] = float(loss.detach())
        moving = [p for group in phase.groups for p in group.parameters]
        torch.nn.utils.clip_grad_norm_(moving, self.training.clip)
        optimiser.step()
        self.standing.step = step + 1
        if self.standing.step % 10 == 0 or self.standing.step == 1:
            self.folder.log(step=self.standing.step, loss=losses, rate=factor)

    def _validate(self) -> None:
        """Keep the weights if they are the best so far; stop when patience ends."""
        standing = self.standing
        if self.valid is None:
            return
        value, loss = score(self.model, self.valid, self.hardware)
        shown = value if math.isfinite(value) else None
        self.folder.log(step=standing.step, valid={self.model.kind.metrics[0]: shown, "loss": loss})
        if standing.best is None or (value, -loss) > tuple(standing.best):
            standing.best, standing.best_step, standing.stale = (value, -loss), standing.step, 0
            self._best = {name: tensor.detach().clone() for name, tensor in self._moving.items()}
            return
        standing.stale += 1
        standing.finished = standing.stale >= self.training.patience and standing.step >= self.training.min_steps

    def _save(self, optimiser: torch.optim.Optimizer) -> None:
        self.standing.log_size = self.folder.log_size()
        save(self.folder.state_path, self._moving, self._best, optimiser, self.standing)

    def _close(self) -> Outcome:
        """Put the best weights back."""
        with torch.no_grad():
            for name, tensor in self._best.items():
                self._moving[name].copy_(tensor)
        self.model.requires_grad_(False)
        self.model.eval()
        name, best = self.model.kind.metrics[0], self.standing.best
        value = None if best is None or not math.isfinite(best[0]) else best[0]
        if value is not None and not METRICS[name].greater_is_better:
            value = -value
        step = self.standing.best_step if self._best else self.standing.step
        return Outcome(name, value, step, self.standing.step)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question that the loop asks between steps; a second Ctrl-C stops at once."""
    pressed: list[int] = []

    def note(number: int, frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread: signals stay as they are
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
