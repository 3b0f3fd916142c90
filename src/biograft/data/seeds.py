"""Which pairs of sequences are worth an alignment: shared k-mers, their surroundings, then an ungapped score.

Four exact letters (proteins) or a spaced seed (DNA, RNA) give hundreds of millions of hits; a 64-bit word with the
32 letters around each place throws most of them out by xor and popcount, an ungapped score nearly all of the rest.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from biograft.data.alignment import Aligner, workers
from biograft.data.letters import WINDOW, Letters

__all__ = ["Candidates", "Index", "Seeds", "best", "candidates", "sketches"]

BLOCK = 1 << 14
DNA_PATTERNS = {9: "110100110111", 10: "11011000110111", 11: "111010010100110111"}


@dataclass(frozen=True)
class Seeds:
    """How hits are found and thinned: the pattern of a seed, and how many of its neighbours must agree.

    ``near`` of the 16 letters next to a seed and ``around`` of the 32 must be alike; ``hits`` bounds the work:
    k-mers that would give more are read in part.
    """

    pattern: str
    near: int
    around: int
    glance: int
    hits: int = 1_200_000_000

    @staticmethod
    def of(protein: bool, letters: int) -> "Seeds":
        """Seeds for an alphabet and a number of letters in all; longer words for more DNA."""
        if protein:
            return Seeds("1111", near=4, around=7, glance=34)
        weight = int(np.clip(round(np.log(max(letters, 1)) / np.log(4)) - 2, 9, 11))
        return Seeds(DNA_PATTERNS[weight], near=6, around=13, glance=18)


@dataclass(frozen=True)
class Candidates:
    """Pairs (row of the one set, row of the other), each once, with the best ungapped score that was seen."""

    pairs: np.ndarray
    score: np.ndarray


_ONES = np.uint64(0x1111111111111111)


def _alike(first: np.ndarray, second: np.ndarray | np.uint64) -> np.ndarray:
    """How many of the 16 letters of two words are equal."""
    return np.uint8(16) - _marked(first ^ second)


def _marked(differ: np.ndarray) -> np.ndarray:
    """How many of the 16 groups of four bits are not zero; the words are used up."""
    differ |= differ >> np.uint64(2)
    differ |= differ >> np.uint64(1)
    differ &= _ONES
    return np.bitwise_count(differ)


@dataclass(frozen=True)
class Index:
    """The k-mers of one set in order; within a k-mer by group, so that a group's own members are stepped over."""

    places: np.ndarray
    numbers: np.ndarray
    words: np.ndarray
    spare: np.ndarray

    @staticmethod
    def of(letters: Letters, seeds: Seeds, group: np.ndarray | None = None) -> "Index":
        """Sorted by k-mer, then by the group of the sequence, then by place."""
        places, numbers = letters.words(seeds.pattern)
        if group is None:
            order = np.argsort(numbers, kind="stable")
        else:
            order = np.lexsort((group[letters.owner[places]], numbers))
        places, numbers = places[order], numbers[order]
        words = letters.around(places, len(seeds.pattern), 0)
        # near the end of a sequence there are fewer neighbours to agree: grant them at the rate that is asked for
        ended = _alike(words, np.uint64(2**64 - 1))
        spare = np.ceil(ended * (seeds.near / 16)).astype(np.uint8)
        return Index(places, numbers, words, spare)


def _hits(
    left: Index, right: Index, low: np.ndarray, high: np.ndarray, letters: tuple[Letters, Letters], seeds: Seeds
) -> Iterable[Callable[[], tuple[np.ndarray, np.ndarray]]]:
    """Tasks that give the places (left, right) of hits whose neighbours agree.

    Entry ``e`` of the left index meets the entries ``low[e]`` to ``high[e]`` of the right one.
    """
    count = high - low
    limit = _limit(count, seeds.hits)
    step = np.maximum(1, -(-count // limit))
    meets = -(-count // step)
    order = np.argsort(-meets, kind="stable")
    order = order[: int((meets > 0).sum())]

    def block(entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        words, spare = left.words[entries], left.spare[entries]
        spare += np.uint8(16 - seeds.near)  # what may differ; the target may grant some more
        target, stride, sizes = low[entries], step[entries], meets[entries]
        found: list[tuple[np.ndarray, np.ndarray]] = []
        active = len(entries)
        for turn in range(int(sizes[0])):
            if sizes[active - 1] <= turn:
                active = int(np.searchsorted(-sizes, -turn, side="left"))
            at = target[:active]
            differ = right.words.take(at)
            differ ^= words[:active]
            unlike = _marked(differ)
            unlike -= np.minimum(right.spare.take(at), unlike)
            good = np.flatnonzero(unlike <= spare[:active])
            if len(good):
                found.append((good, at[good]))
            at += stride[:active]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        one = np.concatenate([pair[0] for pair in found])
        two = np.concatenate([pair[1] for pair in found])
        return _wider(left.places[entries[one]], right.places[two], entries[one], two)

    def _wider(
        places: np.ndarray, others: np.ndarray, one: np.ndarray, two: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        span = len(seeds.pattern)
        words = letters[0].around(places, span, 1), letters[1].around(others, span, 1)
        agree = _alike(*words).astype(np.int64) + _alike(left.words[one], right.words[two])
        lost = np.maximum(_alike(words[0], ~np.uint64(0)), _alike(words[1], ~np.uint64(0)))
        need = seeds.around - np.ceil(lost * (seeds.around / 32))
        good = agree + left.spare[one] + right.spare[two] >= need
        return places[good], others[good]

    for start in range(0, len(order), BLOCK):
        entries = np.sort(order[start : start + BLOCK])
        entries = entries[np.argsort(-meets[entries], kind="stable")]
        yield partial(block, entries)


def _limit(count: np.ndarray, most: int) -> int:
    """The largest number of partners per entry that keeps the sum of all within ``most``."""
    total = int(count.sum())
    if total <= most or not len(count):
        return max(int(count.max(initial=1)), 1)
    sizes = np.sort(count)
    below = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    fits = below + sizes * np.arange(len(sizes), 0, -1) <= most
    return max(int(sizes[fits].max(initial=1)), 1)


def _ungapped(
    places: np.ndarray, others: np.ndarray, letters: tuple[Letters, Letters], table: np.ndarray, reach: range
) -> np.ndarray:
    """Best ungapped score over the letters ``reach`` around each hit (the running maximum of Kadane)."""
    best = np.zeros(len(places), np.int16)
    running = np.zeros(len(places), np.int16)
    first, second = letters[0].upper, letters[1].codes
    places, others = places + reach.start, others + reach.start
    for offset in range(len(reach)):
        pair = first[offset:].take(places)
        pair |= second[offset:].take(others)
        running += table.take(pair)
        np.maximum(running, 0, out=running)
        np.maximum(best, running, out=best)
    return best


def _score_table(aligner: Aligner) -> np.ndarray:
    table = np.full((32, 32), -3000, np.int16)
    matrix = aligner.scoring.table
    table[: len(matrix), : len(matrix)] = matrix
    return table.ravel()


def candidates(
    first: Letters,
    second: Letters | None,
    aligner: Aligner,
    seeds: Seeds,
    least: Callable[[np.ndarray], np.ndarray],
    group: np.ndarray | None = None,
) -> Candidates:
    """Pairs that share seeds with alike surroundings and an ungapped score of at least ``least(shorter length)``.

    Between two sets, or with ``second`` None within one: then every pair once, and none within a ``group``.
    """
    other = first if second is None else second
    left = Index.of(first, seeds, group if second is None else None)
    if second is None:
        right = left
        owner = first.owner[left.places] if group is None else group[first.owner[left.places]]
        low = _ends(left.numbers, owner)
        high = _ends(left.numbers)
    else:
        right = Index.of(second, seeds)
        low = np.searchsorted(right.numbers, left.numbers, side="left")
        high = np.searchsorted(right.numbers, left.numbers, side="right")
    table = _score_table(aligner)
    letters = (first, other)
    span = len(seeds.pattern)
    width = len(other.lengths)

    def run(task: Callable[[], tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        places, others = task()
        keys, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.int16)]
        for start in range(0, len(places), BLOCK):
            a, b = places[start : start + BLOCK], others[start : start + BLOCK]
            likely = _ungapped(a, b, letters, table, range(-12, span + 12)) >= seeds.glance
            a, b = a[likely], b[likely]
            score = _ungapped(a, b, letters, table, range(-WINDOW, span + WINDOW))
            one, two = first.owner[a].astype(np.int64), other.owner[b].astype(np.int64)
            good = score >= least(np.minimum(first.lengths[one], other.lengths[two]))
            if second is None:
                good &= one != two
                one, two = np.minimum(one, two), np.maximum(one, two)
            keys.append((one * width + two)[good])
            scores.append(score[good])
        return best(np.concatenate(keys), np.concatenate(scores))

    with ThreadPoolExecutor(workers()) as pool:
        parts = list(pool.map(run, _hits(left, right, low, high, letters, seeds)))
    key, score = best(
        np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)]),
        np.concatenate([np.zeros(0, np.int16), *(part[1] for part in parts)]),
    )
    return Candidates(np.stack([key // max(width, 1), key % max(width, 1)], axis=1), score.astype(np.int64))


def best(keys: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key once, with its highest score."""
    if not len(keys):
        return keys, scores
    order = np.argsort(keys, kind="stable")
    keys, scores = keys[order], scores[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.maximum.reduceat(scores, starts)


def _ends(*keys: np.ndarray) -> np.ndarray:
    """For rows sorted by ``keys``: where the run of equal keys ends that each row belongs to."""
    size = len(keys[0])
    change = np.zeros(size, bool)
    for key in keys:
        change[1:] |= key[1:] != key[:-1]
    change[:1] = False
    ends = np.append(np.flatnonzero(change), size)
    return ends[np.cumsum(change)] if size else np.zeros(0, np.int64)


def sketches(sequences: Sequence[str], aligner: Aligner, size: int = 12) -> Iterable[np.ndarray]:
    """Star-shaped pairs, (pairs, 2) at a time: each sequence with the first (the longest) that has one of its k-mers.

    Only the ``size`` k-mers with the lowest hashes of each sequence are used, so the work grows with the number of
    sequences even where all of them are variants of one (the idea of Linclust, doi:10.1038/s41467-018-04964-5).
    """
    letters = Letters.of(sequences, aligner)
    places, numbers = letters.words("1" * (8 if aligner.scoring.protein else 16))
    owner = letters.owner[places]
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    order = np.lexsort((mixed, owner))
    owner, numbers = owner[order], numbers[order]
    begin = np.flatnonzero(np.diff(owner, prepend=-1))
    rank = np.arange(len(owner)) - np.repeat(begin, np.diff(np.append(begin, len(owner))))
    for low, high in ((0, 2), (2, size // 2), (size // 2, size)):
        used = rank < high
        center, kmer = owner[used], numbers[used]
        order = np.lexsort((center, kmer))
        center, kmer = center[order], kmer[order]
        first = np.flatnonzero(np.diff(kmer, prepend=-1))
        heads = np.repeat(center[first], np.diff(np.append(first, len(kmer))))
        pairs = np.stack([heads, center], axis=1).astype(np.int64)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
        if len(pairs) and high > low:
            yield pairs
