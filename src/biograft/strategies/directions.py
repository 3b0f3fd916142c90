"""Heads that compare directions: nearest centroid and nearest neighbours, by cosine on centred features."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from biograft.heads import CentroidHead, NeighboursHead
from biograft.strategies.held_out import HeldOut, classes_of
from biograft.strategies.inner import Folds, Scaled, check, scalings, subsample, threads_for

__all__ = ["CentroidFit", "NeighboursFit", "centroids", "neighbours"]

TEMPERATURE = 0.1
NUMBERS = (1, 3, 5, 10, 20, 50)  # of neighbours that are tried
UNCHOSEN = 5
SHARPNESS = 10.0  # of centroids where there are too few rows to choose it
MOST = 4000  # rows on which the number of neighbours is chosen


@dataclass(frozen=True)
class CentroidFit:
    """A direction for each class: see :class:`CentroidHead`.

    Attributes:
        scores: log loss on the inner folds, by scaling.
        how: a sentence on what was chosen, and by what.
    """

    scaled: Scaled
    centroids: np.ndarray
    bias: np.ndarray
    scores: dict[str, float]
    how: str

    def put(self, head: nn.Module) -> None:
        """Give the head what was found."""
        if not isinstance(head, CentroidHead):
            raise TypeError(f"Centroids are found for a CentroidHead, got {type(head).__name__}.")
        head.set_centroids(self.scaled.mean, self.scaled.factor, self.centroids, self.bias)


def centroids(
    features: np.ndarray, codes: np.ndarray, classes: int, groups: np.ndarray, *, standardise: bool | None, seed: int
) -> CentroidFit:
    """The mean direction of each class, from one record per class on (arXiv:1911.04623, there with distances).

    Scaling and sharpness of the answers have the least log loss on inner folds. Arguments are those of
    :func:`biograft.strategies.discriminant.discriminant`.

    Raises:
        BiograftError: no rows; a feature that is not finite.
    """
    codes = np.asarray(codes, dtype=np.int64)
    check(features, codes)
    present, own = classes_of(codes)
    folds = Folds.draw(np.asarray(groups), own, False, seed)
    candidates: list[tuple[float, float, Scaled, np.ndarray]] = []
    scores: dict[str, float] = {}
    with threads_for(features.size):
        for scaled in scalings(features, standardise):
            rows = _directions(scaled.values.numpy())

            def answer(learn: np.ndarray, codes: np.ndarray, out: np.ndarray, rows: np.ndarray = rows) -> np.ndarray:
                return rows[out] @ _mean_directions(rows[learn], codes).T

            held = HeldOut.of(folds, own, answer)
            sharpness = held.sharpest() if held.codes else SHARPNESS
            loss = held.loss(sharpness)
            scores |= {f"{scaled.name} features": loss} if held.codes else {}
            candidates.append((loss, sharpness, scaled, rows))
    loss, sharpness, scaled, rows = min(candidates, key=lambda candidate: candidate[0])
    found, bias = np.zeros((classes, features.shape[1])), np.full(classes, -SHARPNESS - sharpness)
    found[present], bias[present] = sharpness * _mean_directions(rows, own), 0.0
    why = f"of least log loss {folds.how}: {loss:.3g}" if scores else "not chosen: too few rows for inner folds"
    how = f"nearest centroid by cosine on {scaled.name} features, sharpness {sharpness:.3g}; {why}"
    return CentroidFit(scaled, found, bias, scores, how)


def _directions(values: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)


def _mean_directions(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """``(classes, features)`` of length 1; codes have no gap."""
    sums = np.zeros((codes.max() + 1, rows.shape[1]))
    np.add.at(sums, codes, rows)
    return _directions(sums)


@dataclass(frozen=True)
class NeighboursFit:
    """Training rows that answer: see :class:`NeighboursHead`.

    Attributes:
        known: ``(rows, features)`` directions.
        answers: ``(rows,)`` codes of classes, of which ``prior`` are the shares, none zero; or ``(rows, 1)`` values.
        number: of neighbours.
        scores: by scaling and number, smaller is better: log loss, or mean squared error.
        how: a sentence on what was chosen, and by what.
    """

    scaled: Scaled
    known: np.ndarray
    answers: np.ndarray
    prior: np.ndarray
    number: int
    scores: dict[str, float]
    how: str

    def put(self, head: nn.Module) -> None:
        """Give the head what was found."""
        if not isinstance(head, NeighboursHead):
            raise TypeError(f"Neighbours are kept by a NeighboursHead, got {type(head).__name__}.")
        head.set_records(self.scaled.mean, self.scaled.factor, self.known, self.answers, self.prior, self.number)


def neighbours(
    features: np.ndarray, targets: np.ndarray, classes: int | None, groups: np.ndarray, *, standardise: bool | None,
    seed: int,
) -> NeighboursFit:  # fmt: skip
    """Answers of the nearest training rows by cosine; how many is chosen on inner folds.

    Args:
        features: ``(rows, features)``.
        targets: ``(rows,)`` codes or values.
        classes: how many outputs; None for values.
        groups: ``(rows,)`` family of each row.
        standardise: every feature to unit variance, or all as they are; None lets the inner folds choose.
        seed: of the folds.

    Raises:
        BiograftError: no rows; a feature or a target that is not finite.
    """
    check(features, targets)
    said = np.asarray(targets, dtype=np.int64 if classes else np.float64)
    choice = subsample(len(targets), MOST, seed)
    strata = said[choice] if classes else np.zeros(len(choice), dtype=np.int64)
    folds = Folds.draw(np.asarray(groups)[choice], strata, False, seed)
    numbers = [number for number in NUMBERS if number <= max(1, len(choice) // 2)]
    candidates: list[tuple[float, int, Scaled, np.ndarray]] = []
    scores: dict[str, float] = {}
    with threads_for(features.size):
        for scaled in scalings(features, standardise):
            rows = _directions(scaled.values.numpy())
            losses = _losses(rows[choice], said[choice], folds, numbers, classes)
            best = min(numbers, key=losses.__getitem__) if losses else min(UNCHOSEN, max(numbers))
            scores |= {f"{scaled.name} features, {number} neighbours": loss for number, loss in losses.items()}
            candidates.append((losses.get(best, np.inf), best, scaled, rows))
    loss, number, scaled, rows = min(candidates, key=lambda candidate: candidate[0])
    what = "log loss" if classes else "squared error"
    why = f"of least {what} {folds.how}: {loss:.3g}" if scores else "not chosen: too few rows for inner folds"
    how = f"{number} nearest neighbours by cosine on {scaled.name} features; {why}"
    answers, prior = (said, _prior(said, classes)) if classes else (said[:, None], np.ones(1))
    return NeighboursFit(scaled, rows, answers, prior, number, scores, how)


def _prior(codes: np.ndarray, classes: int) -> np.ndarray:
    """``(classes,)`` shares of all rows, of which none is zero."""
    shares = np.maximum(np.bincount(codes, minlength=classes), 0.5)
    return shares / shares.sum()


def _losses(
    rows: np.ndarray, said: np.ndarray, folds: Folds, numbers: list[int], classes: int | None
) -> dict[int, float]:
    """By number of neighbours, on all held-out rows; empty without folds."""
    found: dict[int, list[np.ndarray]] = {number: [] for number in numbers}
    for learn, out in folds.parts():
        cosines = rows[out] @ rows[learn].T
        order = np.argsort(-cosines, axis=1)[:, : max(numbers)]
        nearest = np.take_along_axis(cosines, order, axis=1)
        answers = said[learn][order]
        if classes:
            answers = answers == said[out][:, None]
        for number in numbers:
            weights = np.exp((nearest[:, :number] - nearest[:, :1]) / TEMPERATURE)
            total, answer = weights.sum(1), (weights * answers[:, :number]).sum(1)
            if classes:
                found[number].append(-np.log((answer + _prior(said[learn], classes)[said[out]]) / (total + 1)))
            else:
                found[number].append((answer / total - said[out]) ** 2)
    return {number: float(np.concatenate(losses).mean()) for number, losses in found.items() if losses}
