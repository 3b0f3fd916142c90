"""Answers of several runs in one form, so that they can be paired: read back from what they wrote, or translated."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from biograft.data.readers import table
from biograft.errors import BiograftError
from biograft.files import atomic
from biograft.flows.assess import Examination
from biograft.tasks.metrics import Metric, Predicted
from biograft.tasks.task import LabelKind, Level

__all__ = ["SOURCE_ANSWERS", "keep", "kept", "predicted", "read_answers", "translated"]

SOURCE_ANSWERS = "source.npz"
"""In the folder of a run that learned a source too: what :meth:`biograft.flows.sources.Source.answers` gives."""


def keep(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays atomically."""
    with atomic(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def kept(path: Path) -> dict[str, np.ndarray]:
    """Read what :func:`keep` wrote."""
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def predicted(metric: Metric, answer: np.ndarray) -> Predicted:
    """Classes or values, whichever the metric reads."""
    return Predicted(values=answer) if metric.reads == "values" else Predicted(codes=answer)


def read_answers(path: Path, part: Examination, level: Level) -> Predicted:
    """Classes or values in ``predictions.tsv``, for the units of ``part`` that count, in its order.

    Raises BiograftError if a record is missing there, or holds another number of units.
    """
    columns = table(path).columns
    found = dict(zip(columns["id"], columns["prediction"], strict=True))
    missing = [identity for identity in part.records.ids if identity not in found]
    if missing:
        raise BiograftError(
            f"'{path}' is not about these records: got no prediction for '{missing[0]}' and {len(missing) - 1} others. "
            "Fit the run again."
        )
    texts = [found[identity] for identity in part.records.ids]
    labels = texts if level.resolution is None else [label for text in texts for label in _residues(text, part)]
    if len(labels) != len(part.counted):
        raise BiograftError(
            f"'{path}' is not about these records: got {len(labels)} predictions, expected {len(part.counted)}. "
            "Fit the run again."
        )
    targets, _ = part.kind.encode(np.array(labels, dtype=object))
    answer = part.kind.truth(targets[part.counted])
    return Predicted(codes=answer) if part.kind.name == "classification" else Predicted(values=answer)


def _residues(text: str, part: Examination) -> list[str]:
    """One letter per residue where all classes have one, else words."""
    classes: tuple[str, ...] = getattr(part.kind, "classes", ())
    return list(text) if classes and all(len(name) == 1 for name in classes) else text.split(" ")


def translated(outputs: np.ndarray, kind: LabelKind, part: Examination) -> Predicted:
    """Outputs ``(units, kind.width)`` of a model of another ``kind``, which may know fewer classes, for ``part``.

    Scores are left out where the classes are others.
    """
    found = kind.decode(outputs[part.counted])
    own, classes = tuple(getattr(kind, "classes", ())), tuple(getattr(part.kind, "classes", ()))
    if own == classes or found.codes is None:
        return found
    return Predicted(codes=np.array([classes.index(name) for name in own])[found.codes])
