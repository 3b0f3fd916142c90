"""Answers of finished runs and of baselines held against the truth: here, and only here, test labels are read."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from biograft.errors import BiograftError
from biograft.evaluation.comparison import Measured, measured
from biograft.flows.answers import read_answers, translated
from biograft.flows.assess import Examination, examine
from biograft.flows.baselines import Baselines
from biograft.flows.classes import adjusted
from biograft.flows.comparison.candidates import Candidate
from biograft.flows.comparison.repeats import Fits
from biograft.flows.prepare import Prepared, prepare
from biograft.flows.recipe import Recipe
from biograft.tasks.metrics import METRICS, Metric, Predicted
from biograft.tasks.task import Task

__all__ = ["Simple", "Tested"]


@dataclass(frozen=True, eq=False)
class Simple:
    """A simple baseline that learned from so many records.

    Attributes:
        valid: the metric on the validation part, mean over the draws of the records; None without such a part.
        test: on the test part: one run, or one for each draw of the records it learned from.
        seeds: of the draws; the first one stands for all where there is nothing to draw.
    """

    valid: float | None
    test: Measured
    seeds: tuple[int, ...]


class Tested:
    """Candidates and baselines on one test part."""

    def __init__(self, recipe: Recipe, fits: Fits, prepared: Prepared) -> None:
        self.fits, self.prepared = fits, prepared
        self._recipe = recipe
        self.parts = {name: self._examined(name) for name in ("valid", "test") if len(prepared.split.rows(name))}
        self._simple: dict[int | None, dict[str, Simple]] = {}
        self._found: dict[tuple[Candidate, int | None], Measured | None] = {}

    @property
    def metric(self) -> Metric:
        """The one that selects."""
        return METRICS[self.prepared.kind.metrics[0]]

    @property
    def test(self) -> Examination:
        """The test part."""
        return self.parts["test"]

    def _examined(self, name: str) -> Examination:
        records, units, families = self.prepared.part(name)
        level, kind = self.prepared.level, self.prepared.kind
        return examine(records, units, kind, level, self._recipe.identity, self._recipe.seed, families)

    def candidate(self, one: Candidate, limit: int | None) -> Measured | None:
        """Its runs that succeeded, in the order of :meth:`Fits.done`; None without any."""
        if (one, limit) not in self._found:
            paths = [self.fits.path(one, seed, limit) / "predictions.tsv" for seed in self.fits.done(one, limit)]
            answers = [read_answers(path, self.test, self.prepared.level) for path in paths]
            self._found[one, limit] = self._measured(answers) if answers else None
        return self._found[one, limit]

    def simple(self, limit: int | None) -> dict[str, Simple]:
        """By name; learned from all, or once from the records of each seed."""
        if limit not in self._simple:
            self._simple[limit] = self._learned(limit)
        return self._simple[limit]

    def _learned(self, limit: int | None) -> dict[str, Simple]:
        queries = {name: part.records for name, part in self.parts.items()}
        runs: dict[str, dict[str, list[Predicted]]] = {}
        drawn = {self.fits.seeds[0]: self.prepared} if limit is None else self._draws(limit)
        for prepared in drawn.values():
            made = Baselines.of(prepared, queries, ("train",), self.fits.shared).answers(self._recipe.seed)
            for name, outputs in made.items():
                for part, found in outputs.items():
                    told = translated(found, prepared.kind, self.parts[part])
                    runs.setdefault(name, {}).setdefault(part, []).append(told)
        return {name: Simple(self._valid(found.get("valid", [])), self._measured(found["test"]), tuple(drawn))
                for name, found in runs.items()}  # fmt: skip

    def _draws(self, limit: int) -> dict[int, Prepared]:
        """The parts as a run with this seed and limit sees them; without draws that nobody can learn from."""
        records, kind, found = self.prepared.records, self.prepared.kind, {}
        task = Task(self._recipe.label, self.prepared.level.name, kind.name, self._recipe.mask)
        for seed in self.fits.seeds:
            with suppress(BiograftError):  # such as one class only: the runs of this seed have failed, and say so
                drawn = prepare(records, task, how=self.prepared.split, train_limit=limit, seed=seed)
                found[seed] = adjusted(drawn, self._recipe.logit_adjustment)  # as the fits see them
        return found

    def _measured(self, answers: Sequence[Predicted]) -> Measured:
        test = self.test
        return measured(self.metric, test.truth, answers, test.groups, seed=test.seed)

    def _valid(self, answers: Sequence[Predicted]) -> float | None:
        part = self.parts.get("valid")
        values = [] if part is None else [self.metric(part.truth, answer) for answer in answers]
        found = float(np.mean(values)) if values else np.nan
        return found if np.isfinite(found) else None
