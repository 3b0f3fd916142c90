"""Predictions as the tables that users get: one row per record, in the order of the input."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biograft.tasks.metrics import Predicted

__all__ = ["Predictions"]

MOST_PROBABILITY_COLUMNS = 50


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers for records.

    Attributes:
        ids: of the records, in input order.
        units: ``(records,)`` predictions per record: 1, or the number of residues.
        predicted: classes with probabilities, or values in the user's units, unit after unit.
        classes: names of the classes; empty for values.
        nearest: id of the nearest training record, '' where none is near.
        identity: ``(records,)`` identity to it, 0 to 1.
        half_width: of the interval around a value; None where it isn't known.
        per_residue: True if there is one prediction per letter.
    """

    ids: list[str]
    units: np.ndarray
    predicted: Predicted
    classes: tuple[str, ...]
    nearest: list[str]
    identity: np.ndarray
    half_width: float | None = None
    per_residue: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def labels(self) -> list[str]:
        """The prediction of each unit as text."""
        if self.predicted.codes is not None:
            return [self.classes[code] for code in self.predicted.codes.tolist()]
        assert self.predicted.values is not None
        return [f"{value:.6g}" for value in self.predicted.values.tolist()]

    @property
    def alone(self) -> int:
        """Records without a near training record."""
        return sum(not name for name in self.nearest)

    def table(self, truth: Sequence[str] | None = None) -> dict[str, Sequence[object]]:
        """Columns as the design fixes them; ``truth`` adds the true labels, one text per record."""
        columns: dict[str, Sequence[object]] = {"id": self.ids}
        if truth is not None:
            columns["truth"] = list(truth)
        columns |= self._per_residue() if self.per_residue else self._per_record()
        columns["nearest"] = self.nearest
        # Cut, not rounded: 1.000 means a copy and nothing less.
        thousandths = np.floor(self.identity * 1000 + 1e-9) / 1000
        columns["nearest_identity"] = [f"{identity:.3f}" if identity else "" for identity in thousandths.tolist()]
        return columns

    def _per_record(self) -> dict[str, Sequence[object]]:
        columns: dict[str, Sequence[object]] = {"prediction": self.labels()}
        scores, values = self.predicted.scores, self.predicted.values
        if scores is not None and len(self.classes) <= MOST_PROBABILITY_COLUMNS:
            for name, column in zip(self.classes, scores.T, strict=True):
                columns[f"p:{name}"] = [f"{score:.4f}" for score in column.tolist()]
        elif scores is not None:
            columns["probability"] = [f"{score:.4f}" for score in scores.max(axis=1).tolist()]
        elif values is not None:
            for name, side in (("low", -1.0), ("high", 1.0)):
                shift = self.half_width
                columns[name] = ["" if shift is None else f"{value + side * shift:.6g}" for value in values.tolist()]
        return columns

    def _per_residue(self) -> dict[str, Sequence[object]]:
        labels = np.array(self.labels(), dtype=object)
        joint = "" if self.classes and all(len(name) == 1 for name in self.classes) else " "
        columns: dict[str, Sequence[object]] = {
            "prediction": [joint.join(part.tolist()) for part in self._parts(labels)]
        }
        if self.predicted.scores is not None:
            digits = np.minimum(9, self.predicted.scores.max(axis=1) * 10).astype(int).astype(str)
            columns["confidence"] = ["".join(part.tolist()) for part in self._parts(digits)]
        return columns

    def _parts(self, flat: np.ndarray) -> list[np.ndarray]:
        """Units end to end, cut into those of each record."""
        ends = np.cumsum(self.units)
        return [flat[end - size : end] for end, size in zip(ends.tolist(), self.units.tolist(), strict=True)]

    def save_probabilities(self, path: Path | str) -> None:
        """All as ``.npz``: ``ids``, ``classes``, ``starts`` (records,), ``probabilities`` (units, classes)."""
        starts = np.cumsum(self.units) - self.units
        scores = self.predicted.scores if self.predicted.scores is not None else np.zeros((0, 0))
        with Path(path).open("wb") as stream:
            np.savez_compressed(
                stream, ids=np.array(self.ids), classes=np.array(self.classes), starts=starts, probabilities=scores
            )
