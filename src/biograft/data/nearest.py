"""The nearest reference of each query: the highest identity among the references that promise most.

Variants of one protein (equal lengths, most letters alike) are compared letter by letter, everything else by shared
k-mers; what promises most is then aligned exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from biograft.data.alignment import Aligner
from biograft.data.alphabet import Alphabet
from biograft.data.letters import Letters
from biograft.data.seeds import Seeds, candidates
from biograft.progress import Progress

__all__ = ["Nearest", "nearest"]

EXPECTED = 0.01
ALL_PAIRS_CELLS = 1.2e10
ALIGNED_PER_QUERY = 6
HITS = 200_000_000
VARIANTS_ALIKE = 0.5
VARIANT_FOUND = 0.7
MOST_ALIKE = 3
QUERIES, REFERENCES = 512, 4096


@dataclass(frozen=True)
class Nearest:
    """``index`` (queries,): row of the nearest reference, -1 where none; ``identity``: a share of 1, 0 where none."""

    index: np.ndarray
    identity: np.ndarray


def nearest(
    queries: Sequence[str],
    references: Sequence[str],
    alphabet: Alphabet,
    coverage: float = 0.5,
    progress: Progress | None = None,
) -> Nearest:
    """The reference of highest identity for each query, among those whose alignment covers ``coverage`` of the query.

    A score that chance would give does not count (at most ``EXPECTED`` such hits per query). Exact copies give 1.0;
    of equals the first reference is named.
    """
    first = {sequence: row for row, sequence in reversed(list(enumerate(references)))}
    index = np.fromiter((first.get(query, -1) for query in queries), np.int64, len(queries))
    identity = np.where(index >= 0, 1.0, 0.0)
    todo = list(dict.fromkeys(query for query, row in zip(queries, index, strict=True) if row < 0))
    if not todo or not first:
        return Nearest(index, identity)
    distinct = list(dict.fromkeys(references))
    best, share = _search(todo, distinct, Aligner(alphabet), coverage, progress)
    row_of = {query: row for row, query in enumerate(todo)}
    for place in np.flatnonzero(index < 0).tolist():
        row = row_of[queries[place]]
        if best[row] >= 0:
            index[place], identity[place] = first[distinct[best[row]]], share[row]
    return Nearest(index, identity)


def _search(
    queries: list[str], references: list[str], aligner: Aligner, coverage: float, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    letters = sum(map(len, references))
    lengths = np.fromiter(map(len, queries), np.int64, len(queries))
    least = aligner.least_score(lengths, letters, EXPECTED)
    pairs = _promising(queries, references, aligner, least)
    found = aligner.align(pairs, queries, references, progress)
    good = (found.query_coverage >= coverage) & (found.score >= least[pairs[:, 0]])
    pairs, share, score = pairs[good], found.identity[good], found.score[good]
    order = np.lexsort((pairs[:, 1], -score, -share, pairs[:, 0]))
    rows, place = np.unique(pairs[order, 0], return_index=True)
    best, identity = np.full(len(queries), -1), np.zeros(len(queries))
    best[rows], identity[rows] = pairs[order[place], 1], share[order[place]]
    return best, identity


def _promising(queries: list[str], references: list[str], aligner: Aligner, least: np.ndarray) -> np.ndarray:
    """Pairs (query, reference) to align, a few per query."""
    cells = float(sum(map(len, queries))) * sum(map(len, references))
    if cells <= ALL_PAIRS_CELLS and len(queries) * len(references) <= 4_000_000:
        pairs = np.indices((len(queries), len(references))).reshape(2, -1).T
        scores = aligner.scores(pairs, queries, references)
        worthy = scores >= least[pairs[:, 0]]
        return _top(pairs[worthy], scores[worthy])
    variants, settled = _variants(queries, references)
    rest = np.flatnonzero(~settled)
    if not len(rest):
        return variants
    seeds = replace(Seeds.of(aligner.scoring.protein, sum(map(len, references))), hits=HITS)
    first = Letters.of([queries[row] for row in rest], aligner)
    floor = 0.5 * float(least[rest].min())
    found = candidates(
        first, Letters.of(references, aligner), aligner, seeds, lambda shorter: np.full(len(shorter), min(35.0, floor))
    )
    pairs = found.pairs.copy()
    pairs[:, 0] = rest[pairs[:, 0]]
    return np.unique(np.concatenate([variants, _top(pairs, found.score)]), axis=0)


def _top(pairs: np.ndarray, score: np.ndarray) -> np.ndarray:
    """The best few pairs of each query."""
    order = np.lexsort((pairs[:, 1], -score, pairs[:, 0]))
    pairs = pairs[order]
    begin = np.searchsorted(pairs[:, 0], pairs[:, 0], side="left")
    return pairs[np.arange(len(pairs)) - begin < ALIGNED_PER_QUERY]


def _variants(queries: list[str], references: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of equal length with the most equal letters, where most letters of random such pairs are equal.

    And, by query, whether that settles it.
    """
    sizes = np.array([len(reference) for reference in references])
    of_query = np.array([len(query) for query in queries])
    pairs, settled = [np.zeros((0, 2), np.int64)], np.zeros(len(queries), bool)
    for length in np.unique(of_query):
        one, two = np.flatnonzero(of_query == length), np.flatnonzero(sizes == length)
        if length == 0 or min(len(one), len(two)) * max(len(one), len(two)) < 1000:
            continue
        first, second = (_matrix([texts[row] for row in rows]) for texts, rows in ((queries, one), (references, two)))
        probe = min(len(one), len(two), 200)
        spread = [np.linspace(0, len(rows) - 1, probe).astype(int) for rows in (one, two)]
        if (first[spread[0]] == second[spread[1]]).mean() < VARIANTS_ALIKE:
            continue
        column, share = _most_alike(first, second)
        pairs.append(np.stack([np.repeat(one, column.shape[1]), two[column.ravel()]], axis=1))
        settled[one] = share >= VARIANT_FOUND
    return np.concatenate(pairs), settled


def _matrix(sequences: list[str]) -> np.ndarray:
    return np.frombuffer("".join(sequences).encode("ascii"), np.uint8).reshape(len(sequences), -1)


def _most_alike(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (rows, k) of the rows of ``second`` that share most letters, and the share of the best."""
    width = first.shape[1]
    differ = np.flatnonzero((first != first[0]).any(axis=0) | (second != first[0]).any(axis=0))
    first, second = first[:, differ], second[:, differ]  # where all letters are the same, nothing is to be compared
    letters = np.unique(first)
    keep = min(MOST_ALIKE, len(second))
    column = np.zeros((len(first), keep), np.int64)
    alike = np.full((len(first), keep), -1.0, np.float32)
    for begin in range(0, len(second), REFERENCES):
        other = _one_hot(second[begin : begin + REFERENCES], letters)
        for start in range(0, len(first), QUERIES):
            rows = slice(start, start + QUERIES)
            found = _one_hot(first[rows], letters) @ other.T
            place = _largest(found.copy(), min(keep, len(other)))
            values = np.concatenate([alike[rows], np.take_along_axis(found, place, axis=1)], axis=1)
            columns = np.concatenate([column[rows], place + begin], axis=1)
            best = np.argsort(-values, axis=1, kind="stable")[:, :keep]  # of equals the first
            alike[rows] = np.take_along_axis(values, best, axis=1)
            column[rows] = np.take_along_axis(columns, best, axis=1)
    return column, (alike[:, 0] + (width - len(differ))) / width


def _largest(values: np.ndarray, keep: int) -> np.ndarray:
    """Columns of the largest values; of equals the first. The values are used up."""
    columns = []
    for _ in range(keep):
        best = values.argmax(axis=1)
        columns.append(best)
        values[np.arange(len(values)), best] = -1
    return np.stack(columns, axis=1)


def _one_hot(letters: np.ndarray, known: np.ndarray) -> np.ndarray:
    return (letters[:, :, None] == known).reshape(len(letters), -1).astype(np.float32)
