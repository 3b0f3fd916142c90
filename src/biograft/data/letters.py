"""Sequences end to end as codes, for what looks at many places of many sequences at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biograft.data.alignment import Aligner

__all__ = ["GROUPS", "WINDOW", "Letters"]

WINDOW = 32
END = 31
NOTHING = 15
GROUPS = ("A", "C", "D", "E", "FY", "G", "H", "ILMV", "KR", "N", "P", "Q", "S", "T", "W")
_UPPER = np.uint64(0xFFFFFFFF00000000)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class Letters:
    """Sequences end to end, with padding between them; everything that is derived from their letters."""

    codes: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    owner: np.ndarray
    upper: np.ndarray
    kmer_codes: np.ndarray
    runs: np.ndarray
    size: int

    @staticmethod
    def of(sequences: Sequence[str], aligner: Aligner) -> "Letters":
        """Codes of the score matrix, owner of each place, letters for k-mers (``NOTHING`` where they don't count)."""
        scoring = aligner.scoring
        text = ("\0" * WINDOW).join(["", *map(aligner.spell, sequences), ""])
        raw = np.frombuffer(text.encode("ascii"), np.uint8)
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        starts = WINDOW + np.cumsum(lengths + WINDOW) - lengths - WINDOW
        owner = np.full(len(raw), -1, np.int32)
        for_owner = np.repeat(np.arange(len(sequences), dtype=np.int32), lengths)
        codes = _table({letter: code for code, letter in enumerate(scoring.letters)}, END)[raw]
        owner[codes != END] = for_owner
        core = scoring.letters[:20] if scoring.protein else "ACGT"
        groups = GROUPS if scoring.protein else tuple("ACGT")
        nibble = {letter: code for code, group in enumerate(groups) for letter in group}
        kmer = _table({letter: code for code, letter in enumerate(core)}, 255)[raw]
        upper = codes.astype(np.uint16) << 5
        return Letters(codes, starts, lengths, owner, upper, kmer, _runs(_table(nibble, NOTHING)[raw]), len(core))

    def words(self, pattern: str) -> tuple[np.ndarray, np.ndarray]:
        """(places, k-mers): where a seed of known letters begins, and its number."""
        places = len(self.kmer_codes) - len(pattern) + 1
        number = np.zeros(places, np.int64)
        known = np.ones(places, bool)
        for offset, used in enumerate(pattern):
            if used == "1":
                letter = self.kmer_codes[offset : offset + places]
                number = number * self.size + letter
                known &= letter != 255
            else:  # a seed must not reach over the end of its sequence
                known &= self.codes[offset : offset + places] != END
        found = np.flatnonzero(known)
        return found, number[found]

    def around(self, places: np.ndarray, span: int, ring: int) -> np.ndarray:
        """Letters beside seeds of ``span`` letters in 64-bit words, four bits each: the nearest eight of either side
        for ring 0, the next eight for ring 1."""
        before = self.runs.take(places - 8 * (ring + 1))
        before &= _UPPER
        after = self.runs.take(places + (span + 8 * ring))
        after >>= _HALF
        before |= after
        return before


def _table(codes: dict[str, int], other: int) -> np.ndarray:
    table = np.full(256, other, np.uint8)
    for letter, code in codes.items():
        table[ord(letter)] = code
    return table


def _runs(nibbles: np.ndarray) -> np.ndarray:
    """For each place the 16 letters from there on in one word, the first one in the highest bits."""
    word = nibbles.astype(np.uint64)
    for letters in (1, 2, 4, 8):
        later = np.full_like(word, 2**64 - 1)
        later[:-letters] = word[letters:]
        word <<= np.uint64(4 * letters)
        word |= later & np.uint64(2 ** (4 * letters) - 1)
    return word
