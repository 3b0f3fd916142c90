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
    for chunk in _chunks(path):
        text = _text(path, chunk, line)
        if not text.startswith(">"):
            start = text.lstrip("\n")
            line += len(text) - len(start)
            text = start
        _check_start(path, text, line)
        for record in text[1:].split("\n>"):
            header, _, body = record.partition("\n")
            sequence = body.replace("\n", "")
            if not sequence or not header or header.isspace():
                raise _incomplete(path, line, header)
            yield line, header, sequence
            line += record.count("\n") + 1
        line -= 1  # the last record of a chunk keeps its own line end


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


def _text(path: Path, chunk: bytes, line: int) -> str:
    """The decoded piece, which starts at ``line``, with line ends as newlines."""
    try:
        text = chunk.decode("utf-8")
    except UnicodeDecodeError as fault:
        place = line + chunk[: fault.start].count(b"\n")
        raise BiograftError(
            f"'{path.name}' is not UTF-8 text: byte 0x{chunk[fault.start]:02X} in line {place}. "
            "Save it as UTF-8 (iconv -f latin1 -t utf-8)."
        ) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n;" in text or text.startswith(";"):
        place = line + f"\n{text}".partition("\n;")[0].count("\n")
        raise BiograftError(
            f"Line {place} of '{path.name}' is a comment (it begins with ';'): expected '>' or a sequence. "
            "Delete the comments."
        )
    return text


def _check_start(path: Path, text: str, line: int) -> None:
    if text.startswith(">"):
        return
    found = text.partition("\n")[0][:40]
    if not text:
        raise BiograftError(f"'{path.name}' holds blank lines only: expected FASTA records. Check the file.")
    raise BiograftError(
        f"Line {line} of '{path.name}' stands before the first '>': got {found!r}, expected a header such as "
        "'>P12345'. Delete it, or give the file the suffix of what it is (.csv .tsv .parquet)."
    )


def _incomplete(path: Path, line: int, header: str) -> BiograftError:
    if not header.strip():
        return BiograftError(
            f"The header in line {line} of '{path.name}' is empty: expected an id after '>'. Add one."
        )
    identity = header.split(None, 1)[0]
    return BiograftError(
        f"The record '{identity}' has no sequence ({path.name}, line {line}). "
        "Add its sequence or delete the record."
    )
