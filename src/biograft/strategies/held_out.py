"""Classifiers asked about the inner folds that they did not learn from, and how sure of themselves they may be."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from biograft.strategies.inner import Folds

__all__ = ["HeldOut", "classes_of"]

_SHARPEST = np.log(1e3)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Answers of all folds, one entry per fold; held-out rows whose class the other folds lack are left out.

    Attributes:
        logits: ``(rows, classes of that fold)``.
        codes: ``(rows,)`` place of the true class among these.
    """

    logits: list[np.ndarray]
    codes: list[np.ndarray]

    @classmethod
    def of(
        cls, folds: Folds, codes: np.ndarray, answer: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    ) -> "HeldOut":
        """``answer``: rows to learn from, their codes from 0 without a gap, rows asked -> logits of these."""
        logits, truths = [], []
        for learn, out in folds.parts():
            present, own = classes_of(codes[learn])
            out = out[np.isin(codes[out], present)]
            if len(out):
                logits.append(answer(learn, own, out))
                truths.append(np.searchsorted(present, codes[out]))
        return cls(logits, truths)

    def loss(self, sharpness: float = 1.0) -> float:
        """Mean log loss of ``sharpness * logits``; infinite where no row was asked."""
        if not self.codes:
            return np.inf
        losses = [
            logsumexp(sharpness * logits, axis=1) - sharpness * logits[np.arange(len(codes)), codes]
            for logits, codes in zip(self.logits, self.codes, strict=True)
        ]
        return float(np.concatenate(losses).mean())

    def sharpest(self) -> float:
        """The sharpness of least log loss, from 0.001 to 1000 (arXiv:1706.04599 calls its inverse temperature)."""
        found = minimize_scalar(lambda power: self.loss(float(np.exp(power))), bounds=(-_SHARPEST, _SHARPEST))
        return float(np.exp(found.x))


def classes_of(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes that occur, ascending, and for each row the place of its class among them."""
    present, own = np.unique(codes, return_inverse=True)
    return present, own.reshape(-1)
