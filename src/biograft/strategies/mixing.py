"""Weights of layers for heads that are solved: no gradient reaches them, inner folds of the training part choose."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np

from biograft.strategies.inner import subsample
from biograft.strategies.strategy import FixedFeatures

__all__ = ["weighed"]

SHARPNESS = (0.0, 2.0, 5.0, np.inf)  # from the plain mean of all layers to the best one alone
MOST = 5_000  # units on which weights are chosen


class _Scored(Protocol):
    @property
    def scores(self) -> dict[str, float]: ...


F = TypeVar("F", bound=_Scored)


def weighed(features: FixedFeatures, solve: Callable[[FixedFeatures], F]) -> tuple[np.ndarray, F, str]:
    """Shares of the layers ``(layers,)``, the head on their mix, and a sentence on how they were chosen.

    A share falls with its layer's own loss: it is proportional to exp(-sharpness * distance), where the best layer is
    at a distance of 0 and the worst of 1. One number is chosen on the inner folds instead of one per layer: with few
    labels more could not be told apart from noise.

    Args:
        features: values are ``(units, layers, features)``.
        solve: finds a head on ``(units, features)``.
    """
    layers = features.values.shape[1]
    chosen = subsample(len(features.values), MOST, features.seed)
    few = _taken(features, chosen)
    alone = [solve(_mixed(few, one)) for one in np.eye(layers)]
    if not all(fit.scores for fit in alone):
        shares = np.full(layers, 1 / layers)
        return shares, solve(_mixed(features, shares)), "equal, for there are too few rows for inner folds"
    losses = np.array([min(fit.scores.values()) for fit in alone])
    tried: list[tuple[float, np.ndarray, F]] = []
    for sharpness in SHARPNESS:
        shares = _shares(losses, sharpness)
        fit = alone[int(losses.argmin())] if np.isinf(sharpness) else solve(_mixed(few, shares))
        tried.append((min(fit.scores.values()), shares, fit))
    loss, shares, fit = min(tried, key=lambda one: one[0])
    if len(chosen) < len(features.values):
        fit = solve(_mixed(features, shares))
    each = ", ".join(f"{height}: {own:.3g}" for height, own in enumerate(losses.tolist(), start=1))
    return shares, fit, f"of least loss on inner folds of the training part, {loss:.3g} (single layers: {each})"


def _mixed(features: FixedFeatures, shares: np.ndarray) -> FixedFeatures:
    """``(units, features)``."""
    return replace(features, values=np.einsum("ulf,l->uf", features.values, shares.astype(np.float32)))


def _taken(features: FixedFeatures, chosen: np.ndarray) -> FixedFeatures:
    return replace(
        features, values=features.values[chosen], targets=features.targets[chosen], families=features.families[chosen]
    )


def _shares(losses: np.ndarray, sharpness: float) -> np.ndarray:
    """``(layers,)`` that sum to 1; equal where no layer is better than another."""
    if np.isinf(sharpness):
        return np.eye(len(losses))[int(losses.argmin())]
    spread = np.ptp(losses)
    powers = np.exp(-sharpness * (losses - losses.min()) / (spread if spread > 0 else 1.0))
    return np.asarray(powers / powers.sum())
