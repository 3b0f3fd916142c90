"""Labelled tables that are learned beside something else; a test part, where they have one, is never looked at."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from biograft.backbones.backbone import Backbone
from biograft.data.alphabet import Alphabet
from biograft.data.examples import Examples, ExampleStream
from biograft.data.nearest import nearest
from biograft.data.readers import read_for
from biograft.data.records import Records
from biograft.data.split import Split, by_column
from biograft.evaluation.intervals import bootstrap, finite
from biograft.flows.answers import predicted
from biograft.flows.assess import DRAWS
from biograft.flows.prepare import Prepared, part_records, prepare
from biograft.flows.recipe import SCHEDULES, Recipe
from biograft.hardware import Hardware
from biograft.model import LinearHead, Model
from biograft.tasks.metrics import METRICS
from biograft.tasks.task import Task

__all__ = ["SOURCE", "Choice", "Source", "examples", "load_source", "retained"]

SOURCE = "source"


@dataclass(frozen=True)
class Choice:
    """Which table, which column of it, which residues count (columns of 0 and 1), and what its labels are."""

    table: str
    label: str
    masks: tuple[str, ...] = ()
    kind: str = "auto"


def load_source(
    choice: Choice, alphabet: Alphabet, *, unknown: str | None = None, identity: float = 0.4, seed: int = 0
) -> Prepared:
    """Read a source and part it into train and valid. Raises BiograftError where it can't be learned from."""
    records = read_for(alphabet, choice.table, unknown=unknown)
    task = Task(choice.label, kind=choice.kind, masks=choice.masks)
    return prepare(records, task, how=_parts(records, identity, seed), needed=("train",), seed=seed)


def _parts(records: Records, identity: float, seed: int) -> Split:
    """As the column ``set`` says, else by family."""
    if "set" not in records.columns:
        return part_records(records, "homology", identity=identity, seed=seed)
    parts = by_column(records.column("set"), seed=seed, needed=("train",))
    parts[parts == "test"] = ""
    return Split(parts, np.arange(len(records)), "column:set", "")


def examples(prepared: Prepared, part: str, backbone: Backbone, letters: int | None = None) -> Examples:
    """A part of a table as a backbone reads it; ``letters`` bounds it to its first records of so many in all."""
    records, units, families = prepared.part(part)
    if letters is not None and len(records):
        first = np.arange(max(1, int(np.searchsorted(np.cumsum(records.lengths), letters))))
        records, units, families = records.take(first), units.take(first), families[first]
    targets, known = prepared.kind.encode(units.values)
    rows = [backbone.encode(sequence) for sequence in records.sequences]
    return Examples(rows, targets, known & units.counted, units.lengths, families)


@dataclass(frozen=True, eq=False)
class Source:
    """A source of a joint run.

    Attributes:
        prepared: the table and its parts.
        model: its head on the target's backbone; the target's own head where both ask for the same classes.
        label: name of the label column.
        left_out: λ is infinite: it is asked at the end, and was not learned.
    """

    prepared: Prepared
    model: Model
    label: str
    left_out: bool = False

    @classmethod
    def of(cls, recipe: Recipe, target: Model, seed: int) -> "Source":
        """Read the source of a recipe; ``seed`` of its parts. Draws no random numbers of the caller's."""
        choice = Choice(recipe.source, recipe.source_label, recipe.source_mask, recipe.source_task or "auto")
        backbone = target.backbone
        prepared = load_source(choice, backbone.alphabet, unknown=recipe.unknown, identity=recipe.identity, seed=seed)
        level, kind = prepared.level, prepared.kind
        left_out = recipe.lambda_ not in ("", *SCHEDULES) and math.isinf(float(recipe.lambda_))
        if kind.name == "classification" and (level, kind) == (target.level, target.kind):
            return cls(prepared, Model(backbone, target.head, level, kind), recipe.source_label, left_out)
        with torch.random.fork_rng():
            head = LinearHead(level, backbone.width, kind.width)
        return cls(prepared, Model(backbone, head, level, kind), recipe.source_label, left_out)

    def stream(self, budget: int, seed: int) -> ExampleStream:
        """Batches of the training part."""
        return ExampleStream(examples(self.prepared, "train", self.model.backbone), budget, seed)

    def answers(self, hardware: Hardware) -> dict[str, np.ndarray]:
        """What is left of the source: its ``metric``; ``truth``, ``answer``, ``family`` of its validation units."""
        valid, kind = examples(self.prepared, "valid", self.model.backbone), self.prepared.kind
        if not len(valid):
            return {}
        found = kind.decode(self.model.outputs(valid.rows, hardware)[valid.counted])
        answer = found.values if found.codes is None else found.codes
        assert answer is not None
        families = np.repeat(valid.families, valid.units)[valid.counted]
        truth, metric = kind.truth(valid.targets[valid.counted]), np.array(kind.metrics[0])
        return {"truth": truth, "answer": answer, "family": families, "metric": metric}

    def told(self, answers: Mapping[str, np.ndarray], target: Prepared, identity: float) -> list[str]:
        """For the report: what is left of the source at the end, and what both tables share, either way.

        No label of the target's test part is looked at.
        """
        train, valid = self.prepared.part("train")[0], self.prepared.part("valid")[0]
        text = f"Learned together with the source '{self.label}' ({len(train):,} training records)"
        if self.left_out:
            text = f"The source '{self.label}' was left out, for λ is infinite"
        if answers:
            metric = METRICS[str(answers["metric"])]
            found = metric(answers["truth"], predicted(metric, answers["answer"]))
            text += f"; at the end, {metric.name} of its validation part is {found:.3f}"
        notes = [f"{text}.", _shared(target.part("test")[0], "test records", train, "a record of the source", identity)]
        if answers:
            own = "validation records of the source"
            notes.append(_shared(valid, own, target.part("train")[0], "a training record of the target", identity))
        return notes


def retained(answers: Mapping[str, np.ndarray], label: str, seed: int) -> dict[str, Any]:
    """For ``report.json``: how well the source is still answered for, with an interval over its families."""
    metric = METRICS[str(answers["metric"])]
    answer = predicted(metric, answers["answer"])
    found = bootstrap([metric], answers["truth"], answer, answers["family"], DRAWS, seed)[metric.name]
    values = finite({"value": found.value, "low": found.low, "high": found.high})
    return {"label": label, "part": "validation", "metric": metric.name, **values}


def _shared(asked: Records, what: str, known: Records, whose: str, identity: float) -> str:
    near = nearest(asked.sequences, known.sequences, asked.alphabet).identity
    return (
        f"{(near >= identity).sum():,} of the {len(asked):,} {what} are {100 * identity:g} % or more alike to {whose}, "
        f"{(near >= 1).sum():,} are copies."
    )
