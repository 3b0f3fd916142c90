"""From finished runs to what a comparison says: values, verdicts, notes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biograft.evaluation.comparison import Difference, Judged, difference, judged
from biograft.evaluation.report import cautions
from biograft.flows.comparison.candidates import Candidate
from biograft.flows.comparison.curve import learning_curve
from biograft.flows.comparison.front import front
from biograft.flows.comparison.repeats import Fits
from biograft.flows.comparison.tested import Simple, Tested
from biograft.flows.prepare import Prepared
from biograft.flows.recipe import Recipe
from biograft.flows.report import described, intervals, named
from biograft.hardware import environment
from biograft.progress import Clock
from biograft.tasks.metrics import Metric

__all__ = ["ONE_RUN", "Summary", "columns", "mean", "signed"]

ONE_RUN = "One run of each: the luck of a training run is in no interval. Ask for three or more with --seeds."


class Summary:
    """From finished runs to the table and the verdicts; of several limits the table holds the largest."""

    def __init__(self, recipe: Recipe, fits: Fits, prepared: Prepared) -> None:
        self._recipe, self._fits, self._prepared = recipe, fits, prepared
        self._limit = fits.limits[-1]
        self._tested = Tested(recipe, fits, prepared)
        self._metric = self._tested.metric
        self._reports = {one: [fits.report(one, seed, self._limit) for seed in fits.done(one, self._limit)]
                         for one in fits.everyone}  # fmt: skip

    def content(self, clock: Clock) -> dict[str, Any]:
        """Of ``comparison.json``."""
        with clock.stage("baselines"):
            simple = self._tested.simple(self._limit)
        with clock.stage("compare"):
            best = self._best(simple)
            twins, against_best = self._verdicts(simple, best)
            rows = [self._row(one, twins.get(one), against_best.get(one)) for one in self._reports]
        rows.sort(key=lambda row: -signed(row["valid"]["value"], self._metric))
        winner = rows[0]["name"] if rows[0]["valid"]["value"] is not None else None
        recipe = self._fits.recipe.as_dict()
        title = f"{self._recipe.label}: {len(rows)} candidate{'s' if len(rows) > 1 else ''} compared"
        metric, prepared = self._metric, self._prepared
        with clock.stage("curve"):
            curve = learning_curve(self._tested, best) if len(self._fits.limits) > 1 else None
        return described(title, self._recipe.label, prepared.level, prepared.kind, list(recipe["mask"])) | {
            "data": self._data(),
            "metric": {"name": metric.name, "summary": metric.summary, "greater_is_better": metric.greater_is_better},
            "seeds": list(self._fits.seeds),
            "limit": self._limit,
            "winner": winner,
            "best_baseline": best,
            "candidates": rows,
            "baselines": [self._baseline(name, found) for name, found in simple.items()],
            "learning_curve": curve,
            "front": front(self._tested),
            "notes": self._notes(rows, winner, simple[best]),
            "recipe": {key: value for key, value in recipe.items() if value is not None},
            "environment": environment(),
            "seconds": {**clock.seconds, "all fits": round(sum(row["seconds"] * row["runs"] for row in rows), 2)},
        }

    def _best(self, simple: Mapping[str, Simple]) -> str:
        """The baseline that does best on the validation part; without one, the first linear model."""
        if "valid" not in self._tested.parts:
            return next((name for name in simple if "linear" in name), next(iter(simple)))
        return max(simple, key=lambda name: signed(simple[name].valid, self._metric))

    def _verdicts(
        self, simple: Mapping[str, Simple], best: str
    ) -> tuple[dict[Candidate, Judged], dict[Candidate, Judged]]:
        """Against the twin (of candidates that carry something over), and against the best baseline."""
        twins: dict[Candidate, Difference] = {}
        rivals: dict[Candidate, Difference] = {}
        seeds = {one: self._fits.done(one, self._limit) for one in self._reports}
        for one, done in seeds.items():
            ours, twin = self._tested.candidate(one, self._limit), one.twin_among(self._fits.everyone)
            if ours is None:
                continue
            against = simple[best].test
            if self._limit is not None:
                against = against.of(simple[best].seeds, done)
            rivals[one] = difference(ours, against, self._metric)
            shared = [seed for seed in done if twin and seed in seeds[twin]]
            theirs = self._tested.candidate(twin, self._limit) if twin else None
            if twin and theirs and shared:
                twins[one] = difference(ours.of(done, shared), theirs.of(seeds[twin], shared), self._metric)
        names = {one.name: twin.name for one in twins if (twin := one.twin_among(self._fits.everyone))}
        return (
            self._judged(twins, names),
            self._judged(rivals, {one.name: best for one in rivals}),
        )

    def _judged(self, found: Mapping[Candidate, Difference], against: Mapping[str, str]) -> dict[Candidate, Judged]:
        answers = judged({one.name: side for one, side in found.items()}, against, self._metric)
        return {one: answers[one.name] for one in found}

    def _row(self, one: Candidate, twin: Judged | None, best: Judged | None) -> dict[str, Any]:
        """What the table says of a candidate."""
        reports, name, found = self._reports[one], self._metric.name, self._tested.candidate(one, self._limit)
        valid = [report["metrics"]["valid"][name]["value"] for report in reports if "valid" in report["metrics"]]
        means = {metric: mean([report["metrics"]["test"][metric]["value"] for report in reports])
                 for metric in self._prepared.kind.metrics if metric != name}  # fmt: skip
        faults = [text for (who, _, limit), text in self._fits.faults.items()
                  if (who, limit) == (one, self._limit)]  # fmt: skip
        test: dict[str, Any] = {"value": None, "low": None, "high": None, "values": []}
        if found is not None:
            test = intervals({name: found.interval()})[name] | {"values": _numbers(found.values.tolist())}
        return {
            "name": one.name,
            "backbone": one.backbone,
            "strategy": one.strategy,
            "options": list(one.options),
            "lambda": one.weight or None,
            "transfer": one.transfer,
            "runs": len(reports),
            "parameters": reports[0]["model"]["parameters"] if reports else None,
            "seconds": round(mean([report["seconds"]["total"] for report in reports]) or 0.0, 2),
            "valid": {"value": mean(valid), "values": valid},
            "test": test,
            "other_metrics": means,
            "against_scratch": twin.as_dict() if twin else None,
            "against_baseline": best.as_dict(transfer=False) if best else None,
            "folders": [f"fits/{one.folder(seed, self._limit)}" for seed in self._fits.done(one, self._limit)],
            "took": self._took(one),
            "fault": next(iter(faults), self._fits.refused.get(one)),
            "failed": len(faults),
        }

    def _took(self, one: Candidate) -> dict[str, str] | None:
        """By seed, the strategy that a run took; None where there was nothing to take."""
        if not one.chooses:
            return None
        runs = zip(self._fits.done(one, self._limit), self._reports[one], strict=True)
        return {str(seed): report["auto"]["chosen"] for seed, report in runs}

    def _baseline(self, name: str, found: Simple) -> dict[str, Any]:
        return {
            "name": name,
            "valid": {"value": found.valid},
            "test": intervals({self._metric.name: found.test.interval()})[self._metric.name],
        }

    def _data(self) -> dict[str, Any]:
        prepared = self._prepared
        rows = {name: prepared.split.rows(name) for name in ("train", "valid", "test")}
        return {
            "source": named(prepared.records),
            "alphabet": prepared.records.alphabet.name,
            **{f"n_{name}": len(chosen) for name, chosen in rows.items()},
            **{f"families_{name}": len(np.unique(prepared.split.families[chosen])) for name, chosen in rows.items()},
            **{f"n_{name}": count for name, count in prepared.counts.items()},
            "family_program": prepared.split.program,
            "identity": self._recipe.identity,
            "split": prepared.split.how,
        }

    def _notes(self, rows: Sequence[Mapping[str, Any]], winner: str | None, best: Simple) -> list[str]:
        """What a reader should know before trusting the numbers."""
        notes = []
        if len(self._fits.seeds) == 1:
            notes.append(ONE_RUN)
        if winner is None:
            notes.append("There is no validation part: no winner is named, for the test part must not choose one.")
        elif signed(best.valid, self._metric) >= signed(rows[0]["valid"]["value"], self._metric):
            notes.append("On the validation part no candidate does better than the best simple baseline.")
        first = {one: reports[0] for one, reports in self._reports.items() if reports}
        notes += cautions(next(iter(first.values())))
        for one, report in first.items():
            if one.draws_from_source:
                notes += [f"{one.name}: {note}" for note in report["model"]["notes"]]
        before = {Path(one.backbone).name: report["taught"]["sentence"] for one, report in first.items()
                  if "taught" in report}  # fmt: skip
        notes += [f"{name}: {sentence}" for name, sentence in before.items()]
        if self._limit is not None:
            notes.append(f"The table is of {self._limit} training records, which the seed of a run draws.")
        notes += [f"{one.name}: no run was tried, for each would have been refused." for one in self._fits.refused]
        notes += self._failed_below()
        notes += [f"{row['name']}: {row['failed']} of {row['failed'] + row['runs']} runs failed." for row in rows
                  if row["failed"]]  # fmt: skip
        return notes

    def _failed_below(self) -> list[str]:
        """Runs that failed at fewer labels than the table's: their points are means of the others."""
        found: dict[tuple[Candidate, int | None], list[str]] = {}
        for (one, _, limit), text in self._fits.faults.items():
            if limit != self._limit:
                found.setdefault((one, limit), []).append(text)
        return [f"{one.name}, {limit} labels: {len(texts)} of {len(self._fits.seeds)} runs failed. {texts[0]}"
                for (one, limit), texts in found.items()]  # fmt: skip


def signed(value: float | None, metric: Metric) -> float:
    """Turned so that more is better; what is undefined is least."""
    if value is None or not np.isfinite(value):
        return -np.inf
    return value if metric.greater_is_better else -value


def mean(values: Sequence[float | None]) -> float | None:
    """Of the values that are defined; None without any."""
    given = [value for value in values if value is not None]
    return float(np.mean(given)) if given else None


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values]


def columns(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """One row per candidate, then one per baseline."""
    rows = []
    for row in [*content["candidates"], *content["baselines"]]:
        flat: dict[str, Any] = {
            "name": row["name"],
            "kind": "candidate" if "strategy" in row else "baseline",
            **{key: row.get(key) for key in ("backbone", "strategy", "lambda", "runs", "seconds")},
            "took": ";".join(f"{seed}={name}" for seed, name in (row.get("took") or {}).items()),
            "metric": content["metric"]["name"],
            "valid": row["valid"]["value"],
            "test": row["test"]["value"],
            "low": row["test"]["low"],
            "high": row["test"]["high"],
        }
        for side in ("scratch", "baseline"):
            found = row.get(f"against_{side}") or {}
            keys = ("difference", "low", "high", "p_holm", "detectable", "answer")
            flat |= {f"{side}_{key}": found.get(key) for key in keys}
        rows.append(flat | {"fault": (row.get("fault") or "").replace("\n", " ").replace("\t", " ")})
    return {key: [row[key] for row in rows] for key in rows[0]}
