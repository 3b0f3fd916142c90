"""The nearest training record's say in an answer: who may have one, and how far it counts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from biograft.data.nearest import Nearest, nearest
from biograft.errors import BiograftError
from biograft.flows.prepare import Prepared
from biograft.tasks.levels import Sequence as SequenceLevel
from biograft.tasks.relatives import Relatives
from biograft.tasks.task import LabelKind, Level

__all__ = ["check_relatives", "knowing", "related"]


def check_relatives(relatives: bool | None, level: Level, kind: LabelKind) -> None:
    """Raise BiograftError where the nearest record can't answer: no class, or not one per sequence."""
    if relatives and not (isinstance(level, SequenceLevel) and kind.name == "classification"):
        raise BiograftError(
            f"--relatives passes on the class of a whole sequence: got {kind.name} per {level.name}. Leave it out; the "
            "report shows what the nearest record alone would say."
        )


def related(prepared: Prepared, seed: int) -> Relatives:
    """Classes of the training part, and how far they count, found there alone.

    Raises BiograftError where too few have a relative there.
    """
    records, _, families = prepared.part("train")

    def search(queries: Sequence[str], references: Sequence[str]) -> Nearest:
        return nearest(queries, references, records.alphabet)

    return Relatives.learned(_codes(prepared, "train"), records.sequences, search, seed, families)


def knowing(relatives: Relatives, prepared: Prepared, parts: Sequence[str]) -> Relatives:
    """The same for the classes of these parts, where a model has learned from more than the training part."""
    return replace(relatives, codes=_codes(prepared, *parts))


def _codes(prepared: Prepared, *parts: str) -> np.ndarray:
    _, units, _ = prepared.part(*parts)
    return prepared.kind.encode(units.values)[0]
