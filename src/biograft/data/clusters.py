"""Families: components of the graph of homologous pairs, so that no pair across families is above the threshold.

Homologous = identity and coverage of the best local alignment reach their thresholds and the score is not one that
chance would give (``EXPECTED``). DNA is compared on either strand, RNA and proteins as they are written. Exact copies
are collapsed first; pairs already joined are never aligned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biograft.data.alignment import Aligner
from biograft.data.alphabet import Alphabet, reverse_complement
from biograft.data.letters import Letters
from biograft.data.mmseqs import VARIABLE, MMseqs2
from biograft.data.seeds import Candidates, Seeds, best, candidates, sketches
from biograft.errors import BiograftError
from biograft.progress import Progress

__all__ = ["EXPECTED", "Components", "Families", "Homology", "families"]

EXPECTED = 0.01
"""Chance hits per sequence against the whole set that a score may be awaited to have. Without such a limit peptides of
30 letters are "40 % identical over half their length" to one protein in fifty, and everything is one family."""

ALL_PAIRS_CELLS = 4e9
ROUND = 60_000
SPOKESMEN = 50
WHOLE = 1000


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

    def spokesmen(self, most: int) -> np.ndarray:
        """The first ``most`` rows of each set, ascending: enough to find its relatives, however large it is."""
        order = np.argsort(self.of, kind="stable")
        sizes = np.bincount(self.of)
        rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return np.sort(order[rank < most])


def _first_appearance(labels: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]


def _distinct(sequences: Sequence[str], alphabet: Alphabet) -> tuple[list[str], np.ndarray]:
    """Each sequence once, longest first, then by letters (so that the order of the input is no matter), and its row.

    The two strands of one piece of DNA are one sequence.
    """
    if alphabet.name == "dna":
        sequences = [min(sequence, reverse_complement(sequence, alphabet)) for sequence in sequences]
    order = sorted(set(sequences), key=lambda sequence: (-len(sequence), sequence))
    row = {sequence: number for number, sequence in enumerate(order)}
    return order, np.fromiter((row[sequence] for sequence in sequences), np.int64, len(sequences))


def families(
    sequences: Sequence[str],
    alphabet: Alphabet,
    identity: float = 0.4,
    coverage: float = 0.5,
    program: str = "auto",
    progress: Progress | None = None,
) -> Families:
    """Families of sequences at a threshold of identity (a share of 1). Copies are always together.

    Small sets are aligned pair by pair. In larger ones pairs are chosen by shared k-mers and, for proteins, by
    MMseqs2 as well.

    Args:
        coverage: share of the shorter sequence that the alignment must span.
        program: "own" does without MMseqs2; "mmseqs" insists on it; "auto" takes it where it is installed and a set
            is large, and goes on without it where it fails. ``Families.program`` says what was done.
        progress: hears of thousandths of the work.

    Raises:
        BiograftError: a threshold outside (0, 1], an unknown program; "mmseqs" where it is absent, fails, or the
            sequences are no proteins.
    """
    if program not in ("auto", "own", "mmseqs"):
        raise BiograftError(f"Unknown program for families: got '{program}', expected one of auto, own, mmseqs.")
    distinct, row = _distinct(sequences, alphabet)
    homology = Homology(distinct, alphabet, identity, coverage)
    components = Components(len(distinct))
    if homology.few() and program != "mmseqs":
        _join(homology, components, homology.all_pairs(), progress)
        done = "exact alignment of all pairs"
    else:
        done = _large(homology, components, program, progress)
    return Families(_first_appearance(components.of[row]), done, identity)


def _large(homology: Homology, components: Components, program: str, progress: Progress | None) -> str:
    """Join what two searches find; returns what was used."""
    # Variants of one protein share nearly all their k-mers: join them to the longest that shares a rare k-mer first.
    for star in homology.stars():
        _join(homology, components, star, None)
    _tell(progress, 50)
    found = homology.candidates(components.of)
    _tell(progress, 300)
    more, used = _second_search(homology, components, program)
    _tell(progress, 500)
    new = more[~np.isin(_key(more), _key(found.pairs))]
    both = Candidates(np.concatenate([found.pairs, new]), np.append(found.score, np.zeros(len(new), np.int64)))
    _join(homology, components, both, progress, 500)
    return used


def _key(pairs: np.ndarray) -> np.ndarray:
    return pairs[:, 0] << 32 | pairs[:, 1]


def _second_search(homology: Homology, components: Components, program: str) -> tuple[np.ndarray, str]:
    """Pairs that MMseqs2 finds, and what is to be said of how families were found."""
    none = np.zeros((0, 2), np.int64)
    if program == "own" or (program == "auto" and not homology.aligner.scoring.protein):
        return none, "shared k-mers, exact alignment"
    if not homology.aligner.scoring.protein:
        raise BiograftError("MMseqs2 is used for proteins only: got DNA or RNA. Choose own or auto as the program.")
    try:
        tool = MMseqs2.find()
        if tool is not None:
            rows = components.spokesmen(SPOKESMEN)
            pairs = tool.candidates(homology.sequences, rows, homology.identity)
            return pairs, f"shared k-mers and {tool}, exact alignment"
    except BiograftError as fault:
        if program == "mmseqs":
            raise
        return none, f"shared k-mers, exact alignment, without MMseqs2: {fault}"
    if program == "mmseqs":
        raise BiograftError(
            f"MMseqs2 is not there: no 'mmseqs' is on the PATH and {VARIABLE} names none. Install it, or choose own."
        )
    return none, "shared k-mers, exact alignment"


def _tell(progress: Progress | None, done: int) -> None:
    if progress is not None:
        progress(done, WHOLE)


def _join(
    homology: Homology, components: Components, found: Candidates, progress: Progress | None, begun: int = 0
) -> None:
    """Align pairs and join those that are homologous; pairs whose rows are already together are never aligned.

    While that pays, each round aligns only the best pair of every component (Boruvka): a family of n costs about n
    alignments then, not n squared.
    """
    order = np.argsort(-found.score, kind="stable")
    pairs, score, total = found.pairs[order], found.score[order], len(order)
    best_only = True
    while len(pairs):
        keep = components.apart(pairs % homology.rows)
        pairs, score = pairs[keep], score[keep]
        if not len(pairs):
            break
        rows = pairs % homology.rows
        chosen = _best_of_each(components.of[rows]) if best_only else np.arange(min(ROUND, len(pairs)))
        joined = homology.test(pairs[chosen], score[chosen]) > 0
        components.join(rows[chosen][joined])
        best_only = best_only and joined.mean() >= 0.2
        left = np.ones(len(pairs), bool)
        left[chosen] = False
        pairs, score = pairs[left], score[left]
        _tell(progress, begun + (WHOLE - begun) * (total - len(pairs)) // total)
    _tell(progress, WHOLE)


def _best_of_each(components: np.ndarray) -> np.ndarray:
    """Of pairs in order, best first: the first pair of every component, ascending."""
    _, first = np.unique(components.ravel(), return_index=True)
    return np.unique(first // 2)
