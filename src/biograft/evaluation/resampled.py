"""Differences over repeated random splits of one data set, whose training parts overlap.

One number per split; the variance among them is raised for the overlap (Nadeau and Bengio 2003,
doi:10.1023/A:1024068626366), and Student's t pays for knowing it from few splits.
"""

from dataclasses import dataclass, replace
from math import isfinite, sqrt

import numpy as np

from biograft.evaluation.intervals import Interval
from biograft.evaluation.verdict import corrected_t

__all__ = ["OverSplits"]

LEVEL = 0.95
FEWEST = 2
SAME = 1e-9  # differences closer than this are one number, rounded


@dataclass(frozen=True)
class OverSplits:
    """A mean over splits: of a metric, or of how much better one side is than another, positive = better.

    Attributes:
        values: ``(splits,)``.
        test_to_train: size of a test part over that of its training part.
        families: in the smallest of the test parts.
    """

    values: tuple[float, ...]
    test_to_train: float
    families: int

    @property
    def error(self) -> float:
        """Corrected standard error of the mean; nan with fewer than two splits."""
        if len(self.values) < FEWEST:
            return float("nan")
        return sqrt((1 / len(self.values) + self.test_to_train) * float(np.var(self.values, ddof=1)))

    @property
    def p(self) -> float:
        """Two-sided p value of no difference; 1 where nothing can be said."""
        if len(self.values) < FEWEST:
            return 1.0
        if np.ptp(self.values) < SAME:  # no variance to go by, only that all are on one side
            return 2 * 0.5 ** len(self.values) if abs(self.values[0]) > SAME else 1.0
        found = corrected_t(self.values, self.test_to_train)[1]
        return found if isfinite(found) else 1.0

    def half_width(self, level: float) -> float:
        """Of an interval at this level."""
        from scipy.stats import t as student  # slow to import

        if len(self.values) < FEWEST:
            return float("nan")
        return float(student.ppf((1 + level) / 2, len(self.values) - 1)) * self.error

    @property
    def interval(self) -> Interval:
        """The mean with its 95 % interval; without one where there are fewer than two splits."""
        mean, side = float(np.mean(self.values)), self.half_width(LEVEL)
        note = "" if isfinite(side) else f"{len(self.values)} of the splits gave a number, and two are needed"
        count = len(self.values)
        return Interval(mean, mean - side, mean + side, count, self.families, count, LEVEL, note)

    def within(self, reach: tuple[float, float]) -> Interval:
        """The same, cut to what a metric can be."""
        found, (least, largest) = self.interval, reach
        return replace(found, low=max(found.low, least), high=min(found.high, largest))
