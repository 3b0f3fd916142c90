"""Families: components of the graph of homologous pairs, so that no pair across families is above the threshold.

Exact copies are collapsed first; pairs whose rows are already together are never aligned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biograft.data.alphabet import Alphabet, reverse_complement
from biograft.data.homology import Homology
from biograft.data.mmseqs import VARIABLE, MMseqs2
from biograft.data.seeds import Candidates
from biograft.errors import BiograftError
from biograft.progress import Progress

__all__ = ["SECOND_SEARCH", "WITHOUT", "Components", "Families", "families"]

WITHOUT = "without MMseqs2"  # said where it failed
OWN = "shared k-mers, exact alignment"
ROUND = 60_000
SPOKESMEN = 50
SECOND_SEARCH = 3_000_000
"""Residues up to which MMseqs2 searches as well (about 10,000 proteins). Its prefilter grows with their square: on
20,000 proteins it took 33 s of the processor to add 21 joins to the 2,462 of our own 50 s."""
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

    Small sets are aligned pair by pair. In larger ones pairs are chosen by shared k-mers and, for proteins of up to
    ``SECOND_SEARCH`` residues in all, by MMseqs2 as well.

    Args:
        coverage: share of the shorter sequence that the alignment must span.
        program: "own" does without MMseqs2; "mmseqs" insists on it; "auto" takes it where it is installed and the
            set's size suits it, and goes on without it where it fails. ``Families.program`` says what was done.
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
    if program != "mmseqs" and not components.of.any():
        _tell(progress, WHOLE)
        return OWN
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
        return none, OWN
    if program == "auto" and homology.letters > SECOND_SEARCH:
        return none, f"{OWN}; MMseqs2 is asked up to {SECOND_SEARCH:,} residues only"
    if not homology.aligner.scoring.protein:
        raise BiograftError("MMseqs2 is used for proteins only: got DNA or RNA. Choose own or auto as the program.")
    try:
        tool = MMseqs2.find()
        if tool is not None:
            rows = components.spokesmen(SPOKESMEN)
            pairs = tool.candidates(homology.sequences, rows, homology.identity)
            return pairs, f"shared k-mers and {tool}, exact alignment"
    except (BiograftError, OSError) as fault:  # such as no room for its files
        if program == "mmseqs":
            raise
        return none, f"{OWN}, {WITHOUT}: {fault}"
    if program == "mmseqs":
        raise BiograftError(
            f"MMseqs2 is not there: no 'mmseqs' is on the PATH and {VARIABLE} names none. Install it, or choose own."
        )
    return none, OWN


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
