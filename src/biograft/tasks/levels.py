"""Where a label sits: on the whole sequence or on each residue.

The trap: residue labels belong to the letters as they stood in the file, before gaps were removed.
"""

import re
from collections.abc import Sequence as Rows
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.tasks.task import Level, Units

__all__ = ["Residue", "Sequence", "looks_like_residues"]

_NUMBER = re.compile(r"[+-][0-9]+|[+-]?([0-9]+[.,][0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?")  # with a sign or a point


@dataclass(frozen=True)
class Sequence(Level):
    """One label per record.

    Attributes:
        pool: ``mean`` of the vectors, or ``positions``: all vectors side by side, for records of one length.
        length: with ``positions``, the number of vectors that every record has.
    """

    name: ClassVar[str] = "sequence"
    resolution: ClassVar[int | None] = None
    pool: str = "mean"
    length: int | None = None

    def read(self, records: Records, label: str, masks: tuple[str, ...] = ()) -> Units:
        """One unit per record; masks of residues have no meaning here and are refused."""
        if masks:
            raise BiograftError(
                f"A mask says which residues count: got {', '.join(masks)} for a label per sequence. "
                "Leave --mask out, or ask with --level residue."
            )
        values = np.array([text.strip() for text in records.column(label)], dtype=object)
        size = np.ones(len(records), dtype=np.int64)
        return Units(values, np.ones(len(records), dtype=bool), size)

    def count(self, lengths: np.ndarray) -> np.ndarray:
        """One unit per row."""
        return np.ones_like(lengths)

    def readout(self, vectors: Packed) -> Tensor:
        """``(rows, width)`` means, or ``(rows, length * width)`` all positions of rows of one length."""
        if self.pool == "mean":
            return vectors.mean()
        lengths = set(vectors.lengths.tolist())
        if lengths != {self.length}:
            raise BiograftError(
                f"This model reads its sequences position by position: got lengths {sorted(lengths)[:5]}, "
                f"expected {self.length}. Give sequences of that length, or fit with --pool mean."
            )
        return vectors.values.reshape(len(vectors), -1)

    def features(self, width: int) -> int:
        """``width``, times ``length`` where positions stand side by side."""
        return width * (self.length or 1)

    def configuration(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


@dataclass(frozen=True)
class Residue(Level):
    """One label per letter of the sequence."""

    name: ClassVar[str] = "residue"
    resolution: ClassVar[int | None] = 1

    def read(self, records: Records, label: str, masks: tuple[str, ...] = ()) -> Units:
        """Labels as a string of one letter per residue, or values separated by spaces; masks as strings of 0 and 1."""
        rows = [_residues(records, row, label, text) for row, text in enumerate(records.column(label))]
        counted = np.ones(sum(map(len, rows)), dtype=bool)
        for mask in masks:
            marks = [_residues(records, row, mask, text) for row, text in enumerate(records.column(mask))]
            counted &= _flags(records, mask, marks)
        return Units(np.concatenate(rows), counted, np.array([len(row) for row in rows], dtype=np.int64))

    def count(self, lengths: np.ndarray) -> np.ndarray:
        """One unit per letter."""
        return lengths

    def readout(self, vectors: Packed) -> Tensor:
        """``(tokens, width)`` as they are."""
        return vectors.values

    def features(self, width: int) -> int:
        """``width``."""
        return width

    def configuration(self) -> dict[str, Any]:
        """No fields."""
        return {}


def _split(text: str, raw_length: int) -> np.ndarray:
    """Labels of one record: by spaces where there are any (or where only one value is due), else letter by letter."""
    stripped = text.strip()
    if " " in stripped or (raw_length == 1 and len(stripped) > 1):
        return np.array(stripped.split(), dtype=object)
    return np.array(list(stripped), dtype=object)


def _residues(records: Records, row: int, column: str, text: str) -> np.ndarray:
    """``(letters,)`` labels of the letters that cleaning kept; a record without any label gives ``''`` for each."""
    length = len(records.sequences[row])
    kept = records.kept.get(row)
    raw_length = length if kept is None else len(kept)
    if not text.strip():
        return np.full(length, "", dtype=object)
    labels = _split(text, raw_length)
    if kept is not None and len(labels) == raw_length:
        return labels[kept]
    if len(labels) != length:
        raise BiograftError(
            f"Residue labels don't fit the sequence: got {len(labels)} in column '{column}', expected {length} "
            f"({records.where(row)}). Give one label per letter, or values separated by spaces."
        )
    return labels


def _flags(records: Records, mask: str, marks: Rows[np.ndarray]) -> np.ndarray:
    flat = np.concatenate(marks)
    wrong = ~np.isin(flat, np.array(["0", "1", ""], dtype=object))
    if wrong.any():
        row = int(np.repeat(np.arange(len(marks)), [len(mark) for mark in marks])[wrong.argmax()])
        raise BiograftError(
            f"A mask is written with 0 and 1: got '{flat[wrong.argmax()]}' in column '{mask}' ({records.where(row)}). "
            "Give 1 for residues that count and 0 for the others."
        )
    return flat == "1"


def looks_like_residues(records: Records, label: str) -> bool:
    """True if most labelled records have as many labels as letters (and are longer than one letter).

    "2.25" of a peptide of four letters is one number; "0110" may be a digit per letter.
    """
    fits, labelled = 0, 0
    for row, text in enumerate(records.column(label)):
        length = len(records.kept[row]) if row in records.kept else len(records.sequences[row])
        if text.strip() and length > 1:
            labelled += 1
            one_number = _NUMBER.fullmatch(text.strip()) is not None
            fits += not one_number and len(_split(text, length)) in (length, len(records.sequences[row]))
    return fits > labelled / 2
