"""The nearest training protein without its sequence: a model that is given away holds hashes of one short word in four.

Sequences can't be read back from them: alike letters of proteins count as one, and what is kept seldom overlaps. The
price is that identity is estimated, from the share of words two sequences have in common (after Mash,
doi:10.1186/s13059-016-0997-x), and that relatives far away are missed. A copy is known by a digest of the sequence.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import poisson

from biograft.data.alphabet import PROTEIN
from biograft.data.letters import GROUPS
from biograft.data.nearest import Nearest
from biograft.errors import BiograftError
from biograft.files import atomic

__all__ = ["Sketch"]

WORD = 6
ONE_IN = 4
BITS = 26  # of a hash: few collisions, and small on disk
EXPECTED = 0.01  # records that share as many words by chance, per query
COVERAGE = 0.5  # a record shorter than that share of the query can't be aligned to it as `nearest` asks
EXPONENT = 3.0  # fitted to alignments: docs/models.md
MOST = 0.99  # an estimate never says "the same"
_MIX = np.uint64(0x9E3779B97F4A7C15)
_KINDS = np.array(
    [
        next((kind for kind, letters in enumerate(GROUPS) if letter in letters), len(GROUPS))
        for letter in PROTEIN.letters
    ],
    np.uint64,
)
"""Code of a letter -> its group; the number of groups for letters that are in none."""


@dataclass(frozen=True, eq=False)
class Sketch:
    """Hashes of the training records, sorted within each.

    Attributes:
        ids: of the records.
        lengths: ``(records,)`` letters of each.
        digests: ``(records,)`` uint64, of whole sequences.
        counts: ``(records,)`` hashes of each.
        hashes: ``(hashes,)`` uint32, record after record.
    """

    ids: list[str]
    lengths: np.ndarray
    digests: np.ndarray
    counts: np.ndarray
    hashes: np.ndarray

    @classmethod
    def of(cls, ids: Sequence[str], sequences: Sequence[str]) -> "Sketch":
        """Sketch cleaned proteins."""
        found = [_hashes(sequence) for sequence in sequences]
        return cls(
            list(ids),
            np.fromiter(map(len, sequences), np.int64, len(sequences)),
            _digests(sequences),
            np.fromiter(map(len, found), np.int64, len(found)),
            np.concatenate([np.zeros(0, np.uint32), *found]),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def nearest(self, queries: Sequence[str]) -> Nearest:
        """The record that shares most words with each query, and the estimated identity: 1 for a copy and for nothing
        else, 0 (and row -1) where what is shared might be chance."""
        first = {digest: row for row, digest in reversed(list(enumerate(self.digests.tolist())))}
        index = np.array([first.get(digest, -1) for digest in _digests(queries).tolist()], np.int64)
        identity = np.where(index >= 0, 1.0, 0.0)
        todo = np.flatnonzero(index < 0)
        rows, records, share = self._shared([queries[row] for row in todo.tolist()])
        index[todo[rows]] = records
        identity[todo[rows]] = np.minimum(share ** (1 / EXPONENT), MOST)
        return Nearest(index, identity)

    def _shared(self, queries: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For queries with a relative: their rows, its record, the share of the smaller sketch that both have."""
        asked = [_hashes(query) for query in queries]
        sizes = np.fromiter(map(len, asked), np.int64, len(asked))
        lengths = np.fromiter(map(len, queries), np.int64, len(queries))
        flat = np.concatenate([np.zeros(0, np.uint32), *asked])
        order = np.argsort(self.hashes, kind="stable")
        sorted_hashes = self.hashes[order]
        owner = np.repeat(np.arange(len(self)), self.counts)[order]
        low, high = (np.searchsorted(sorted_hashes, flat, side=side) for side in ("left", "right"))
        hits = high - low
        place = np.repeat(low - np.cumsum(hits) + hits, hits) + np.arange(int(hits.sum()))
        query = np.repeat(np.repeat(np.arange(len(asked)), sizes), hits)
        pairs, shared = np.unique(query * len(self) + owner[place], return_counts=True)
        query, record = np.divmod(pairs, max(1, len(self)))
        smaller = np.minimum(sizes[query], self.counts[record])
        # a record has as many of the query's words by chance as records have on average: repeats count for little
        usual = np.bincount(np.repeat(np.arange(len(asked)), sizes), hits, len(asked)) / max(1, len(self.hashes))
        chance = poisson.sf(shared - 1, usual[query] * self.counts[record]) * len(self)
        good = (chance <= EXPECTED) & (self.lengths[record] >= COVERAGE * lengths[query])
        query, record, shared, smaller = query[good], record[good], shared[good], smaller[good]
        best = np.lexsort((record, -shared, -shared / smaller, query))
        rows, begin = np.unique(query[best], return_index=True)
        best = best[begin]
        return rows, record[best], shared[best] / smaller[best]

    def save(self, path: Path | str) -> None:
        """Write one ``.npz`` file; sorted hashes are kept as differences, which are small."""
        begins = np.cumsum(self.counts) - self.counts
        steps = np.diff(self.hashes.astype(np.int64), prepend=0)
        filled = begins[self.counts > 0]
        steps[filled] = self.hashes[filled]
        names = np.frombuffer("\n".join(self.ids).encode(), np.uint8)
        with atomic(path) as part, part.open("wb") as stream:
            np.savez_compressed(
                stream, ids=names, lengths=self.lengths.astype(np.uint32), digests=self.digests,
                counts=self.counts.astype(np.uint32), steps=steps.astype(np.uint32),
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path | str) -> "Sketch":
        """Read what :meth:`save` wrote. Raises BiograftError where it is missing or damaged."""
        path = Path(path)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                found = {name: file[name] for name in ("ids", "lengths", "digests", "counts", "steps")}
            ids = found["ids"].tobytes().decode().split("\n") if len(found["lengths"]) else []
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as fault:
            raise BiograftError(f"'{path}' is missing or damaged ({fault}). Copy it again.") from None
        counts = found["counts"].astype(np.int64)
        if not len(ids) == len(counts) == len(found["lengths"]) or counts.sum() != len(found["steps"]):
            raise BiograftError(f"'{path}' is damaged: got parts of unequal length. Copy it again.")
        total = np.cumsum(found["steps"].astype(np.int64))
        before = np.concatenate([[0], total])[np.cumsum(counts) - counts]
        hashes = (total - np.repeat(before, counts)).astype(np.uint32)
        return cls(ids, found["lengths"].astype(np.int64), found["digests"], counts, hashes)


def _digests(sequences: Iterable[str]) -> np.ndarray:
    """Eight bytes of SHA-256 each."""
    raw = [hashlib.sha256(sequence.encode()).digest()[:8] for sequence in sequences]
    return np.frombuffer(b"".join(raw), dtype="<u8")


def _hashes(sequence: str) -> np.ndarray:
    """Sorted distinct hashes of those words of known letters that fall into the lowest of ``ONE_IN`` parts."""
    kinds = _KINDS[PROTEIN.encode(sequence)]
    if len(kinds) < WORD:
        return np.zeros(0, np.uint32)
    windows = np.lib.stride_tricks.sliding_window_view(kinds, WORD)
    windows = windows[(windows < len(GROUPS)).all(axis=1)]
    number = windows @ (np.uint64(len(GROUPS)) ** np.arange(WORD, dtype=np.uint64))
    mixed = (number + np.uint64(1)) * _MIX
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX
    value = (mixed >> np.uint64(64 - BITS)).astype(np.uint32)
    return np.unique(value[value < (1 << BITS) // ONE_IN])
