"""The λ front of a comparison: what each candidate keeps of the source, against what it reaches on the target."""

from typing import Any

import numpy as np

from biograft.evaluation.comparison import Measured, measured
from biograft.evaluation.front import non_dominated
from biograft.evaluation.learning_curve import Luck, Point, replicates
from biograft.flows.answers import SOURCE_ANSWERS, kept, predicted
from biograft.flows.assess import DRAWS
from biograft.flows.comparison.candidates import Candidate
from biograft.flows.comparison.tested import Tested
from biograft.flows.report import intervals
from biograft.tasks.metrics import METRICS

__all__ = ["front"]


def front(tested: Tested) -> dict[str, Any] | None:
    """JSON-able: a point for every candidate that draws from the source; None for fewer than two.

    A point is marked where no other one keeps more of the source without reaching less on the target, by the means;
    ``share`` says in how many replicates (families of both parts, luck of the runs) that holds.
    """
    fits, limit = tested.fits, tested.fits.limits[-1]
    seeds = {one: _seeds(tested, one) for one in fits.everyone if one.draws_from_source}
    chosen = [one for one, done in seeds.items() if done]
    if len(chosen) < 2:
        return None
    found = [_source(tested, one, seeds[one]) for one in chosen]
    metric = METRICS[found[0][0]]
    sources = [Point(0, source, seeds[one]) for one, (_, source) in zip(chosen, found, strict=True)]
    targets = []
    for one in chosen:
        runs = tested.candidate(one, limit)
        assert runs is not None
        targets.append(Point(0, runs.of(fits.done(one, limit), seeds[one]), seeds[one]))
    sides = []
    for points, judge, stream in ((sources, metric, 1), (targets, tested.metric, 0)):
        luck = Luck.of(list(fits.seeds), DRAWS, tested.test.seed + stream)
        values, draws = replicates(points, luck, 1.0 if judge.greater_is_better else -1.0)
        sides.append(np.vstack([values, draws]))
    marked = non_dominated(np.stack(sides, axis=-1))
    return {
        "source": {"label": fits.recipe.source_label, "metric": metric.name, "part": "validation"},
        "target": {"metric": tested.metric.name, "part": "test"},
        "points": [
            {
                "name": one.name,
                "lambda": one.weight or None,
                "source": intervals({"it": source.found.interval()})["it"],
                "target": intervals({"it": target.found.interval()})["it"],
                "non_dominated": bool(marked[0, place]),
                "share": float(marked[1:, place].mean()),
            }
            for place, (one, source, target) in enumerate(zip(chosen, sources, targets, strict=True))
        ],
    }


def _seeds(tested: Tested, one: Candidate) -> tuple[int, ...]:
    """Seeds of the runs that wrote down what is left of the source."""
    fits, limit = tested.fits, tested.fits.limits[-1]
    return tuple(seed for seed in fits.done(one, limit) if (fits.path(one, seed, limit) / SOURCE_ANSWERS).exists())


def _source(tested: Tested, one: Candidate, seeds: tuple[int, ...]) -> tuple[str, Measured]:
    """Metric of the source, and the runs measured by it on its validation part, which is the same for all runs."""
    fits = tested.fits
    runs = [kept(fits.path(one, seed, fits.limits[-1]) / SOURCE_ANSWERS) for seed in seeds]
    metric = METRICS[str(runs[0]["metric"])]
    answers = [predicted(metric, run["answer"]) for run in runs]
    found = measured(metric, runs[0]["truth"], answers, runs[0]["family"], DRAWS, tested.test.seed)
    return metric.name, found
