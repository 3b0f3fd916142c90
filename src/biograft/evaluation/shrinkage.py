"""Covariances of more features than rows can tell: a step from the sample's towards a sphere."""

import numpy as np

__all__ = ["ledoit_wolf", "solved"]


def ledoit_wolf(centred: np.ndarray) -> tuple[float, float]:
    """Share of the sphere and its variance: ``(1 - share) * X.T @ X / rows + share * variance * I``.

    The share of least expected squared error (doi:10.1016/S0047-259X(03)00096-4). What scikit-learn computes in rows ×
    features² products takes here the smaller side twice: positions side by side make ten thousand features.

    Args:
        centred: ``(rows, features)`` about their mean, or about that of their class.
    """
    rows, features = centred.shape
    lengths = np.einsum("ij,ij->i", centred, centred)
    variance = lengths.sum() / rows / features
    gram = centred @ centred.T if rows < features else centred.T @ centred
    squared = float((gram**2).sum()) / rows**2
    spread = squared / features - variance**2  # of the sample's eigenvalues
    error = ((lengths**2).sum() / rows - squared) / features / rows
    return (float(min(max(error, 0.0), spread) / spread) if spread > 0 else 0.0), float(variance)


def solved(centred: np.ndarray, right: np.ndarray, least: float = 0.0) -> tuple[np.ndarray, float]:
    """``(vectors, features)`` solutions of ``covariance @ x = right``, the covariance shrunken, and the share.

    Args:
        right: ``(vectors, features)``.
        least: of the variance that the sphere adds, where that would be none.
    """
    rows, features = centred.shape
    share, variance = ledoit_wolf(centred)
    slope, sphere = (1 - share) / rows, max(share * variance, least)
    if rows < features:  # Woodbury's identity: a system of rows instead of features
        inner = slope * (centred @ centred.T)
        inner.flat[:: rows + 1] += sphere
        return (right - slope * np.linalg.solve(inner, centred @ right.T).T @ centred) / sphere, share
    covariance = slope * (centred.T @ centred)
    covariance.flat[:: features + 1] += sphere
    return np.linalg.solve(covariance, right.T).T, share
