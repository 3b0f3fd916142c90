"""Probabilities that mean what they say: a temperature fitted on the validation part, and the diagram.

A temperature divides the logarithms of the probabilities: above 1 it makes an answer less sure, and it never
changes which class is the largest. The error itself is the metric ``ece``.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from biograft.errors import BiograftError
from biograft.tasks.metrics import ECE_BINS

__all__ = ["Reliability", "fit_temperature", "reliability", "with_temperature"]

SMALLEST = 1e-30  # in place of a probability of 0, whose logarithm no temperature could move
COLDEST, HOTTEST = 0.05, 20.0


def with_temperature(scores: np.ndarray, temperature: float) -> np.ndarray:
    """``(units, classes)`` probabilities -> probabilities; ``temperature`` > 0, 1 changes nothing."""
    logits = np.log(np.maximum(scores, SMALLEST, dtype=np.float64)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def fit_temperature(scores: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of the smallest log loss (arXiv:1706.04599), between 0.05 and 20.

    ``scores`` ``(units, classes)`` and ``truth`` ``(units,)`` are of the validation part; unseen classes (-1)
    are left out, for no temperature can help there. Raises BiograftError if no unit is left.
    """
    known = truth >= 0
    if not known.any():
        raise BiograftError(
            f"A temperature is fitted on labels of known classes: got {len(truth)} labels, none "
            "of a class that training had. Check the validation part of the split."
        )
    logits, codes = np.log(np.maximum(scores[known], SMALLEST, dtype=np.float64)), truth[known]
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(codes)), codes]

    def loss(inverse: float) -> float:
        return float(np.mean(np.log(np.exp(logits * inverse).sum(axis=1)) - chosen * inverse))

    # Convex in 1 / temperature, so that the bounded search cannot end in a wrong valley.
    found = minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded", options={"xatol": 1e-6})
    return float(1 / found.x)


class Reliability(NamedTuple):
    """The reliability diagram: per bin of the top probability, ``(bins,)`` each; nan for an empty bin."""

    confidence: np.ndarray
    accuracy: np.ndarray
    units: np.ndarray


def reliability(scores: np.ndarray, truth: np.ndarray, bins: int = ECE_BINS) -> Reliability:
    """Mean top probability, share of right answers and number of units in equal bins (0, 1/bins], ..."""
    top, right = scores.max(axis=1).astype(np.float64), scores.argmax(axis=1) == truth
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], top, side="left")
    units = np.bincount(place, minlength=bins)
    empty = np.full(bins, np.nan)
    means = [
        np.divide(np.bincount(place, side, minlength=bins), units, out=empty.copy(), where=units > 0)
        for side in (top, right)
    ]
    return Reliability(means[0], means[1], units)
