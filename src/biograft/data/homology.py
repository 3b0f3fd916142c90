"""Which pairs of one set of sequences are homologous, and which are worth asking.

Homologous = identity and coverage of the best local alignment reach their thresholds and the score is not one that
chance would give (``EXPECTED``). DNA is compared on either strand, RNA and proteins as they are written.
"""

from collections.abc import Sequence

import numpy as np

from biograft.data.alignment import Aligner
from biograft.data.alphabet import Alphabet, reverse_complement
from biograft.data.letters import Letters
from biograft.data.seeds import Candidates, Seeds, best, candidates, sketches
from biograft.errors import BiograftError

__all__ = ["EXPECTED", "Homology"]

EXPECTED = 0.01
"""Chance hits per sequence against the whole set that a score may be awaited to have. Without such a limit peptides of
30 letters are "40 % identical over half their length" to one protein in fifty, and everything is one family."""

ALL_PAIRS_CELLS = 2e10


class Homology:
    """Decides which pairs of one set of sequences are homologous.

    For DNA the other strands follow the sequences: row ``rows + r`` is the reverse complement of row ``r``.
    """

    def __init__(self, sequences: Sequence[str], alphabet: Alphabet, identity: float, coverage: float) -> None:
        for name, value in (("identity", identity), ("coverage", coverage)):
            if not 0 < value <= 1:
                raise BiograftError(
                    f"{name.capitalize()} threshold: got {value}, expected a share above 0 and at most 1. "
                    f"Give 40 % as --{name} 0.4."
                )
        self.rows, self.identity, self.coverage = len(sequences), identity, coverage
        self.strands = 2 if alphabet.name == "dna" else 1
        other = [reverse_complement(sequence, alphabet) for sequence in sequences] if self.strands == 2 else []
        self.sequences = [*sequences, *other]
        self.aligner = Aligner(alphabet)
        self.lengths = np.fromiter(map(len, self.sequences), np.int64, len(self.sequences))
        self.letters = int(self.lengths.sum())

    def least_score(self, shorter: np.ndarray) -> np.ndarray:
        """The score a homologous pair must reach, by the length of its shorter sequence."""
        least = self.aligner.least_score(shorter, self.letters, EXPECTED)
        if self.aligner.scoring.protein:
            # Half of a sequence at 40 % identity never scored less than .55 per letter of the whole (measured).
            least = np.maximum(least, 0.43 * min(1.0, self.identity / 0.4) ** 2 * min(1, self.coverage / 0.5) * shorter)
        return least

    def least_ungapped(self, shorter: np.ndarray) -> np.ndarray:
        """The ungapped score that makes a pair worth an alignment: well below what homologous pairs have."""
        significant = self.aligner.least_score(shorter, self.letters, EXPECTED)
        if not self.aligner.scoring.protein:
            return np.minimum(self.aligner.least_score(shorter, self.letters, 15.0), 0.9 * significant)
        slope = 0.25 * min(1.0, self.identity / 0.4) ** 2 * min(1.0, self.coverage / 0.5)
        return np.clip(slope * shorter, np.minimum(38, 0.5 * significant), 60)

    def test(self, pairs: np.ndarray, ungapped: np.ndarray | None = None) -> np.ndarray:
        """Identity of each pair (rows of the sequences); 0 where the pair is not homologous.

        ``ungapped``: scores that are known to be reached; where they suffice, only the alignment itself is made.
        """
        pairs = self._by_hub(pairs)
        needed = self.least_score(self.lengths[pairs].min(axis=1))
        worthy = np.zeros(len(pairs), bool) if ungapped is None else ungapped >= needed
        open_ = np.flatnonzero(~worthy)
        scores = self.aligner.scores(pairs[open_], self.sequences, self.sequences)
        worthy[open_] = scores >= needed[open_]
        rows = np.flatnonzero(worthy)
        identity = np.zeros(len(pairs))
        identity[rows], close = self._exact(pairs[rows])
        # best alignments are not unique: near the threshold the other direction is asked, too
        again = rows[close]
        identity[again], _ = self._exact(pairs[again][:, ::-1])
        return identity

    def _exact(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self.aligner.align(pairs, self.sequences, self.sequences)
        passed = (found.identity >= self.identity) & (found.coverage >= self.coverage)
        close = (found.identity >= self.identity - 0.05) & (found.coverage >= self.coverage - 0.1) & ~passed
        return np.where(passed, found.identity, 0.0), close

    def _by_hub(self, pairs: np.ndarray) -> np.ndarray:
        """The sequence with more pairs becomes the query: fewer queries, fuller batches."""
        degree = np.bincount(pairs.ravel(), minlength=len(self.sequences))
        turn = degree[pairs[:, 1]] > degree[pairs[:, 0]]
        return np.where(turn[:, None], pairs[:, ::-1], pairs)

    def few(self) -> bool:
        """Whether so few or short sequences are given that every pair can be aligned."""
        return self.letters**2 / 2 <= ALL_PAIRS_CELLS and len(self.sequences) <= 4000

    def all_pairs(self) -> Candidates:
        """Every pair, each once: those on the same strand, then those on opposite ones."""
        pairs = np.stack(np.triu_indices(self.rows, 1), axis=1)
        pairs = np.concatenate([pairs + np.array([0, strand * self.rows]) for strand in range(self.strands)])
        return _unscored(pairs)

    def stars(self) -> list[Candidates]:
        """Pairs that join variants of one sequence at a cost that grows with their number only."""
        return [_unscored(self._once(star)) for star in sketches(self.sequences, self.aligner)]

    def candidates(self, group: np.ndarray) -> Candidates:
        """Pairs worth an alignment, none within a group (rows,)."""
        letters = Letters.of(self.sequences, self.aligner)
        seeds = Seeds.of(self.aligner.scoring.protein, self.letters)
        found = candidates(letters, None, self.aligner, seeds, self.least_ungapped, np.tile(group, self.strands))
        pairs = self._once(found.pairs)
        size = len(self.sequences)
        key, score = best(pairs[:, 0] * size + pairs[:, 1], found.score)
        return Candidates(np.stack([key // size, key % size], axis=1), score)

    def _once(self, pairs: np.ndarray) -> np.ndarray:
        """Pairs with the first on its own strand and the lower row first: a pair and its mirror image become equal."""
        row = pairs % self.rows
        opposite = (pairs[:, 0] >= self.rows) != (pairs[:, 1] >= self.rows)
        row.sort(axis=1)
        row[:, 1] += self.rows * opposite
        return row


def _unscored(pairs: np.ndarray) -> Candidates:
    return Candidates(pairs, np.zeros(len(pairs), np.int64))
