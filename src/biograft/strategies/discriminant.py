"""Linear discriminant analysis with a shrunken covariance: no penalty to search, few labels suffice."""

import numpy as np

from biograft.errors import BiograftError
from biograft.evaluation.shrinkage import solved
from biograft.strategies.held_out import HeldOut, classes_of
from biograft.strategies.inner import Folds, Scaled, check, scalings, threads_for
from biograft.strategies.linear import LinearFit

__all__ = ["discriminant"]

_LEAST = 1e-6  # of the mean squared norm, as the variance of the sphere: classes without spread have no covariance


def discriminant(
    features: np.ndarray, codes: np.ndarray, classes: int, groups: np.ndarray, *, standardise: bool | None, seed: int
) -> LinearFit:
    """Classes as normal clouds of one covariance, shrunk after Ledoit and Wolf; solved exactly.

    Scaling and sharpness of the answers have the least log loss on inner folds. A class without any row gets no weight
    and a small bias.

    Args:
        features: ``(rows, features)``.
        codes: ``(rows,)`` from 0 to ``classes - 1``.
        classes: how many outputs.
        groups: ``(rows,)`` family of each row.
        standardise: every feature to unit variance, or all as they are; None lets the inner folds choose.
        seed: of the folds.

    Raises:
        BiograftError: no rows; a feature that is not finite; one class; no class of two rows.
    """
    codes = np.asarray(codes, dtype=np.int64)
    check(features, codes)
    present, own = classes_of(codes)
    if not 2 <= len(present) < len(codes):
        raise BiograftError(
            f"LDA needs two classes, and one of them with two records: got {len(present)} classes among {len(codes)} "
            "training records. Choose --strategy-option head=centroid, or add records."
        )
    folds = Folds.draw(np.asarray(groups), own, False, seed)
    candidates: list[tuple[float, float, Scaled, np.ndarray]] = []
    scores: dict[str, float] = {}
    with threads_for(features.size):
        for scaled in scalings(features, standardise):
            values = scaled.values.double().numpy()

            def answer(
                learn: np.ndarray, codes: np.ndarray, out: np.ndarray, values: np.ndarray = values
            ) -> np.ndarray:
                weight, bias, _ = _solved(values[learn], codes)
                return values[out] @ weight.T + bias

            held = HeldOut.of(folds, own, answer)
            sharpness = held.sharpest() if held.codes else 1.0
            loss = held.loss(sharpness)
            scores |= {f"{scaled.name} features": loss} if held.codes else {}
            candidates.append((loss, sharpness, scaled, values))
        loss, sharpness, scaled, values = min(candidates, key=lambda candidate: candidate[0])
        found, offset, share = _solved(values, own)
    weight, bias = np.zeros((classes, features.shape[1])), np.full(classes, np.log(0.5 / len(own)))
    weight[present] = sharpness * found
    bias[present] = sharpness * offset - np.logaddexp.reduce(sharpness * offset)
    why = f"of least log loss {folds.how}: {loss:.3g}" if scores else folds.how
    how = f"linear discriminant analysis on {scaled.name} features, shrinkage {share:.2g}; {why}"
    return LinearFit(*scaled.fold_back(weight, bias), share, scores, how)


def _solved(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """``(classes, features)``, ``(classes,)`` and the share of the sphere; codes have no gap."""
    counts = np.bincount(codes)
    means = np.zeros((len(counts), values.shape[1]))
    np.add.at(means, codes, values)
    means /= counts[:, None]
    rest = values - means[codes]
    weight, share = solved(rest, means, _LEAST / values.shape[1])
    bias = np.log(counts / len(codes)) - 0.5 * np.einsum("ij,ij->i", weight, means)
    return weight, bias, share
