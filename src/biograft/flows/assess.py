"""Answers held against the truth: metrics with intervals over families, per-class numbers, the verdict.

Reads true labels of the part it is given and of no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from biograft.data.kept_families import kept_families
from biograft.data.records import Records
from biograft.evaluation.intervals import Interval, bootstrap, class_bounds, finite
from biograft.evaluation.report import Figures
from biograft.evaluation.verdict import Verdict, paired, verdict
from biograft.tasks.classification import some
from biograft.tasks.metrics import METRICS, Predicted, confusion, per_class
from biograft.tasks.task import LabelKind, Level, Units

__all__ = ["DRAWS", "FEWEST_FAMILIES", "Examination", "examine"]

DRAWS = 1000
ONE_ERROR = 0.6827  # level of an interval that reaches one standard error to either side
FEWEST_FAMILIES = 6
MOST_BOUNDED = 60  # classes whose numbers get intervals


@dataclass(frozen=True, eq=False)
class Examination:
    """A part of a table, ready to hold answers against.

    Attributes:
        records: of the part.
        kind: decodes outputs.
        targets: ``(units that count,)`` encoded truth.
        values: ``(units that count,)`` the labels as they were written.
        counted: ``(units,)`` bool.
        groups: ``(units that count,)`` what is resampled together: families, or records where families are too few.
        note: what was resampled, if not families.
        seed: of the draws.
    """

    records: Records
    kind: LabelKind
    targets: np.ndarray
    values: np.ndarray
    counted: np.ndarray
    groups: np.ndarray
    note: str
    seed: int

    def predicted(self, outputs: np.ndarray) -> Predicted:
        """Outputs ``(units, width)`` -> predictions for the units that count."""
        return self.kind.decode(outputs[self.counted])

    @property
    def truth(self) -> np.ndarray:
        """``(units that count,)`` codes or values."""
        return self.kind.truth(self.targets)

    @property
    def resampled(self) -> str:
        """What the draws of intervals take together."""
        return "records" if self.note else "families"

    @property
    def unseen(self) -> int:
        """Units of a class that training never had: no answer can be right."""
        return int((self.targets == -1).sum()) if self.kind.name == "classification" else 0

    def measure(self, outputs: np.ndarray, names: tuple[str, ...] | None = None) -> dict[str, Interval]:
        """Metrics of the kind (or those named) over the whole part, each with its interval."""
        chosen = [METRICS[name] for name in names or self.kind.metrics]
        return bootstrap(chosen, self.truth, self.predicted(outputs), self.groups, DRAWS, self.seed)

    def value(self, outputs: np.ndarray) -> float:
        """The metric that selects, signed so that more is better; -inf where it is undefined."""
        metric = METRICS[self.kind.metrics[0]]
        value = metric(self.truth, self.predicted(outputs), None)
        signed = value if metric.greater_is_better else -value
        return float(signed) if np.isfinite(signed) else -np.inf

    def gain(self, outputs: np.ndarray, rival: np.ndarray) -> Interval:
        """How much better the first answer is than its rival; half the interval's width is one standard error."""
        metric = METRICS[self.kind.metrics[0]]
        ours, theirs = self.predicted(outputs), self.predicted(rival)
        return paired(metric, self.truth, ours, theirs, self.groups, DRAWS, self.seed, ONE_ERROR)

    def against(self, outputs: np.ndarray, rival: np.ndarray, name: str) -> Verdict:
        """Did the first answer better than its rival?"""
        metric = METRICS[self.kind.metrics[0]]
        difference = paired(
            metric, self.truth, self.predicted(outputs), self.predicted(rival), self.groups, DRAWS, self.seed
        )
        return verdict(difference, name, metric)

    def classes(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Precision, recall, F1, support of each class, and intervals where classes are few; empty for values."""
        names = getattr(self.kind, "classes", ())
        if not names:
            return []
        predicted = self.predicted(outputs)
        table = per_class(self.truth, predicted, None, len(names))
        rows: list[dict[str, Any]] = [
            finite({
                "class": name,
                "support": int(table.support[code]),
                "precision": float(table.precision[code]),
                "recall": float(table.recall[code]),
                "f1": float(table.f1[code]),
            })
            for code, name in enumerate(names)
        ]  # fmt: skip
        if len(names) <= MOST_BOUNDED and len(self.truth):
            low, high = class_bounds(self.truth, predicted, len(names), self.groups, DRAWS, self.seed)
            for code, row in enumerate(rows):
                row["intervals"] = {
                    name: finite({"low": float(getattr(low, name)[code]), "high": float(getattr(high, name)[code])})
                    for name in ("precision", "recall", "f1")
                }
        return rows

    @property
    def class_notes(self) -> list[str]:
        """Classes of which this part can say little, or nothing."""
        names = getattr(self.kind, "classes", ())
        held = [len(np.unique(self.groups[self.targets == code])) for code in range(len(names))]
        notes = []
        absent = [name for name, count in zip(names, held, strict=True) if count == 0]
        single = [name for name, count in zip(names, held, strict=True) if count == 1]
        if absent:
            notes.append(
                f"Classes without a test label: {len(absent)} ({some(absent)}). How well they are told is not known: "
                "add records of further families of them."
            )
        if single and len(np.unique(self.groups)) > 1:
            one = "family" if self.resampled == "families" else "record"
            notes.append(
                f"Classes whose test labels are of one {one} alone: {len(single)} ({some(single)}). Their numbers have "
                f"no interval: those of another {one} may differ."
            )
        return notes

    @property
    def unseen_classes(self) -> list[str]:
        """Classes that stand in this part and not in training, by name."""
        return sorted(set(self.values[self.targets == -1].tolist())) if self.unseen else []

    def figures(
        self, outputs: np.ndarray, history: Mapping[str, list[tuple[float, float]]], near: np.ndarray
    ) -> Figures:
        """What the page draws."""
        predicted = self.predicted(outputs)
        names = tuple(getattr(self.kind, "classes", ()))
        if names:
            counts = confusion(self.truth, predicted, len(names))
            shown = names if len(counts) == len(names) else (*names, "not in training")
            return Figures(confusion=counts, classes=shown, loss=history, nearest=near)
        points = None if predicted.values is None else (self.truth, predicted.values)
        return Figures(scatter=points, loss=history, nearest=near)


def examine(
    records: Records, units: Units, kind: LabelKind, level: Level, identity: float, seed: int,
    families: np.ndarray | None = None,
) -> Examination:  # fmt: skip
    """Prepare a part. ``families`` ``(records,)``: None finds them, at ``identity``, among these records alone."""
    if families is None:
        families = kept_families(records.sequences, records.alphabet, identity).labels
    targets, known = kind.encode(units.values)
    counted = known & units.counted
    note, found = "", len(np.unique(families))
    if found < FEWEST_FAMILIES:
        note = (
            f"The test part holds {found} {'family' if found == 1 else 'families'}: records are resampled instead, "
            "so that intervals speak of further relatives of these records, not of new families."
        )
        families = np.arange(len(records))
    groups = np.repeat(families, units.lengths)[counted]
    return Examination(records, kind, targets[counted], units.values[counted], counted, groups, note, seed)
