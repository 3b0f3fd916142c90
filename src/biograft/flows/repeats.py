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
from biograft.flows.candidates import Candidate
from biograft.flows.fit import fit_recipe
from biograft.flows.recipe import Recipe
from biograft.progress import Clock
from biograft.run import RunFolder
from biograft.scale import cores, run_all

__all__ = ["Fits"]


def _fit(item: tuple[Recipe, Path], records: Records | None, split: Split) -> None:
    fit_recipe(*item, records=records, split=split)


@dataclass(eq=False)
class Fits:
    """Candidates by seeds.

    Attributes:
        folder: the runs are below its ``fits/``.
        shared: choices of all runs.
        split: of all records of the table.
        records: of the table; None if every run reads it.
        faults: what went wrong, by candidate and seed.
    """

    folder: Path
    shared: Recipe
    everyone: list[Candidate]
    seeds: range
    split: Split
    records: Records | None
    faults: dict[tuple[Candidate, int], str] = field(default_factory=dict)

    def path(self, one: Candidate, seed: int) -> Path:
        """Folder of a run."""
        return self.folder / "fits" / one.folder(seed)

    def run(self, jobs: int, clock: Clock) -> None:
        """Carry out what is not finished; a run that fails is no end. Raises BiograftError if none succeeds."""
        wanted = [(one, seed) for seed in self.seeds for one in self.everyone]
        items = [(one.recipe(self.shared, seed), self.path(one, seed)) for one, seed in wanted]
        threads = max(1, cores() // max(1, min(jobs, len(items))))
        work = partial(_fit, records=self.records, split=self.split)
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

    def done(self, one: Candidate) -> list[int]:
        """Seeds of the runs that succeeded."""
        return [seed for seed in self.seeds if (one, seed) not in self.faults]

    def report(self, one: Candidate, seed: int) -> dict[str, Any]:
        """Of a run that succeeded."""
        found = RunFolder(self.path(one, seed)).report()
        assert found is not None
        return found
