"""From a table to parts that can be learned from: labels read, records parted, constants learned on training alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from biograft.data import split as splitting
from biograft.data.kept_families import kept_families
from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.progress import Progress
from biograft.tasks.classification import UNSEEN, some
from biograft.tasks.detection import find_kind, find_level
from biograft.tasks.regression import MARKS, numbers
from biograft.tasks.task import LabelKind, Level, Task, Units

__all__ = ["Prepared", "balance", "check_numbers", "learnable", "part_records", "parted_again", "prepare"]

FEWEST_LABELS = 5  # of a class: one for each inner fold on which heads choose their penalty


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table whose parts are settled.

    Attributes:
        records: all labelled records.
        units: their labels, raw.
        level: where labels sit.
        kind: what they are; its constants come from the training part only.
        split: parts and families of the records.
        counts: records left out and why, by name.
        notes: sentences for the report.
    """

    records: Records
    units: Units
    level: Level
    kind: LabelKind
    split: Split
    counts: dict[str, int]
    notes: list[str] = field(default_factory=list)

    def part(self, *names: str) -> tuple[Records, Units, np.ndarray]:
        """Records, units and families of a part, or of several together."""
        rows = self.split.rows(*names)
        return self.records.take(rows), self.units.take(rows), self.split.families[rows]


def learnable(kind: LabelKind, targets: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """``(units,)`` bool: counted, and no class that the training part lacks; a validation part may hold such."""
    return counted & (targets != UNSEEN) if kind.name == "classification" else counted


def _rows_with(units: Units, known: np.ndarray) -> np.ndarray:
    """Records that have at least one known unit."""
    return np.flatnonzero(np.bincount(units.owner[known], minlength=len(units.lengths)) > 0)


def part_records(
    records: Records,
    how: str = "auto",
    *,
    identity: float = 0.4,
    strata: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Split:
    """Part records: by homology, at random, or as a column says.

    Args:
        how: ``homology``, ``random``, ``column:NAME``, or ``auto``: the column ``set`` if there is one, else homology.
        identity: families hold everything that is connected by alignments of this identity or more, 0 to 1.
        strata: ``(records,)`` int classes to keep in balance; None for none.

    Raises:
        BiograftError: for another ``how``, or where no such split is possible.
    """
    if not 0 < identity <= 1:
        raise BiograftError(f"--identity is a share: got {identity:g}, expected above 0 and at most 1, such as 0.4.")
    if how == "auto":
        how = "column:set" if "set" in records.columns else "homology"
    if re.fullmatch("[0-9a-f]{16}", how):
        raise BiograftError(
            f"The parts of that run were made before it: got their fingerprint {how}, expected homology, random or "
            "column:NAME. Join the column set of its split.tsv to the table and choose --split column:set."
        )
    if how not in ("homology", "random") and not how.startswith("column:"):
        raise BiograftError(
            f"Unknown split: got '{how}', expected homology, random or column:NAME. Choose one of them."
        )
    found = kept_families(records.sequences, records.alphabet, identity, progress=progress)
    if how == "homology":
        parts = splitting.by_family(found.labels, strata, seed=seed)
    elif how == "random":
        parts = splitting.random(len(records), strata, seed=seed)
    else:
        name = how.removeprefix("column:")
        parts = splitting.by_column(records.column(name), found.labels, strata, seed=seed, column=name)
    return Split(parts, found.labels, how, found.program)


def prepare(
    records: Records, task: Task, *, how: str | Split = "auto", identity: float = 0.4, train_limit: int | None = None,
    seed: int = 0, needed: Sequence[str] = ("train", "test"), progress: Progress | None = None,
) -> Prepared:  # fmt: skip
    """Settle level, kind and parts of a table; the ``needed`` parts must hold labelled records.

    Raises BiograftError where labels don't fit, nothing can be learned, or no split is possible.
    """
    level = find_level(task, records)
    units = level.read(records, task.label, task.masks)
    rows = _rows_with(units, units.known)
    if len(rows) == 0:
        raise BiograftError(
            f"Column '{task.label}' holds no label: all {len(records)} values are empty"
            f"{' or masked out' if task.masks else ''}. Check --label{' and --mask' if task.masks else ''}."
        )
    total = len(records)
    if isinstance(how, Split):
        split = _taken(how, rows)
        records, units = records.take(rows), units.take(rows)
    else:
        records, units = records.take(rows), units.take(rows)
        by_column = how.startswith("column:") or (how == "auto" and "set" in records.columns)
        strata = None if by_column else _strata(task, records, units)
        try:
            split = part_records(records, how, identity=identity, strata=strata, seed=seed, progress=progress)
        except BiograftError as fault:
            left = (
                f" {total - len(rows)} rows without a label in '{task.label}' don't count." if total > len(rows) else ""
            )
            raise BiograftError(f"{fault}{left}") from None
    _check_parts(split, needed)
    kind_type = find_kind(task, units.take(split.rows("train")))
    if kind_type.name == "regression":
        check_numbers(records, units, task.label)
    rows = _rows_with(units, kind_type.given(units.values) & units.counted)
    if len(rows) < len(records):  # such as NA, which is no number but could have been a class
        records, units, split = records.take(rows), units.take(rows), _taken(split, rows)
        _check_parts(split, needed)
    counts = {"unlabelled": total - len(records), "unused": int((split.parts == "").sum())}
    if train_limit is not None:
        split = _limited(split, train_limit, seed, counts)
    train = split.rows("train")
    learned = units.take(train)
    try:
        kind = kind_type.learn(learned.values[kind_type.given(learned.values) & learned.counted], task.label)
    except BiograftError as fault:
        few = (
            "" if train_limit is None else f" Or raise --train-limit: it left {len(learned.lengths)} training records."
        )
        raise BiograftError(f"{fault}{few}") from None
    return Prepared(records, units, level, kind, split, counts, _notes(kind, learned, split.families[train]))


def _taken(split: Split, rows: np.ndarray) -> Split:
    return Split(split.parts[rows], split.families[rows], split.how, split.program)


def _check_parts(split: Split, needed: Sequence[str]) -> None:
    for name in needed:
        if len(split.rows(name)) == 0:
            raise BiograftError(
                f"The {name} part is empty: no labelled record is in it. Check the column of --split and --label."
            )


def check_numbers(records: Records, units: Units, label: str) -> None:
    """Name the place of the first label that is no number; what the numbers are is not looked at."""
    try:
        numbers(units.values)
    except BiograftError as fault:
        for value, row in zip(units.values.tolist(), units.owner.tolist(), strict=True):
            try:
                numbers(np.array([value], dtype=object))
            except BiograftError:
                raise BiograftError(f"{fault} (column '{label}', {records.where(row)})") from None
        raise


def _strata(task: Task, records: Records, units: Units) -> np.ndarray | None:
    """Classes, or fifths of a number, to keep in balance; none for labels per residue."""
    if len(units.values) != len(records):
        return None
    kind_type = find_kind(task, units)
    if kind_type.name == "regression":
        check_numbers(records, units, task.label)
    given = kind_type.given(units.values) & units.counted
    kind = kind_type.learn(units.values[given], task.label)
    return kind.strata(kind.encode(units.values)[0])


def parted_again(prepared: Prepared, seed: int) -> Split:
    """Parts of the same records, drawn with another seed; families are those that were found.

    Raises BiograftError where no such split is possible.
    """
    units, split = prepared.units, prepared.split
    strata = None
    if len(units.values) == len(prepared.records):
        strata = prepared.kind.strata(prepared.kind.encode(units.values)[0])
    if split.how == "random":
        parts = splitting.random(len(prepared.records), strata, seed=seed)
    else:
        parts = splitting.by_family(split.families, strata, seed=seed)
    return replace(split, parts=parts)


def balance(records: Records, label: str) -> np.ndarray | None:
    """``(records,)`` int strata of a label column, for splits: classes, fifths of numbers, -1 without label."""
    task = Task(label)
    units = find_level(task, records).read(records, label)
    return _strata(task, records, units)


def _limited(split: Split, limit: int, seed: int, counts: dict[str, int]) -> Split:
    """Keep so many training records, drawn at random; the others are unused."""
    train = split.rows("train")
    if limit < 2:
        raise BiograftError(
            f"--train-limit is a number of records: got {limit}, expected 2 or more. Leave it out to learn from all."
        )
    dropped = np.random.default_rng(seed).permutation(train)[limit:]
    counts["beyond_limit"] = len(dropped)
    parts = split.parts.copy()
    parts[dropped] = ""
    return Split(parts, split.families, split.how, split.program)


def _notes(kind: LabelKind, train: Units, families: np.ndarray) -> list[str]:
    """What a reader should know about the classes: those that are rare, of one family, or may be none."""
    classes: tuple[str, ...] = getattr(kind, "classes", ())
    if not classes:
        return []
    codes, known = kind.encode(train.values)
    counted = known & train.counted & (codes >= 0)
    sizes = np.bincount(codes[counted], minlength=len(classes))
    held = np.unique(np.stack([codes[counted], families[train.owner[counted]]]), axis=1)
    spread = np.bincount(held[0], minlength=len(classes))
    few = [name for name, size in zip(classes, sizes.tolist(), strict=True) if size < FEWEST_LABELS]
    single = [name for name, size, count in zip(classes, sizes.tolist(), spread.tolist(), strict=True)
              if count == 1 and size >= FEWEST_LABELS]  # fmt: skip
    doubtful = [name for name in classes if name.lower() in MARKS]
    notes = []
    if few:
        notes.append(
            f"Classes with fewer than {FEWEST_LABELS} training labels: {len(few)} ({some(few)}), too few for one in "
            "each inner fold. Their numbers mean little: add labels, or join them to other classes."
        )
    if single and len(np.unique(families)) > 1:
        notes.append(
            f"Classes whose training labels are all of one family: {len(single)} ({some(single)}). The model may learn "
            "the family instead of the class: add records of other families."
        )
    if doubtful:
        notes.append(
            f"Taken as a class: '{doubtful[0]}'. Where it stands for a missing label, leave the field empty instead."
        )
    return notes
