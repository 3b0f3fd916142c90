"""The multinomial logistic problem in coordinates where it is easy, and its path from strong to weak penalties.

``values (rows, axes)`` are scaled features, turned to their principal axes where those are few: there the curvature is
close to diagonal, and L-BFGS needs few steps.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from biograft.strategies.inner import SMALL, Folds

__all__ = ["Softmax", "follow"]

_SINGLE = 3e7  # rows x axes x classes: above, products in single precision


@dataclass(frozen=True, eq=False)
class Softmax:
    """The problem in coordinates where its curvature is close to diagonal: principal axes, if they are few.

    The penalty is the same in both: the axes are orthonormal and span all rows.

    Attributes:
        values: ``(rows, axes)``.
        axes: ``(features, axes)``, None where features are used as they are.
        curvature: ``(axes,)`` sums of squares.
    """

    values: Tensor
    axes: Tensor | None
    curvature: np.ndarray
    codes: Tensor
    classes: int

    @classmethod
    def of(cls, values: Tensor, codes: np.ndarray, classes: int) -> "Softmax":
        """Turned to principal axes where rows or features are few; an axis of no variance is dropped."""
        labels = torch.from_numpy(codes)
        if min(values.shape) > SMALL:
            return cls(values, None, values.square().sum(0, dtype=torch.float64).numpy(), labels, classes)
        exact = values.double()
        dual = len(exact) < exact.shape[1]
        squares, basis = torch.linalg.eigh(exact @ exact.T if dual else exact.T @ exact)
        kept = squares > 1e-10 * squares[-1].clamp(min=1e-300)
        squares, basis = squares[kept], basis[:, kept]
        axes = exact.T @ (basis / squares.sqrt()) if dual else basis
        turned = basis * squares.sqrt() if dual else exact @ basis
        single = turned.numel() * classes > _SINGLE
        return cls(turned.float() if single else turned, axes, squares.numpy(), labels, classes)

    def weights(self, solution: np.ndarray) -> np.ndarray:
        """``(classes, features)`` of a solution ``(classes, axes + 1)``, whose last column is the bias."""
        weight = solution[:, :-1]
        return weight if self.axes is None else weight @ self.axes.numpy().T

    def loss(self, rows: np.ndarray, solution: np.ndarray) -> float:
        """Sum of the log losses of these rows."""
        weight, places = torch.from_numpy(solution), torch.from_numpy(rows)
        values = self.values[places]
        logits = (values @ weight[:, :-1].T.to(values.dtype)).double() + weight[:, -1]
        return float(torch.nn.functional.cross_entropy(logits, self.codes[places], reduction="sum"))

    def solve(self, rows: np.ndarray, penalty: float, start: np.ndarray | None, *, tight: bool) -> np.ndarray:
        """``(classes, axes + 1)``: least loss over ``rows``, by L-BFGS from ``start`` or the class shares.

        A class without a row stays at weight 0 and its bias is minus infinity.
        """
        everything = len(rows) == len(self.values)
        values = self.values if everything else self.values[torch.from_numpy(rows)]
        present, codes = torch.unique(self.codes[torch.from_numpy(rows)], return_inverse=True)
        share = np.bincount(codes.numpy()) / len(rows)
        shape = (len(present), len(self.curvature) + 1)
        first = np.zeros(shape)
        first[:, -1] = np.log(share)
        if start is not None:
            first = start[present.numpy()]
        # Curvature at the class shares; variables scaled by it make the first steps nearly Newton's.
        bend = np.outer(share * (1 - share), np.append(self.curvature, len(self.values))) * len(rows) / len(self.values)
        scale = np.sqrt(bend + np.append(np.full(shape[1] - 1, penalty), 1e-6))
        pick = torch.arange(len(rows))

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            solution = flat.reshape(shape) / scale
            weight = torch.from_numpy(solution).to(values.dtype)
            logits = torch.addmm(weight[:, -1], values, weight[:, :-1].T)
            logs = torch.log_softmax(logits, dim=1)
            total = -float(logs[pick, codes].sum(dtype=torch.float64))
            off = logs.exp_()
            off[pick, codes] -= 1
            slope = torch.cat([off.T @ values, off.sum(0)[:, None]], dim=1).double().numpy()
            slope[:, :-1] += penalty * solution[:, :-1]
            return total + penalty / 2 * float((solution[:, :-1] ** 2).sum()), (slope / scale).ravel()

        limits = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-5} if tight else {"maxiter": 60, "ftol": 1e-7, "gtol": 1e-3}
        found = minimize(loss, (first * scale).ravel(), jac=True, method="L-BFGS-B", options=limits)
        full = np.zeros((self.classes, shape[1]))
        full[:, -1] = -np.inf
        full[present.numpy()] = found.x.reshape(shape) / scale
        return full


def follow(softmax: Softmax, folds: Folds) -> dict[float, float]:
    """Log loss on held-out rows by penalty: from strong to weak until it twice is no better; empty without folds.

    Where the first is the best, stronger ones follow.
    """
    codes = softmax.codes.numpy()
    parts = [(learn, out[np.isin(codes[out], codes[learn])]) for learn, out in folds.parts()]
    parts = [(learn, out) for learn, out in parts if len(out)]
    if not parts:
        return {}
    known: list[np.ndarray | None] = [None] * len(parts)
    losses: dict[float, float] = {}

    def better(penalty: float) -> bool:
        total, least = 0.0, min(losses.values(), default=np.inf)
        for place, (learn, out) in enumerate(parts):
            solution = softmax.solve(learn, penalty, known[place], tight=False)
            known[place] = solution
            total += softmax.loss(out, solution)
        losses[penalty] = total / sum(len(out) for _, out in parts)
        return losses[penalty] < least * (1 - 1e-4)

    first = max(0, round(2 * np.log10(len(codes)))) - 2  # in half decades: a tenth of the rows
    worse, step = 0, first
    while worse < 2 and step >= -12:
        worse = 0 if better(10.0 ** (step / 2)) else worse + 1
        step -= 1
    if min(losses, key=losses.__getitem__) == 10.0 ** (first / 2):
        step = first + 1
        while step <= 12 and better(10.0 ** (step / 2)):
            step += 1
    return losses
