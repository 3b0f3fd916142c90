"""The front of two scores: which of several weights give most of one for what they leave of the other."""

import numpy as np

__all__ = ["non_dominated"]


def non_dominated(scores: np.ndarray) -> np.ndarray:
    """``(..., points, scores)``, more is better -> ``(..., points)`` bool.

    False where another point is at least as good in every score and better in one; equal points do not dominate each
    other, and a point with an undefined score is never marked.
    """
    scores = np.asarray(scores, dtype=np.float64)
    ours, others = scores[..., :, None, :], scores[..., None, :, :]
    beaten = ((others >= ours).all(axis=-1) & (others > ours).any(axis=-1)).any(axis=-1)
    found: np.ndarray = ~beaten & np.isfinite(scores).all(axis=-1)
    return found
