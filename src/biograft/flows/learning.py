"""A strategy carried out on a model, from labelled examples to the best state: no table, no letters, no report.

Whatever gives rows of numbers can be learned by it; the examples do so with images and texts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from biograft.data.examples import Examples, ExampleStream, Stream
from biograft.flows.classes import shift_solved
from biograft.flows.inputs import fixed_features, normalise_layers
from biograft.hardware import Hardware
from biograft.judgement import Judge, by_part, of_target
from biograft.model import Model
from biograft.progress import Progress
from biograft.run import RunFolder
from biograft.strategies.strategy import Phase, Strategy
from biograft.trainer import Outcome, Trainer
from biograft.training import Training

__all__ = ["Begun", "Companion", "Learned", "Lesson"]

TARGET, SOURCE = "target", "source"


class Companion(Protocol):
    """What is learned beside the target."""

    @property
    def model(self) -> Model | None:
        """Of the companion's own task, on the target's backbone; None where it asks for nothing."""

    def stream(self, budget: int, seed: int) -> Stream:
        """Its batches; ``budget``: cost aimed at per batch of the target."""


@dataclass(frozen=True, eq=False)
class Begun:
    """A strategy about to be carried out.

    Attributes:
        learner: what the loop trains.
        phases: none where the head is solved already.
        streams: by name.
        companions: by the name of their stream.
        notes: sentences for the report.
    """

    learner: nn.Module
    phases: list[Phase]
    streams: dict[str, Stream]
    companions: dict[str, Any]
    notes: list[str]


@dataclass(frozen=True, eq=False)
class Learned:
    """What a strategy left, beside the model itself.

    Attributes:
        outcome: of the loop; None where there was no need for it.
        companions: by the name of their stream.
        notes: sentences for the report.
    """

    outcome: Outcome | None
    companions: dict[str, Any]
    notes: list[str]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned from, for any strategy.

    Attributes:
        train: labelled; at least one.
        valid: chooses the best state; may be empty.
        hardware: where and in which precision.
        seed: of batches, dropout, and choices inside the training part.
        training: how long and how, where the loop is needed.
        companions: how the others come to be once the model is ready, by the name of their stream.
        stream: makes the target's batches from the training part; None for :class:`ExampleStream`.
    """

    train: Examples
    valid: Examples
    hardware: Hardware
    seed: int
    training: Training
    companions: Mapping[str, Callable[[Model], Companion]] = field(default_factory=dict)
    stream: Callable[[Examples, int, int], Stream] | None = None

    @property
    def judge(self) -> Judge | None:
        """Of models, on the validation part; None where that is empty."""
        return by_part(self.valid, self.hardware) if len(self.valid) else None

    def begin(self, model: Model, strategy: Strategy, *, solve: bool = True) -> Begun:
        """Prepare the model; ``solve``: also find a head without the loop, where the strategy can."""
        normalise_layers(model, self.train, self.hardware)
        exact = solve and strategy.exact(model.level)
        notes = strategy.start(model, fixed_features(model, self.train, self.seed, self.hardware) if exact else None)
        if exact:
            shift_solved(model)
        made = {name: self.companions[name](model) for name in strategy.streams if name != TARGET}
        learner = strategy.learner(model, made[SOURCE].model if SOURCE in made else None)
        phases = strategy.phases(learner)
        streams: dict[str, Stream] = {}
        if phases:
            budget = self.training.budget(int(self.train.costs.sum()))
            streams[TARGET] = (self.stream or ExampleStream)(self.train, budget, self.seed)
            streams |= {name: companion.stream(budget, self.seed) for name, companion in made.items()}
        return Begun(learner, phases, streams, made, notes)

    def carry_out(
        self, model: Model, strategy: Strategy, folder: RunFolder, progress: Progress | None = None
    ) -> Learned:
        """Learn, in place, from the folder's saved state if there is one. Raises as :meth:`Trainer.run` does."""
        begun, judge, outcome, began = self.begin(model, strategy), self.judge, None, None
        if begun.phases:
            chooses = of_target(judge, strategy.target) if judge else None
            trainer = Trainer(
                begun.learner, begun.phases, begun.streams, chooses, self.training, self.hardware, folder, self.seed
            )
            outcome, began = trainer.run(progress), trainer.began
        return Learned(outcome, begun.companions, begun.notes + strategy.finish(model, judge, began))
