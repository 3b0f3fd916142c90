"""Intervals by a bootstrap over families, because members of a family share one another's luck.

A draw takes as many families as there are, with replacement, and all units of a family go together. The trap:
metrics are computed over all drawn units at once, never averaged over families.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from biograft.errors import BiograftError
from biograft.tasks.metrics import Metric, PerClass, Predicted, by_class
from biograft.tasks.ranking import Weighed

__all__ = ["Interval", "bootstrap", "class_bounds", "family_codes", "family_draws", "finite", "resample"]

BLOCK = 64  # draws that are held as floats at a time
FEW_FAMILIES = 10


@dataclass(frozen=True)
class Interval:
    """A value over the whole set and the percentile interval of its draws.

    Attributes:
        value: nan where it is undefined for the set.
        low: nan where there is no interval, and so is ``high``.
        draws: how many were made; 0 where there is no interval.
        families: how many were resampled.
        valid_draws: those in which the value is defined; the others are left out of the interval.
        level: share of the draws between low and high, 0..1.
        note: why there is no interval, or why to read it with care; empty where all is well.
    """

    value: float
    low: float
    high: float
    draws: int
    families: int
    valid_draws: int
    level: float = 0.95
    note: str = ""

    @property
    def half_width(self) -> float:
        """(high - low) / 2; nan without an interval."""
        return (self.high - self.low) / 2

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: None for what is not finite, the note only if there is one."""
        return finite(asdict(self))


def finite(fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields, with None for floats that JSON cannot hold, and without an empty note."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in fields.items()
        if (name, value) != ("note", "")
    }


def family_codes(groups: np.ndarray, units: int) -> np.ndarray:
    """Family labels of any kind that sorts, as codes 0, 1, ... without a gap.

    Raises BiograftError unless there is one per unit.
    """
    if len(groups) != units:
        raise BiograftError(
            f"Every unit belongs to a family: got {len(groups)} families for {units} units, expected "
            "as many. Give the family of each unit, not of each record."
        )
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def family_draws(families: int, draws: int, seed: int) -> np.ndarray:
    """``(draws, families)`` uint16: how often each family is in each draw; rows sum to ``families``.

    The same arguments give the same draws, so that two answers can be compared draw by draw.
    Raises BiograftError for less than one draw.
    """
    if draws < 1:
        raise BiograftError(f"An interval needs draws: got {draws}, expected 1 or more. 1000 are usual.")
    rng = np.random.default_rng(seed)
    result = np.empty((draws, families), dtype=np.uint16)
    for row in result:
        row[:] = np.bincount(rng.integers(families, size=families), minlength=families)
    return result


def resample(weighed: Weighed, draws: np.ndarray, level: float = 0.95) -> Interval:
    """Value and percentile interval (Efron and Tibshirani 1993, chapter 13) of any function of weights.

    ``draws`` ``(draws, families)`` are those of :func:`family_draws`. With fewer than two families there is
    nothing to resample, and no interval. Raises BiograftError for a level outside 0..1.
    """
    if not 0 < level < 1:
        raise BiograftError(f"The level of an interval lies between 0 and 1: got {level:g}. 0.95 is usual.")
    families = draws.shape[1]
    value = float(weighed(np.ones((1, families)))[0])
    none = Interval(value, np.nan, np.nan, 0, families, 0, level)
    if families == 0 or np.isnan(value):
        return _noted(none, "no units" if families == 0 else "undefined for this set")
    if families == 1:
        return _noted(none, "one family: no interval")
    blocks = [draws[start : start + BLOCK] for start in range(0, len(draws), BLOCK)]
    values = np.concatenate([weighed(block.astype(np.float64)) for block in blocks])
    valid = values[~np.isnan(values)]
    if len(valid) == 0:
        return _noted(none, "undefined in every draw: no interval")
    low, high = np.quantile(valid, [(1 - level) / 2, (1 + level) / 2])
    notes = []
    if families < FEW_FAMILIES:
        notes.append(f"only {families} families: the interval is likely too narrow")
    if len(valid) < len(draws):
        missing = len(draws) - len(valid)
        notes.append(f"undefined in {missing} of {len(draws)} draws, which are left out")
    note = "; ".join(notes)
    return Interval(value, float(low), float(high), len(draws), families, len(valid), level, note)


def _noted(interval: Interval, note: str) -> Interval:
    return Interval(**{**asdict(interval), "note": note})


def bootstrap(
    metrics: Sequence[Metric],
    truth: np.ndarray,
    predicted: Predicted,
    groups: np.ndarray,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """An interval for every metric by name, all from the same draws of families.

    ``groups`` ``(units,)`` are the family labels of the units. See :func:`resample`.
    """
    groups = family_codes(groups, len(truth))
    multiplicities = family_draws(int(groups.max(initial=-1)) + 1, draws, seed)
    return {
        metric.name: resample(metric.prepare(truth, predicted, groups), multiplicities, level) for metric in metrics
    }


def class_bounds(
    truth: np.ndarray,
    predicted: Predicted,
    classes: int,
    groups: np.ndarray,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[PerClass, PerClass]:
    """Low and high ends of the intervals of precision, recall and F1 of every class, from the draws of families.

    nan for a class whose true units are of fewer than two families: all draws that hold any of them hold the same.
    ``groups`` as of :func:`bootstrap`. The draws in which a number is undefined are left out of its interval.
    """
    groups = family_codes(groups, len(truth))
    multiplicities = family_draws(int(groups.max(initial=-1)) + 1, draws, seed)
    weighed = by_class(truth, predicted, classes, groups)
    blocks = [weighed(multiplicities[start : start + BLOCK].astype(np.float64)) for start in range(0, draws, BLOCK)]
    several = np.array([len(np.unique(groups[truth == code])) > 1 for code in range(classes)])
    ends = np.full((2, len(PerClass._fields), classes), np.nan)
    for place, name in enumerate(PerClass._fields):
        values = np.concatenate([getattr(block, name) for block in blocks])
        for code in np.flatnonzero(several).tolist():
            valid = values[~np.isnan(values[:, code]), code]
            if len(valid):
                ends[:, place, code] = np.quantile(valid, [(1 - level) / 2, (1 + level) / 2])
    return PerClass(*ends[0]), PerClass(*ends[1])
