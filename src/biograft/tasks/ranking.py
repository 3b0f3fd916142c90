"""Metrics that sort: once for all draws, so that a draw costs one cumulative sum of its weights.

Every builder takes truth, answer and group ``(units,)`` and gives a function of weights ``(draws, groups)``.
"""

from collections.abc import Callable

import numpy as np

__all__ = ["Build", "Weighed", "area", "correlation", "dot", "each", "precision", "ratio", "spearman"]

Weighed = Callable[[np.ndarray], np.ndarray]  # weights (draws, groups) -> values (draws,)
Build = Callable[[np.ndarray, np.ndarray, np.ndarray], Weighed]


def each(value: Callable[[np.ndarray], float]) -> Weighed:
    """A function of one draw's weights, made one of many draws'."""
    return lambda weights: np.array([value(row) for row in np.asarray(weights, dtype=np.float64)])


def dot(left: np.ndarray, right: np.ndarray) -> float:
    """Inner product, without BLAS, whose threads made it a thousand times slower on a busy machine."""
    return float(np.einsum("i,i->", left, right))


def ratio(above: np.ndarray, below: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Quotient, ``otherwise`` where the divisor is 0."""
    return np.divide(above, below, out=np.full(np.shape(below), otherwise), where=below != 0)


def correlation(of_truth: float, of_both: float, of_values: float) -> float:
    """From sums of squares and of products about the means; nan where a side does not vary."""
    if of_truth == 0 or of_values == 0:
        return np.nan
    return float(np.clip(of_both / np.sqrt(of_truth) / np.sqrt(of_values), -1, 1))


def spearman(truth: np.ndarray, values: np.ndarray, groups: np.ndarray) -> Weighed:
    """Correlation of average ranks, where a unit of weight w takes w places."""
    places = [np.unique(side, return_inverse=True)[1] for side in (truth, values)]

    def value(weights: np.ndarray) -> float:
        units = weights[groups]
        tied = [np.bincount(place, units) for place in places]  # weight of every set of equal values
        ends = [np.cumsum(block) for block in tied]
        ranks = [end - block / 2 - end[-1] / 2 for end, block in zip(ends, tied, strict=True)]  # of mean 0
        of_truth, of_values = (dot(block, rank**2) for block, rank in zip(tied, ranks, strict=True))
        of_both = dot(ranks[0][places[0]] * ranks[1][places[1]], units)
        return correlation(of_truth, of_both, of_values)

    return each(value)


class _Ranking:
    """Units in ascending order of a score, and where each positive's set of equal scores begins and ends."""

    def __init__(self, positive: np.ndarray, score: np.ndarray, groups: np.ndarray) -> None:
        order = np.argsort(score, kind="stable")
        score, positive = score[order], positive[order]
        borders = np.concatenate([[0], np.flatnonzero(score[1:] != score[:-1]) + 1, [len(score)]])
        self.groups, self.positives = groups[order], groups[order[positive]]
        block = np.searchsorted(borders, np.flatnonzero(positive), side="right")
        self.starts, self.ends = borders[block - 1], borders[block]
        self.tied = np.searchsorted(self.starts, self.starts)  # the first positive of the same score

    def _below(self, weights: np.ndarray) -> np.ndarray:
        result = np.zeros(len(self.groups) + 1)
        np.cumsum(weights[self.groups], out=result[1:])
        return result

    def area(self, weights: np.ndarray) -> float:
        """Share of (positive, negative) pairs in the right order, ties half, from the positives' ranks."""
        below, own = self._below(weights), weights[self.positives]
        positive, total = float(own.sum()), float(below[-1])
        if not 0 < positive < total * (1 - 1e-12):  # two sums of fractions may differ by rounding
            return np.nan
        pairs = (dot(own, below[self.starts]) + dot(own, below[self.ends]) - positive**2) / 2
        return pairs / (positive * (total - positive))

    def precision(self, weights: np.ndarray) -> float:
        """Mean over the positives of the precision among all units that score at least as high."""
        below, own = self._below(weights), weights[self.positives]
        missed = np.concatenate([[0.0], np.cumsum(own)])
        if missed[-1] == 0:
            return np.nan
        above = np.maximum(below[-1] - below[self.starts], np.finfo(np.float64).tiny)  # 0 only where own is 0
        return dot(own, (missed[-1] - missed[self.tied]) / above) / float(missed[-1])


def _one_against_rest(read: Callable[[_Ranking, np.ndarray], float]) -> Build:
    """Class 1 of two; of more, the mean over those present. Unseen classes are negatives of every class."""

    def build(truth: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> Weighed:
        codes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
        rankings = [_Ranking(truth == code, scores[:, code], groups) for code in codes if code in truth]

        def value(weights: np.ndarray) -> float:
            found = [score for ranking in rankings if not np.isnan(score := read(ranking, weights))]
            return sum(found) / len(found) if found else np.nan

        return each(value)

    return build


area = _one_against_rest(_Ranking.area)
precision = _one_against_rest(_Ranking.precision)
