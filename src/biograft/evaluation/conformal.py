"""Intervals for single predictions by split conformal prediction (doi:10.1561/2200000101)."""

import math

import numpy as np

__all__ = ["residual_quantile"]


def residual_quantile(truth: np.ndarray, values: np.ndarray, level: float = 0.95) -> float | None:
    """Half-width that covers a new value with probability ``level`` if it comes from where these came from.

    Args:
        truth: ``(units,)`` measured values of records that the model was not fitted on.
        values: ``(units,)`` predictions for them.
        level: wanted coverage, between 0 and 1.

    Returns:
        The ⌈(n + 1) · level⌉-th smallest absolute residual, in the units of the values; None where n is too small.
    """
    residuals = np.sort(np.abs(truth - values))
    rank = math.ceil((len(residuals) + 1) * level)
    return float(residuals[rank - 1]) if rank <= len(residuals) else None
