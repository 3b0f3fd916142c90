"""Several runs of several candidates on one test part: what each is worth, and which differences are real.

Two kinds of luck are counted: which families are in the test part, and how a training run went. Families are drawn
anew for all runs at once; the variance among runs is added, and Student's t pays for knowing it from few of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, isfinite, sqrt
from typing import Any, Protocol

import numpy as np

from biograft.errors import BiograftError
from biograft.evaluation.intervals import Interval, family_codes, family_draws, finite, resample
from biograft.evaluation.verdict import Verdict, holm, verdict
from biograft.tasks.metrics import Metric, Predicted
from biograft.tasks.ranking import Weighed

__all__ = ["BETTER", "Compared", "Difference", "Judged", "Measured", "difference", "judged", "measured"]

LEVEL = 0.95
BETTER = {"helped": "better", "hurt": "worse", "cannot tell": "cannot tell"}


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of every run of one candidate.

    Attributes:
        values: ``(runs,)`` over the whole test part.
        draws: ``(runs, draws)`` on draws of families, the same for all candidates of one test part.
        families: how many were drawn from.
        reach: least and largest value that the metric can have.
    """

    values: np.ndarray
    draws: np.ndarray
    families: int
    reach: tuple[float, float] = (-np.inf, np.inf)

    @property
    def value(self) -> float:
        """Mean over the runs."""
        return float(self.values.mean())

    def of(self, there: Sequence[int], wanted: Sequence[int]) -> "Measured":
        """The runs of some seeds, out of those that are ``there``."""
        rows = [there.index(seed) for seed in wanted]
        return replace(self, values=self.values[rows], draws=self.draws[rows])

    def interval(self) -> Interval:
        """Mean over the runs; of one run as :func:`biograft.evaluation.intervals.resample` gives it.

        With several runs both sides are stretched by how much the luck of the runs adds to the error.
        """
        found = _of_families(self.value, self.draws.mean(axis=0), self.families)
        errors = _Errors.of(self.values, self.draws, self.families)
        if len(self.values) == 1 or not isfinite(found.low) or errors.of_families == 0:
            return found
        stretch = errors.quantile(LEVEL) * errors.total / (_normal(LEVEL) * errors.of_families)
        low, high = np.clip([found.value + stretch * (side - found.value) for side in (found.low, found.high)],
                            *self.reach).tolist()  # fmt: skip
        return replace(found, low=low, high=high)


def measured(
    metric: Metric,
    truth: np.ndarray,
    answers: Sequence[Predicted],
    groups: np.ndarray,
    draws: int = 1000,
    seed: int = 0,
) -> Measured:
    """Measure the ``answers`` of one candidate's runs; ``groups`` ``(units,)`` are the families of the units.

    The same ``truth``, ``groups``, ``draws`` and ``seed`` make candidates comparable draw by draw. A run that gives one
    value for all has no correlation with anything; it counts as what an answer that knows nothing gets, for else one
    such run of few labels would leave its candidate without a number.
    """
    groups = family_codes(groups, len(truth))
    families = int(groups.max(initial=-1)) + 1
    weights = family_draws(families, draws, seed).astype(np.float64)
    weighed = [_known(metric, truth, answer, groups) for answer in answers]
    values = np.array([of_weights(np.ones((1, families)))[0] for of_weights in weighed])
    return Measured(values, np.stack([of_weights(weights) for of_weights in weighed]), families, metric.reach)


def _known(metric: Metric, truth: np.ndarray, answer: Predicted, groups: np.ndarray) -> Weighed:
    """The metric by weights of families; chance, where the answer doesn't vary and the metric needs that."""
    values, chance, weighed = answer.values, metric.chance, metric.prepare(truth, answer, groups)
    if values is None or chance is None or np.ptp(values) != 0 or np.ptp(truth) == 0:
        return weighed
    if np.isfinite(weighed(np.ones((1, int(groups.max()) + 1)))[0]):  # such as r2, which one value for all does have
        return weighed
    return lambda weights: np.full(len(weights), chance)


def _of_families(value: float, draws: np.ndarray, families: int) -> Interval:
    """As for one answer: percentiles of draws, and the notes about few families and undefined draws."""
    rows = iter([np.array([value]), *np.array_split(draws, -(-len(draws) // 64))])
    blocks = np.zeros((len(draws), families), dtype=np.uint16)
    return resample(lambda weights: next(rows), blocks)


@dataclass(frozen=True)
class _Errors:
    """Standard errors of a mean over runs, from the two kinds of luck.

    Both count how runs and families interact, so that their sum is a little too large rather than too small
    (Owen 2007, doi:10.1214/07-AOAS122, on resampling rows and columns).
    """

    of_families: float
    of_runs: float
    families: int
    runs: int

    @classmethod
    def of(cls, values: np.ndarray, draws: np.ndarray, families: int) -> "_Errors":
        means = draws.mean(axis=0)
        means = means[~np.isnan(means)]
        of_families = float(means.std(ddof=1)) if families > 1 and len(means) > 1 else np.nan
        of_runs = sqrt(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0
        return cls(of_families, of_runs, families, len(values))

    @property
    def total(self) -> float:
        return hypot(self.of_families, self.of_runs)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the sum of the variances (Satterthwaite 1946, doi:10.2307/3002019)."""
        parts = [(self.of_families, self.families - 1), (self.of_runs, self.runs - 1)]
        below = sum(error**4 / freedom for error, freedom in parts if error > 0)
        return self.total**4 / below if below else np.inf

    def quantile(self, level: float) -> float:
        """Standard errors on both sides that hold this share."""
        from scipy.stats import t as student  # slow to import

        return float(student.ppf((1 + level) / 2, self.freedom))


def _normal(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))


@dataclass(frozen=True)
class Difference:
    """How much better one candidate is than another, positive = better, on the same draws.

    Attributes:
        interval: mean over the runs, and Student's interval.
        errors: of the mean.
        values: of each run.
    """

    interval: Interval
    errors: _Errors
    values: tuple[float, ...]

    @property
    def p(self) -> float:
        """Two-sided p value of no difference; 1 where nothing can be said."""
        from scipy.stats import t as student

        value, error = self.interval.value, self.errors.total
        if not (isfinite(value) and isfinite(error)) or value == 0:
            return 1.0
        return float(2 * student.sf(abs(value) / error, self.errors.freedom)) if error > 0 else 0.0

    def half_width(self, level: float) -> float:
        """Of an interval at another level."""
        return self.errors.quantile(level) * self.errors.total


def difference(ours: Measured, theirs: Measured, metric: Metric) -> Difference:
    """Runs of both sides in the same order are pairs; a rival of one run, such as a baseline, is a pair of each.

    Error and degrees of freedom: families by the bootstrap, runs by their variance. Percentiles of draws of runs and
    families would take three runs for all that there are: where the runs' luck leads, they call a fifth of all
    useless candidates better or worse instead of a twentieth.

    Raises BiograftError if the sides can't be paired.
    """
    if len(theirs.values) not in (1, len(ours.values)) or theirs.draws.shape[1] != ours.draws.shape[1]:
        raise BiograftError(
            f"Runs are compared in pairs: got {len(ours.values)} against {len(theirs.values)} runs, expected as many, "
            "or one rival. Give the runs of the same seeds."
        )
    sign = 1.0 if metric.greater_is_better else -1.0
    values, draws = sign * (ours.values - theirs.values), sign * (ours.draws - theirs.draws)
    found = _of_families(float(values.mean()), draws.mean(axis=0), ours.families)
    errors = _Errors.of(values, draws, ours.families)
    if isfinite(found.low):
        side = errors.quantile(LEVEL) * errors.total
        found = replace(found, low=found.value - side, high=found.value + side)
    return Difference(found, errors, tuple(values.tolist()))


class Compared(Protocol):
    """A difference that can be judged."""

    @property
    def interval(self) -> Interval:
        """Positive = better."""

    @property
    def values(self) -> tuple[float, ...]:
        """That the difference is the mean of."""

    @property
    def p(self) -> float:
        """Two-sided p value of no difference; 1 where nothing can be said."""

    def half_width(self, level: float) -> float:
        """Of an interval at another level."""


@dataclass(frozen=True)
class Judged:
    """The answer for one of several candidates.

    Attributes:
        verdict: of this candidate; ``detectable`` as in :func:`judged`.
        p: two-sided, of this comparison alone.
        adjusted: the same after Holm's correction, which is what the answer goes by.
        comparisons: how many were made.
        runs: pairs of runs, or splits, that the difference is the mean of.
    """

    verdict: Verdict
    p: float
    adjusted: float
    comparisons: int
    runs: int

    def as_dict(self, transfer: bool = True) -> dict[str, Any]:
        """JSON-able: the fields of a verdict in report.json, and those of several comparisons."""
        also = {"p": self.p, "p_holm": self.adjusted, "comparisons": self.comparisons, "runs": self.runs}
        return self.verdict.as_dict() | finite(also) | {"sentence": self.sentence(transfer)}

    def sentence(self, transfer: bool = True) -> str:
        """One honest English sentence without its subject; ``transfer``: whether the rival differs in that alone."""
        found, metric = self.verdict.difference, self.verdict.metric
        if not isfinite(found.low):
            return f"cannot tell: {found.note}."
        if found.low == found.high == 0:
            return f"cannot tell: {metric} is the same in every draw."
        answer = self.verdict.answer if transfer else BETTER[self.verdict.answer]
        text = (
            f"{answer}: {metric} {found.value:+.3g} ({100 * found.level:g} % interval {found.low:+.3g} to "
            f"{found.high:+.3g}, positive is better)"
        )
        if self.comparisons > 1:
            text += f", p {self.adjusted:.2g} after correction for {self.comparisons} comparisons"
        if self.verdict.answer == "cannot tell":
            text += f"; a difference of less than {self.verdict.detectable:.2g} would more often than not go unseen"
        return f"{text}{'; ' if found.note else ''}{found.note}."


def judged(found: Mapping[str, Compared], against: Mapping[str, str], metric: Metric) -> dict[str, Judged]:
    """Helped, hurt or cannot tell, for several candidates at once; ``against`` names the rival of each.

    ``helped`` and ``hurt`` need a p value below 0.05 after Holm's correction for the number of candidates, so that a
    false one is among all answers in at most 5 % of such sets; and at least six families, as for one comparison.

    The smallest difference that could have been seen is half the width of the interval at the level that the first
    of Holm's steps asks for, 1 - 0.05 / candidates: a true difference of that size is found in about half of such
    comparisons (minimum detectable effects: Bloom 1995, doi:10.1177/0193841X9501900504, with a power of one half).
    """
    adjusted = holm([one.p for one in found.values()]).tolist() if found else []
    count = len(found)
    answers = {}
    for (name, one), p in zip(found.items(), adjusted, strict=True):
        seen = one.half_width(1 - (1 - LEVEL) / count)
        alone = verdict(one.interval, against[name], metric, detectable=seen)
        told = alone if p < 1 - LEVEL else replace(alone, answer="cannot tell")
        answers[name] = Judged(told, one.p, p, count, len(one.values))
    return answers
