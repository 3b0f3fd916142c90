"""Where a strategy meets a table: the model is built, learns, and answers for the records of a part."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.answers import SOURCE_ANSWERS, keep
from biograft.flows.classes import balanced_stream, check_sampling, shift_solved
from biograft.flows.inputs import Inputs, fixed_features
from biograft.flows.layers import at_layer
from biograft.flows.learning import Companion, Lesson
from biograft.flows.pace import Pace, measure
from biograft.flows.prepare import Prepared
from biograft.flows.recipe import Recipe
from biograft.flows.sources import SOURCE, Source
from biograft.flows.unlabelled import UNLABELLED, Unlabelled, check_unlabelled
from biograft.flows.usual import usual
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.origins import load_backbone
from biograft.progress import Clock
from biograft.run import RunFolder
from biograft.strategies.choices import strategy_of
from biograft.strategies.strategy import Strategy
from biograft.tasks.levels import Sequence as SequenceLevel
from biograft.tasks.task import Level
from biograft.trainer import Outcome
from biograft.training import Training

__all__ = ["Attempt", "Workshop", "check_choices", "means_told", "pooled"]

MOST_POSITIONS = 1024
MOST_NUMBERS = 350_000_000  # vectors side by side, of all records: 1.4 GB
ALIKE = 0.7  # share of letters that variants of one parent have in common, at least
SEVERAL = ("auto", "mix")  # layers: their vectors, side by side, would be too many


@dataclass(frozen=True, eq=False)
class Attempt:
    """A strategy that was carried out.

    Attributes:
        inputs: what the model reads.
        outcome: of the loop; None where it wasn't needed.
        notes: sentences for the report.
        valid: ``(units, width)`` outputs for the validation part.
        layer: of the notes, those on the layer of the backbone that is read.
    """

    model: Model
    strategy: Strategy
    inputs: Inputs
    outcome: Outcome | None
    notes: list[str]
    valid: np.ndarray
    layer: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Workshop:
    """Carries strategies out on one table; draws from torch's generators, which the caller keeps apart.

    Attributes:
        recipe: all choices but the strategy, which is named each time.
        prepared: the table and its parts; test labels are not looked at.
        seed: of the parts of a source: the same for all runs of a comparison.
    """

    recipe: Recipe
    prepared: Prepared
    hardware: Hardware
    clock: Clock
    seed: int

    def attempt(self, strategy: str, folder: RunFolder, steps: int | None = None) -> Attempt:
        """Build a model, carry a strategy out on it, and answer for the validation part.

        Args:
            strategy: name; ``auto``: what suits the backbone, without trials.
            folder: of the loop's state and log.
            steps: None takes the usual number.
        """
        model, plan, inputs, layer = self._built(strategy)
        with self.clock.stage("train") as told, inputs.read_by(model):
            learned = self._lesson(inputs, steps).carry_out(model, plan, folder, told)
        notes = [*layer, *learned.notes, *self._told(learned.companions, folder)]
        return Attempt(model, plan, inputs, learned.outcome, notes, self._outputs(model, inputs, "valid"), layer)

    def rehearse(self, strategy: str) -> None:
        """Begin on a model that is thrown away; nothing is computed. Raises BiograftError where it is refused."""
        backbone, plan, level, head = self._suited(strategy)
        if getattr(plan, "layer", "").isdecimal():  # what else it may be costs something, and isn't refused
            backbone, *_ = at_layer(backbone, plan, level, self.prepared, self.hardware, self.clock, self.recipe.seed)
        model = Model(backbone, head, level, self.prepared.kind)
        plan.start(model, None)
        if plan.exact(level):
            shift_solved(model)

    def on(self, backbone: str) -> "Workshop":
        """The same with a backbone of that name."""
        return replace(self, recipe=replace(self.recipe, backbone=backbone))

    def solved_again(self, made: Attempt) -> list[str]:
        """Learn from the validation part too, once it has told what it is for: a solved head has no state to choose."""
        model = made.model
        with self.clock.stage("train"), made.inputs.read_by(model):
            both = made.inputs.examples(self.prepared, "train", "valid")
            notes = made.strategy.start(model, fixed_features(model, both, self.recipe.seed, self.hardware))
            shift_solved(model)
            made.strategy.finish(model)
        told = "Solved on the training part for the numbers of the validation part, then on both together"
        return [*made.layer, *(f"{told} ({len(both):,} records): {note}" for note in notes)]

    def answers(self, made: Attempt, part: str) -> np.ndarray:
        """``(units, width)`` outputs for a part."""
        return self._outputs(made.model, made.inputs, part)

    def pace(self, strategy: str) -> Pace:
        """Time a strategy on a model that is thrown away."""
        model, plan, inputs, _ = self._built(strategy)
        lengths = self.prepared.records.lengths
        answered = float(lengths.sum() / lengths[self.prepared.split.rows("valid")].sum())
        points = getattr(plan, "points", 0)  # between two states, all of which are judged at the end
        with self.clock.stage("train"), inputs.read_by(model):
            return measure(self._lesson(inputs), model, plan, answered + points)

    def _built(self, name: str) -> tuple[Model, Strategy, Inputs, list[str]]:
        """Model, plan, what the model reads, and sentences on the layer of the backbone that is read."""
        recipe, prepared = self.recipe, self.prepared
        backbone, strategy, level, head = self._suited(name)
        backbone, mix, told = at_layer(backbone, strategy, level, prepared, self.hardware, self.clock, recipe.seed)
        model = Model(backbone, head, level, prepared.kind, mix)
        if recipe.pool == "auto":
            told = [*told, *means_told(level, backbone, prepared.records)]
        return model, strategy, Inputs.of(model, strategy, prepared, self.hardware, self.clock), told

    def _suited(self, name: str) -> tuple[Backbone, Strategy, Level, nn.Module]:
        """Backbone, plan, level and head. Raises BiograftError where they don't suit each other."""
        recipe, prepared = self.recipe, self.prepared
        torch.manual_seed(recipe.seed)
        backbone = self._backbone()
        strategy = self._strategy(name, backbone)
        check_sampling(recipe.sampling, strategy, prepared.level, prepared.kind)
        wide = getattr(strategy, "layer", "last") not in SEVERAL
        level = pooled(recipe.pool, prepared.level, backbone, prepared.records, wide=wide)
        return backbone, strategy, level, strategy.head(backbone, level, prepared.kind)

    def _backbone(self) -> Backbone:
        name = self.recipe.backbone
        if name == "auto":
            name = usual(self.prepared.records, self.prepared.level, self.recipe)[0]
        return load_backbone(name, self.prepared.records.alphabet.name)

    def _strategy(self, name: str, backbone: Backbone) -> Strategy:
        recipe = self.recipe
        if name == "auto":
            rests = backbone.pretrained or not any(True for _ in backbone.parameters())
            name = "joint" if recipe.source else "frozen" if rests else "scratch"
        if recipe.minutes is not None:  # one of several, of which those with a source get its weight
            plain = strategy_of(name)
            return strategy_of(name, recipe.options) if SOURCE in plain.streams else plain
        return _planned(recipe, name)

    def _lesson(self, inputs: Inputs, steps: int | None = None) -> Lesson:
        recipe, prepared = self.recipe, self.prepared
        training = Training() if recipe.epochs is None else Training(epochs=recipe.epochs, min_steps=1)
        train, valid = (inputs.examples(prepared, name) for name in ("train", "valid"))
        companions: dict[str, Callable[[Model], Companion]] = {
            SOURCE: lambda target: Source.of(recipe, target, self.seed),
            UNLABELLED: lambda target: Unlabelled.of(recipe, target, train),
        }
        stream = balanced_stream if recipe.sampling == "balanced" else None
        return Lesson(train, valid, self.hardware, recipe.seed, replace(training, steps=steps), companions, stream)

    def _told(self, companions: dict[str, Companion], folder: RunFolder) -> list[str]:
        """What is to be said of what was learned beside the target; sequences of the test part are looked at."""
        test, identity, notes = self.prepared.part("test")[0], self.recipe.identity, []
        for companion in companions.values():
            if isinstance(companion, Source):
                answers = companion.answers(self.hardware)
                if answers:
                    keep(folder.path / SOURCE_ANSWERS, answers)
                notes += companion.told(answers, self.prepared, identity)
            elif isinstance(companion, Unlabelled):
                notes += companion.told(test, identity)
        return notes

    def _outputs(self, model: Model, inputs: Inputs, part: str) -> np.ndarray:
        with self.clock.stage("predict") as told, inputs.read_by(model):
            return model.outputs(inputs.of_part(self.prepared, part), self.hardware, progress=told)


def check_choices(recipe: Recipe) -> None:
    """Raise BiograftError where the strategy that a recipe names doesn't fit its choices, before any table is read.

    Which one ``auto`` stands for depends on the backbone; that is found out later.
    """
    if recipe.strategy != "auto":
        _planned(recipe, recipe.strategy)


def _planned(recipe: Recipe, name: str) -> Strategy:
    """The strategy with the recipe's choices, if these and the other tables that it learns from fit it."""
    strategy = strategy_of(name, recipe.options)
    if bool(recipe.source) != (SOURCE in strategy.streams):
        raise BiograftError(
            f"Strategy '{strategy.name}' learns from {' and '.join(strategy.streams)}: got "
            f"{f'--source {recipe.source}' if recipe.source else 'no --source'}. "
            f"{'Choose --strategy joint, or leave the source out.' if recipe.source else 'Name one with --source.'}"
        )
    check_unlabelled(recipe, strategy)
    return strategy


def pooled(pool: str, level: Level, backbone: Backbone, records: Records, *, wide: bool = False) -> Level:
    """Letters of records of one length are read position by position, and so are variants of one parent; everything
    else is pooled.

    Args:
        wide: whether the vectors of a pretrained backbone may stand side by side, up to ``MOST_NUMBERS`` in all.
    """
    if not isinstance(level, SequenceLevel):
        return level
    lengths = set(records.lengths.tolist())
    one_length = len(lengths) == 1 and backbone.resolution == 1
    if pool == "positions" and not one_length:
        raise BiograftError(
            f"--pool positions needs records of one length and a vector per letter: got {len(lengths)} lengths and "
            f"backbone '{backbone.name}'. Use --pool mean."
        )
    if pool == "auto" and one_length and max(lengths) <= MOST_POSITIONS:
        numbers = int(records.lengths.sum()) * backbone.width
        apart = wide and backbone.pretrained and numbers <= MOST_NUMBERS and _variants(records)
        pool = "positions" if backbone.positional or apart else "mean"
    return SequenceLevel("positions", lengths.pop()) if pool == "positions" else level


def means_told(level: Level, backbone: Backbone, records: Records) -> list[str]:
    """A sentence where variants of one parent are read by their means, which hide where a mutation is."""
    if not isinstance(level, SequenceLevel) or level.pool == "positions" or not backbone.pretrained:
        return []
    lengths = set(records.lengths.tolist())
    if len(lengths) != 1 or backbone.resolution != 1 or max(lengths) > MOST_POSITIONS or not _variants(records):
        return []
    return [
        f"These records are variants of one parent, and backbone '{backbone.name}' gives the mean of all letters, "
        "which hides where a mutation is: position by position there would be too many numbers. Fewer records, or one "
        "layer (layer=last), are read by positions."
    ]


def _variants(records: Records) -> bool:
    """Whether records of one length are of one parent: most letters are what most records have there."""
    letters = np.frombuffer("".join(records.sequences).encode(), np.uint8).reshape(len(records), -1)
    counts = np.stack([(letters == letter).sum(axis=0) for letter in np.unique(letters)])
    return bool(counts.max(axis=0).mean() >= ALIKE * len(records))
