"""Letters and their codes for protein, DNA and RNA, and the rules that clean raw sequences.

Cleaning never drops anything in silence: every change is counted (in sequences), removed letters are mapped.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from biograft.errors import BiograftError

__all__ = [
    "DNA",
    "PROTEIN",
    "RNA",
    "Alphabet",
    "Cleaned",
    "Describe",
    "clean",
    "clean_all",
    "detect",
    "named",
    "reverse_complement",
]

GAPS = b"-."
SPACES = b" \t\r\n\v\f\xa0"
IS_GAP = np.isin(np.arange(256), list(GAPS))
IS_SPACE = np.isin(np.arange(256), list(SPACES))
STOP = ord("*")
FOREIGN = 255
BLOCK = 4_000_000  # letters handled at once: keeps the index arrays of cleaning small whatever the table's size


def _members(letters: bytes) -> bytes:
    """Byte -> 1 for these letters in either case, else 0: a table for ``bytes.translate``."""
    return bytes(np.isin(np.arange(256), list(letters + letters.lower())).astype(np.uint8))


ANY, NUCLEIC, CORE = _members(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"), _members(b"ACGTUNRYSWKMBDHV"), _members(b"ACGTUN")
OTHERS = _members(b"BDEFHIJKLMOPQRSVWXYZ")
THYMINE, URACIL = _members(b"T"), _members(b"U")

Describe = Callable[[int], tuple[str, str]]  # row -> its id and its place in the file, for messages


@dataclass(frozen=True)
class Alphabet:
    """``letters[:core]`` are canonical, the rest ambiguous or rare; the code of a letter is its index."""

    name: str
    letters: str
    core: int

    @property
    def title(self) -> str:
        """The name as it is written in a sentence: protein, DNA, RNA."""
        return self.name if self.name == "protein" else self.name.upper()

    @property
    def unknown(self) -> str:
        """The letter that stands for any letter: X for protein, N for DNA and RNA."""
        return "X" if self.name == "protein" else "N"

    @property
    def respelled(self) -> dict[str, str]:
        """Letters of a neighbouring convention and the letter each one is read as."""
        return {"protein": {"J": "X"}, "dna": {"U": "T"}, "rna": {"T": "U"}}.get(self.name, {})

    @cached_property
    def codes(self) -> np.ndarray:
        """(256,) uint8: byte of a letter -> its code, 255 for bytes that are no letter of this alphabet."""
        table = np.full(256, FOREIGN, dtype=np.uint8)
        table[np.frombuffer(self.letters.encode(), dtype=np.uint8)] = np.arange(len(self.letters))
        return table

    def encode(self, sequence: str) -> np.ndarray:
        """(letters,) uint8 codes of a cleaned sequence. Raises BiograftError for other letters."""
        codes = self.codes[np.frombuffer(sequence.encode("latin-1", "replace"), dtype=np.uint8)]
        if codes.size and codes.max() == FOREIGN:
            position = int(np.argmax(codes == FOREIGN))
            raise BiograftError(_refusal(sequence[position], position, self, "", ""))
        return codes

    def decode(self, codes: np.ndarray) -> str:
        """The sequence of (letters,) integer codes."""
        letters = np.frombuffer(self.letters.encode(), dtype=np.uint8)
        return letters[np.asarray(codes, dtype=np.intp)].tobytes().decode()


PROTEIN = Alphabet("protein", "ACDEFGHIKLMNPQRSTVWYXBZUO", 20)
DNA = Alphabet("dna", "ACGTNRYSWKMBDHV", 4)
RNA = Alphabet("rna", "ACGUNRYSWKMBDHV", 4)
COMPLEMENTS = {
    "dna": str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN"),
    "rna": str.maketrans("ACGURYSWKMBDHVN", "UGCAYRSWMKVHDBN"),
}


def named(name: str) -> Alphabet:
    """The alphabet called protein, dna or rna (in any case). Raises BiograftError for another name."""
    known = {alphabet.name: alphabet for alphabet in (PROTEIN, DNA, RNA)}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise BiograftError(f"There is no alphabet '{name}': expected protein, dna or rna.{hint}")


def reverse_complement(sequence: str, alphabet: Alphabet) -> str:
    """The other strand, read in its own direction; ambiguity letters are complemented too."""
    if alphabet.name not in COMPLEMENTS:
        raise BiograftError(
            f"A {alphabet.title} sequence has no reverse complement: expected DNA or RNA. Leave it out."
        )
    return sequence.translate(COMPLEMENTS[alphabet.name])[::-1]


def detect(sequences: Sequence[str]) -> Alphabet:
    """The alphabet of a whole table of raw sequences.

    Nucleic where at least 90 % of all letters are ACGTUN and at least 95 % nucleic letters at all: one stray
    letter must not turn a table of DNA into protein. RNA where U occurs and T does not. Only A to Z count.
    """
    total = sum(map(len, sequences))
    others = 0
    for block in _blocks(sequences):
        others += _count(block.raw, OTHERS)
        if others > 0.1 * total:  # what is still to come cannot change the verdict
            return PROTEIN
    letters = nucleic = core = thymine = uracil = 0
    for block in _blocks(sequences):
        letters += _count(block.raw, ANY)
        nucleic += _count(block.raw, NUCLEIC)
        core += _count(block.raw, CORE)
        thymine += _count(block.raw, THYMINE)
        uracil += _count(block.raw, URACIL)
    if core < 0.9 * letters or nucleic < 0.95 * letters or not letters:
        return PROTEIN
    return RNA if uracil and not thymine else DNA


def _count(raw: bytes, table: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(raw.translate(table), dtype=np.bool_)))


@dataclass(frozen=True)
class Cleaned:
    """``changes``: kind -> number of sequences; ``kept``: row -> (raw letters,) bool, rows with removals."""

    sequences: list[str]
    changes: Counter[str]
    kept: dict[int, np.ndarray]


def clean(sequence: str, alphabet: Alphabet, unknown: str | None = None) -> tuple[str, Counter[str]]:
    """One sequence by the rules of :func:`clean_all`, and the changes that were made."""
    cleaned = clean_all([sequence], alphabet, unknown)
    return cleaned.sequences[0], cleaned.changes


def clean_all(
    sequences: Sequence[str],
    alphabet: Alphabet,
    unknown: str | None = None,
    describe: Describe | None = None,
) -> Cleaned:
    """Upper case; gaps (- .), white space and stops (*) at the end removed; U/T and J read by the alphabet.

    Any other letter, or a stop inside, becomes ``unknown`` or, where that is None, raises BiograftError.
    ``describe`` gives a row's id and place (either may be empty) for that message. A sequence may come out
    empty.
    """
    if unknown is not None:
        unknown = unknown.upper()
        if len(unknown) != 1 or unknown not in alphabet.letters:
            raise BiograftError(
                f"The replacement '{unknown}' for unknown letters is not a {alphabet.title} letter. "
                f"Allowed: {alphabet.letters}. Use --unknown {alphabet.unknown}."
            )
    cleaned = Cleaned([], Counter(), {})
    allowed = alphabet.letters.encode()
    for block in _blocks(sequences):
        if block.raw.translate(None, allowed):
            _clean_block(block, alphabet, unknown, describe, cleaned)
        else:
            cleaned.sequences.extend(block.rows)
    return cleaned


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows laid end to end, one byte a letter; row r of the block is row ``first + r`` of the table."""

    rows: Sequence[str]
    first: int
    raw: bytes

    @cached_property
    def ends(self) -> np.ndarray:
        return np.cumsum([len(row) for row in self.rows])

    @cached_property
    def starts(self) -> np.ndarray:
        return np.concatenate([[0], self.ends[:-1]])

    def per_row(self, marked: np.ndarray) -> np.ndarray:
        """(rows,) number of marked letters; ``marked`` (letters,) bool."""
        total = np.concatenate([[0], np.cumsum(marked)])
        return total[self.ends] - total[self.starts]

    def stops_at_the_end(self, letters: np.ndarray, skipped: np.ndarray) -> np.ndarray:
        """(letters,) bool: stops with nothing after them in their row but stops and skipped letters."""
        stops = letters == STOP
        if not stops.any():
            return stops
        index = np.arange(len(letters))
        last = np.concatenate([[-1], np.maximum.accumulate(np.where(stops | skipped, -1, index))])
        return stops & (index > np.repeat(last[self.ends], self.ends - self.starts))


def _clean_block(
    block: _Block, alphabet: Alphabet, unknown: str | None, describe: Describe | None, cleaned: Cleaned
) -> None:
    """Append the rows of one block to ``cleaned``."""

    def count(change: str, marked: np.ndarray) -> None:
        if marked.any():
            cleaned.changes[change] += int(np.count_nonzero(block.per_row(marked)))

    letters = np.frombuffer(block.raw.upper(), dtype=np.uint8).copy()
    count("lower case letters", letters != np.frombuffer(block.raw, dtype=np.uint8))
    for letter, reading in alphabet.respelled.items():
        marked = letters == ord(letter)
        count(f"{letter} {'replaced by' if reading == 'X' else 'read as'} {reading}", marked)
        letters[marked] = ord(reading)
    gaps, spaces = IS_GAP[letters], IS_SPACE[letters]
    stops = block.stops_at_the_end(letters, gaps | spaces)
    keep = ~(gaps | spaces | stops)
    foreign = (alphabet.codes[letters] == FOREIGN) & keep
    if unknown is not None:
        count(f"unknown letters replaced by {unknown}", foreign)
        letters[foreign] = ord(unknown)
    elif foreign.any():
        index = int(np.argmax(foreign))
        row = int(np.searchsorted(block.ends, index, side="right"))
        position = index - int(block.starts[row])
        identity, place = describe(block.first + row) if describe else ("", "")
        raise BiograftError(_refusal(block.rows[row][position], position, alphabet, identity, place))
    count("gaps removed", gaps)
    count("white space removed", spaces)
    count("stop '*' at the end removed", stops)
    lengths = block.per_row(keep)
    ends = np.cumsum(lengths)
    text = letters[keep].tobytes().decode("ascii")
    borders = zip((ends - lengths).tolist(), ends.tolist(), strict=True)
    cleaned.sequences.extend(text[start:end] for start, end in borders)
    for row in np.flatnonzero(lengths < block.ends - block.starts).tolist():
        cleaned.kept[block.first + row] = keep[block.starts[row] : block.ends[row]].copy()


def _refusal(letter: str, position: int, alphabet: Alphabet, identity: str, where: str) -> str:
    """The message for a letter at a position (from 0) that the alphabet lacks."""
    owner = f" of '{identity}'" if identity else ""
    place = f" ({where})" if where else ""
    inside = ": a stop inside the sequence" if letter == "*" else ""
    return (
        f"Letter {letter!r} at position {position + 1}{owner} is not a {alphabet.title} letter{place}"
        f"{inside}. "
        f"Allowed: {alphabet.letters}. Use --unknown {alphabet.unknown} to replace it."
    )


def _blocks(sequences: Sequence[str]) -> Iterator[_Block]:
    """Runs of rows of about BLOCK letters; what is outside Latin-1 becomes '?', which no alphabet holds."""
    first = letters = 0
    for last, length in enumerate(map(len, sequences), start=1):
        letters += length
        if letters >= BLOCK or last == len(sequences):
            rows = sequences[first:last]
            yield _Block(rows, first, "".join(rows).encode("latin-1", "replace"))
            first, letters = last, 0
