"""The two contracts behind every question, and the question itself.

A *unit* is what carries one label: a sequence, a residue. Levels say which units a record has; label kinds only ever
see flat arrays of units, so that any level goes with any kind.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor

from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.tasks.metrics import Predicted

__all__ = ["ABSENT", "LabelKind", "Level", "Task", "Units"]

ABSENT = ("", "nan", "NaN")  # no label, whatever its kind: empty, or as tables of pandas and numpy have it


@dataclass(frozen=True, eq=False)
class Units:
    """Raw labels laid end to end, record after record.

    Attributes:
        values: ``(units,)`` text, ``''`` where no label is given.
        counted: ``(units,)`` bool, False where a mask leaves the unit out.
        lengths: ``(records,)`` int64 units per record.
    """

    values: np.ndarray
    counted: np.ndarray
    lengths: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """``(units,)`` bool: counted and labelled, as far as that can be told without the kind of label."""
        return ~np.isin(self.values.astype(str), ABSENT) & self.counted

    @property
    def owner(self) -> np.ndarray:
        """``(units,)`` the record that each unit belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def offsets(self) -> np.ndarray:
        """``(records + 1,)``: the units of record i are ``values[offsets[i]:offsets[i + 1]]``."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def take(self, records: np.ndarray) -> "Units":
        """The units of the chosen records, in the given order."""
        offsets = self.offsets
        picked = [np.arange(offsets[record], offsets[record + 1]) for record in records]
        index = np.concatenate(picked) if picked else np.zeros(0, dtype=np.int64)
        return Units(self.values[index], self.counted[index], self.lengths[records])


class Level(ABC):
    """Where a label sits. Stateless apart from its own fields, which ``configuration`` gives back."""

    name: ClassVar[str]
    resolution: ClassVar[int | None]  # letters per vector that the level needs; None: any

    @abstractmethod
    def read(self, records: Records, label: str, masks: tuple[str, ...] = ()) -> Units:
        """The labels of a column as units. Raises BiograftError naming the place of a label that doesn't fit."""

    @abstractmethod
    def count(self, lengths: np.ndarray) -> np.ndarray:
        """``(rows,)`` letters per row -> ``(rows,)`` units per row: what a batch must budget for."""

    @abstractmethod
    def readout(self, vectors: Packed) -> Tensor:
        """Vectors per position -> ``(units, features)``, in the order of :meth:`read`."""

    @abstractmethod
    def features(self, width: int) -> int:
        """Width of a unit's features, given the width of a vector."""

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """JSON-able fields; ``type(self)(**configuration)`` is an equal level."""


class LabelKind(ABC):
    """What a label is. Holds only constants learned from the training part."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers per unit that a head must give."""

    @property
    @abstractmethod
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that describe an answer; the first one selects models."""

    @classmethod
    @abstractmethod
    def learn(cls, values: np.ndarray, label: str) -> Self:
        """Constants from the labels of the training part, ``(units,)`` text without missing ones.

        Raises BiograftError where nothing can be learned: one class only, a constant target, text that is no number.
        """

    @classmethod
    @abstractmethod
    def given(cls, values: np.ndarray) -> np.ndarray:
        """``(units,)`` text -> ``(units,)`` bool: is it a label of this kind, or the mark of a missing one?"""

    @abstractmethod
    def encode(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(units,)`` text -> targets ``(units,)`` as the loss wants them, and ``(units,)`` bool: is there a label?"""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """``(units, width)`` and ``(units,)`` -> ``(units,)`` unreduced."""

    @abstractmethod
    def decode(self, outputs: np.ndarray) -> Predicted:
        """``(units, width)`` outputs of a head -> predictions in the user's classes or units."""

    @abstractmethod
    def truth(self, targets: np.ndarray) -> np.ndarray:
        """Encoded targets -> what metrics compare with: codes, or values in the user's units."""

    @abstractmethod
    def constant(self, targets: np.ndarray) -> np.ndarray:
        """``(width,)`` outputs of the best guess that ignores the sequence (class frequencies, mean)."""

    @abstractmethod
    def strata(self, targets: np.ndarray) -> np.ndarray:
        """``(units,)`` small integers that splits should keep in balance: classes, or fifths of a range of values."""

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """JSON-able fields; ``type(self)(**configuration)`` is an equal kind."""


@dataclass(frozen=True)
class Task:
    """What is asked of a table: a label column, the level it sits on, what kind of label it is, which residues count.

    Attributes:
        label: name of the label column.
        level: ``sequence``, ``residue`` or ``auto`` (seen from the labels).
        kind: ``classification``, ``regression`` or ``auto``.
        masks: names of columns of 0 and 1 per residue; a residue counts where all of them are 1.
    """

    label: str
    level: str = "auto"
    kind: str = "auto"
    masks: tuple[str, ...] = ()
