"""What a label column holds when the user leaves it to us: level and kind, seen from the labels."""

import numpy as np

from biograft.catalog import names, resolve
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.tasks.classification import MISSING
from biograft.tasks.levels import looks_like_residues
from biograft.tasks.regression import numbers
from biograft.tasks.task import LabelKind, Level, Task, Units

__all__ = ["find_kind", "find_level"]


def find_level(task: Task, records: Records) -> Level:
    """The level asked for, or the one that fits the labels of these records."""
    name = task.level
    if name == "auto":
        name = "residue" if task.masks or looks_like_residues(records, task.label) else "sequence"
    return resolve("levels", name)()


def find_kind(task: Task, units: Units) -> type[LabelKind]:
    """The label kind asked for, or the one that fits: numbers are a regression unless they look like class codes."""
    if task.kind != "auto":
        return resolve("label_kinds", task.kind)
    values = np.unique(units.values.astype(str))
    present = [text for text in values.tolist() if text.strip() not in MISSING]
    if present and sum(";" in text for text in present) > len(present) / 10:
        raise BiograftError(
            f"Column '{task.label}' holds several labels per unit, separated by ';': got '{present[0]}'. "
            f"The label kinds are {', '.join(names('label_kinds'))}: choose one label per unit, or ask with "
            "--task classification to take each combination as a class of its own."
        )
    try:
        known, given = numbers(np.array(present, dtype=object))
    except BiograftError:
        return resolve("label_kinds", "classification")
    written = np.array(present, dtype=object)[given].tolist()
    kind = "classification" if _codes(known[given], written, len(units.values)) else "regression"
    return resolve("label_kinds", kind)


def _codes(distinct: np.ndarray, written: list[str], units: int) -> bool:
    """Whole numbers, written without a point, that are few, or that count up from 0 or 1: codes of classes."""
    if len(distinct) == 0 or not all(text.strip().lstrip("+-").isdigit() for text in written):
        return False
    if len(distinct) <= 20:
        return True
    counted_up = distinct.min() in (0, 1) and np.ptp(distinct) + 1 <= 1.2 * len(distinct)
    return bool(counted_up and len(distinct) <= units / 3)
