"""Many fits on one split: backbones by strategies by seeds, beside baselines and the same nets from scratch.

Each fit has a folder of its own below ``fits/``: a finished one is read, an unfinished one continues.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.data.split import Split
from biograft.evaluation.comparison_page import render
from biograft.files import digest, write_json, write_text
from biograft.flows.classes import adjusted
from biograft.flows.comparison.candidates import candidates
from biograft.flows.comparison.field import Field
from biograft.flows.comparison.refusals import check_choices_of_all, check_companions, refused
from biograft.flows.comparison.repeats import Fits
from biograft.flows.comparison.resampled import SPLITS, check_splits, over_splits, splits_of
from biograft.flows.comparison.summary import Summary, columns
from biograft.flows.prepare import Prepared, prepare
from biograft.flows.recipe import Recipe, several
from biograft.hardware import Hardware
from biograft.progress import Clock, Stages
from biograft.run import RunFolder
from biograft.scale import cores
from biograft.tasks.task import Task

__all__ = ["Comparison", "compare", "compare_recipe"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison leaves.

    Attributes:
        folder: where it is.
        content: of ``comparison.json``.
    """

    folder: Path
    content: dict[str, Any]

    @property
    def winner(self) -> str | None:
        """The candidate that is best on the validation part; None without one."""
        return self.content["winner"]

    @property
    def candidates(self) -> dict[str, dict[str, Any]]:
        """Values, intervals and verdicts by name."""
        return {row["name"]: row for row in self.content["candidates"]}


def compare(
    table: Records | str | Path,
    label: str | Task,
    *,
    out: str | Path | None = None,
    split: str | Split = "auto",
    backbones: Sequence[str] = (),
    strategies: Sequence[str] = (),
    seeds: int | None = None,
    splits: int | None = None,
    options: Sequence[str] = (),
    limits: Sequence[int | str] = (),
    source: str | Path = "",
    source_label: str = "",
    source_mask: str | Sequence[str] = (),
    source_task: str | None = None,
    lambdas: Sequence[float | str] = (),
    unlabelled: str | Path | None = None,
    identity: float = 0.4,
    train_limit: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    sampling: str | None = None,
    logit_adjustment: float | None = None,
    seed: int = 0,
    pool: str = "auto",
    jobs: int = 1,
    device: str = "auto",
    precision: str = "auto",
    progress: Stages | None = None,
) -> Comparison:
    """Fit every strategy on every backbone, several times, and say which differences are real.

    Args:
        table: records, or the file that holds them.
        label: name of the label column, or a task.
        out: folder; None names one under ``runs/``. What is there already is read or continued.
        split: as of :func:`biograft.fit`; the same for all.
        backbones: names or folders; none: for proteins the shipped encoder and k-mers, else k-mers and a
            convolutional net.
        strategies: names; none: those that make sense for each backbone. With choices: ``full:learning_rate=1e-4``.
            ``auto`` takes one of several in each run, by the validation part.
        seeds: runs of each; None: 3, or 1 on each of several splits.
        splits: so many random splits, on each of which all are compared; answers are over all of them. None: one.
        options: ``STRATEGY:NAME=VALUE``, for all candidates of that strategy.
        limits: numbers of training records, and ``"all"``: a learning curve.
        source: table that strategies such as ``joint`` learn together with this one, with its ``source_label`` and the
            columns ``source_mask`` of residues that count.
        source_task: kind of its labels, where numbers are names of classes, say; None: seen from them.
        lambdas: weights of this table against the source's 1; several make a front.
        unlabelled: file of sequences of the domain in which a model will be used, for the strategies that read it.
        minutes: for each run of ``auto``; None: 2.
        sampling: ``balanced`` draws every class equally often; None: every record once per pass.
        logit_adjustment: strength of the correction for class shares in the loss; None for none.
        pool: what of a sequence's vectors is read: ``mean``, ``positions`` or ``auto``.
        device: ``cpu``, ``cuda`` or ``auto``; ``precision``: ``fp32``, ``bf16`` or ``auto``.
        jobs: processes at a time; with more than one, call it below ``if __name__ == "__main__"``.
        progress: hears ``(stage, done, total)``.

    Raises:
        BiograftError: wherever the table or the choices don't fit, a strategy that was named would be refused in
            every run, or no fit succeeds.
    """
    task = label if isinstance(label, Task) else Task(label)
    recipe = Recipe(
        table="" if isinstance(table, Records) else str(table), label=task.label, level=task.level, task=task.kind,
        mask=task.masks, split=split if isinstance(split, str) else "given", identity=identity,
        train_limit=train_limit, epochs=epochs, seed=seed, source=str(source), source_label=source_label,
        source_mask=several(source_mask), source_task=source_task,
        unlabelled=None if unlabelled is None else str(unlabelled), sampling=sampling,
        logit_adjustment=logit_adjustment, pool=pool, device=device, precision=precision,
    )  # fmt: skip
    weights = tuple(f"{one:g}" if isinstance(one, float) else str(one) for one in lambdas)
    entrants = Field(
        tuple(backbones), tuple(strategies), weights, seeds, jobs, tuple(options), tuple(map(str, limits)), minutes,
        splits,
    )  # fmt: skip
    return compare_recipe(
        recipe, entrants, out,
        records=table if isinstance(table, Records) else None, split=split if isinstance(split, Split) else None,
        progress=progress,
    )  # fmt: skip


def compare_recipe(
    recipe: Recipe,
    entrants: Field,
    out: str | Path | None = None,
    *,
    records: Records | None = None,
    split: Split | None = None,
    progress: Stages | None = None,
) -> Comparison:
    """:func:`compare` for choices that are gathered in a recipe; its backbone and strategy are not looked at."""
    check_choices_of_all(recipe, entrants)
    clock = Clock(progress)
    hardware = Hardware.choose(recipe.device, recipe.precision)
    with clock.stage("read"):
        given = records or read(
            recipe.table, sequence=recipe.sequence, id=recipe.id, alphabet=recipe.alphabet, unknown=recipe.unknown
        )
        given.column(recipe.label)
        check_companions(recipe, given.alphabet)
        if entrants.splits is not None:
            check_splits(recipe, entrants, given, split)
    with clock.stage("families") as told:
        task = Task(recipe.label, recipe.level, recipe.task, recipe.mask)
        prepared = prepare(
            given, task, how=split or recipe.split, identity=recipe.identity, train_limit=recipe.train_limit,
            seed=recipe.seed, progress=told,
        )  # fmt: skip
        prepared = adjusted(prepared, recipe.logit_adjustment)  # and with it the metric that the fits go by
    if entrants.splits is not None:
        return _on_splits(recipe, entrants, out, given, prepared, records, progress)
    parts = _of_all(given, prepared)
    # Level and kind are settled here: a few training labels alone might look like another kind.
    shared = replace(
        recipe, level=prepared.level.name, task=prepared.kind.name, split=digest(*parts.parts.tolist()),
        backbone="auto", strategy="auto", lambda_="", device=hardware.device, precision=hardware.precision,
    )  # fmt: skip
    everyone = candidates(shared, entrants, given.alphabet.name, prepared.level)
    cannot = refused(everyone, shared, entrants, prepared, hardware)
    folder = RunFolder.open(out or _default_folder(shared), shared.as_dict())
    with folder.held():
        _save_split(folder.path, prepared)
        seeds = range(recipe.seed, recipe.seed + entrants.runs)
        steps = entrants.steps(len(prepared.split.rows("train")))
        fits = Fits(folder.path, shared, everyone, seeds, steps, parts, records, cannot)
        fits.run(entrants.jobs or (1 if hardware.device == "cuda" else cores()), clock)
        content = Summary(recipe, fits, prepared).content(clock)
        return _written(folder.path, content)


def _on_splits(
    recipe: Recipe, entrants: Field, out: str | Path | None, given: Records, prepared: Prepared,
    records: Records | None, progress: Stages | None,
) -> Comparison:  # fmt: skip
    """A comparison for each split, and what they say together; a stopped one goes on likewise."""
    assert entrants.splits is not None
    alone, contents = replace(entrants, splits=None, seeds=entrants.runs), []
    folder = RunFolder.open(out or _default_folder(recipe), recipe.as_dict())
    with folder.held():
        for number, (own, split) in enumerate(splits_of(prepared, recipe, entrants.splits)):
            parts = _of_all(given, replace(prepared, split=split))
            inner = folder.path / SPLITS / str(number)
            contents.append(compare_recipe(own, alone, inner, records=records, split=parts, progress=progress).content)
        return _written(folder.path, over_splits(contents))


def _of_all(given: Records, prepared: Prepared) -> Split:
    """The split as it is for every record of the table, without a part where there is no label."""
    place = {identity: row for row, identity in enumerate(given.ids)}
    rows = [place[identity] for identity in prepared.records.ids]
    names = np.full(len(given), "", dtype=prepared.split.parts.dtype)
    families = np.full(len(given), -1)
    names[rows], families[rows] = prepared.split.parts, prepared.split.families
    return Split(names, families, prepared.split.how, prepared.split.program)


def _default_folder(shared: Recipe) -> Path:
    table = Path(shared.table).name.split(".")[0] or "table"
    return Path("runs") / f"compare-{table}-{shared.label}-{digest(json.dumps(shared.as_dict(), sort_keys=True))[:6]}"


def _save_split(folder: Path, prepared: Prepared) -> None:
    families = [str(family) for family in prepared.split.families.tolist()]
    columns = {"id": prepared.records.ids, "set": prepared.split.parts.tolist(), "family": families}
    write_table(folder / "split.tsv", columns)


def _written(folder: Path, content: dict[str, Any]) -> Comparison:
    write_table(folder / "comparison.tsv", columns(content))
    write_text(folder / "comparison.html", render(content))
    write_json(folder / "comparison.json", content)
    return Comparison(folder, content)
