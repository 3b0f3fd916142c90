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

__all__ = ["check_relatives", "related"]


def check_relatives(relatives: bool | None, level: Level, kind: LabelKind) -> None:
    """Raise BiograftError where the nearest record can't answer: no class, or not one per sequence."""
    if relatives and not (isinstance(level, SequenceLevel) and kind.name == "classification"):
        raise BiograftError(
            f"--relatives passes on the class of a whole sequence: got {kind.name} per {level.name}. Leave it out; the "
            "report shows what the nearest record alone would say."
        )


def related(prepared: Prepared, learned: Sequence[str], seed: int) -> dict[str, Relatives]:
    """For answers to the validation and the test part: classes of the training part, and of all parts ``learned`` from.

    How far they count is found in the training part alone. Raises BiograftError where too few have a relative there.
    """
    records, _, _ = prepared.part("train")

    def search(queries: Sequence[str], references: Sequence[str]) -> Nearest:
        return nearest(queries, references, records.alphabet)

    found = Relatives.learned(_codes(prepared, ("train",)), records.sequences, search, seed)
    return {"valid": found, "test": replace(found, codes=_codes(prepared, tuple(learned)))}


def _codes(prepared: Prepared, parts: tuple[str, ...]) -> np.ndarray:
    _, units, _ = prepared.part(*parts)
    return prepared.kind.encode(units.values)[0]
