"""What a label column holds when the user leaves it to us: level and kind, seen from the labels."""

import re

import numpy as np

from biograft.catalog import names, resolve
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.tasks.levels import looks_like_residues
from biograft.tasks.task import ABSENT, LabelKind, Level, Task, Units

__all__ = ["find_kind", "find_level"]

MOST_CLASSES = 20  # so many different texts may pass for classes without a look at how often they repeat
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")  # also with a decimal comma


def find_level(task: Task, records: Records) -> Level:
    """The level asked for, or the one that fits the labels of these records."""
    name = task.level
    if name == "auto":
        name = "residue" if task.masks or looks_like_residues(records, task.label) else "sequence"
    return resolve("levels", name)()


def find_kind(task: Task, units: Units) -> type[LabelKind]:
    """The label kind asked for, or the one that fits the labels.

    Numbers are a regression unless they look like class codes; so are labels most of which are numbers, for then the
    others are faults to name, not classes. Raises BiograftError for several labels per unit, and for texts that hardly
    ever repeat.
    """
    if task.kind != "auto":
        return resolve("label_kinds", task.kind)
    present = [text for text in np.unique(units.values.astype(str)).tolist() if text not in ABSENT]
    several = [text for text in present if ";" in text]
    if len(several) > len(present) / 10:
        raise BiograftError(
            f"Column '{task.label}' holds several labels per unit, separated by ';': got '{several[0]}'. "
            f"The label kinds are {', '.join(names('label_kinds'))}: choose one label per unit, or ask with "
            "--task classification to take each combination as a class of its own."
        )
    numeric = [text for text in present if _NUMBER.fullmatch(text.strip())]
    if len(numeric) > len(present) / 2 and not _codes(numeric, len(units.values)):
        return resolve("label_kinds", "regression")
    if len(present) > MOST_CLASSES and len(present) > int(units.known.sum()) / 2:
        raise BiograftError(
            f"Column '{task.label}' holds {len(present)} different texts for {int(units.known.sum())} labels, such as "
            f"'{present[0][:40]}': that is a name or a note, not a class. Check --label; for labels of residues add "
            "--level residue, and for classes that are so rare --task classification."
        )
    return resolve("label_kinds", "classification")


def _codes(written: list[str], units: int) -> bool:
    """Whole numbers, written without a point, that are few, or that count up from 0 or 1: codes of classes."""
    if not all(_WHOLE.fullmatch(text.strip()) for text in written):
        return False
    distinct = {int(text) for text in written}
    if len(distinct) <= MOST_CLASSES:
        return True
    counted_up = min(distinct) in (0, 1) and max(distinct) - min(distinct) + 1 <= 1.2 * len(distinct)
    return counted_up and len(distinct) <= units / 3
