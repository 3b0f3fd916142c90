"""What a linear head is chosen on: scaled features, and inner folds that keep families together.

A scaled row has a mean squared norm of 1, so that one grid of penalties fits any backbone. With relatives
on both sides of an inner fold, too weak a penalty would win.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from biograft.errors import BiograftError

__all__ = ["SMALL", "Folds", "Scaled", "check", "scalings", "subsample", "threads_for"]

SMALL = 2000  # a decomposition of this size takes about a second

_CHUNK = 4096  # rows in double precision at a time
_LIGHT = 3e6  # rows x features x outputs: below, a second thread gains little
_HELD_OUT = 5  # a fifth of the rows, also where only one fold is used


@dataclass(frozen=True, eq=False)
class Scaled:
    """Features ``(rows, features)`` float32 of mean 0, a row of mean squared norm 1, and the way back.

    Attributes:
        factor: what every feature was multiplied by; 0 where it does not vary.
        unit: of the penalty: 1 here is this much in scikit-learn's count.
    """

    name: str
    values: Tensor
    mean: np.ndarray
    factor: np.ndarray
    unit: float

    def label(self, penalty: float) -> str:
        """A candidate's name, the penalty as scikit-learn counts it."""
        return f"{self.name} features, penalty {penalty * self.unit:.3g}"

    def fold_back(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(outputs, features)`` and ``(outputs,)`` float32 that act on features as they came."""
        raw = weight * self.factor
        return raw.astype(np.float32), (bias - raw @ self.mean).astype(np.float32)


def scalings(features: np.ndarray, standardise: bool | None) -> Iterator[Scaled]:
    """One scale for all features, and one for each (True: only that; False: only the first)."""
    features = np.asarray(features, dtype=np.float32)
    mean = features.mean(0, dtype=np.float64)
    starts = range(0, len(features), _CHUNK)
    variance = np.sum([((features[i : i + _CHUNK] - mean) ** 2).sum(0) for i in starts], axis=0) / len(features)
    varies = variance > (1e-6 * mean) ** 2  # less is rounding
    spread = np.where(varies, variance, 0.0).sum()
    each = np.sqrt(np.where(varies, variance, 1.0))
    units = {"raw": spread, "standardised": float(varies.sum())}
    for name in {None: units, True: ["standardised"], False: ["raw"]}[standardise]:
        factor = varies / (np.sqrt(max(units[name], 1e-300)) * (each if name == "standardised" else 1.0))
        values = features - mean.astype(np.float32)
        values *= factor.astype(np.float32)
        yield Scaled(name, torch.from_numpy(values), mean, factor, units[name])


@dataclass(frozen=True)
class Folds:
    """Inner parts of the training part: every row's fold, and the folds that are held out in turn.

    Attributes:
        of: ``(rows,)`` fold of each row; no family is in two, unless there are too few families.
        used: folds to hold out; none where there are too few rows.
        how: for the sentence of a fit.
        together: whether families are kept together; else rows of one family are in several folds.
    """

    of: np.ndarray
    used: range
    how: str
    together: bool = True

    @classmethod
    def draw(cls, groups: np.ndarray, strata: np.ndarray, single: bool, seed: int) -> "Folds":
        """At most five folds of like size and like shares of strata; ``single`` holds out one of them only."""
        units = np.unique(groups, return_inverse=True)[1].reshape(-1)
        sizes = np.bincount(units)
        together = len(sizes) >= 3 and sizes.max() <= len(units) / 2
        if not together:
            units, sizes = np.arange(len(units)), np.ones(len(units), dtype=np.int64)
        count = min(_HELD_OUT, len(sizes))
        of = _spread(units, sizes, strata, count, seed)[units]
        if count < 2:
            return cls(of, range(0), "not chosen: too few rows for inner folds", together)
        where = "an inner hold-out of a fifth of the rows" if single else f"{count} inner folds"
        return cls(
            of,
            range(1 if single else count),
            f"on {where} ({'families kept together' if together else 'rows'})",
            together,
        )

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row indices to learn from, and those held out."""
        for fold in self.used:
            yield np.flatnonzero(self.of != fold), np.flatnonzero(self.of == fold)


def _spread(units: np.ndarray, sizes: np.ndarray, strata: np.ndarray, count: int, seed: int) -> np.ndarray:
    """``(units,)`` fold of each unit: by stratum, large ones first, into the fold that has least of it."""
    pairs, rows = np.unique(np.stack([units, strata]), axis=1, return_counts=True)
    order = np.lexsort((rows, pairs[0]))  # last of each unit: its commonest stratum
    last = np.append(np.flatnonzero(np.diff(pairs[0][order])), len(order) - 1)
    stratum = pairs[1][order][last]
    chance = np.random.default_rng(seed).random(len(sizes))
    load = [0] * count
    held: dict[int, list[int]] = {}
    fold = np.zeros(len(sizes), dtype=np.int64)
    for unit in np.lexsort((chance, -sizes, stratum)).tolist():
        own = held.setdefault(int(stratum[unit]), [0] * count)
        best = min(range(count), key=lambda place: (own[place], load[place]))
        fold[unit] = best
        own[best] += int(sizes[unit])
        load[best] += int(sizes[unit])
    return fold


def check(features: np.ndarray, targets: np.ndarray) -> None:
    """Refuse what no head can be solved on.

    Raises:
        BiograftError: no rows, or a value that is not finite.
    """
    if not len(features):
        raise BiograftError("A head needs labelled training records: got none. Look at the label column and the split.")
    for start in range(0, len(features), _CHUNK):
        bad = ~np.isfinite(features[start : start + _CHUNK])
        if bad.any():
            row, column = (int(place[0]) for place in bad.nonzero())
            raise BiograftError(
                f"Features must be finite: got {features[start + row, column]} in training row {start + row}, feature "
                f"{column}. The backbone gives no usable vector there: try --precision fp32, or another backbone."
            )
    bad = ~np.isfinite(targets)
    if bad.any():
        raise BiograftError(
            f"Targets must be finite: got {targets[bad][0]} in training row {int(bad.argmax())}. "
            "Mend that label, or leave it empty."
        )


def subsample(rows: int, limit: int, seed: int) -> np.ndarray:
    """At most ``limit`` of the indices below ``rows``, ascending, drawn without replacement."""
    if rows <= limit:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))


@contextmanager
def threads_for(work: float) -> Iterator[None]:
    """One thread for ``work`` (rows x features x outputs) that is light, as many as there are for more.

    A small head takes thousands of small products. With two threads each one waits for the slower, and on a busy
    machine that was a hundred times as long. Torch and the BLAS of scipy count their threads apart.
    """
    if work >= _LIGHT:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
