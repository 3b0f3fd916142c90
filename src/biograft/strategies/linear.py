"""Linear heads on features at rest: ridge and logistic regression, their penalty chosen by inner folds.

``features (rows, features)`` are centred and scaled inside; ``weight`` and ``bias`` are folded back, so that they
act on features as they came and a head is one linear layer.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from scipy.stats import t as student
from torch import Tensor, nn

from biograft.errors import BiograftError
from biograft.model import LinearHead
from biograft.strategies.inner import SMALL, Folds, Scaled, check, scalings, subsample, threads_for
from biograft.strategies.softmax import Softmax, follow

__all__ = ["LinearFit", "logistic", "ridge", "subsample"]

_GRID = 10.0 ** np.arange(6, -6.1, -0.5)  # both ends are limits: the mean alone, and least squares
_COARSE = 10.0 ** np.arange(4, -3.1, -0.5)  # for products in single precision
_MOST = 4000  # rows on which a larger ridge chooses its penalty
_WORK = 1e8  # rows x axes x classes: above, one inner hold-out instead of folds
_UNCHOSEN = {"ridge": 1.0, "logistic": 0.1}  # penalty where there are too few rows to choose one


@dataclass(frozen=True)
class LinearFit:
    """A solved head: ``features @ weight.T + bias``.

    Attributes:
        weight: ``(outputs, features)`` float32, for features as they came.
        bias: ``(outputs,)`` float32.
        penalty: as scikit-learn counts it: ``alpha`` of Ridge, ``1 / C`` of LogisticRegression (of two classes:
            ``2 / C``), on features as they came, or standardised where ``how`` says so. Of a discriminant analysis
            the share of the sphere.
        scores: of every candidate on the inner folds, smaller is better: mean squared error, or log loss.
        how: a sentence on what was chosen, and by what.
    """

    weight: np.ndarray
    bias: np.ndarray
    penalty: float
    scores: dict[str, float]
    how: str

    def put(self, head: nn.Module) -> None:
        """Give the head what was found."""
        if not isinstance(head, LinearHead):
            raise TypeError(f"Fixed features are solved for a LinearHead, got {type(head).__name__}.")
        head.set_linear(self.weight, self.bias)


def ridge(
    features: np.ndarray, targets: np.ndarray, groups: np.ndarray, *, standardise: bool | None, seed: int
) -> LinearFit:
    """Least squares with an L2 penalty, solved exactly.

    Taken is the penalty of least squared error on inner folds; or, where another one ranks held-out rows better
    beyond the 95 % interval over the folds (Student's), that one, its slope corrected by the held-out rows.

    Args:
        features: ``(rows, features)``.
        targets: ``(rows,)``.
        groups: ``(rows,)`` family of each row; ignored if there are fewer than three, or one has most of the rows.
        standardise: every feature to unit variance, or all as they are; None lets the inner folds choose.
        seed: of the folds.

    Raises:
        BiograftError: no rows; a feature or a target that is not finite.
    """
    targets = np.asarray(targets, dtype=np.float64).reshape(-1)
    check(features, targets)
    with threads_for(features.size):
        return _ridge(features, targets, groups, standardise, seed)


def _ridge(
    features: np.ndarray, targets: np.ndarray, groups: np.ndarray, standardise: bool | None, seed: int
) -> LinearFit:
    exact = min(features.shape) <= SMALL
    choice = subsample(len(targets), len(targets) if exact else _MOST, seed)
    folds = Folds.draw(np.asarray(groups)[choice], np.zeros(len(choice), dtype=np.int64), not exact, seed)
    grid = _GRID if exact else _COARSE
    tried: list[tuple[Scaled, list[_Held]]] = []
    scores: dict[str, float] = {}
    for scaled in scalings(features, standardise):
        values = scaled.values[torch.from_numpy(choice)]
        held = [_held(values, targets[choice], learn, out, grid) for learn, out in folds.parts()]
        tried.append((scaled, held))
        if held:
            scores |= dict(zip(map(scaled.label, grid), _errors(held).tolist(), strict=True))
    scaled, penalty, slope, why = _choose(tried, grid, folds, targets)
    weight = slope * _weights(scaled.values, targets, penalty, exact)
    how = f"ridge regression on {scaled.label(penalty)}; {why}"
    return LinearFit(*scaled.fold_back(weight[None], np.array([targets.mean()])), penalty * scaled.unit, scores, how)


@dataclass(frozen=True, eq=False)
class _Held:
    """Answers ``(penalties, rows)`` for one fold's held-out rows, about the mean of the rows learned from."""

    answers: np.ndarray
    truth: np.ndarray
    share: float  # of all rows that were learned from

    def ranking(self) -> np.ndarray:
        """Spearman's correlation per penalty; 0 where a side does not vary."""
        ranks, truth = rankdata(self.answers, axis=1), rankdata(self.truth)
        ranks, truth = ranks - ranks.mean(1, keepdims=True), truth - truth.mean()
        scale = np.sqrt((ranks**2).sum(1) * (truth @ truth))
        return np.divide(ranks @ truth, scale, out=np.zeros(len(ranks)), where=scale > 0)


def _held(values: Tensor, targets: np.ndarray, learn: np.ndarray, out: np.ndarray, grid: np.ndarray) -> _Held:
    exact = min(values.shape) <= SMALL
    train, rest = (
        values[torch.from_numpy(rows)].to(torch.float64 if exact else torch.float32) for rows in (learn, out)
    )
    middle, level = train.mean(0), targets[learn].mean()
    train, rest = train - middle, rest - middle
    dual = train.shape[0] < train.shape[1]
    solved = _solve(*_system(train, targets[learn] - level), grid)
    read = (rest @ train.T if dual else rest).double()
    return _Held((solved @ read.T).numpy(), targets[out] - level, len(learn) / len(targets))


def _system(train: Tensor, targets: np.ndarray) -> tuple[Tensor, Tensor]:
    """Matrix and right side of the normal equations, in whichever of rows and features there are fewer of."""
    right = torch.from_numpy(targets)
    if train.shape[0] < train.shape[1]:
        return (train @ train.T).double(), right
    return (train.T @ train).double(), (train.T @ right.to(train.dtype)).double()


def _solve(matrix: Tensor, right: Tensor, penalties: np.ndarray) -> Tensor:
    """``(penalties, size)``: solutions of ``(matrix + penalty) x = right``; one decomposition if small."""
    if len(matrix) <= SMALL and len(penalties) > 1:
        values, basis = torch.linalg.eigh(matrix)
        shrunk = (basis.T @ right) / (values.clamp(min=0) + torch.from_numpy(penalties)[:, None])
        return shrunk @ basis.T
    solved = []
    for penalty in penalties.tolist():
        shifted = matrix.clone()
        shifted.diagonal().add_(penalty)
        solved.append(torch.cholesky_solve(right[:, None], torch.linalg.cholesky(shifted))[:, 0])
    return torch.stack(solved)


def _weights(values: Tensor, targets: np.ndarray, penalty: float, exact: bool) -> np.ndarray:
    """``(features,)`` from all rows; values are centred already."""
    values = values.double() if exact else values
    solved = _solve(*_system(values, targets - targets.mean()), np.array([penalty]))[0]
    dual = values.shape[0] < values.shape[1]
    return (values.T @ solved.to(values.dtype)).double().numpy() if dual else solved.numpy()


def _errors(held: list[_Held]) -> np.ndarray:
    """Mean squared error per penalty over all held-out rows."""
    return np.concatenate([(fold.answers - fold.truth) ** 2 for fold in held], axis=1).mean(1)


def _choose(
    tried: list[tuple[Scaled, list[_Held]]], grid: np.ndarray, folds: Folds, targets: np.ndarray
) -> tuple[Scaled, float, float, str]:
    """Scaling, penalty, slope of the answers, and why."""
    if not folds.used:
        return tried[0][0], _UNCHOSEN["ridge"], 1.0, folds.how
    errors = np.stack([_errors(held) for _, held in tried])
    which, place = np.unravel_index(errors.argmin(), errors.shape)
    alone = np.concatenate([fold.truth**2 for fold in tried[0][1]]).mean()
    why = f"of least squared error {folds.how}: {errors.min():.3g}, the mean alone {alone:.3g}"
    if len(folds.used) < 3 or len(targets) < 100:  # too few to tell rankings apart
        return tried[which][0], float(grid[place]), 1.0, why
    ranking = np.stack([[fold.ranking() for fold in held] for _, held in tried])  # (scalings, folds, penalties)
    other, spot = np.unravel_index(ranking.mean(1).argmax(), errors.shape)
    gain = ranking[other, :, spot] - ranking[which, :, place]
    if gain.mean() <= student.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain)):
        return tried[which][0], float(grid[place]), 1.0, why
    scaled, held = tried[other]
    pairs = [(fold.answers[spot] - fold.answers[spot].mean(), fold.truth) for fold in held]
    slope = sum(answer @ truth for answer, truth in pairs) / sum(answer @ answer for answer, _ in pairs)
    # A strong penalty shrinks in proportion to the rows: scaled with them, the slope of the folds holds.
    penalty = float(grid[spot]) / held[0].share
    why = (
        f"of best rank correlation {folds.how}: {ranking[other, :, spot].mean():.3f}, against "
        f"{ranking[which, :, place].mean():.3f} at least squared error; answers stretched by {slope:.3g}"
    )
    return scaled, penalty, float(slope), why


def logistic(
    features: np.ndarray,
    codes: np.ndarray,
    classes: int,
    groups: np.ndarray,
    *,
    standardise: bool | None,
    seed: int,
) -> LinearFit:
    """Multinomial logistic regression with an L2 penalty on the weights; the outputs are logits.

    The penalty has the least log loss on inner folds, followed from strong to weak until it gets no better.
    Held-out rows whose class the other folds lack are left out of that loss. A class without any row gets no
    weight and a small bias.

    Args:
        features: ``(rows, features)``.
        codes: ``(rows,)`` from 0 to ``classes - 1``.
        classes: how many outputs; two for a binary question.
        groups: ``(rows,)`` family of each row; ignored if there are fewer than three, or one has most of the rows.
        standardise: every feature to unit variance, or all as they are; None lets the inner folds choose.
        seed: of the folds.

    Raises:
        BiograftError: no rows; a feature that is not finite; one class only.
    """
    codes = np.asarray(codes, dtype=np.int64)
    check(features, codes)
    present, own = np.unique(codes, return_inverse=True)
    if len(present) < 2:
        raise BiograftError(
            f"A classifier needs two classes: got one among {len(codes)} training records. "
            "Add records of another class, or mend the split."
        )
    with threads_for(features.size * len(present)):
        return _logistic(features, present, own, classes, np.asarray(groups), standardise, seed)


def _logistic(
    features: np.ndarray, present: np.ndarray, own: np.ndarray, classes: int, groups: np.ndarray,
    standardise: bool | None, seed: int,
) -> LinearFit:  # fmt: skip
    """``own`` ``(rows,)`` counts the classes that are ``present``; ``classes`` counts all."""
    work = len(own) * min(features.shape) * len(present)
    folds = Folds.draw(groups, own, work > _WORK, seed)
    candidates: list[tuple[float, float, Scaled, Softmax]] = []
    scores: dict[str, float] = {}
    for scaled in scalings(features, standardise):
        softmax = Softmax.of(scaled.values, own, len(present))
        losses = follow(softmax, folds) or {_UNCHOSEN["logistic"]: np.inf}
        scores |= {scaled.label(penalty): loss for penalty, loss in losses.items() if loss < np.inf}
        penalty = min(losses, key=losses.__getitem__)
        candidates.append((losses[penalty], penalty, scaled, softmax))
    loss, penalty, scaled, softmax = min(candidates, key=lambda candidate: candidate[0])
    solution = softmax.solve(np.arange(len(own)), penalty, None, tight=True)
    weight, bias = np.zeros((classes, features.shape[1])), np.full(classes, np.log(0.5 / len(own)))
    weight[present] = softmax.weights(solution)
    bias[present] = solution[:, -1] - np.logaddexp.reduce(solution[:, -1])  # log probabilities of an average row
    share = np.bincount(own) / len(own)
    why = "not chosen: too few rows for inner folds"
    if scores:
        why = f"of least log loss {folds.how}: {loss:.3g}, class shares alone {-(share @ np.log(share)):.3g}"
    how = f"logistic regression on {scaled.label(penalty)}; {why}"
    return LinearFit(*scaled.fold_back(weight, bias), penalty * scaled.unit, scores, how)
