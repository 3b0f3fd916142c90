"""What resting features, or the answers of a source's classifier, promise for a task: arrays in, numbers out.

``features (units, features)``; ``codes (units,)`` from 0. Greater is better everywhere. Each number compares features
on one set of labels; none says what a trained model will reach.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from biograft.evaluation.shrinkage import solved

__all__ = ["h_score", "leep", "logme", "nce"]

_POINTS = 60
_BEYOND = 15.0  # logarithm of how far the ratio of precisions may be from the eigenvalues
_SMALL = 1e-10  # share of the largest eigenvalue that is rounding


def logme(features: np.ndarray, targets: np.ndarray, classes: int | None = None) -> float:
    """Log of the largest evidence per unit of a Bayesian linear model (arXiv:2102.11005); of classes, their mean.

    Beside the paper's weights there is an intercept without a prior, so that it is the evidence of the units about
    their mean, one fewer: where features lie says nothing of their worth.

    Args:
        targets: ``(units,)`` values, or codes.
        classes: how many, each against all others; None for values. One without a unit is left out.
    """
    features = np.asarray(features, dtype=np.float64)
    features = features - features.mean(0)
    if classes is None:
        columns = np.asarray(targets, dtype=np.float64).reshape(-1, 1)
    else:
        columns = np.eye(classes)[targets]
        columns = columns[:, columns.any(0)]
    columns = columns - columns.mean(0)
    squares, parts = _principal(features, columns)
    energies = (columns**2).sum(0)
    return float(np.mean([_evidence(squares, z, e, len(features) - 1) for z, e in zip(parts.T, energies, strict=True)]))


def _principal(features: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(axes,)`` squared singular values above rounding, and ``(axes, columns)`` coordinates of the targets."""
    dual = len(features) < features.shape[1]
    squares, basis = np.linalg.eigh(features @ features.T if dual else features.T @ features)
    kept = squares > _SMALL * max(squares[-1], 1e-300)
    squares, basis = squares[kept], basis[:, kept]
    if dual:
        return squares, basis.T @ columns
    return squares, basis.T @ (features.T @ columns) / np.sqrt(squares)[:, None]


def _evidence(squares: np.ndarray, parts: np.ndarray, energy: float, contrasts: int) -> float:
    """Per contrast, at the precisions of weights and noise that make it largest.

    Given their ratio the noise's precision has a closed form, so that one number is searched. The paper's fixed point
    ends in the same place, but slowly, and not always in the highest.
    """
    outside = max(energy - float(parts @ parts), 0.0)  # what no weights can explain

    def loss(power: float) -> float:
        ratio = np.exp(power)
        left = float((parts**2 * (ratio / (squares + ratio))).sum()) + outside
        noise = np.log(2 * np.pi * np.e * max(left, 1e-300) / contrasts)
        return float(noise + np.log1p(squares / ratio).sum() / contrasts)

    if not len(squares):
        return -0.5 * loss(0.0)
    grid = np.linspace(np.log(squares[0]) - _BEYOND, np.log(squares[-1]) + _BEYOND, _POINTS)
    losses = [loss(power) for power in grid]
    best = int(np.argmin(losses))
    near = grid[max(0, best - 1)], grid[min(_POINTS - 1, best + 1)]
    return -0.5 * min(losses[best], float(minimize_scalar(loss, bounds=near).fun))


def h_score(features: np.ndarray, codes: np.ndarray, *, regularised: bool = True) -> float:
    """Variance between classes over all variance, ``tr(cov(f)^-1 cov(E[f|y]))``, from 0 to the classes - 1.

    With as many features as units the plain one (doi:10.1109/ICIP.2019.8803726) is at its upper end whatever the
    labels; regularised, the covariance is shrunken after Ledoit and Wolf (arXiv:2110.06893).
    """
    features = np.asarray(features, dtype=np.float64)
    features = features - features.mean(0)
    _, own, counts = np.unique(codes, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), features.shape[1]))
    np.add.at(means, own.reshape(-1), features)
    means /= counts[:, None]
    shares = counts / len(features)
    if regularised:
        found, share = solved(features, means, 1e-12)
        return float((1 - share) * (shares @ np.einsum("ij,ij->i", found, means)))
    _, parts = _principal(features, np.eye(len(counts))[own.reshape(-1)])
    return float((parts**2 / counts).sum())


def leep(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Mean log of what the source's classifier, read through the labels it meets, expects (arXiv:2002.12462).

    Args:
        probabilities: ``(units, source classes)`` that a source's classifier gives; rows sum to one.

    At most 0; its least is minus the entropy of the labels, where the source's classes tell nothing.
    """
    joint = np.zeros((int(codes.max()) + 1, probabilities.shape[1]))
    np.add.at(joint, codes, probabilities / len(codes))
    given = np.divide(joint, joint.sum(0), out=np.zeros_like(joint), where=joint.sum(0) > 0)
    expected = (probabilities * given[codes]).sum(1)
    return float(np.log(np.maximum(expected, 1e-300)).mean())


def nce(source: np.ndarray, codes: np.ndarray) -> float:
    """Minus the entropy of the labels given the source's classes (arXiv:1908.08142); at most 0.

    Args:
        source: ``(units,)`` codes from 0 of the classes that a source's classifier predicts.
    """
    return leep(np.eye(int(source.max()) + 1)[source], codes)
