"""Parting records for users: by family, at random, or as a column says."""

import numpy as np

from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.flows.prepare import balance, part_records
from biograft.progress import Progress

__all__ = ["parts_of", "split"]


def split(
    records: Records,
    how: str = "homology",
    *,
    label: str | None = None,
    identity: float = 0.4,
    seed: int = 0,
    progress: Progress | None = None,
) -> Split:
    """Part records into train, valid and test (70, 10 and 20 %) so that no family straddles parts.

    Args:
        how: ``homology``, ``random``, or ``column:NAME``.
        label: column whose classes (or fifths, for numbers) are kept in balance; None for none.
        identity: from which on sequences are of one family, 0 to 1.

    Raises:
        BiograftError: where no such split is possible, such as one family that holds most records.
    """
    strata = None if label is None else balance(records, label)
    return part_records(records, how, identity=identity, strata=strata, seed=seed, progress=progress)


def parts_of(records: Records) -> tuple[Records, Records]:
    """Training and test records of a table with a column ``set``. Raises BiograftError if either is missing."""
    if "set" not in records.columns:
        raise BiograftError(
            f"'{records.source}' does not say which rows are for training and which for test: got no column 'set'. "
            "Give the test records as a second file, or part the table with biograft split."
        )
    names = np.array([value.strip().lower() for value in records.column("set")])
    train, test = np.flatnonzero(names == "train"), np.flatnonzero(names == "test")
    if len(train) == 0 or len(test) == 0:
        raise BiograftError(
            f"Column 'set' of '{records.source}' names {len(train)} train and {len(test)} test rows: expected both. "
            "Give the test records as a second file."
        )
    return records.take(train), records.take(test)
