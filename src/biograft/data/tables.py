"""Tables of text: CSV, TSV and Parquet in and out, all values as text ('' = missing), each row with its line.

CSV may be quoted; TSV is read as it stands unless its header is quoted. The structure is checked before it is
parsed, because parsers fill or cut ragged rows in silence.
"""

import csv
import gzip
import io
import lzma
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars

from biograft.data.source import blocks, compression, form, guess, not_text
from biograft.errors import BiograftError
from biograft.files import atomic

__all__ = ["Table", "as_text", "table", "write_table"]

SEPARATORS = {"csv": b",", "tsv": b"\t"}
NAMES = {"csv": "a comma-separated table", "tsv": "a tab-separated table"}
WORDS = {"csv": "comma", "tsv": "tab"}
QUOTE = ord('"')


@dataclass(frozen=True, eq=False)
class Table:
    """``columns``: name -> texts, '' = missing; ``lines``: line (Parquet: row) of each row, from 1."""

    columns: dict[str, list[str]]
    lines: list[int]
    source: str


def table(path: Path | str) -> Table:
    """Read a table by its suffix. Raises BiograftError, with the line, for faults of its structure."""
    path = Path(path)
    kind = form(path)
    if kind == "fasta":
        raise BiograftError(f"'{path.name}' is FASTA: expected a table (.csv .tsv .parquet). Read it as sequences.")
    read = _parquet if kind == "parquet" else _delimited
    found = read(path, b"".join(blocks(path)))
    if not found.lines:
        raise BiograftError(f"'{path.name}' has a header but no rows. Check that it was written completely.")
    return found


def _delimited(path: Path, data: bytes) -> Table:
    kind = form(path)
    separator = SEPARATORS[kind]
    if error := not_text(path, data, NAMES[kind]):
        raise error
    data = _lines_ended(data, separator)
    header = data[: data.index(b"\n")]
    if not header.strip():
        raise BiograftError(f"Line 1 of '{path.name}' is blank: expected the names of the columns. Add them.")
    quoted = b'"' in data if kind == "csv" else any(name.startswith(b'"') for name in header.split(separator))
    _check_text(path, data)
    lines = _check_rows(path, data, separator, quoted)
    frame = polars.read_csv(
        data,
        has_header=False,
        separator=separator.decode(),
        quote_char='"' if quoted else None,
        infer_schema=False,
    )
    columns = [frame[name].fill_null("").to_list() for name in frame.columns]
    names = [column[0].strip() for column in columns]
    for number, name in enumerate(names, start=1):
        if name in names[: number - 1]:
            first = names.index(name) + 1
            raise BiograftError(
                f"'{path.name}' has two columns of the name '{name}' (columns {first} and {number}). "
                "Rename one of them."
            )
    return Table(dict(zip(names, (column[1:] for column in columns), strict=True)), lines, path.name)


def _lines_ended(data: bytes, separator: bytes) -> bytes:
    """Every line ended by one newline. Blank lines at the end are no rows, save in a table of one column."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        data = data if b"\n" in data else data.replace(b"\r", b"\n")
    if separator in data.partition(b"\n")[0]:
        return data.rstrip(b"\n") + b"\n"
    return data if data.endswith(b"\n") else data + b"\n"


def _check_text(path: Path, data: bytes) -> None:
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as fault:
            line = data[: fault.start].count(b"\n") + 1
            raise BiograftError(
                f"'{path.name}' is not UTF-8 text: byte 0x{data[fault.start]:02X} in line {line}. "
                "Save it as UTF-8 (iconv -f latin1 -t utf-8)."
            ) from None
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise BiograftError(
            f"'{path.name}' holds a zero byte in line {line}: it seems to be binary data. Save it as text."
        )


def _check_rows(path: Path, data: bytes, separator: bytes, quoted: bool) -> list[int]:
    """The line of each row after the header. Raises BiograftError for rows wider or narrower than it."""
    letters = np.frombuffer(data, dtype=np.uint8)
    breaks = np.flatnonzero(letters == ord("\n"))
    separators = np.flatnonzero(letters == ord(separator))
    ends = breaks
    if quoted:
        quotes = np.flatnonzero(letters == QUOTE)
        _check_quotes(path, letters, quotes, breaks, ord(separator))
        ends = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
        separators = separators[np.searchsorted(quotes, separators) % 2 == 0]
    fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    lines = np.searchsorted(breaks, np.concatenate([[-1], ends[:-1]]), side="right") + 1
    ragged = np.flatnonzero(fields != fields[0])
    if ragged.size:
        row = int(ragged[0])
        kind = form(path)
        what = f"has {fields[row]} field{'s' if fields[row] > 1 else ''}"
        if ends[row] == ends[row - 1] + 1:
            what = "is blank"
        raise BiograftError(
            f"Line {lines[row]} of '{path.name}' {what}: expected {fields[0]} fields as in the header "
            f"({ragged.size} such rows in all). Look for a {WORDS[kind]} too many or too few."
        )
    return lines[1:].tolist()


def _check_quotes(path: Path, letters: np.ndarray, quotes: np.ndarray, breaks: np.ndarray, separator: int) -> None:
    """Quotation marks must enclose whole fields (inside, two make one), or rows flow into each other."""
    opening, closing = quotes[::2], quotes[1::2]
    border = [separator, ord("\n"), QUOTE]
    stray = opening[(opening > 0) & ~np.isin(letters[opening - 1], border)]
    stray = np.concatenate([stray, closing[~np.isin(letters[closing + 1], border)]])
    fault = int(stray.min()) if stray.size else int(quotes[-1]) if len(quotes) % 2 else None
    if fault is not None:
        line = int(np.searchsorted(breaks, fault)) + 1
        raise BiograftError(
            f"A quotation mark in line {line} of '{path.name}' does not enclose a whole field. "
            'Enclose the field in quotation marks and double those inside it: "5"" end".'
        )


def _parquet(path: Path, data: bytes) -> Table:
    if not data.startswith(b"PAR1"):
        seems = guess(data) or "text"
        raise BiograftError(
            f"'{path.name}' does not hold what its suffix says: it seems to be {seems}, "
            "expected a Parquet file. Give it the right suffix, or save it again in the expected form."
        )
    try:
        frame = polars.read_parquet(io.BytesIO(data))
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as fault:
        reason = str(fault).partition("\n")[0]
        raise BiograftError(f"'{path.name}' is damaged ({reason}). Copy or download it again.") from None
    columns = {name: _texts(path, frame[name]) for name in frame.columns}
    return Table(columns, list(range(1, frame.height + 1)), path.name)


def _texts(path: Path, column: polars.Series) -> list[str]:
    """Values as text that can be read back; lists of numbers parted by spaces, lists of texts by ';'."""
    if isinstance(column.dtype, polars.List | polars.Array):
        inner = column.dtype.inner
        numbers = inner.is_numeric() if isinstance(inner, polars.DataType) else False
        lists = column.cast(polars.List(polars.String))
        column = lists.list.eval(polars.element().fill_null("nan")).list.join(" ") if numbers else lists.list.join(";")
    elif isinstance(column.dtype, polars.Struct | polars.Binary | polars.Object):
        raise BiograftError(
            f"Column '{column.name}' of '{path.name}' holds {column.dtype}: expected text, numbers or lists "
            "of them. Leave the column out or turn it into text."
        )
    return column.cast(polars.String).fill_null("").to_list()


def write_table(path: Path | str, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of equal length as CSV, TSV or Parquet by the suffix (.gz, .xz too), whole or not at all.

    None becomes '' (in Parquet: null). Raises BiograftError for lengths that differ, for a tab or line end in
    a TSV value, and where the file cannot be written.
    """
    path = Path(path)
    kind = form(path)
    if not columns:
        raise BiograftError(f"There is nothing to write to '{path.name}': got no columns, expected one or more.")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise BiograftError(f"The columns of '{path.name}' differ in length: got {lengths}, expected equal lengths.")
    if kind == "fasta":
        raise BiograftError(f"A table cannot be written as FASTA: got '{path.name}'. Use .csv, .tsv or .parquet.")
    if kind == "parquet":
        stream = io.BytesIO()
        polars.DataFrame(dict(columns)).write_parquet(stream)
        data = stream.getvalue()
    else:
        data = as_text(columns, kind, path.name).encode("utf-8")
    if compression(path) == ".gz":
        data = gzip.compress(data, compresslevel=6, mtime=0)  # no time stamp: the same table gives the same bytes
    elif compression(path) == ".xz":
        data = lzma.compress(data)
    try:
        with atomic(path) as part:
            part.write_bytes(data)
    except OSError as fault:
        raise BiograftError(
            f"'{path}' cannot be written ({fault.strerror or fault}). "
            "Check the path, the permissions and the space on the disk."
        ) from fault


def as_text(columns: Mapping[str, Sequence[Any]], kind: str, target: str) -> str:
    """The columns as csv or tsv. Raises BiograftError, naming ``target``, for a tab or line end in a TSV value."""
    texts = {name: ["" if value is None else str(value) for value in values] for name, values in columns.items()}
    rows: Iterable[tuple[str, ...]] = zip(*([name, *values] for name, values in texts.items()), strict=True)
    if kind == "csv":
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(rows)
        return stream.getvalue()
    for name, values in texts.items():
        for row, value in enumerate([name, *values]):
            if "\t" in value or "\n" in value or "\r" in value:
                where = f"row {row}" if row else "the header"
                raise BiograftError(
                    f"Column '{name}' holds a tab or line end in {where}: {value[:40]!r} cannot stand in "
                    f"'{target}'. Remove it, or write CSV or Parquet."
                )
    return "".join("\t".join(row) + "\n" for row in rows)
