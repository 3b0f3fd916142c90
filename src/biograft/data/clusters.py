"""Families: components of the graph of homologous pairs, so that no pair across families is above the threshold.

Homologous = identity and coverage of the best local alignment reach their thresholds and the score is not one that
chance would give (``EXPECTED``). Exact copies are collapsed first; pairs already joined are never aligned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biograft.data.alignment import Aligner
from biograft.data.alphabet import Alphabet
from biograft.data.seeds import Candidates, Letters, Seeds, candidates, sketches
from biograft.errors import BiograftError
from biograft.progress import Progress

__all__ = ["EXPECTED", "Families", "Homology", "Pairs", "families", "homologous_pairs"]

EXPECTED = 0.01
"""Chance hits per sequence against the whole set that a score may be awaited to have. Without such a limit peptides of
30 letters are "40 % identical over half their length" to one protein in fifty, and everything is one family."""

OWN = "biograft k-mers + exact alignment"
ALL_PAIRS_CELLS = 4e9
ROUND = 60_000


@dataclass(frozen=True)
class Pairs:
    """Homologous pairs of rows, first < second, in ascending order, with the identity of each."""

    first: np.ndarray
    second: np.ndarray
    identity: np.ndarray


@dataclass(frozen=True)
class Families:
    """``labels`` (rows,): family of each sequence, numbered in order of first appearance; what found them, and how."""

    labels: np.ndarray
    program: str
    identity: float

    @property
    def count(self) -> int:
        """How many families there are."""
        return int(self.labels.max(initial=-1)) + 1


class Homology:
    """Decides which pairs of one set of sequences are homologous."""

    def __init__(self, sequences: Sequence[str], alphabet: Alphabet, identity: float, coverage: float) -> None:
        for name, value in (("identity", identity), ("coverage", coverage)):
            if not 0 < value <= 1:
                raise BiograftError(
                    f"{name.capitalize()} threshold: got {value}, expected a share above 0 and at most 1. "
                    f"Give 40 % as --{name} 0.4."
                )
        self.sequences, self.identity, self.coverage = sequences, identity, coverage
        self.aligner = Aligner(alphabet)
        self.lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
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

    def all_pairs(self) -> np.ndarray | None:
        """Every pair, where so few or short sequences are given that no filter is needed; otherwise None."""
        if self.letters**2 / 2 > ALL_PAIRS_CELLS or len(self.sequences) > 4000:
            return None
        return np.stack(np.triu_indices(len(self.sequences), 1), axis=1)

    def candidates(self, group: np.ndarray | None = None) -> Candidates:
        """Pairs worth an alignment, none within a group."""
        letters = Letters.of(self.sequences, self.aligner)
        seeds = Seeds.of(self.aligner.scoring.protein, self.letters)
        return candidates(letters, None, self.aligner, seeds, self.least_ungapped, group)


class Components:
    """Disjoint sets of rows (union-find), flattened after every round of pairs."""

    def __init__(self, rows: int) -> None:
        self.of = np.arange(rows)

    def join(self, pairs: np.ndarray) -> None:
        """Make one set of the sets of both rows of each pair."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        ends = self.of[pairs]
        size = len(self.of)
        graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
        _, joined = connected_components(graph, directed=False)
        self.of = _first_appearance(joined[self.of])

    def apart(self, pairs: np.ndarray) -> np.ndarray:
        """Which pairs are still in different sets."""
        return self.of[pairs[:, 0]] != self.of[pairs[:, 1]]


def _first_appearance(labels: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]


def _distinct(sequences: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Each sequence once, longest first, then by letters (so that the order of the input is no matter), and its row."""
    order = sorted(set(sequences), key=lambda sequence: (-len(sequence), sequence))
    row = {sequence: number for number, sequence in enumerate(order)}
    return order, np.fromiter((row[sequence] for sequence in sequences), np.int64, len(sequences))


def homologous_pairs(
    sequences: Sequence[str],
    alphabet: Alphabet,
    identity: float,
    coverage: float = 0.5,
) -> Pairs:
    """All pairs of rows whose best local alignment reaches ``identity`` and ``coverage`` (shares); copies have 1.0.

    For large families of near-identical sequences this list is quadratic: ``families`` does not need it.
    """
    distinct, row = _distinct(sequences)
    homology = Homology(distinct, alphabet, identity, coverage)
    pairs = homology.all_pairs()
    if pairs is None:
        pairs = homology.candidates().pairs
    value = homology.test(pairs)
    found = np.concatenate([pairs[value > 0], np.repeat(np.arange(len(distinct)), 2).reshape(-1, 2)])
    value = np.concatenate([value[value > 0], np.ones(len(distinct))])
    members = np.split(np.argsort(row, kind="stable"), np.cumsum(np.bincount(row, minlength=len(distinct)))[:-1])
    first, second, share = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for (one, two), same in zip(found, value, strict=True):
        left, right = np.meshgrid(members[one], members[two], indexing="ij")
        keep = left < right if one == two else np.ones(left.shape, bool)
        first.append(np.minimum(left, right)[keep])
        second.append(np.maximum(left, right)[keep])
        share.append(np.full(int(keep.sum()), same))
    one, two, same = np.concatenate(first), np.concatenate(second), np.concatenate(share)
    order = np.lexsort((two, one))
    return Pairs(one[order], two[order], same[order])


def families(
    sequences: Sequence[str],
    alphabet: Alphabet,
    identity: float = 0.4,
    coverage: float = 0.5,
    program: str = "auto",
    progress: Progress | None = None,
) -> Families:
    """Families of sequences at a threshold of identity (a share of 1).

    ``program``: "own" needs nothing else; "mmseqs" asks MMseqs2 for the pairs; "auto" takes MMseqs2 where it is
    installed. Exact copies are always together. ``progress`` hears of pairs aligned.

    Raises BiograftError for a threshold outside (0, 1], an unknown program, or "mmseqs" where there is none.
    """
    if program not in ("auto", "own", "mmseqs"):
        raise BiograftError(f"Unknown program for families: got '{program}', expected one of auto, own, mmseqs.")
    distinct, row = _distinct(sequences)
    homology = Homology(distinct, alphabet, identity, coverage)
    components = Components(len(distinct))
    _own(homology, components, progress)
    return Families(_first_appearance(components.of[row]), OWN, identity)


def _own(homology: Homology, components: Components, progress: Progress | None) -> None:
    pairs = homology.all_pairs()
    if pairs is not None:
        _join(homology, components, Candidates(pairs, np.zeros(len(pairs), np.int64)), progress)
        return
    # Variants of one protein share nearly all their k-mers: join them to the longest that shares a rare k-mer first.
    for star in sketches(homology.sequences, homology.aligner):
        _join(homology, components, Candidates(star, np.zeros(len(star), np.int64)), None)
    _join(homology, components, homology.candidates(components.of), progress)


def _join(homology: Homology, components: Components, found: Candidates, progress: Progress | None) -> None:
    """Align pairs and join those that are homologous; pairs whose rows are already together are never aligned.

    While that pays, each round aligns only the best pair of every component (Boruvka): a family of n costs about n
    alignments then, not n squared.
    """
    order = np.argsort(-found.score, kind="stable")
    pairs, score, total = found.pairs[order], found.score[order], len(order)
    best_only = True
    while len(pairs):
        keep = components.apart(pairs)
        pairs, score = pairs[keep], score[keep]
        if not len(pairs):
            break
        chosen = _best_of_each(components.of[pairs]) if best_only else np.arange(min(ROUND, len(pairs)))
        joined = homology.test(pairs[chosen], score[chosen]) > 0
        components.join(pairs[chosen][joined])
        best_only = best_only and joined.mean() >= 0.2
        left = np.ones(len(pairs), bool)
        left[chosen] = False
        pairs, score = pairs[left], score[left]
        if progress is not None:
            progress(total - len(pairs), total)
    if progress is not None:
        progress(total, total)


def _best_of_each(components: np.ndarray) -> np.ndarray:
    """Of pairs in order, best first: the first pair of every component, ascending."""
    _, first = np.unique(components.ravel(), return_index=True)
    return np.unique(first // 2)
