"""Whether one answer is better than another, and when that can't be told.

Differences are paired draw by draw and turned so that positive is better, whatever the metric. For repeated
splits, whose training parts overlap, there is the corrected t test, and Holm's correction for several tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, Literal

import numpy as np

from biograft.errors import BiograftError
from biograft.evaluation.intervals import Interval, family_codes, family_draws, finite, resample
from biograft.tasks.metrics import Metric, Predicted

__all__ = ["Verdict", "corrected_t", "holm", "paired", "verdict"]

Answer = Literal["helped", "hurt", "cannot tell"]
FEWEST_FAMILIES = 6  # with 5, all of them lean to one side by chance in 1 of 16 sets; with 6 in 1 of 32


@dataclass(frozen=True)
class Verdict:
    """The answer to: did it help, against this rival, by this metric?

    Attributes:
        against: name of the rival.
        metric: name of the metric.
        difference: how much better than the rival, positive = better.
        detectable: the smallest difference that could have been seen; nan if not known.
    """

    against: str
    metric: str
    difference: Interval
    answer: Answer
    detectable: float

    def as_dict(self) -> dict[str, Any]:
        """The ``verdict`` of report.json; None for what is not finite."""
        found = self.difference
        return finite(
            {
                "against": self.against,
                "metric": self.metric,
                "difference": found.value,
                "low": found.low,
                "high": found.high,
                "answer": self.answer,
                "detectable": self.detectable,
                "families": found.families,
                "note": found.note,
            }
        )

    def sentence(self, rival: str = "", resampled: str = "families") -> str:
        """One honest English sentence.

        Args:
            rival: in words, such as ``the best simple baseline``; '' for the twin from scratch, which alone can tell
                anything of transfer.
            resampled: what the intervals come from.
        """
        found, unknown = self.difference, "It cannot be told whether transfer helped"
        if rival:
            unknown = f"It cannot be told whether the model is better than {rival}"
        if not isfinite(found.low):
            return f"{unknown}{', ' if rival else ' against '}{self.against}: {found.note}."
        if found.low == found.high == 0:
            return f"{unknown}: {self.metric} is the same as of {self.against}."
        size = (
            f"{self.metric} differs by {found.value:+.3g} from {self.against} "
            f"({100 * found.level:g} % interval {found.low:+.3g} to {found.high:+.3g}, positive is better, "
            f"{found.families} {resampled} resampled{'; ' if found.note else ''}{found.note})"
        )
        if self.answer != "cannot tell":
            told = f"Transfer {self.answer}"
            if rival:
                told = f"{'Better' if self.answer == 'helped' else 'Worse'} than {rival}"
            return f"{told}: {size}."
        if found.families < FEWEST_FAMILIES:
            return f"{unknown}: {size}; so few families may lean one way by luck."
        return (
            f"{unknown}: {size}; a difference smaller than {self.detectable:.2g} would more often than not "
            "go unseen here."
        )


def paired(
    metric: Metric,
    truth: np.ndarray,
    predicted: Predicted,
    rival: Predicted,
    groups: np.ndarray,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """How much better an answer is than its rival, positive = better, both on the same draws of families.

    Arguments are those of :func:`biograft.evaluation.intervals.bootstrap`, and so are the draws.
    """
    groups = family_codes(groups, len(truth))
    sign = 1.0 if metric.greater_is_better else -1.0
    ours, theirs = (metric.prepare(truth, answer, groups) for answer in (predicted, rival))
    multiplicities = family_draws(int(groups.max(initial=-1)) + 1, draws, seed)
    return resample(lambda weights: sign * (ours(weights) - theirs(weights)), multiplicities, level)


def verdict(difference: Interval, against: str, metric: Metric, *, detectable: float | None = None) -> Verdict:
    """``helped`` if the whole interval is above zero, ``hurt`` if below, else ``cannot tell``.

    ``cannot tell`` also without an interval, and with fewer than 6 families: all may lean one way by chance.

    ``detectable``: the smallest difference that could have been seen. None: half the interval's width,
    (high - low) / 2, for an interval this wide leaves zero out only if the difference found is larger. A true
    difference of that size is seen in about half of such tests, one of 1.43 times that size in four of five.
    """
    answer: Answer = "cannot tell"
    if difference.families >= FEWEST_FAMILIES:
        if difference.low > 0:
            answer = "helped"
        elif difference.high < 0:
            answer = "hurt"
    smallest = difference.half_width if detectable is None else detectable
    return Verdict(against, metric.name, difference, answer, smallest)


def corrected_t(differences: Sequence[float] | np.ndarray, test_to_train: float) -> tuple[float, float]:
    """t statistic and two-sided p value of the mean difference over repeated random splits of one data set.

    ``differences`` ``(repeats,)``, one per split. ``test_to_train``: size of a test part over that of its
    training part, by which the variance is raised because training parts overlap,
    t = mean / sqrt((1 / repeats + test_to_train) variance) with repeats - 1 degrees of freedom
    (Nadeau and Bengio, doi:10.1023/A:1024068626366). If all are equal: (nan, nan) for 0, else (±inf, 0).

    Raises BiograftError for fewer than two differences.
    """
    from scipy.stats import t as student  # slow to import, and only comparisons over seeds need it

    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        raise BiograftError(
            f"A t test needs the differences of two or more splits: got {len(values)}. Ask for more --seeds."
        )
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return (np.nan, np.nan) if mean == 0 else (float(np.copysign(np.inf, mean)), 0.0)
    statistic = mean / sqrt((1 / len(values) + test_to_train) * float(values.var(ddof=1)))
    return statistic, float(2 * student.sf(abs(statistic), df=len(values) - 1))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """``(tests,)`` p values adjusted for their number, in the order given (Holm 1979, jstor 4615733).

    An adjusted value below 0.05 is significant at a family-wise error of 0.05.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
