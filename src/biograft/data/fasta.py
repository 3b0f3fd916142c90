"""FASTA as a stream of raw records: any line lengths and ends, blank lines; memory stays flat."""

from collections.abc import Iterator
from pathlib import Path

from biograft.data.source import blocks, not_text
from biograft.errors import BiograftError

__all__ = ["entries", "fasta"]


def fasta(path: Path | str) -> Iterator[tuple[str, str]]:
    """Yield (id, raw sequence) of each record; the id is the first word of its header.

    Nothing is cleaned and ids are not compared: ``read`` does both. Raises BiograftError, with the line, for
    text before the first '>', a comment, a record without header or sequence, and text that is not UTF-8.
    """
    for _, header, sequence in entries(path):
        yield header.split(None, 1)[0], sequence


def entries(path: Path | str) -> Iterator[tuple[int, str, str]]:
    """Yield (line of the header, counted from 1; header without '>'; raw sequence) of each record."""
    path = Path(path)
    line = 1
    header = b""
    for chunk in _chunks(path):
        lines = _checked(path, chunk, line)
        start = len(lines) - len(lines.lstrip(b"\n"))
        line += start
        if start == len(lines):
            continue
        if not lines.startswith(b">", start):
            raise _no_header(path, line, lines[start:].partition(b"\n")[0].decode()[:40])
        for record in lines[start + 1 :].split(b"\n>"):
            header, _, body = record.partition(b"\n")
            sequence = body.replace(b"\n", b"")
            if not sequence or not header or header.isspace():
                raise _incomplete(path, line, header.decode())
            yield line, header.decode(), sequence.decode()
            line += 2 + len(body) - len(sequence)
        line -= 1  # the last record of a chunk keeps its own line end
    if not header:
        raise BiograftError(f"'{path.name}' holds blank lines only: expected FASTA records. Check the file.")


def _chunks(path: Path) -> Iterator[bytes]:
    """The file in pieces that each end where a record ends (only the first may begin with something else)."""
    pending: list[bytes] = []
    for number, block in enumerate(blocks(path)):
        if number == 0 and (error := not_text(path, block, "FASTA")):
            raise error
        if pending and pending[-1].endswith(b"\n") and block.startswith(b">"):
            yield b"".join(pending)
            pending = []
        cut = block.rfind(b"\n>") + 1
        if cut:
            yield b"".join([*pending, block[:cut]])
            pending = [block[cut:]]
        else:
            pending.append(block)
    yield b"".join(pending)


def _checked(path: Path, chunk: bytes, line: int) -> bytes:
    """The piece, which starts at ``line``, with newlines as line ends; it is UTF-8 and holds no comments."""
    if not chunk.isascii():
        try:
            chunk.decode("utf-8")
        except UnicodeDecodeError as fault:
            place = line + chunk[: fault.start].count(b"\n")
            raise BiograftError(
                f"'{path.name}' is not UTF-8 text: byte 0x{chunk[fault.start]:02X} in line {place}. "
                "Save it as UTF-8 (iconv -f latin1 -t utf-8)."
            ) from None
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b";" in chunk and (chunk.startswith(b";") or b"\n;" in chunk):
        place = line + (b"\n" + chunk).partition(b"\n;")[0].count(b"\n")
        raise BiograftError(
            f"Line {place} of '{path.name}' is a comment (it begins with ';'): expected '>' or a sequence. "
            "Delete the comments."
        )
    return chunk


def _no_header(path: Path, line: int, found: str) -> BiograftError:
    return BiograftError(
        f"Line {line} of '{path.name}' stands before the first '>': got {found!r}, expected a header such as "
        "'>P12345'. Delete it, or give the file the suffix of what it is (.csv .tsv .parquet)."
    )


def _incomplete(path: Path, line: int, header: str) -> BiograftError:
    if not header.strip():
        return BiograftError(f"The header in line {line} of '{path.name}' is empty: expected an id after '>'. Add one.")
    identity = header.split(None, 1)[0]
    return BiograftError(
        f"The record '{identity}' has no sequence ({path.name}, line {line}). Add its sequence or delete the record."
    )
