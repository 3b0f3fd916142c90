"""Records: ids, cleaned sequences of one alphabet, other columns as text. Immutable; in the file's order."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from biograft.data.alphabet import PROTEIN, Alphabet, Cleaned, Describe, clean_all, detect, named
from biograft.errors import BiograftError

__all__ = ["Records", "missing_column", "place"]

NUCLEIC = "ACGTUN"
SHORT = 20  # shorter peptides may well be made of the letters of DNA by chance


@dataclass(frozen=True, eq=False)
class Records:
    """A table of sequences. ``columns`` holds text, '' = missing; ``source``: file name, '' = in memory.

    ``lines``: line (Parquet: row) of each record in its file, counted from 1; empty in memory.
    ``changes``: what cleaning did to the table these records come from, kind -> number of sequences.
    ``kept``: row -> (raw letters,) bool, the letters that cleaning left in; only rows where it removed some.
    """

    ids: list[str]
    sequences: list[str]
    alphabet: Alphabet
    columns: dict[str, list[str]] = field(default_factory=dict)
    source: str = ""
    lines: list[int] = field(default_factory=list)
    changes: dict[str, int] = field(default_factory=dict)
    kept: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = {"id": self.ids, **self.columns}
        _same_lengths(len(self.sequences), {**columns, "line": self.lines} if self.lines else columns)

    @classmethod
    def of(
        cls,
        sequences: Sequence[str],
        ids: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        *,
        alphabet: str | Alphabet = "auto",
        unknown: str | None = None,
        source: str = "",
        lines: Sequence[int] = (),
    ) -> "Records":
        """Clean raw sequences; ``ids`` None numbers the rows row1, row2, … ``alphabet`` "auto" detects it.

        Raises BiograftError for an id that is empty or stands twice, a sequence that is empty (also after
        cleaning), a letter that the alphabet lacks (unless ``unknown`` replaces it), and unequal lengths.
        """
        ids = [f"row{row}" for row in range(1, len(sequences) + 1)] if ids is None else list(ids)
        _same_lengths(len(sequences), {"id": ids})
        _check_ids(ids, source, lines)

        def describe(row: int) -> tuple[str, str]:
            return ids[row], place(source, lines, row)

        if alphabet == "auto":
            alphabet = detect(sequences)
            cleaned = _clean_detected(sequences, alphabet, unknown, describe)
        else:
            alphabet = named(alphabet) if isinstance(alphabet, str) else alphabet
            cleaned = clean_all(sequences, alphabet, unknown, describe)
        for row in [row for row, sequence in enumerate(cleaned.sequences) if not sequence][:1]:
            left = " once gaps, stops and white space are removed" if sequences[row] else ""
            where = place(source, lines, row)
            raise BiograftError(
                f"The sequence of '{ids[row]}' is empty{left}{where and f' ({where})'}. "
                "Every record needs at least one letter: fill it in or delete the record."
            )
        texts = {name: list(values) for name, values in (columns or {}).items()}
        return cls(ids, cleaned.sequences, alphabet, texts, source, list(lines), dict(cleaned.changes), cleaned.kept)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(records,) int64: letters of each cleaned sequence."""
        return np.fromiter(map(len, self.sequences), dtype=np.int64, count=len(self.sequences))

    def take(self, rows: Iterable[int] | np.ndarray) -> "Records":
        """The records at these rows (integers, in any order); ``changes`` still speaks of the whole table."""
        chosen = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows))
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        order = chosen.astype(np.int64).tolist()
        return replace(
            self,
            ids=[self.ids[row] for row in order],
            sequences=[self.sequences[row] for row in order],
            columns={name: [values[row] for row in order] for name, values in self.columns.items()},
            lines=[self.lines[row] for row in order] if self.lines else [],
            kept={new: self.kept[row] for new, row in enumerate(order) if row in self.kept},
        )

    def column(self, name: str) -> list[str]:
        """The texts of a column, '' = missing. Raises BiograftError that lists the columns there are."""
        if name not in self.columns:
            fasta = list(self.columns) == ["description"]
            advice = f"FASTA holds no labels: make a table with columns id, sequence and {name}."
            raise missing_column(name, list(self.columns), self.source, advice if fasta else "Check the spelling.")
        return self.columns[name]

    def where(self, row: int) -> str:
        """For messages: "tm.csv, line 42, id 'P12345'"."""
        found = place(self.source, self.lines, row) or f"record {row + 1}"
        return f"{found}, id '{self.ids[row]}'"


def place(source: str, lines: Sequence[int], row: int) -> str:
    """For messages: "tm.csv, line 42" ("row 42" in Parquet, which has no lines); '' for records in memory."""
    if not source:
        return ""
    word = "row" if ".parquet" in source else "line"
    return f"{source}, {word} {lines[row]}" if lines else f"{source}, record {row + 1}"


def missing_column(name: str, columns: Sequence[str], source: str, advice: str) -> BiograftError:
    """The error for a column that is not there, with the ones that are and the nearest spelling."""
    near = difflib.get_close_matches(name.lower(), [column.lower() for column in columns], n=1)
    meant = [column for column in columns if near and column.lower() == near[0]][:1]
    hint = f" Did you mean '{meant[0]}'?" if meant else ""
    there = ", ".join(f"'{column}'" for column in columns) or "none"
    return BiograftError(f"There is no column '{name}' in {source or 'the records'}: found {there}.{hint} {advice}")


def _clean_detected(sequences: Sequence[str], alphabet: Alphabet, unknown: str | None, describe: Describe) -> Cleaned:
    """Clean by an alphabet that nobody named, and say so where it may be the wrong one."""
    try:
        cleaned = clean_all(sequences, alphabet, unknown, describe)
    except BiograftError as fault:
        if alphabet is PROTEIN:
            raise
        raise BiograftError(
            f"{fault} Most letters are those of {alphabet.title}: if they are not, name the alphabet with --alphabet."
        ) from None
    if alphabet is PROTEIN:
        mixed = sum(len(row) >= SHORT for row in cleaned.sequences if not row.strip(NUCLEIC))
        if mixed:
            cleaned.changes[f"letters of DNA only, read as {alphabet.title}"] += mixed
    return cleaned


def _check_ids(ids: Sequence[str], source: str, lines: Sequence[int]) -> None:
    if all(ids) and len(set(ids)) == len(ids) and not any(map(str.isspace, ids)):
        return
    seen: dict[str, int] = {}
    for row, identity in enumerate(ids):
        where = place(source, lines, row) or f"record {row + 1}"
        if not identity.strip():
            raise BiograftError(f"The id is empty ({where}). Every record needs an id: fill it in.")
        if identity in seen:
            first = seen[identity]
            before = place(source, lines, first) or f"record {first + 1}"
            repeats = len(ids) - len(set(ids))
            raise BiograftError(
                f"The id '{identity}' stands twice ({before} and {where.removeprefix(f'{source}, ')}; "
                f"{repeats} repeat{'s' if repeats > 1 else ''} in all). Ids must be unique: rename or delete one, "
                "or name another column with --id COL."
            )
        seen[identity] = row


def _same_lengths(rows: int, columns: Mapping[str, Sequence[object]]) -> None:
    for name, values in columns.items():
        if len(values) != rows:
            raise BiograftError(
                f"Column '{name}' has {len(values)} values: expected one for each of the {rows} sequences. Fill it."
            )
