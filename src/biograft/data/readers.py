"""From a file to Records: tables (CSV, TSV, Parquet) and FASTA, plain or compressed (.gz, .xz)."""

from functools import partial
from pathlib import Path

from biograft.data.alphabet import PROTEIN, Alphabet
from biograft.data.fasta import entries, fasta
from biograft.data.records import Records, missing_column
from biograft.data.source import form
from biograft.data.tables import Table, table, write_table
from biograft.errors import BiograftError

__all__ = ["Table", "fasta", "read", "read_for", "table", "write_table"]


def read(
    path: Path | str,
    *,
    sequence: str = "sequence",
    id: str | None = None,
    alphabet: str | Alphabet = "auto",
    unknown: str | None = None,
) -> Records:
    """Read labelled sequences, cleaned; the form of the file goes by its suffix.

    Tables: ``sequence`` and ``id`` name columns; ``id`` None takes the column "id" if there is one, else rows
    are numbered row1, row2, … Other columns stay text as written ("01", "NA"), '' = missing. FASTA: the id is
    the first word of the header, the rest goes to column "description"; ``sequence``, ``id`` do not apply.
    ``alphabet``: auto, protein, dna or rna. ``unknown``: a letter that replaces letters outside the alphabet.
    Raises BiograftError for whatever is wrong with the file, its structure, an id or a sequence.
    """
    path = Path(path)
    if form(path) == "fasta":
        return _fasta_records(path, alphabet, unknown)
    found = table(path)
    columns = dict(found.columns)
    raw = _taken(columns, sequence, found, "--sequence COL")
    if id is None:
        identities = columns.pop("id", None)
    elif id == sequence:
        identities = list(raw)
    else:
        identities = _taken(columns, id, found, "--id COL")
    return Records.of(
        raw, identities, columns, alphabet=alphabet, unknown=unknown, source=found.source, lines=found.lines
    )


def _fasta_records(path: Path, alphabet: str | Alphabet, unknown: str | None) -> Records:
    lines: list[int] = []
    ids: list[str] = []
    descriptions: list[str] = []
    sequences: list[str] = []
    for line, header, sequence in entries(path):
        words = header.split(None, 1)
        lines.append(line)
        ids.append(words[0])
        descriptions.append(words[1].rstrip() if len(words) > 1 else "")
        sequences.append(sequence)
    columns = {"description": descriptions}
    return Records.of(sequences, ids, columns, alphabet=alphabet, unknown=unknown, source=path.name, lines=lines)


def read_for(
    wanted: Alphabet,
    path: Path | str,
    *,
    sequence: str = "sequence",
    id: str | None = None,
    alphabet: str = "auto",
    unknown: str | None = None,
    reader: str = "the model",
) -> Records:
    """:func:`read` for something that reads ``wanted`` and nothing else, called ``reader`` in messages.

    All letters of DNA are letters of proteins too, so that DNA would pass for protein in silence: with ``alphabet``
    "auto" it is refused. DNA and RNA are read as one another. Raises BiograftError as :func:`read` does.
    """
    read_as = partial(read, path, sequence=sequence, id=id, unknown=unknown)
    if alphabet != "auto":
        return read_as(alphabet=alphabet)
    found = read_as()
    if found.alphabet is wanted:
        return found
    if wanted is PROTEIN:
        raise BiograftError(
            f"'{found.source}' looks like {found.alphabet.title}: {reader} reads protein. Check the file; if these are "
            "proteins, say so with --alphabet protein."
        )
    try:
        return read_as(alphabet=wanted)
    except BiograftError as fault:
        raise BiograftError(f"'{found.source}' doesn't suit, {reader} reads {wanted.title}: {fault}") from None


def _taken(columns: dict[str, list[str]], name: str, found: Table, option: str) -> list[str]:
    """Take a column out of ``columns``. Where it is missing, say which there are, and the option to use."""
    if name in columns:
        return columns.pop(name)
    header = next(iter(found.columns))
    for mark, word in (("\t", "tabs"), (",", "commas"), (";", "semicolons")):
        if len(found.columns) == 1 and mark in header:
            raise BiograftError(
                f"There is no column '{name}' in {found.source}: its columns seem to be parted by {word}, "
                "expected tabs in .tsv and commas in .csv. Rename or convert it."
            )
    raise missing_column(name, list(found.columns), found.source, f"Name it with {option}.")
