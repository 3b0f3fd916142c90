"""From finished runs to what a comparison says: values, verdicts, notes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biograft.evaluation.comparison import Difference, Judged, Measured, difference, judged, measured
from biograft.evaluation.intervals import finite
from biograft.evaluation.report import cautions
from biograft.flows.answers import read_answers
from biograft.flows.assess import Examination, examine
from biograft.flows.baselines import Baselines
from biograft.flows.candidates import TWIN, Candidate
from biograft.flows.prepare import Prepared
from biograft.flows.recipe import Recipe
from biograft.flows.repeats import Fits
from biograft.flows.report import described, intervals, named
from biograft.hardware import environment
from biograft.progress import Clock
from biograft.tasks.metrics import METRICS, Predicted

__all__ = ["Summary", "columns"]


class Summary:
    """From finished runs to the table and the verdicts: from here on, and only here, test labels are read."""

    def __init__(self, recipe: Recipe, fits: Fits, prepared: Prepared) -> None:
        self._recipe, self._fits, self._prepared = recipe, fits, prepared
        self._parts = {name: self._examined(name) for name in ("valid", "test") if len(prepared.split.rows(name))}
        self._test = self._parts["test"]
        self._metric = METRICS[prepared.kind.metrics[0]]
        self._reports = {one: [fits.report(one, seed) for seed in fits.done(one)] for one in fits.everyone}

    def _examined(self, name: str) -> Examination:
        records, units, families = self._prepared.part(name)
        level, kind = self._prepared.level, self._prepared.kind
        return examine(records, units, kind, level, self._recipe.identity, self._recipe.seed, families)

    def content(self, clock: Clock) -> dict[str, Any]:
        """Of ``comparison.json``."""
        with clock.stage("baselines"):
            simple = self._baselines()
        with clock.stage("compare"):
            found = {one: self._measured(self._answers(one)) for one, done in self._reports.items() if done}
            rivals = {name: self._measured([self._test.predicted(out["test"])]) for name, out in simple.items()}
            best = self._best(simple)
            twins, against_best = self._verdicts(found, rivals, best)
            rows = [self._row(one, found.get(one), twins.get(one), against_best.get(one)) for one in self._reports]
        rows.sort(key=lambda row: -self._signed(row["valid"]["value"]))
        winner = rows[0]["name"] if rows[0]["valid"]["value"] is not None else None
        recipe = self._fits.shared.as_dict()
        title = f"{self._recipe.label}: {len(rows)} candidates compared"
        metric, prepared = self._metric, self._prepared
        return described(title, self._recipe.label, prepared.level, prepared.kind, list(recipe["mask"])) | {
            "data": self._data(),
            "metric": {"name": metric.name, "summary": metric.summary, "greater_is_better": metric.greater_is_better},
            "seeds": list(self._fits.seeds),
            "winner": winner,
            "best_baseline": best,
            "candidates": rows,
            "baselines": [self._baseline(name, out, rivals[name]) for name, out in simple.items()],
            "notes": self._notes(rows, winner, simple[best]),
            "recipe": {key: value for key, value in recipe.items() if value is not None},
            "environment": environment(),
            "seconds": {**clock.seconds, "all fits": round(sum(row["seconds"] * row["runs"] for row in rows), 2)},
        }

    def _signed(self, value: float | None) -> float:
        if value is None or not np.isfinite(value):
            return -np.inf
        return value if self._metric.greater_is_better else -value

    def _baselines(self) -> dict[str, dict[str, np.ndarray]]:
        """Outputs by name and part, from the training part alone."""
        queries = {name: part.records for name, part in self._parts.items()}
        return Baselines.of(self._prepared, queries, ("train",)).answers(self._recipe.seed)

    def _best(self, simple: Mapping[str, Mapping[str, np.ndarray]]) -> str:
        """The baseline that does best on the validation part; without one, the first linear model."""
        valid = self._parts.get("valid")
        if valid is None:
            return next((name for name in simple if "linear" in name), next(iter(simple)))
        return max(simple, key=lambda name: valid.value(simple[name]["valid"]))

    def _answers(self, one: Candidate) -> list[Predicted]:
        paths = [self._fits.path(one, seed) / "predictions.tsv" for seed in self._fits.done(one)]
        return [read_answers(path, self._test, self._prepared.level) for path in paths]

    def _measured(self, answers: Sequence[Predicted]) -> Measured:
        test = self._test
        return measured(self._metric, test.truth, answers, test.groups, seed=test.seed)

    def _verdicts(
        self, found: Mapping[Candidate, Measured], rivals: Mapping[str, Measured], best: str
    ) -> tuple[dict[Candidate, Judged], dict[Candidate, Judged]]:
        """Against the twin (of candidates that carry something over), and against the best baseline."""
        twins: dict[Candidate, Difference] = {}
        for one, ours in found.items():
            twin = Candidate(one.backbone, TWIN)
            shared = [seed for seed in self._fits.done(one) if seed in self._fits.done(twin)]
            if one.twin and twin in found and shared:
                mine, others = (_runs(side, self._fits.done(who), shared) for side, who in
                                ((ours, one), (found[twin], twin)))  # fmt: skip
                twins[one] = difference(mine, others, self._metric)
        simple = {one: difference(ours, rivals[best], self._metric) for one, ours in found.items()}
        return (
            self._judged(twins, {one.name: f"{Path(one.backbone).name}, {TWIN}" for one in twins}),
            self._judged(simple, {one.name: best for one in simple}),
        )

    def _judged(self, found: Mapping[Candidate, Difference], against: Mapping[str, str]) -> dict[Candidate, Judged]:
        answers = judged({one.name: side for one, side in found.items()}, against, self._metric)
        return {one: answers[one.name] for one in found}

    def _row(self, one: Candidate, found: Measured | None, twin: Judged | None, best: Judged | None) -> dict[str, Any]:
        """What the table says of a candidate."""
        reports, name = self._reports[one], self._metric.name
        valid = [report["metrics"]["valid"][name]["value"] for report in reports if "valid" in report["metrics"]]
        means = {metric: _mean([report["metrics"]["test"][metric]["value"] for report in reports])
                 for metric in self._prepared.kind.metrics if metric != name}  # fmt: skip
        faults = [text for (who, _), text in self._fits.faults.items() if who == one]
        test: dict[str, Any] = {"value": None, "low": None, "high": None, "values": []}
        if found is not None:
            test = intervals({name: found.interval()})[name] | {"values": _numbers(found.values.tolist())}
        return {
            "name": one.name,
            "backbone": one.backbone,
            "strategy": one.strategy,
            "lambda": one.weight or None,
            "transfer": one.transfer,
            "runs": len(reports),
            "parameters": reports[0]["model"]["parameters"] if reports else None,
            "seconds": round(_mean([report["seconds"]["total"] for report in reports]) or 0.0, 2),
            "valid": {"value": _mean(valid), "values": valid},
            "test": test,
            "other_metrics": means,
            "against_scratch": twin.as_dict() if twin else None,
            "against_baseline": best.as_dict(transfer=False) if best else None,
            "folders": [f"fits/{one.folder(seed)}" for seed in self._fits.done(one)],
            "fault": faults[0] if faults else None,
            "failed": len(faults),
        }

    def _baseline(self, name: str, outputs: Mapping[str, np.ndarray], found: Measured) -> dict[str, Any]:
        valid, metric = self._parts.get("valid"), self._metric
        value = None if valid is None else metric(valid.truth, valid.predicted(outputs["valid"]))
        return {
            "name": name,
            "valid": finite({"value": value}),
            "test": intervals({metric.name: found.interval()})[metric.name],
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

    def _notes(
        self, rows: Sequence[Mapping[str, Any]], winner: str | None, best: Mapping[str, np.ndarray]
    ) -> list[str]:
        """What a reader should know before trusting the numbers."""
        notes = []
        if len(self._fits.seeds) == 1:
            notes.append(
                "One run of each: the luck of a training run is in no interval. Ask for three or more with --seeds."
            )
        if winner is None:
            notes.append("There is no validation part: no winner is named, for the test part must not choose one.")
        elif self._parts["valid"].value(best["valid"]) >= self._signed(rows[0]["valid"]["value"]):
            notes.append("On the validation part no candidate does better than the best simple baseline.")
        first = {one: reports[0] for one, reports in self._reports.items() if reports}
        notes += cautions(next(iter(first.values())))
        for one, report in first.items():
            if one.draws_from_source:
                notes += [f"{one.name}: {note}" for note in report["model"]["notes"]]
        notes += [f"{row['name']}: {row['failed']} of {row['failed'] + row['runs']} runs failed." for row in rows
                  if row["failed"]]  # fmt: skip
        return notes


def _runs(found: Measured, there: Sequence[int], wanted: Sequence[int]) -> Measured:
    """Those of some seeds."""
    rows = [there.index(seed) for seed in wanted]
    return Measured(found.values[rows], found.draws[rows], found.families)


def _mean(values: Sequence[float | None]) -> float | None:
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
