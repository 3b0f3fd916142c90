"""How well an answer fits the truth: metrics of weighted units, named as in scikit-learn and the field.

A weight is a multiplicity: 2 is the same as listing a unit twice, 0 as leaving it out; so a bootstrap draw is
one vector of weights. Truth is ``(units,)`` int codes, -1 for a class that training never had, or floats in
the user's units. The trap: -1 is a class of its own, which no prediction can hit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from biograft.errors import BiograftError
from biograft.tasks import ranking
from biograft.tasks.ranking import Build, Weighed, correlation, dot, each, ratio

__all__ = ["ECE_BINS", "METRICS", "Metric", "PerClass", "Predicted", "by_class", "confusion", "per_class"]

ECE_BINS = 15


@dataclass(frozen=True, eq=False)
class Predicted:
    """The answers for some units; None where the label kind has no such answer.

    Attributes:
        codes: ``(units,)`` int, the predicted class, 0 or above.
        scores: ``(units, classes)`` probabilities, rows sum to one.
        values: ``(units,)`` float in the user's units.
    """

    codes: np.ndarray | None = None
    scores: np.ndarray | None = None
    values: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Metric:
    """One number for a whole set of units; nan where it is undefined.

    Attributes:
        kinds: label kinds that it can describe.
        reads: the part of a prediction it looks at (``codes`` may also be taken from the largest score).
        build: makes the function of weights; sorting and summing that all draws share happen here, once.
        chance: what an answer that knows nothing gets, where that is the same for all data, else None.
        least: smallest value that there can be.
    """

    name: str
    kinds: tuple[str, ...]
    reads: Literal["codes", "scores", "values"]
    build: Build
    summary: str
    greater_is_better: bool = True
    chance: float | None = None
    least: float = 0.0

    @property
    def reach(self) -> tuple[float, float]:
        """Least and largest value that there can be."""
        return (self.least, 1.0 if self.greater_is_better else np.inf)

    def prepare(self, truth: np.ndarray, predicted: Predicted, groups: np.ndarray | None = None) -> Weighed:
        """A function of weights ``(draws, groups)`` that gives ``(draws,)`` values.

        ``groups`` ``(units,)`` are codes 0, 1, ... without a gap: all units of a group share its weight.
        None: every unit is a group. All values are nan if truth or answer hold a number that is not finite.

        Raises BiograftError if the prediction lacks the part that is read, or is not as long as the truth.
        """
        truth = np.asarray(truth)
        answer = self._answer(len(truth), predicted)
        if len(truth) == 0 or not (np.isfinite(truth).all() and np.isfinite(answer).all()):
            return lambda weights: np.full(len(weights), np.nan)
        return self.build(truth, answer, np.arange(len(truth)) if groups is None else np.asarray(groups))

    def __call__(self, truth: np.ndarray, predicted: Predicted, weights: np.ndarray | None = None) -> float:
        """The value over all units at once; ``weights`` ``(units,)`` >= 0, None: 1 each."""
        weights = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
        return float(self.prepare(truth, predicted)(weights[None])[0])

    def _answer(self, units: int, predicted: Predicted) -> np.ndarray:
        answer = _codes(predicted) if self.reads == "codes" else getattr(predicted, self.reads)
        if answer is None:
            raise BiograftError(
                f"{self.name} reads the {self.reads} of a prediction: got none, expected an array. "
                f"Choose a metric that fits the label kind, or give Predicted({self.reads}=...)."
            )
        if len(answer) != units:
            raise BiograftError(
                f"{self.name} compares unit by unit: got {len(answer)} predictions for {units} true labels, "
                "expected as many. Give one prediction for each label, in the same order."
            )
        return np.asarray(answer)


def _codes(predicted: Predicted) -> np.ndarray | None:
    if predicted.codes is None and predicted.scores is not None:
        return np.asarray(predicted.scores).argmax(axis=1)
    if predicted.codes is not None and np.min(predicted.codes, initial=0) < 0:
        raise BiograftError(
            f"A predicted class has a code of 0 or above: got {np.min(predicted.codes)}. "
            "Predict the most frequent class where there is no better answer."
        )
    return predicted.codes


def _counts(finish: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> Build:
    """``finish(true, guessed, hits)``, each ``(draws, classes)``: all we need of a confusion matrix."""

    def build(truth: np.ndarray, codes: np.ndarray, groups: np.ndarray) -> Weighed:
        classes = int(max(truth.max(), codes.max())) + 2  # the last one holds what training never had
        true = np.where(truth < 0, classes - 1, truth).astype(np.int64)
        hit = true == codes
        columns = np.concatenate([true, classes + codes, 2 * classes + true[hit]])
        rows = np.concatenate([groups, groups, groups[hit]])
        table = csr_array((np.ones(len(rows)), (rows, columns)), shape=(groups.max() + 1, 3 * classes))
        return lambda weights: finish(*np.moveaxis((weights @ table).reshape(-1, 3, classes), 1, 0))

    return build


def _accuracy(true: np.ndarray, guessed: np.ndarray, hits: np.ndarray) -> np.ndarray:
    return ratio(hits.sum(axis=1), true.sum(axis=1))


def _balanced_accuracy(true: np.ndarray, guessed: np.ndarray, hits: np.ndarray) -> np.ndarray:
    return ratio(ratio(hits, true, otherwise=0.0).sum(axis=1), (true > 0).sum(axis=1))


def _macro_f1(true: np.ndarray, guessed: np.ndarray, hits: np.ndarray) -> np.ndarray:
    both = true + guessed
    return ratio(ratio(2 * hits, both, otherwise=0.0).sum(axis=1), (both > 0).sum(axis=1))


def _mcc(true: np.ndarray, guessed: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Multiclass correlation, doi:10.1016/j.compbiolchem.2004.09.006; 0 if truth or answer is constant."""
    total = true.sum(axis=1, keepdims=True)
    covariance = (hits * total - guessed * true).sum(axis=1)
    spread = (guessed * (guessed.sum(axis=1, keepdims=True) - guessed)).sum(axis=1)
    spread *= (true * (total - true)).sum(axis=1)
    return np.where(total[:, 0] > 0, ratio(covariance, np.sqrt(spread), otherwise=0.0), np.nan)


def _mean(loss: Callable[[np.ndarray, np.ndarray], np.ndarray], root: bool = False) -> Build:
    """Mean of ``loss(truth, answer)`` ``(units,)``, or its square root."""

    def build(truth: np.ndarray, answer: np.ndarray, groups: np.ndarray) -> Weighed:
        sums, counts = np.bincount(groups, loss(truth, answer)), np.bincount(groups)
        return lambda weights: ratio(weights @ sums, weights @ counts) ** (0.5 if root else 1)

    return build


def _squares(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    return (truth.astype(np.float64) - values) ** 2


def _surprise(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """-log of the true class's probability, 0 for an unseen class; clipped like scikit-learn's."""
    given = np.where(truth >= 0, scores[np.arange(len(truth)), truth], 0.0).astype(np.float64)
    smallest = np.finfo(scores.dtype if scores.dtype.kind == "f" else np.float64).eps
    return -np.log(np.clip(given, smallest, 1 - smallest))


def _calibration_error(truth: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> Weighed:
    """arXiv:1706.04599, bins (0, 1/15], (1/15, 2/15], ...; the class of the top probability is the answer."""
    top = scores.max(axis=1).astype(np.float64)
    bins = np.searchsorted(np.linspace(0, 1, ECE_BINS + 1)[1:-1], top, side="left")
    gaps = (scores.argmax(axis=1) == truth) - top
    table = csr_array((gaps, (groups, bins)), shape=(groups.max() + 1, ECE_BINS))
    counts = np.bincount(groups)
    return lambda weights: ratio(np.abs(weights @ table).sum(axis=1), weights @ counts)


def _products(weights: np.ndarray, truth: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """Weighted sums of squares about the mean: of truth, both, values; exactly 0 where a side is constant."""
    drawn = weights > 0
    weights, sides = weights[drawn], [truth[drawn], values[drawn]]
    if len(weights) == 0:
        return 0.0, 0.0, 0.0
    # Less the first value, so that a constant has a mean of exactly 0; then less the mean, for raw squares
    # would cancel.
    first = [side - side[0] for side in sides]
    x, y = (side - dot(weights, side) / weights.sum() for side in first)
    return dot(weights, x**2), dot(weights * x, y), dot(weights, y**2)


def _pearson(truth: np.ndarray, values: np.ndarray, groups: np.ndarray) -> Weighed:
    sides = truth.astype(np.float64), values.astype(np.float64)

    def value(weights: np.ndarray) -> float:
        of_truth, of_both, of_values = _products(weights[groups], *sides)
        return correlation(of_truth, of_both, of_values)

    return each(value)


def _r2(truth: np.ndarray, values: np.ndarray, groups: np.ndarray) -> Weighed:
    """Unlike scikit-learn's, nan for a constant truth: of no variance, no share can be explained."""
    truth, squares = truth.astype(np.float64), np.bincount(groups, _squares(truth, values))

    def value(weights: np.ndarray) -> float:
        variation = _products(weights[groups], truth, truth)[0]
        return 1.0 - dot(weights, squares) / variation if variation else np.nan

    return each(value)


def _distances(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.abs(truth.astype(np.float64) - values)


_C, _R = ("classification",), ("regression",)
_ECE = "expected calibration error, 15 bins of the top probability"
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _C, "codes", _counts(_accuracy), "share of units with the right class"),
        Metric("balanced_accuracy", _C, "codes", _counts(_balanced_accuracy), "mean recall of the true classes"),
        Metric("macro_f1", _C, "codes", _counts(_macro_f1), "mean F1 of the classes, true or predicted"),
        Metric("mcc", _C, "codes", _counts(_mcc), "Matthews correlation coefficient", chance=0.0, least=-1.0),
        Metric("roc_auc", _C, "scores", ranking.area, "area under the ROC curve, class mean", chance=0.5),
        Metric(
            "average_precision",
            _C,
            "scores",
            ranking.precision,
            "mean precision at the positives, class mean",
        ),
        Metric("log_loss", _C, "scores", _mean(_surprise), "cross entropy in nats", greater_is_better=False),
        Metric("ece", _C, "scores", _calibration_error, _ECE, greater_is_better=False),
        Metric("q3", _C, "codes", _counts(_accuracy), "accuracy over 3 secondary structures"),
        Metric("q8", _C, "codes", _counts(_accuracy), "accuracy over 8 secondary structures"),
        Metric("spearman", _R, "values", ranking.spearman, "correlation of ranks", chance=0.0, least=-1.0),
        Metric("pearson", _R, "values", _pearson, "linear correlation", chance=0.0, least=-1.0),
        Metric("r2", _R, "values", _r2, "share of variance explained", chance=0.0, least=-np.inf),
        Metric(
            "rmse",
            _R,
            "values",
            _mean(_squares, root=True),
            "root mean squared error",
            False,
        ),
        Metric("mae", _R, "values", _mean(_distances), "mean absolute error", False),
    )
}


class PerClass(NamedTuple):
    """One number per class, each ``(classes,)``.

    Precision is nan for a class never predicted, recall for one that is never true, F1 where both hold.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def confusion(truth: np.ndarray, predicted: Predicted, classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Counts (sums of weights): rows are true classes, columns predicted ones.

    ``(classes, classes)``, or one row and column more, the last ones, where the truth holds unseen classes.
    """
    codes = _codes(predicted)
    if codes is None:
        raise BiograftError(
            "A confusion matrix reads classes of a prediction: got none. Give Predicted(codes=...) or scores."
        )
    truth = np.asarray(truth)
    highest = max(np.max(truth, initial=-1), np.max(codes, initial=-1))
    if highest >= classes:
        raise BiograftError(
            f"A confusion matrix of {classes} classes holds codes 0 to {classes - 1}: got {highest}. "
            "Give the number of classes that the task has."
        )
    size = classes + bool((truth < 0).any())
    cells = np.where(truth < 0, classes, truth) * size + codes
    return np.bincount(cells, weights, minlength=size * size).reshape(size, size)


def per_class(
    truth: np.ndarray, predicted: Predicted, weights: np.ndarray | None = None, classes: int | None = None
) -> PerClass:
    """Precision, recall, F1 and weight of every class; ``classes`` None: as many as scores or codes."""
    if classes is None:
        highest = [int(np.max(side, initial=-1)) for side in (truth, _codes(predicted)) if side is not None]
        classes = max(highest) + 1 if predicted.scores is None else predicted.scores.shape[1]
    matrix = confusion(truth, predicted, classes, weights).astype(np.float64)
    hits, true, guessed = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    found = PerClass(ratio(hits, guessed), ratio(hits, true), ratio(2 * hits, true + guessed), true)
    return PerClass(*(part[:classes] for part in found))


def by_class(
    truth: np.ndarray, predicted: Predicted, classes: int, groups: np.ndarray
) -> Callable[[np.ndarray], PerClass]:
    """:func:`per_class` as a function of weights ``(draws, groups)``: ``(draws, classes)`` each.

    ``groups`` ``(units,)`` are codes 0, 1, ... without a gap; all units of a group share its weight.
    """
    truth, codes = np.asarray(truth), np.asarray(_codes(predicted))
    size = int(np.max(groups, initial=-1)) + 1
    chosen = {"true": truth >= 0, "guessed": np.ones(len(codes), dtype=bool), "hits": truth == codes}
    tables = [
        np.bincount(groups[rows] * classes + (truth if name == "true" else codes)[rows], minlength=size * classes)
        for name, rows in chosen.items()
    ]
    true, guessed, hits = (table.reshape(size, classes).astype(np.float64) for table in tables)

    def found(weights: np.ndarray) -> PerClass:
        right, given, said = weights @ hits, weights @ true, weights @ guessed
        return PerClass(ratio(right, said), ratio(right, given), ratio(2 * right, given + said), given)

    return found
