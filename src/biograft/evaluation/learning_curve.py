"""Learning curves: how answers grow with the number of labels, what a rival would need for the same, what more bring.

Everything is computed on replicates of whole curves: families of the test part as the bootstrap drew them, the same
for all points and candidates, and the luck of runs as Student's t sees it. Values are turned so that more is better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Any

import numpy as np

from biograft.evaluation.comparison import Measured
from biograft.evaluation.intervals import finite

__all__ = ["Growth", "Luck", "Needed", "Point", "growth", "monotone", "needed", "power_law", "replicates"]

LEVEL = 0.95
FEWEST_POINTS = 4  # a curve of three numbers goes through three points, whatever they are
FEWEST_FAMILIES = 6
DOUBTFUL = 0.05
ACCELERATING = 0.9  # share of replicates before the region of power laws (arXiv:1712.00409, figure 6)
EXPONENTS = np.linspace(-1.0, 3.0, 60)  # none is 0


@dataclass(frozen=True, eq=False)
class Point:
    """The runs of one candidate that learned from so many labelled records; ``seeds`` in the order of the runs."""

    labels: int
    found: Measured
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Luck:
    """How the luck of runs falls in each replicate: seeds are shared, so that curves move together where they should.

    Attributes:
        multipliers: ``(draws,)`` standard normal, of each seed.
        shares: ``(draws,)`` uniform: from them comes how far few runs may mislead about their own spread.
    """

    multipliers: Mapping[int, np.ndarray]
    shares: np.ndarray

    @classmethod
    def of(cls, seeds: Sequence[int], draws: int, seed: int) -> "Luck":
        """Draw it."""
        random = np.random.default_rng([seed, len(seeds)])
        return cls({one: random.normal(size=draws) for one in seeds}, random.uniform(size=draws))

    def of_mean(self, values: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """``(draws,)`` deviations of the mean of some runs, spread as Student's t with runs - 1 degrees of freedom.

        Normal multipliers of the deviations have exactly the variance of the mean; dividing by a chi gives the tails
        (the multipliers: Wu 1986, jstor 2241454). Percentiles of drawn runs would be too narrow.
        """
        runs = len(values)
        if runs < 2 or np.ptp(values) == 0:
            return np.zeros(len(self.shares))
        from scipy.stats import chi2  # slow to import

        weights = np.stack([self.multipliers[seed] for seed in seeds])
        spread = (values - values.mean()) @ weights / np.sqrt(runs * (runs - 1))
        found: np.ndarray = spread / np.sqrt(chi2.ppf(self.shares, runs - 1) / (runs - 1))
        return found


def replicates(points: Sequence[Point], luck: Luck, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """A curve ``(points,)`` and replicates of it ``(draws, points)``; ``sign``: -1 where less is better."""
    values = np.array([point.found.value for point in points])
    columns = [point.found.draws.mean(axis=0) + luck.of_mean(point.found.values, point.seeds) for point in points]
    return sign * values, sign * np.stack(columns, axis=1)


def monotone(curves: np.ndarray) -> np.ndarray:
    """``(draws, points)``: the curves that never fall and are nearest in squares (isotonic, max-min form)."""
    size = curves.shape[1]
    sums = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(curves, axis=1)], axis=1)
    found = np.full_like(curves, -np.inf)
    for first in range(size):
        means = np.stack([(sums[:, last + 1] - sums[:, first]) / (last + 1 - first) for last in range(first, size)], 1)
        least = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]  # over all that end at or after each place
        found[:, first:] = np.maximum(found[:, first:], least)
    return found


@dataclass(frozen=True)
class Needed:
    """How many labels a rival needs for the same result.

    Attributes:
        value: by the curves as they are; 0 stands for at most the fewest measured, infinity for more than the most.
        low: of the replicates, and ``high``.
        least: fewest labels of the rival's curve.
        most: most labels of it.
        reached: share of the replicates in which the rival reaches it at all.
    """

    value: float
    low: float
    high: float
    least: int
    most: int
    reached: float

    def spoken(self, number: float) -> str:
        """A number of labels in words."""
        if number == 0:
            return f"at most {self.least:,}"
        return f"{round(number):,}" if isfinite(number) else f"more than {self.most:,}"

    @property
    def text(self) -> str:
        """Value and interval."""
        told = [self.spoken(number) for number in (self.value, self.low, self.high)]
        if self.low == self.high in (0, np.inf):
            return told[0]
        return f"{told[0]} ({told[1]} to {told[2]})"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; a number outside what was measured is null, and the text says on which side."""
        numbers = {name: float(number) if number > 0 else np.inf for name, number in
                   (("value", self.value), ("low", self.low), ("high", self.high))}  # fmt: skip
        return finite({**numbers, "reached": self.reached, "text": self.text})


def needed(labels: Sequence[int], curve: np.ndarray, curves: np.ndarray, value: float, values: np.ndarray) -> Needed:
    """Labels at which the rival's curve reaches a value, interpolated on a logarithmic scale.

    Args:
        curve: the rival's, ``(points,)`` at ``labels``, and ``curves`` its replicates ``(draws, points)``.
        value: to reach, and ``values`` ``(draws,)`` its replicates.
    """
    found = _crossing(labels, np.vstack([curve, curves]), np.append(value, values))
    drawn = found[1:]  # no value between a number and infinity: quantiles are values that were drawn
    low = float(np.quantile(drawn, (1 - LEVEL) / 2, method="lower"))
    high = float(np.quantile(drawn, (1 + LEVEL) / 2, method="higher"))
    return Needed(float(found[0]), low, high, labels[0], labels[-1], float(np.isfinite(drawn).mean()))


def _crossing(labels: Sequence[int], curves: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``(draws,)``: 0 where the first point is enough, infinity where the last one is not."""
    rising, places = monotone(curves), np.log(np.asarray(labels, dtype=np.float64))
    above = rising >= values[:, None]
    first = above.argmax(axis=1)
    rows, before = np.arange(len(curves)), np.maximum(first - 1, 0)
    step = rising[rows, first] - rising[rows, before]
    share = np.divide(values - rising[rows, before], step, out=np.zeros(len(curves)), where=step > 0)
    found = np.exp(places[before] + share * (places[first] - places[before]))
    return np.where(~above.any(axis=1), np.inf, np.where(first == 0, 0.0, found))


def power_law(labels: Sequence[int], curves: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Fit top - fall (s^-c - 1) / c to every replicate, where s = n / most labels; ``(draws, 3)`` of top, fall ≥ 0, c.

    For c above 0 that is the inverse power law of learning curves, a - b n^-c (doi:10.1186/1472-6947-12-8). Near 0 it
    is a straight line in log n, at -1 one in n: curves that have not begun to level off. Weighted least squares: for
    each exponent of a grid top and fall are solved, and the best is kept. ``errors`` ``(points,)`` are standard errors.
    """
    weights = errors**-2 / (errors**-2).sum()
    shares, means = np.asarray(labels, dtype=np.float64) / max(labels), curves @ weights
    best, found = np.full(len(curves), np.inf), np.zeros((len(curves), 3))
    for exponent in EXPONENTS.tolist():
        feature = _fallen(shares, exponent)
        middle = weights @ feature
        slope = (curves - means[:, None]) @ (weights * (feature - middle)) / (weights @ (feature - middle) ** 2)
        fall = np.maximum(-slope, 0.0)
        top = means + fall * middle
        loss = (curves - top[:, None] + fall[:, None] * feature) ** 2 @ weights
        better = loss < best
        best = np.where(better, loss, best)
        found[better] = np.stack([top, fall, np.full(len(curves), exponent)], axis=1)[better]
    return found


def _fallen(shares: np.ndarray | float, exponents: np.ndarray | float) -> np.ndarray:
    found: np.ndarray = np.asarray((shares**-exponents - 1) / exponents)
    return found


@dataclass(frozen=True)
class Growth:
    """What more labels would bring, if the curve goes on as a power law.

    Attributes:
        labels: most that were measured.
        more: labels beyond them.
        value: gain, positive = better; nan where it can't be told, and so are ``low`` and ``high``.
        reason: why it can't be told; '' where it can.
    """

    labels: int
    more: int
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    reason: str = ""

    def sentence(self, metric: str) -> str:
        """What may be said."""
        if self.reason:
            return f"It cannot be told what {self.more:,} more labels would bring: {self.reason}."
        return (
            f"{self.more:,} more labels ({self.labels:,} to {self.labels + self.more:,}) would bring about "
            f"{self.value:+.3f} in {metric} ({100 * LEVEL:g} % interval {self.low:+.3f} to {self.high:+.3f}, positive "
            "is better), if the curve goes on as a power law."
        )

    def as_dict(self, metric: str) -> dict[str, Any]:
        """JSON-able."""
        numbers = {"labels": self.labels, "more": self.more, "gain": self.value, "low": self.low, "high": self.high}
        return finite({**numbers, "sentence": self.sentence(metric)})


def growth(points: Sequence[Point], luck: Luck, sign: float, more: int, ceiling: float) -> Growth:
    """Extrapolate a curve, and the uncertainty of it, from a power law through every replicate.

    No value is beyond the ``ceiling`` of the metric. It is not told from fewer than four points, from one run each,
    with fewer than six families in the test part, further (on a logarithmic scale) than the measured points reach,
    where the points are further from a power law than luck would bring them, or where the curve still grows faster
    than the logarithm of the labels: it may bend anywhere.
    """
    labels = [point.labels for point in points]
    reason = _reason(points, more)
    if reason:
        return Growth(labels[-1], more, reason=reason)
    curve, curves = replicates(points, luck, sign)
    curves = curves[np.isfinite(curves).all(axis=1)]
    if not np.isfinite(curve).all() or len(curves) < 2:
        return Growth(labels[-1], more, reason="the metric is undefined at a point")
    errors = _errors(curve, curves)
    fits = power_law(labels, np.vstack([curve, curves]), errors)
    if _misfit(labels, curve, curves, fits[:1], errors) < DOUBTFUL:
        return Growth(labels[-1], more, reason="the points do not follow a power law, so that none can be drawn on")
    top, fall, exponent = fits.T
    if ((exponent < 0) & (fall > 0)).mean() > ACCELERATING:
        reason = "so far each doubling brought more than the one before, and nothing shows where that ends"
        return Growth(labels[-1], more, reason=reason)
    gains = np.minimum(top - fall * _fallen(1 + more / labels[-1], exponent), ceiling) - np.minimum(top, ceiling)
    low, high = np.quantile(gains[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Growth(labels[-1], more, float(gains[0]), low, high)


def _misfit(labels: Sequence[int], curve: np.ndarray, curves: np.ndarray, fit: np.ndarray, errors: np.ndarray) -> float:
    """Share of curves that follow the law in truth, with luck as in the replicates, that fit it no better (p value)."""
    lawful = _law(labels, fit)[0]
    again = lawful + curves - curve
    losses = (((again - _law(labels, power_law(labels, again, errors))) / errors) ** 2).sum(axis=1)
    loss = float((((curve - lawful) / errors) ** 2).sum())
    return float((losses >= loss).mean()) if loss > 1 else 1.0  # one standard error in all is no misfit


def _law(labels: Sequence[int], fits: np.ndarray) -> np.ndarray:
    """``(draws, points)`` values of fitted laws."""
    top, fall, exponent = (column[:, None] for column in fits.T)
    found: np.ndarray = top - fall * _fallen(np.asarray(labels) / max(labels), exponent)
    return found


def _errors(curve: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Standard errors by the middle two thirds of the replicates: Student's tails of few runs have no variance.

    At least a hundredth of the curve's range, closer than which no law needs to come.
    """
    low, high = np.quantile(curves, [0.1587, 0.8413], axis=0)
    found: np.ndarray = np.maximum((high - low) / 2, 0.01 * np.ptp(curve) + 1e-9)
    return found


def _reason(points: Sequence[Point], more: int) -> str:
    labels = [point.labels for point in points]
    if len(points) < FEWEST_POINTS:
        return f"{len(points)} points are too few for a curve, {FEWEST_POINTS} are needed"
    if min(len(point.seeds) for point in points) < 2:
        return "one run at a point does not show how much is luck"
    if min(point.found.families for point in points) < FEWEST_FAMILIES:
        return f"the test part has fewer than {FEWEST_FAMILIES} families"
    if log((labels[-1] + more) / labels[-1]) > log(labels[-1] / labels[0]):
        return f"{labels[-1] + more:,} lie further beyond {labels[-1]:,} than these beyond {labels[0]:,}"
    return ""
