"""Two steps on any rows of numbers: learn a source, replace the head, learn the target in several ways, compare.

Strategies, loop, losses and verdicts are those of biograft; what an example adds is a backbone and its data.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from biograft.backbones.backbone import Backbone
from biograft.data.examples import Examples, ExampleStream, Stream
from biograft.errors import BiograftError
from biograft.evaluation.comparison import Measured, difference, judged, measured
from biograft.flows.learning import Lesson
from biograft.hardware import Hardware
from biograft.model import LinearHead, Model
from biograft.run import RunFolder
from biograft.strategies.frozen import Frozen
from biograft.strategies.full import Full, Scratch
from biograft.strategies.joint import Joint
from biograft.strategies.strategy import Strategy
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence as WholeRow
from biograft.tasks.metrics import METRICS
from biograft.trainer import Outcome
from biograft.training import Training

__all__ = ["WAYS", "Data", "Experiment", "Result", "check_labels", "draw", "perform", "table"]

RIVAL = "scratch"
WAYS: dict[str, Strategy] = {way.name: way for way in (Scratch(), Frozen(), Full(), Joint())}
METRIC = METRICS["accuracy"]


@dataclass(frozen=True, eq=False)
class Data:
    """Rows with one class each.

    Attributes:
        rows: one array ``(tokens, ...)`` per record, as the backbone reads it.
        labels: ``(records,)`` names of classes.
    """

    rows: Sequence[np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: np.ndarray) -> "Data":
        """The records at these places."""
        return Data([self.rows[place] for place in places], self.labels[places])

    def examples(self, kind: Classification) -> Examples:
        """For the loop; every record is a family of its own."""
        ones = np.ones(len(self), dtype=np.int64)
        targets, known = kind.encode(self.labels.astype(object))
        return Examples(self.rows, targets, known, ones, np.arange(len(self)))


def draw(data: Data, sizes: Sequence[int], seed: int) -> list[Data]:
    """Parts of so many records, at random but with like shares of all classes; the last part is the rest."""
    generator = np.random.default_rng(seed)
    places = generator.permutation(len(data))
    # The first of each class, then the second of each, …: every run of places holds the classes evenly.
    turn = np.empty(len(data), dtype=np.int64)
    for name in np.unique(data.labels):
        own = places[data.labels[places] == name]
        turn[own] = np.arange(len(own))
    ordered = places[np.argsort(turn[places], kind="stable")]
    return [data.take(part) for part in np.split(ordered, np.cumsum(sizes))]


@dataclass(frozen=True, eq=False)
class _Beside:
    """The source of a joint run: its head on the target's backbone, and its batches."""

    model: Model
    train: Examples
    stream_of: Callable[[Examples, int, int], Stream]

    def stream(self, budget: int, seed: int) -> Stream:
        return self.stream_of(self.train, budget, seed)


@dataclass(frozen=True, eq=False)
class Result:
    """What each strategy reached on the target's test part.

    Attributes:
        source: accuracy on the source's validation part, one per seed.
        ways: by strategy, over the seeds.
        steps: of the loop, by strategy; 0 where the head was solved.
    """

    source: list[float]
    ways: Mapping[str, Measured]
    steps: Mapping[str, list[int]]


@dataclass(frozen=True, eq=False)
class Experiment:
    """One source, one target, several ways to carry the one over to the other.

    Attributes:
        fresh: makes a backbone with random weights.
        source: parts to learn from and to choose on.
        target: parts to learn from, to choose on, and to test on.
        first_step: strategy for the source.
        source_training: how long it is learned.
        target_training: the same for the target.
        folder: of the runs; each one continues after a kill.
        stream: makes batches of the target from examples, budget and seed; here data may be varied at random.
        source_stream: the same for the source.
        ways: strategies for the target, by name.
    """

    fresh: Callable[[], Backbone]
    source: tuple[Data, Data]
    target: tuple[Data, Data, Data]
    first_step: Strategy
    source_training: Training
    target_training: Training
    folder: Path
    stream: Callable[[Examples, int, int], Stream] = ExampleStream
    source_stream: Callable[[Examples, int, int], Stream] = ExampleStream
    ways: Mapping[str, Strategy] = field(default_factory=lambda: WAYS)

    def run(self, seeds: Sequence[int], say: Callable[[str], None] = print) -> Result:
        """Both steps for each seed."""
        kind = _kind(self.target[0], "target")
        truth = self.target[2].examples(kind).targets
        answers: dict[str, list[np.ndarray]] = {name: [] for name in self.ways}
        steps: dict[str, list[int]] = {name: [] for name in self.ways}
        reached = []
        for seed in seeds:
            knowing, value = self.learn_source(seed)
            reached.append(value)
            say(f"seed {seed}: source learned, accuracy {value:.3f} on its validation part")
            for name, way in self.ways.items():
                model, outcome = self.carry_over(knowing, name, way, seed)
                answers[name].append(model.outputs(self.target[2].rows))
                steps[name].append(outcome.steps if outcome else 0)
                say(f"seed {seed}: {name} done")
        groups = np.arange(len(truth))
        found = {name: measured(METRIC, truth, list(map(kind.decode, made)), groups) for name, made in answers.items()}
        return Result(reached, found, steps)

    def learn_source(self, seed: int) -> tuple[Model, float]:
        """The first step: a model of the source, and its accuracy on the validation part."""
        kind = _kind(self.source[0], "source")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = _model(self.fresh(), self.first_step, kind)
            lesson = self._lesson(self.source[0], self.source[1], kind, seed, self.source_training)
            lesson.carry_out(model, self.first_step, self._run("source", seed))
        model.backbone.pretrained = True
        valid = self.source[1].examples(kind)
        return model, METRIC(valid.targets, kind.decode(model.outputs(valid.rows)))

    def carry_over(self, knowing: Model, name: str, way: Strategy, seed: int) -> tuple[Model, Outcome | None]:
        """The second step: the head is replaced, and the target learned as the strategy says."""
        kind = _kind(self.target[0], "target")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = _model(deepcopy(knowing.backbone), way, kind)
            lesson = self._lesson(self.target[0], self.target[1], kind, seed, self.target_training, knowing)
            learned = lesson.carry_out(model, way, self._run(name, seed))
        return model, learned.outcome

    def _lesson(
        self,
        train: Data,
        valid: Data,
        kind: Classification,
        seed: int,
        training: Training,
        knowing: Model | None = None,
    ) -> Lesson:
        def beside(target: Model) -> _Beside:
            assert knowing is not None and isinstance(knowing.kind, Classification)
            head = deepcopy(knowing.head)
            model = Model(target.backbone, head, knowing.level, knowing.kind)
            return _Beside(model, self.source[0].examples(knowing.kind), self.source_stream)

        parts = train.examples(kind), valid.examples(kind)
        own = self.source_stream if knowing is None else self.stream
        return Lesson(*parts, Hardware(), seed, training, {"source": beside}, own)

    def _run(self, name: str, seed: int) -> RunFolder:
        return RunFolder.open(self.folder / f"{name}-seed{seed}", {"step": name, "seed": seed})


def _kind(train: Data, name: str) -> Classification:
    return Classification.learn(train.labels.astype(object), name)


def _model(backbone: Backbone, strategy: Strategy, kind: Classification) -> Model:
    head = strategy.head(backbone, WholeRow(), kind)
    if not isinstance(head, LinearHead):
        raise TypeError(f"The last layer of these nets is linear: got a {type(head).__name__}.")
    return Model(backbone, head, WholeRow(), kind)


def table(result: Result) -> str:
    """Markdown: accuracy of each strategy with its interval, and whether it is better than learning from scratch."""
    others = [name for name in result.ways if name != RIVAL]
    rival = result.ways[RIVAL]
    found = {name: difference(result.ways[name], rival, METRIC) for name in others}
    answers = judged(found, dict.fromkeys(others, RIVAL), METRIC)
    lines = ["| strategy | accuracy | 95 % interval | steps | against scratch |", "|---|---|---|---|---|"]
    for name, way in result.ways.items():
        inner = way.interval()
        steps = ", ".join(map(str, sorted(set(result.steps[name])))) if any(result.steps[name]) else "solved"
        told = "" if name == RIVAL else answers[name].verdict.answer
        gain = "" if name == RIVAL else f" ({found[name].interval.value:+.3f})"
        lines.append(f"| `{name}` | {way.value:.3f} | {inner.low:.3f} to {inner.high:.3f} | {steps} | {told}{gain} |")
    return "\n".join(lines)


def check_labels(labels: int, target: Data, things: str) -> None:
    """Raise BiograftError where so few, or so many, can't be drawn twice from the target."""
    if not 10 <= labels <= len(target) // 4:
        raise BiograftError(
            f"--labels is a number of {things}: got {labels}, expected 10 to {len(target) // 4}. Choose another."
        )


def perform(
    chosen: argparse.Namespace, experiment: Callable[[argparse.Namespace, Path], Experiment], before: str, things: str
) -> int:
    """Run what was chosen, and print a table; the exit code. ``before`` stands before the sizes of the parts."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = experiment(chosen, chosen.out or Path(folder))
            result = made.run(range(chosen.seeds), say=lambda text: print(text, file=sys.stderr))
    except BiograftError as fault:
        print(fault, file=sys.stderr)
        return 2
    sizes = " / ".join(str(len(part)) for part in made.target)
    print(f"{before}{sizes} target {things} to learn from / choose on / test on\n")
    print(table(result))
    return 0
