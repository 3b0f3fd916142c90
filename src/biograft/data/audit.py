"""What leaks from a training set into a test set: copies, other strands, near-identical rows, labels that disagree."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from biograft.data.alphabet import reverse_complement
from biograft.data.nearest import nearest
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.progress import Progress

__all__ = ["NEAR", "THRESHOLDS", "Audit", "Conflicts", "Leak", "audit"]

THRESHOLDS = (0.3, 0.4, 0.5, 0.7, 0.95)
NEAR = 0.95


@dataclass(frozen=True)
class Leak:
    """A test row and the training row it resembles; labels are '' without a label column.

    ``kind``: "copy", "reverse complement", "near-identical" or "near-identical reverse complement".
    """

    kind: str
    test: str
    train: str
    identity: float
    test_label: str = ""
    train_label: str = ""


@dataclass(frozen=True)
class Conflicts:
    """Sequences that carry more than one label: distinct sequences inside each set, and test rows against training."""

    train: int
    test: int
    across: int


@dataclass(frozen=True)
class Audit:
    """Counts are test rows unless said otherwise.

    ``distinct_copies``: different sequences among the ``copies``; ``near_identical``: at 95 % or more, copies not
    counted again; ``above``: threshold of identity -> share of the test rows at or above it (over at least half of the
    test row; copies included; DNA on either strand). ``conflicts`` is None without a label column. ``pairs`` names,
    for each test row that leaks, the training row that is nearest.
    """

    train_rows: int
    test_rows: int
    copies: int
    distinct_copies: int
    reverse_complements: int | None
    near_identical: int
    conflicts: Conflicts | None
    above: dict[float, float]
    pairs: list[Leak]

    def as_dict(self) -> dict[str, Any]:
        """All counts, ready for JSON; without the pairs."""
        numbers = asdict(self)
        del numbers["pairs"]
        numbers["above"] = {f"{threshold:g}": share for threshold, share in self.above.items()}
        return numbers

    def lines(self) -> list[str]:
        """The audit in sentences."""
        rows = f"of {self.test_rows:,} test rows"
        text = [
            f"Training: {self.train_rows:,} rows, test: {self.test_rows:,} rows.",
            f"Exact copies: {self.copies:,} {rows} are in training ({self.distinct_copies:,} different sequences).",
        ]
        if self.reverse_complements is not None:
            text.append(
                f"Reverse complements: {self.reverse_complements:,} {rows} are in training on the other strand."
            )
        text.append(f"Near-identical: {self.near_identical:,} {rows} have a training row at {NEAR:.0%} or more.")
        if self.conflicts is not None:
            text.append(
                f"Labels that disagree: {self.conflicts.across:,} {rows} are copies with another label; "
                f"{self.conflicts.train:,} training and {self.conflicts.test:,} test sequences have several labels."
            )
        shares = ", ".join(f"{threshold:.0%}: {share:.1%}" for threshold, share in self.above.items())
        text.append(f"Test rows with a relative in training, by identity over at least half the row: {shares}.")
        leaks = self.copies + (self.reverse_complements or 0) + self.near_identical
        text.append(
            "No test row is a copy of a training row or nearly so."
            if not leaks
            else "Leave these rows out of the test, or report results with and without them."
        )
        return text

    def table(self) -> dict[str, list[str]]:
        """The pairs as columns of text."""
        names = ("kind", "test", "train", "identity", "test_label", "train_label")
        columns: dict[str, list[str]] = {name: [] for name in names}
        for leak in self.pairs:
            for name, value in asdict(leak).items():
                columns[name].append(f"{value:.4f}" if name == "identity" else value)
        return columns


def audit(train: Records, test: Records, label: str | None = None, progress: Progress | None = None) -> Audit:
    """Compare every test row with the training rows; ``label``: a column of both, for labels that disagree.

    Raises BiograftError for an empty set, different alphabets, or a label column that is missing.
    """
    for name, records in (("training", train), ("test", test)):
        if not len(records):
            raise BiograftError(f"The {name} set of an audit is empty: got 0 records, expected at least one.")
    if train.alphabet.name != test.alphabet.name:
        raise BiograftError(
            f"Training and test differ in their alphabet: got {train.alphabet.name} and {test.alphabet.name}, expected "
            "the same. Name it with --alphabet."
        )
    labels = [records.column(label) if label else [""] * len(records) for records in (train, test)]
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, sequence in enumerate(train.sequences):
        rows_of[sequence].append(row)
    copied = np.array([sequence in rows_of for sequence in test.sequences], bool)
    other, opposite = _other_strand(train, test, rows_of)
    index, identity, turned = _best_strand(train, test, other, progress)
    near = (identity >= NEAR) & ~copied & ~opposite
    kinds = np.select(
        [copied, opposite, near & turned, near],
        ["copy", "reverse complement", "near-identical reverse complement", "near-identical"],
        "",
    )
    index = np.where(opposite & ~copied, [rows_of.get(text, [-1])[0] for text in other or test.sequences], index)
    pairs = [
        Leak(
            str(kinds[row]),
            test.ids[row],
            train.ids[index[row]],
            float(identity[row]),
            labels[1][row],
            labels[0][index[row]],
        )
        for row in np.flatnonzero(kinds != "")
    ]
    return Audit(
        train_rows=len(train),
        test_rows=len(test),
        copies=int(copied.sum()),
        distinct_copies=len({test.sequences[row] for row in np.flatnonzero(copied)}),
        reverse_complements=int(opposite.sum()) if train.alphabet.name == "dna" else None,
        near_identical=int(near.sum()),
        conflicts=_conflicts(train, test, labels, rows_of) if label else None,
        above={threshold: float((identity >= threshold).mean()) for threshold in THRESHOLDS},
        pairs=pairs,
    )


def _other_strand(train: Records, test: Records, rows_of: dict[str, list[int]]) -> tuple[list[str], np.ndarray]:
    """For DNA the other strand of each test row and whether it is in training (a palindrome is no other strand)."""
    if train.alphabet.name != "dna":
        return [], np.zeros(len(test), bool)
    other = [reverse_complement(sequence, test.alphabet) for sequence in test.sequences]
    found = [text in rows_of and text != own for text, own in zip(other, test.sequences, strict=True)]
    return other, np.array(found, bool)


def _best_strand(
    train: Records, test: Records, other: list[str], progress: Progress | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest training row of each test row, its identity, and whether it lies on the other strand."""
    found = nearest(test.sequences + other, train.sequences, train.alphabet, progress=progress)
    index, identity = found.index, found.identity
    rows = len(test)
    if not other:
        return index, identity, np.zeros(rows, bool)
    turned = identity[rows:] > identity[:rows]
    return (
        np.where(turned, index[rows:], index[:rows]),
        np.where(turned, identity[rows:], identity[:rows]),
        turned,
    )


def _conflicts(train: Records, test: Records, labels: list[list[str]], rows_of: dict[str, list[int]]) -> Conflicts:
    def several(records: Records, values: list[str]) -> int:
        seen: dict[str, set[str]] = defaultdict(set)
        for sequence, value in zip(records.sequences, values, strict=True):
            if value:
                seen[sequence].add(value)
        return sum(len(found) > 1 for found in seen.values())

    across = 0
    for sequence, value in zip(test.sequences, labels[1], strict=True):
        known = {labels[0][row] for row in rows_of.get(sequence, [])} - {"", value}
        across += bool(value and known)
    return Conflicts(several(train, labels[0]), several(test, labels[1]), across)
