"""A file on its way in: its form by suffix, its bytes with ``.gz`` and ``.xz`` undone, what it seems to be.

Everything that can be wrong with a file before its content counts is a BiograftError with the file's name.
"""

import difflib
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from biograft.errors import BiograftError

__all__ = ["FORMS", "blocks", "compression", "form", "guess", "not_text"]

FORMS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".faa": "fasta",
    ".fna": "fasta",
}
COMPRESSIONS = {".gz": (b"\x1f\x8b", "gzip"), ".xz": (b"\xfd7zXZ\x00", "xz")}
SIGNATURES = {
    b"\x1f\x8b": "gzip compressed data",
    b"\xfd7zXZ\x00": "xz compressed data",
    b"BZh": "bzip2 compressed data",
    b"\x28\xb5\x2f\xfd": "zstandard compressed data",
    b"PK\x03\x04": "a zip archive or an Excel workbook (xlsx)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (xls)",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"version https://git-lfs": "a Git LFS pointer in place of the file itself",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b">": "a FASTA file",
}
SHEETS = (".xlsx", ".xls", ".ods")
BOM = b"\xef\xbb\xbf"
BLOCK = 1 << 20


def compression(path: Path) -> str:
    """The compression that the suffix names: ".gz", ".xz" or ''."""
    suffix = path.suffix.lower()
    return suffix if suffix in COMPRESSIONS else ""


def form(path: Path) -> str:
    """csv, tsv, parquet or fasta by the suffix. Raises BiograftError, with the known ones, for another."""
    suffix = Path(path.name.lower().removesuffix(compression(path))).suffix
    if suffix in FORMS:
        return FORMS[suffix]
    if path.is_dir():
        raise BiograftError(
            f"'{path}' is a folder: expected a file, {' '.join(FORMS)}. Name the file; to repeat a run, name its "
            "recipe.toml."
        )
    sheets, others = "Sheets go in and out as CSV UTF-8.", "Rename the file by what it holds, or convert it."
    raise BiograftError(
        f"The suffix of '{path.name}' names no known form: got '{suffix}', expected {' '.join(FORMS)}, "
        f"each also with .gz or .xz. {sheets if suffix in SHEETS else others}"
    )


def guess(first: bytes) -> str:
    """What a file with these first bytes seems to be ("a PDF"); '' where nothing speaks against text."""
    start = first[:256].lstrip()
    for signature, kind in SIGNATURES.items():
        if first.startswith(signature) or (signature.startswith(b"<") and start.lower().startswith(signature)):
            return kind
    return "binary data" if b"\0" in first[:65536] else ""


def not_text(path: Path, first: bytes, expected: str) -> BiograftError | None:
    """The error where the first bytes are not of the ``expected`` form ("a tab-separated table"), or None."""
    found = guess(first)
    if not found or (found == "a FASTA file" and form(path) == "fasta"):
        return None
    return BiograftError(
        f"'{path.name}' does not hold what its suffix says: it seems to be {found}, expected {expected}. "
        "Give it the right suffix, or save it again in the expected form."
    )


def blocks(path: Path, size: int = BLOCK) -> Iterator[bytes]:
    """The bytes of a file, uncompressed, ``size`` at a time; a UTF-8 byte order mark is left out.

    Raises BiograftError for a file that is missing, a folder, unreadable, empty, damaged or not compressed as
    its suffix says.
    """
    try:
        with path.open("rb") as file:
            stream = _uncompressed(path, file)
            block = stream.read(size).removeprefix(BOM)
            if not block:
                raise BiograftError(f"'{path.name}' is empty. Check that it was written or copied completely.")
            while block:
                yield block
                block = stream.read(size)
    except FileNotFoundError:
        raise _missing(path) from None
    except IsADirectoryError:
        raise BiograftError(f"'{path}' is a folder: expected a file. Name a file in it.") from None
    except PermissionError:
        raise BiograftError(f"'{path}' may not be read by this user. Change its permissions (chmod u+r).") from None
    except EOFError:
        raise BiograftError(f"'{path.name}' ends too early: it was cut. Copy or download it again.") from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as fault:
        raise BiograftError(f"'{path.name}' is damaged ({fault}). Copy or download it again.") from None
    except OSError as fault:
        raise BiograftError(f"'{path}' cannot be read ({fault.strerror or fault}). Check the path.") from None


def _uncompressed(path: Path, file: BinaryIO) -> BinaryIO:
    suffix = compression(path)
    if not suffix:
        return file
    signature, name = COMPRESSIONS[suffix]
    first = file.read(64)
    file.seek(0)
    if first and not signature.startswith(first[: len(signature)]):
        seems = guess(first) or "text that is not compressed"
        raise BiograftError(
            f"'{path.name}' is not {name} data despite its suffix {suffix}: it seems to be {seems}. "
            f"Take {suffix} off its name, or compress it."
        )
    return cast(BinaryIO, gzip.open(file) if suffix == ".gz" else lzma.open(file))


def _missing(path: Path) -> BiograftError:
    folder = path.parent
    if not folder.is_dir():
        return BiograftError(f"File not found: '{path}', there is no folder '{folder}'. Check the path.")
    near = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return BiograftError(f"File not found: '{path}'.{hint} Check the path.")
