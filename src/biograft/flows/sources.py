"""Labelled tables that are learned beside something else; a test part, where they have one, is never looked at."""

from dataclasses import dataclass

import numpy as np

from biograft.backbones.backbone import Backbone
from biograft.data.alphabet import Alphabet
from biograft.data.examples import Examples
from biograft.data.readers import read
from biograft.data.records import Records
from biograft.data.split import Split, by_column
from biograft.flows.prepare import Prepared, part_records, prepare
from biograft.tasks.task import Task

__all__ = ["Choice", "examples", "load_source"]


@dataclass(frozen=True)
class Choice:
    """Which table, which column of it, and which residues count (columns of 0 and 1)."""

    table: str
    label: str
    masks: tuple[str, ...] = ()


def load_source(
    choice: Choice, alphabet: Alphabet, *, unknown: str | None = None, identity: float = 0.4, seed: int = 0
) -> Prepared:
    """Read a source and part it into train and valid. Raises BiograftError where it can't be learned from."""
    records = read(choice.table, alphabet=alphabet, unknown=unknown)
    task = Task(choice.label, masks=choice.masks)
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
