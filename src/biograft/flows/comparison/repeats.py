"""All runs of all candidates: each with a folder of its own, carried out here or in several processes."""

from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.files import write_text
from biograft.flows.baselines import Shared
from biograft.flows.comparison.candidates import Candidate
from biograft.flows.fit import fit_recipe
from biograft.flows.recipe import Recipe
from biograft.progress import Clock
from biograft.run import RunFolder
from biograft.scale import cores, run_all

__all__ = ["Fits"]


def _fit(item: tuple[Recipe, Path], records: Records | None, split: Split, shared: Shared) -> None:
    fit_recipe(*item, records=records, split=split, shared=shared)


@dataclass(eq=False)
class Fits:
    """Candidates by seeds by numbers of training records.

    Attributes:
        folder: the runs are below its ``fits/``.
        recipe: choices of all runs.
        limits: numbers of training records, from small to large; None for all. The seed of a run draws its records,
            those of a smaller number among those of a larger one, and all candidates learn from the same.
        split: of all records of the table.
        records: of the table; None if every run reads it.
        refused: candidates that can't begin, and why: they have no runs.
        faults: what went wrong, by candidate, seed and limit.
    """

    folder: Path
    recipe: Recipe
    everyone: list[Candidate]
    seeds: range
    limits: tuple[int | None, ...]
    split: Split
    records: Records | None
    refused: dict[Candidate, str] = field(default_factory=dict)
    faults: dict[tuple[Candidate, int, int | None], str] = field(default_factory=dict)

    @property
    def shared(self) -> Shared:
        """What the runs need not compute one by one."""
        return Shared(self.folder / "simple", self.recipe.seed)

    def path(self, one: Candidate, seed: int, limit: int | None) -> Path:
        """Folder of a run."""
        return self.folder / "fits" / one.folder(seed, limit)

    def run(self, jobs: int, clock: Clock) -> None:
        """Carry out what is not finished; a run that fails is no end. Raises BiograftError if none succeeds."""
        able = [one for one in self.everyone if one not in self.refused]
        wanted = [(one, seed, limit) for limit in self.limits[::-1] for seed in self.seeds for one in able]
        items = [(one.recipe(self.recipe, seed, limit), self.path(one, seed, limit)) for one, seed, limit in wanted]
        threads = max(1, cores() // max(1, min(jobs, len(items))))
        work = partial(_fit, records=self.records, split=self.split, shared=self.shared)
        with clock.stage("fits") as told, closing(run_all(work, items, jobs=jobs, threads=threads)) as outcomes:
            told(0, len(items))
            for done, (place, outcome) in enumerate(outcomes, start=1):
                if outcome.trace:
                    write_text(self.folder / "faults" / f"{items[place][1].name}.txt", outcome.trace)
                if outcome.fault:
                    self.faults[wanted[place]] = outcome.fault
                told(done, len(items))
        if len(self.faults) == len(items):
            fault = next(iter(self.faults.values()))
            raise BiograftError(f"None of the {len(items)} fits succeeded. The first one: {fault}")

    def done(self, one: Candidate, limit: int | None) -> list[int]:
        """Seeds of the runs that succeeded."""
        return [seed for seed in self.seeds if one not in self.refused and (one, seed, limit) not in self.faults]

    def report(self, one: Candidate, seed: int, limit: int | None) -> dict[str, Any]:
        """Of a run that succeeded."""
        found = RunFolder(self.path(one, seed, limit)).report()
        assert found is not None
        return found
