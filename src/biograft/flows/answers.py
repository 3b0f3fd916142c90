"""What a run wrote down about its test part, read back, so that the answers of several runs can be paired."""

from pathlib import Path

import numpy as np

from biograft.data.readers import table
from biograft.errors import BiograftError
from biograft.flows.assess import Examination
from biograft.tasks.metrics import Predicted
from biograft.tasks.task import Level

__all__ = ["read_answers"]


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
