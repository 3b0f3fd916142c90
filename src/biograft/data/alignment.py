"""Exact local alignment (Smith-Waterman, pyopal): identity = identical columns / all columns, gaps counted.

Coverage = the stretch of the shorter sequence that lies in the alignment / its length. A gap of k letters costs
``open + (k - 1) * extend`` (as in MMseqs2 and EMBOSS; BLAST charges one ``extend`` more).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyopal
from scoring_matrices import ScoringMatrix

from biograft.data.alphabet import Alphabet
from biograft.data.traceback import path
from biograft.progress import Progress

__all__ = ["Aligner", "Identities", "Scoring", "align", "aligned_positions", "workers"]


# pyopal keeps the whole traceback: about 12 bytes per cell. Larger pairs take the slower way in linear space.
LARGEST = 20_000_000
PAIRS_PER_TASK = 4000


def workers() -> int:
    """How many threads may work: the processors this process is allowed to use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@dataclass(frozen=True)
class Identities:
    """One value per pair, in the order of the pairs; a pair without any positive score has zeros.

    ``coverage`` is that of the shorter sequence, ``query_coverage`` that of the query.
    """

    identity: np.ndarray
    coverage: np.ndarray
    query_coverage: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Scoring:
    """Substitution scores, gap costs and the Karlin-Altschul constants that belong to them.

    The constants are the gapped ones of NCBI BLAST (doi:10.1093/nar/25.17.3389).
    """

    matrix: ScoringMatrix
    letters: str
    replace: dict[int, int]
    gap_open: int
    gap_extend: int
    decay: float
    search_space: float

    @property
    def protein(self) -> bool:
        """Twenty letters or four."""
        return len(self.letters) > 5

    @property
    def table(self) -> np.ndarray:
        """(letters, letters) int32 substitution scores."""
        return np.array([list(self.matrix[row]) for row in range(len(self.letters))], np.float64).astype(np.int32)


def _protein() -> Scoring:
    matrix = ScoringMatrix.from_name("BLOSUM62")
    return Scoring(matrix, matrix.alphabet, str.maketrans("JUO", "XXX"), 11, 1, decay=0.267, search_space=0.041)


def _nucleotide() -> Scoring:
    letters = "ACGTN"
    rows = [[-2.0 if "N" in (a, b) else 2.0 if a == b else -3.0 for b in letters] for a in letters]
    replace = str.maketrans("URYSWKMBDHV", "TNNNNNNNNNN")
    return Scoring(ScoringMatrix(rows, letters), letters, replace, 5, 2, decay=0.625, search_space=0.41)


def _span(start: int, end: int) -> int:
    return end - start + 1


def _summary(
    score: int, columns: str, spans: tuple[int, int], lengths: tuple[int, int]
) -> tuple[float, float, float, int]:
    """Identity, coverage of the shorter sequence and of the query, score, of one alignment."""
    if score <= 0 or not columns:
        return 0.0, 0.0, 0.0, 0
    if lengths[0] == lengths[1]:
        covered = max(spans) / lengths[0]  # the longer stretch counts, so that the order is no matter
    else:
        shorter = int(lengths[1] < lengths[0])
        covered = spans[shorter] / lengths[shorter]
    return columns.count("M") / len(columns), covered, spans[0] / lengths[0], score


class Aligner:
    """Smith-Waterman for one alphabet: BLOSUM62 with 11/1 for proteins, +2/-3 with 5/2 for DNA and RNA.

    J, U and O score as X, ambiguous bases as N, U as T.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.scoring = _protein() if alphabet.name == "protein" else _nucleotide()
        self._opal = pyopal.Aligner(
            self.scoring.matrix, gap_open=self.scoring.gap_open, gap_extend=self.scoring.gap_extend
        )

    def spell(self, sequence: str) -> str:
        """The sequence in letters that the score matrix knows."""
        return sequence.translate(self.scoring.replace)

    def expected(self, score: np.ndarray, length: np.ndarray | int, letters: int) -> np.ndarray:
        """Chance hits of at least this score that a random sequence of ``length`` finds among ``letters`` letters."""
        return self.scoring.search_space * np.asarray(length, float) * letters * np.exp(-self.scoring.decay * score)

    def least_score(self, length: np.ndarray | int, letters: int, expected: float) -> np.ndarray:
        """The score above which no more than ``expected`` chance hits are awaited (see ``expected``)."""
        space = self.scoring.search_space * np.maximum(np.asarray(length, float), 1.0) * max(letters, 1)
        return np.log(space / expected) / self.scoring.decay

    def scores(
        self,
        pairs: np.ndarray,
        queries: Sequence[str],
        references: Sequence[str],
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Best local score of each pair (row of query, row of reference), int64; much faster than ``align``."""
        found = np.zeros(len(pairs), np.int64)

        def one(query: str, targets: Any, rows: np.ndarray) -> None:
            results = self._opal.align(query, targets, mode="score", algorithm="sw")
            found[rows] = [result.score for result in results]

        self._each_query(pairs, queries, references, one, progress)
        return found

    def align(
        self,
        pairs: np.ndarray,
        queries: Sequence[str],
        references: Sequence[str],
        progress: Progress | None = None,
    ) -> Identities:
        """Identity, coverage and score of the best local alignment of each pair."""
        found = np.zeros((len(pairs), 4))

        def one(query: str, targets: Any, rows: np.ndarray) -> None:
            lengths = np.fromiter(targets.lengths, np.int64, len(targets))
            large = lengths * len(query) > LARGEST
            for row, place in zip(rows[large], np.flatnonzero(large), strict=True):
                found[row] = self._in_linear_space(query, targets[int(place)])
            if large.all():
                return
            if large.any():
                targets = targets.extract(np.flatnonzero(~large).tolist())
            for row, hit in zip(
                rows[~large], self._opal.align(query, targets, mode="full", algorithm="sw"), strict=True
            ):
                spans = _span(hit.query_start, hit.query_end), _span(hit.target_start, hit.target_end)
                size = hit.query_length, hit.target_length
                found[row] = _summary(hit.score, hit.alignment, spans, size)

        self._each_query(pairs, queries, references, one, progress)
        return Identities(found[:, 0], found[:, 1], found[:, 2], found[:, 3].astype(np.int64))

    def positions(self, query: str, reference: str) -> np.ndarray:
        """(columns, 2) int64: which position of the query lies on which of the reference, gaps left out."""
        if not query or not reference:
            return np.zeros((0, 2), np.int64)
        query, reference = self.spell(query), self.spell(reference)
        if len(query) * len(reference) > LARGEST:
            _, columns, start = self._path(query, reference)
        else:
            targets = pyopal.Database([reference], alphabet=self._opal.alphabet)
            hit = self._opal.align(query, targets, mode="full", algorithm="sw")[0]
            if hit.score <= 0:
                return np.zeros((0, 2), np.int64)
            columns, start = hit.alignment, (hit.query_start, hit.target_start)
        # as pyopal writes it, D is a letter of the query against a gap, I one of the reference
        steps = np.frombuffer(columns.encode(), np.uint8)
        in_query, in_reference = steps != ord("I"), steps != ord("D")
        both = in_query & in_reference
        first = np.cumsum(in_query)[both] - 1 + start[0]
        second = np.cumsum(in_reference)[both] - 1 + start[1]
        return np.stack([first, second], axis=1).astype(np.int64)

    def _path(self, query: str, reference: str) -> tuple[int, str, tuple[int, int]]:
        order = {letter: code for code, letter in enumerate(self.scoring.letters)}
        codes = [np.array([order[letter] for letter in text], np.int64) for text in (query, reference)]
        return path(codes[0], codes[1], self.scoring.table, self.scoring.gap_open, self.scoring.gap_extend)

    def _in_linear_space(self, query: str, reference: str) -> tuple[float, float, float, int]:
        score, columns, _ = self._path(query, reference)
        spans = len(columns) - columns.count("I"), len(columns) - columns.count("D")
        return _summary(score, columns, spans, (len(query), len(reference)))

    def _each_query(
        self,
        pairs: np.ndarray,
        queries: Sequence[str],
        references: Sequence[str],
        work: Callable[[str, Any, np.ndarray], None],
        progress: Progress | None,
    ) -> None:
        """Call ``work(query, its references, its rows of pairs)`` once per query, on all processors."""
        pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        used, place = np.unique(pairs[:, 1], return_inverse=True)
        empty = np.array([not references[row] for row in used], bool)
        # pyopal takes no empty sequence: a letter stands in for it and its pairs keep their zeros
        targets = pyopal.Database([self.spell(references[row]) or "A" for row in used], self._opal.alphabet)
        tasks = list(_tasks(pairs[:, 0]))

        def run(groups: list[np.ndarray]) -> int:
            for rows in groups:
                query = queries[pairs[rows[0], 0]]
                if query:
                    rows = rows[~empty[place[rows]]]
                    if len(rows):
                        work(self.spell(query), targets.extract(place[rows].tolist()), rows)
            return sum(map(len, groups))

        done = 0
        with ThreadPoolExecutor(workers()) as pool:
            for size in pool.map(run, tasks):
                done += size
                if progress is not None:
                    progress(done, len(pairs))


def _tasks(query: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Rows of pairs, grouped by query, several queries to a task."""
    order = np.argsort(query, kind="stable")
    starts = np.flatnonzero(np.diff(query[order], prepend=-1))
    groups: list[np.ndarray] = []
    size = 0
    for rows in np.split(order, starts[1:]) if len(order) else []:
        groups.append(rows)
        size += len(rows)
        if size >= PAIRS_PER_TASK:
            yield groups
            groups, size = [], 0
    if groups:
        yield groups


def align(
    pairs: np.ndarray,
    queries: Sequence[str],
    references: Sequence[str],
    alphabet: Alphabet,
    progress: Progress | None = None,
) -> Identities:
    """Best local alignment of each pair (n, 2) of (row of ``queries``, row of ``references``)."""
    return Aligner(alphabet).align(pairs, queries, references, progress)


def aligned_positions(query: str, reference: str, alphabet: Alphabet) -> np.ndarray:
    """(columns, 2) int64: matched positions (query, reference) of the best local alignment, both ascending."""
    return Aligner(alphabet).positions(query, reference)
