"""The one loop: carries out phases, lets a judge choose the best state, survives a kill.

A continued run is bit-equal to one that never stopped: batches are a function of the step, and the saved state holds
weights, optimisers, random generators, the best weights so far and the length of the log.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biograft import gradients
from biograft.data.examples import Stream
from biograft.errors import BiograftError
from biograft.hardware import Hardware
from biograft.judgement import Judge
from biograft.optimisers import Optimisers
from biograft.progress import Progress
from biograft.run import RunFolder
from biograft.state import State, random_state, set_random_state
from biograft.strategies.strategy import Phase
from biograft.training import Training

__all__ = ["Breakdown", "Outcome", "Standing", "Trainer"]

LOGGED = 10  # steps from one line of the log to the next
SAVING_SHARE = 0.05  # saving takes no more than this of the time, however large the model


class Breakdown(BiograftError):
    """The numbers are no longer finite: what learns so will do the same again, unlike on a disk that was full."""


@dataclass(frozen=True)
class Outcome:
    """What the loop reached.

    Attributes:
        metric: that selected; None where nobody judged.
        value: best value of it; None where it is undefined.
        step: at which that was.
        steps: made in all.
    """

    metric: str | None
    value: float | None
    step: int
    steps: int


@dataclass
class Standing:
    """Where the loop stands, beside the tensors."""

    steps: int
    step: int = 0
    phase: int = 0
    metric: str | None = None
    best_value: float | None = None
    best_rank: Sequence[float] | None = None
    best_step: int = 0
    stale: int = 0
    log_size: int = 0
    finished: bool = False


@dataclass
class Trainer:
    """Carries out phases on a model, in place; however that ends, the model is at rest: no gradients, no dropout.

    Attributes:
        model: what learns; holds the best weights at the end.
        phases: of the strategy.
        streams: by the names that the phases' terms use; ``target`` sets the number of steps unless that is given.
        judge: chooses the best state; None keeps the last.
        training: how long and how.
        hardware: where and in which precision.
        folder: of the run.
        seed: of the random numbers that the model draws (dropout).
        began: weights with which a remembered phase began, by name; empty until then.
    """

    model: nn.Module
    phases: Sequence[Phase]
    streams: Mapping[str, Stream]
    judge: Judge | None
    training: Training
    hardware: Hardware
    folder: RunFolder
    seed: int
    steps: int = field(init=False)
    began: dict[str, Tensor] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.model.to(self.hardware.device)
        target = self.streams.get("target")
        self.steps = self.training.count(target)
        self._every = self.training.interval(self.steps, target)
        shares = np.cumsum([phase.share for phase in self.phases])
        self._ends = np.round(self.steps * shares / shares[-1]).astype(int).tolist()
        moving = {p for phase in self.phases for group in phase.groups for p in group.parameters}
        self._moving: dict[str, Tensor] = {name: p for name, p in self.model.named_parameters() if p in moving}
        self._moving |= dict(self.model.named_buffers())
        self._best: dict[str, Tensor] = {}
        self._standing = Standing(self.steps)
        self._next_save = 0.0
        self._unchecked: list[tuple[int, Tensor, dict[str, Tensor]]] = []  # steps, norms of gradients, losses

    def run(self, progress: Progress | None = None, after_step: Callable[[int], None] | None = None) -> Outcome:
        """Learn until done, from the saved state if there is one.

        Ctrl-C ends the step, saves and raises KeyboardInterrupt; a second one stops at once.

        Raises:
            Breakdown: a gradient is no longer finite.
            BiograftError: the disk is full, or the saved state is not of this model.
        """
        device = self.hardware.device
        try:
            with torch.random.fork_rng([torch.cuda.current_device()] if device.startswith("cuda") else []):
                torch.manual_seed(self.seed)
                optimisers = self._restore()
                self.folder.cut_log(self._standing.log_size)
                with _interruptible() as interrupted:
                    self._loop(optimisers, interrupted, progress, after_step)
            return self._close()
        finally:
            self.model.requires_grad_(False)
            self.model.eval()

    def _loop(
        self,
        optimisers: Optimisers,
        interrupted: Callable[[], bool],
        progress: Progress | None,
        after_step: Callable[[int], None] | None,
    ) -> None:
        standing = self._standing
        self._next_save = time.monotonic() + self.training.save_seconds
        while not standing.finished:
            if standing.step == self._ends[standing.phase]:
                standing.phase = next(n for n, end in enumerate(self._ends) if end > standing.step)
                optimisers = self._begin(standing.phase, optimisers)
            self._step(self.phases[standing.phase], optimisers)
            standing.finished = standing.step == self.steps
            if standing.step % self._every == 0 or standing.finished:
                self._validate()
            stop = interrupted()  # asked once: what is pressed from here on ends the next step, which is saved
            if standing.finished or stop or time.monotonic() >= self._next_save:
                self._save(optimisers)
            if progress:
                progress(standing.step, self.steps)
            if stop:
                raise KeyboardInterrupt
            if after_step:
                self._check()  # who listens hears of steps that went well
                after_step(standing.step)
        if progress:
            progress(self.steps, self.steps)

    def _enter(self, number: int) -> Optimisers:
        """Let the parameters of a phase move and all others rest."""
        optimisers = Optimisers(self.phases[number].groups)
        self.model.requires_grad_(False)
        for parameter in optimisers.parameters:
            parameter.requires_grad_(True)
        return optimisers

    def _begin(self, number: int, before: Optimisers | None = None) -> Optimisers:
        """Enter a phase for the first time."""
        optimisers, phase = self._enter(number), self.phases[number]
        if before and phase.continues:
            optimisers.take_over(before)
        if phase.remembered:
            self.began = self._copied()
        return optimisers

    def _copied(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self._moving.items()}

    def _course(self, number: int) -> tuple[int, int]:
        """Steps between which the rates of a phase run their course, together with the phases that it continues."""
        first, last = number, number
        while first and self.phases[first].continues:
            first -= 1
        while last + 1 < len(self.phases) and self.phases[last + 1].continues:
            last += 1
        return (self._ends[first - 1] if first else 0), self._ends[last]

    def _step(self, phase: Phase, optimisers: Optimisers) -> None:
        step = self._standing.step
        begin, end = self._course(self._standing.phase)
        factor = self.training.rate((step - begin) / (end - begin))
        self.model.train()
        optimisers.clear()
        losses: dict[str, Tensor] = {}
        agreement: dict[str, float] = {}
        parts: list[list[Tensor | None]] = []
        for term in phase.terms:
            batch = self.streams[term.stream].batch(step).to(self.hardware.device)
            with self.hardware.products():
                loss = term.value(self.model, batch, step / self.steps)
            (loss * term.weight_at(step / self.steps)).backward()
            losses[term.name] = loss.detach()
            if phase.meeting != "sum" and len(phase.terms) == 2:
                parts.append(gradients.taken(optimisers.parameters))
        if parts:
            agreement["cosine"] = _meet(optimisers.parameters, *parts, project=phase.meeting == "project")
        norm = torch.nn.utils.clip_grad_norm_(optimisers.parameters, self.training.clip)
        self._unchecked.append((step + 1, norm, losses))
        noted = step % LOGGED == LOGGED - 1 or step == 0
        if noted or self.hardware.device == "cpu":  # asking a GPU means to wait for it
            self._check()
        optimisers.step(factor)
        self._standing.step = step + 1
        if noted:
            shown = {name: float(loss) for name, loss in losses.items()}
            self.folder.log(step=self._standing.step, loss=shown, rate=factor, **agreement)

    def _check(self) -> None:
        """Weights that are not finite never reach the disk: the last good state stays."""
        asked, self._unchecked = self._unchecked, []
        for step, norm, losses in asked:
            if bool(norm.isfinite()):
                continue
            shown = ", ".join(f"{name} {float(loss):.4g}" for name, loss in losses.items())
            raise Breakdown(
                f"Training broke down at step {step} of {self.steps}: got a gradient that is not finite (loss of "
                f"{shown}). Look for extreme labels, or try --precision fp32, another strategy or another seed."
            )

    def _validate(self) -> None:
        """Keep the weights if they are the best so far; end the last phase when patience does."""
        if self.judge is None:
            return
        self._check()
        standing = self._standing
        judgement = self.judge(self.model)
        self.folder.log(step=standing.step, valid=judgement.entry())
        if standing.best_rank is None or judgement.rank > tuple(standing.best_rank):
            standing.metric, standing.best_rank = judgement.metric, judgement.rank
            standing.best_value = judgement.value if math.isfinite(judgement.value) else None
            standing.best_step, standing.stale = standing.step, 0
            self._best = self._copied()
        elif standing.phase == len(self.phases) - 1:
            standing.stale += 1
            standing.finished |= standing.stale >= self.training.patience and standing.step >= self.training.min_steps

    def _save(self, optimisers: Optimisers) -> None:
        self._check()
        began = time.monotonic()
        self._standing.log_size = self.folder.settle_log()
        sections = {
            "now": self._moving,
            "best": self._best,
            "began": self.began,
            "optimisers": optimisers.state(),
            "random": random_state(self.hardware.device),
        }
        State(sections, asdict(self._standing)).save(self.folder.state_path)
        now = time.monotonic()
        self._next_save = now + max(self.training.save_seconds, (now - began) / SAVING_SHARE)

    def _restore(self) -> Optimisers:
        """The optimisers of the phase that the loop stands in, after putting back a saved state if there is one."""
        state = State.load(self.folder.state_path)
        if state is None:
            return self._begin(0)
        try:
            return self._put_back(state)
        except (IndexError, KeyError, TypeError, ValueError) as fault:
            raise BiograftError(
                f"The saved state '{self.folder.state_path}' is of another model, plan or version ({fault!r}). "
                "Remove it, or choose another --out."
            ) from None

    def _put_back(self, state: State) -> Optimisers:
        standing = Standing(**state.standing)
        if standing.steps != self.steps:
            raise ValueError(f"got a plan of {standing.steps} steps, expected {self.steps}")
        now = state.section("now")
        shapes, expected = ({name: tuple(t.shape) for name, t in part.items()} for part in (now, self._moving))
        if shapes != expected:
            raise ValueError("got other weights")
        with torch.no_grad():
            for name, tensor in self._moving.items():
                tensor.copy_(now[name])
        self._standing = standing
        self._best, self.began = (
            {name: tensor.to(self.hardware.device) for name, tensor in state.section(part).items()}
            for part in ("best", "began")
        )
        optimisers = self._enter(standing.phase)
        optimisers.load(state.section("optimisers"))
        set_random_state(state.section("random"), self.hardware.device)
        return optimisers

    def _close(self) -> Outcome:
        """Put the best weights back."""
        with torch.no_grad():
            for name, tensor in self._best.items():
                self._moving[name].copy_(tensor)
        standing = self._standing
        step = standing.best_step if self._best else standing.step
        return Outcome(standing.metric, standing.best_value, step, standing.step)


def _meet(
    parameters: Sequence[nn.Parameter], first: list[Tensor | None], second: list[Tensor | None], *, project: bool
) -> float:
    """Give the parameters the sum of two gradients; returns their cosine."""
    found = gradients.cosine(first, second)
    if project:
        second = gradients.harmless(second, first)
    for parameter, gradient in zip(parameters, gradients.summed(first, second), strict=True):
        parameter.grad = gradient
    return found


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question that the loop asks between steps; a second Ctrl-C stops at once."""
    pressed: list[int] = []

    def note(number: int, frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.getsignal(signal.SIGINT)
    try:
        if before is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread: signals stay as they are
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
