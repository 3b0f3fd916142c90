"""The learning curve of a comparison: every candidate and baseline at every number of training records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from biograft.evaluation.learning_curve import Luck, Point, growth, needed, replicates
from biograft.flows.assess import DRAWS
from biograft.flows.comparison.candidates import Candidate
from biograft.flows.comparison.tested import Tested
from biograft.flows.report import intervals

__all__ = ["MORE_LABELS", "learning_curve"]

MORE_LABELS = 200
HIGHEST = 1.0  # of every metric of which more is better; where less is, nothing is below zero


def learning_curve(tested: Tested, best: str) -> dict[str, Any]:
    """JSON-able: values by number of labels, what rivals would need, and what more labels would bring.

    ``best`` names the baseline that strategies are held against beside the net from scratch.
    """
    return _Curve(tested, best).content()


class _Curve:
    def __init__(self, tested: Tested, best: str) -> None:
        self._tested, self._best, fits = tested, best, tested.fits
        self._sign = 1.0 if tested.metric.greater_is_better else -1.0
        self._luck = Luck.of(list(fits.seeds), DRAWS, tested.test.seed)
        self._sizes = {limit: len(tested.prepared.split.rows("train")) if limit is None else limit
                       for limit in fits.limits}  # fmt: skip
        self._candidates = {one: self._points(one) for one in fits.everyone}
        self._simple = {name: self._baseline(name) for name in tested.simple(fits.limits[-1])}

    def content(self) -> dict[str, Any]:
        return {
            "labels": list(self._sizes.values()),
            "more": MORE_LABELS,
            "candidates": [self._of_candidate(one, points) for one, points in self._candidates.items() if points],
            "baselines": [self._row(name, points) for name, points in self._simple.items() if points],
        }

    def _points(self, one: Candidate) -> list[Point]:
        fits, found = self._tested.fits, []
        for limit, labels in self._sizes.items():
            runs = self._tested.candidate(one, limit)
            if runs is not None:
                found.append(Point(labels, runs, tuple(fits.done(one, limit))))
        return found

    def _baseline(self, name: str) -> list[Point]:
        found = []
        for limit, labels in self._sizes.items():
            simple = self._tested.simple(limit).get(name)
            if simple is not None:
                found.append(Point(labels, simple.test, simple.seeds))
        return found

    def _row(self, name: str, points: list[Point]) -> dict[str, Any]:
        metric = self._tested.metric.name
        return {
            "name": name,
            "points": [
                {"labels": point.labels, "runs": len(point.found.values)}
                | intervals({metric: point.found.interval()})[metric]
                for point in points
            ],
        }

    def _of_candidate(self, one: Candidate, points: list[Point]) -> dict[str, Any]:
        ceiling = HIGHEST if self._sign > 0 else 0.0
        found = growth(points, self._luck, self._sign, MORE_LABELS, ceiling)
        rivals: Mapping[str, list[Point]] = {}
        if one.transfer:
            twin = one.twin_among(self._tested.fits.everyone)
            scratch = {twin.name: self._candidates[twin]} if twin else {}
            rivals = {name: held for name, held in (scratch | {self._best: self._simple[self._best]}).items() if held}
        return self._row(one.name, points) | {
            "transfer": one.transfer,
            "backbone": Path(one.backbone).name,
            "growth": found.as_dict(self._tested.metric.name),
            "needed": [row for name, held in rivals.items() for row in self._needed(name, held, points)],
        }

    def _needed(self, name: str, rival: list[Point], points: list[Point]) -> list[dict[str, Any]]:
        """For each number of labels, how many the rival would need for the same result."""
        labels = [point.labels for point in rival]
        curve, curves = replicates(rival, self._luck, self._sign)
        values, drawn = replicates(points, self._luck, self._sign)
        rows = []
        for place, point in enumerate(points):
            whole = np.isfinite(curves).all(axis=1) & np.isfinite(drawn[:, place])
            if len(labels) < 2 or not np.isfinite([*curve, values[place]]).all() or not whole.any():
                continue
            found = needed(labels, curve, curves[whole], float(values[place]), drawn[whole, place])
            rows.append({"against": name, "labels": point.labels} | found.as_dict())
        return rows
