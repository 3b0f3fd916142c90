"""The main flow: a table becomes a tested, saved, predicting model, in one folder that survives a crash."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from biograft.bundle import Bundle, load
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.evaluation.conformal import residual_quantile
from biograft.files import digest, file_digest, write_json, write_text
from biograft.flows.answers import SOURCE_ANSWERS, kept
from biograft.flows.assess import Examination, examine
from biograft.flows.auto import Choice, choose
from biograft.flows.baselines import Baselines, Shared
from biograft.flows.classes import adjusted
from biograft.flows.prepare import Prepared, prepare
from biograft.flows.recipe import Recipe, several
from biograft.flows.related import check_relatives, knowing, related
from biograft.flows.report import Story, write_report
from biograft.flows.sources import retained
from biograft.flows.taught import taught
from biograft.flows.unlabelled import digest_of
from biograft.flows.usual import best, usual
from biograft.flows.weights import fingerprint_of
from biograft.flows.workshop import Attempt, Workshop, check_choices
from biograft.hardware import Hardware
from biograft.progress import Clock, Stages
from biograft.run import RunFolder, toml
from biograft.tasks.relatives import Relatives
from biograft.tasks.task import Task

__all__ = ["Recipe", "Result", "fit", "fit_recipe"]


@dataclass(frozen=True, eq=False)
class Result:
    """What a run leaves.

    Attributes:
        folder: of the run.
        report: content of ``report.json``.
    """

    folder: Path
    report: dict[str, Any]

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Metrics of the test part: value, low, high by name."""
        return self.report["metrics"]["test"]

    @property
    def model(self) -> Bundle:
        """The saved model, loaded."""
        return load(self.folder)


def fit(
    table: Records | str | Path,
    label: str | Task,
    *,
    out: str | Path | None = None,
    split: str | Split = "auto",
    backbone: str = "auto",
    strategy: str = "auto",
    options: Sequence[str] = (),
    source: str | Path = "",
    source_label: str = "",
    source_mask: str | Sequence[str] = (),
    source_task: str | None = None,
    weight: float | str = "",
    unlabelled: str | Path | None = None,
    identity: float = 0.4,
    train_limit: int | None = None,
    refit: bool = True,
    epochs: float | None = None,
    minutes: float | None = None,
    sampling: str | None = None,
    logit_adjustment: float | None = None,
    relatives: bool | None = None,
    pool: str = "auto",
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    progress: Stages | None = None,
) -> Result:
    """Train, test, report and save.

    Args:
        table: records, or the file that holds them.
        label: name of the label column, or a task.
        out: folder of the run; None names one under ``runs/`` after the choices. A run that is there is continued,
            a finished one is read.
        split: ``homology``, ``random``, ``column:NAME``, ``auto``, or parts made by :func:`biograft.split`.
        backbone: name in the catalog, a trained model's folder or a checkpoint's folder.
        strategy: name in the catalog, or ``auto``.
        options: ``NAME=VALUE``, choices of the strategy.
        source: table that the strategy ``joint`` learns together with this one, with its ``source_label`` and the
            columns ``source_mask`` of residues that count.
        source_task: kind of its labels, where numbers are names of classes, say; None: seen from them.
        weight: λ, of this table against the source's 1: a number, ``inf``, ``rising`` or ``learned``; '' for 1.
        unlabelled: file of sequences of the domain in which the model will be used, for the strategies that read it.
        identity: from which on sequences are of one family, 0 to 1.
        train_limit: use so many training records only.
        refit: let solved heads learn from the validation part too before they answer the test part.
        epochs: passes over the training part, where the strategy needs the loop.
        minutes: that the run may take; the strategy ``auto`` then tries what costs more than a probe, and takes it if
            the validation part supports it.
        sampling: ``balanced`` draws every class equally often; None: every record once per pass.
        logit_adjustment: strength of the correction for class shares in the loss; None for none.
        relatives: let the class of the nearest training record count as far as relatives share classes.
        pool: what of a sequence's vectors is read: ``mean``, ``positions`` or ``auto``.
        device: ``cpu``, ``cuda`` or ``auto``; ``precision``: ``fp32``, ``bf16`` or ``auto``.
        progress: hears ``(stage, done, total)``.

    Raises:
        BiograftError: wherever the table or the choices don't fit; the message says what to do.
    """
    task = label if isinstance(label, Task) else Task(label)
    how = split if isinstance(split, str) else digest(*split.parts.tolist())
    recipe = Recipe(
        table="" if isinstance(table, Records) else str(table), label=task.label, level=task.level, task=task.kind,
        mask=task.masks, split=how, identity=identity, backbone=backbone, strategy=strategy,
        strategy_option=tuple(options), source=str(source), source_label=source_label, source_task=source_task,
        source_mask=several(source_mask), pool=pool, device=device, precision=precision,
        lambda_=f"{weight:g}" if isinstance(weight, float) else str(weight),
        unlabelled=None if unlabelled is None else str(unlabelled), train_limit=train_limit, refit=refit, epochs=epochs,
        minutes=minutes, sampling=sampling, logit_adjustment=logit_adjustment, relatives=relatives, seed=seed,
    )  # fmt: skip
    records = table if isinstance(table, Records) else None
    return fit_recipe(
        recipe, out, records=records, split=split if isinstance(split, Split) else None, progress=progress
    )


def fit_recipe(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    records: Records | None = None,
    split: Split | None = None,
    shared: Shared | None = None,
    progress: Stages | None = None,
) -> Result:
    """:func:`fit` for choices that are gathered in a recipe; ``shared``: with other runs on the same parts."""
    check_choices(recipe)
    clock = Clock(progress)
    hardware = Hardware.choose(recipe.device, recipe.precision)
    with clock.stage("read"):
        if records is None:
            records = read(
                recipe.table, sequence=recipe.sequence, id=recipe.id, alphabet=recipe.alphabet, unknown=recipe.unknown
            )
            found = file_digest(recipe.table)
        else:
            texts = [part for name in sorted(records.columns) for part in (name, *records.columns[name])]
            found = digest(*records.ids, *records.sequences, *texts)
    if recipe.table_digest not in ("", found):
        raise BiograftError(
            f"The table '{recipe.table}' has changed since the recipe was made. Remove table_digest to use it."
        )
    origin = file_digest(recipe.source) if recipe.source else ""
    if recipe.source_digest not in ("", origin):
        raise BiograftError(
            f"The source '{recipe.source}' has changed since the recipe was made. Remove source_digest to use it."
        )
    recipe = replace(
        recipe, table_digest=found, source_digest=origin, unlabelled_digest=digest_of(recipe, records.alphabet),
        device=hardware.device, precision=hardware.precision,
    )  # fmt: skip
    records.column(recipe.label)
    folder = RunFolder(out or _default_folder(recipe))
    recipe = replace(recipe, backbone_fingerprint=fingerprint_of(recipe, records.alphabet.name, folder))
    folder = RunFolder.open(folder.path, recipe.as_dict())
    report = folder.report()
    if report is not None:
        return Result(folder.path, report)
    with folder.held():
        return _Fit(recipe, records, split, folder, hardware, clock, shared).run()


def _default_folder(recipe: Recipe) -> Path:
    names = [
        Path(recipe.table).name.split(".")[0] or "table",
        recipe.label,
        Path(recipe.backbone).name,
        recipe.strategy,
    ]
    return Path("runs") / "-".join([*names, digest(json.dumps(recipe.as_dict(), sort_keys=True))[:6]])


@dataclass(eq=False)
class _Fit:
    """One run, step after step."""

    recipe: Recipe
    records: Records
    split: Split | None
    folder: RunFolder
    hardware: Hardware
    clock: Clock
    shared: Shared | None = None
    prepared: Prepared = field(init=False)

    def run(self) -> Result:
        recipe, clock = self.recipe, self.clock
        task = Task(recipe.label, recipe.level, recipe.task, recipe.mask)
        with clock.stage("families") as told:
            found = prepare(
                self.records, task, how=self.split or recipe.split, identity=recipe.identity,
                train_limit=recipe.train_limit, seed=recipe.seed, progress=told,
            )  # fmt: skip
        prepared = self.prepared = adjusted(found, recipe.logit_adjustment)
        shop = Workshop(recipe, prepared, self.hardware, clock, self.shared.seed if self.shared else recipe.seed)
        check_relatives(recipe.relatives, prepared.level, prepared.kind)
        self._save_split(prepared)
        relatives = None
        if recipe.relatives:  # before anything is learned: it may be refused
            with clock.stage("relatives"):
                relatives = related(prepared, recipe.seed)
        with torch.random.fork_rng():
            if recipe.minutes is None:
                (made, picked), choice = self._attempted(shop), None
            else:
                made, choice = self._chosen(shop, recipe.minutes)
                picked = choice.notes
        notes, outputs = made.notes, {"valid": made.valid}
        half_width = _half_width(prepared, outputs["valid"])
        learned: tuple[str, ...] = ("train",)
        again = recipe.refit and recipe.train_limit is None and len(outputs["valid"]) > 0
        if again and made.outcome is None and made.strategy.exact(made.model.level):
            learned = ("train", "valid")
            notes = shop.solved_again(made)
        outputs["test"] = shop.answers(made, "test")
        simple = self._simple(learned)
        if relatives is not None:
            say = {"valid": relatives, "test": knowing(relatives, prepared, learned)}
            outputs |= {name: say[name].blended(outputs[name], near) for name, near in simple.near.items()}
            relatives = say["test"]
            notes = [*notes, relatives.told(simple.near["test"])]
        bundle = self._save(made, prepared.part(*learned)[0], half_width, relatives)
        return self._report(bundle, made, outputs, [*picked, *notes], simple, choice)

    def _attempted(self, shop: Workshop) -> tuple[Attempt, list[str]]:
        """On the backbone that is named, or on the one that ``auto`` takes, with a sentence on that choice."""
        recipe, prepared = self.recipe, self.prepared
        if recipe.backbone != "auto":
            return shop.attempt(recipe.strategy, self.folder), []
        part = self._examined("valid") if len(prepared.split.rows("valid")) else None
        return best(
            usual(prepared.records, prepared.level, recipe),
            lambda name: shop.on(name).attempt(recipe.strategy, self.folder),
            part,
        )

    def _chosen(self, shop: Workshop, minutes: float) -> tuple[Attempt, Choice]:
        """What ``auto`` takes within so many minutes; recipe and log tell of it."""
        part = self._examined("valid") if len(self.prepared.split.rows("valid")) else None
        made, choice = choose(
            shop, part, self.folder, minutes=minutes, spent=sum(self.clock.seconds.values()),
            source=bool(self.recipe.source),
        )  # fmt: skip
        write_text(self.folder.recipe_path, f"{toml(self.recipe.as_dict())}# {choice.sentence}\n")
        own = RunFolder(self.folder.state_path.parent / choice.chosen)
        lines = [json.dumps(entry, ensure_ascii=False) for entry in [*own.history(), {"auto": choice.as_dict()}]]
        write_text(self.folder.log_path, "\n".join([*lines, ""]))
        return made, choice

    def _save_split(self, prepared: Prepared) -> None:
        columns = {
            "id": prepared.records.ids,
            "set": prepared.split.parts.tolist(),
            "family": [str(family) for family in prepared.split.families.tolist()],
        }
        write_table(self.folder.path / "split.tsv", columns)

    def _simple(self, learned: tuple[str, ...]) -> Baselines:
        """Simple answers to come, with the nearest record learned from of each that is asked."""
        prepared = self.prepared
        queries = {name: prepared.part(name)[0] for name in ("valid", "test") if len(prepared.split.rows(name))}
        with self.clock.stage("evaluate"):
            return Baselines.of(prepared, queries, learned, self.shared)

    def _save(self, made: Attempt, train: Records, half_width: float | None, relatives: Relatives | None) -> Bundle:
        """The model's folder."""
        recipe = self.recipe.as_dict()
        del recipe["table_digest"]  # covers the test labels too, of which the model must know nothing
        steps = made.outcome.steps if made.outcome else 0
        card = {"recipe": recipe, "strategy": made.strategy.name, "steps": steps}
        bundle = Bundle(made.model.to("cpu"), self.recipe.label, train, half_width, card, relatives=relatives)
        bundle.save(self.folder.model_path)
        return bundle

    def _examined(self, name: str) -> Examination:
        """A part, ready to hold answers against."""
        prepared, recipe = self.prepared, self.recipe
        records, units, families = prepared.part(name)
        return examine(records, units, prepared.kind, prepared.level, recipe.identity, recipe.seed, families)

    def _report(
        self, bundle: Bundle, made: Attempt, outputs: dict[str, np.ndarray], notes: list[str],
        simple: Baselines, choice: Choice | None,
    ) -> Result:  # fmt: skip
        """Hold the answers against the truth: from here on, and only here, test labels are read."""
        recipe, prepared = self.recipe, self.prepared
        with self.clock.stage("evaluate"):
            parts = {name: self._examined(name) for name in ("valid", "test") if len(prepared.split.rows(name))}
            predictions = bundle.answer(parts["test"].records, outputs["test"], simple.near["test"])
            truth = parts["test"].records.column(recipe.label)
            write_table(self.folder.path / "predictions.tsv", predictions.table(truth))
            before = taught(recipe.backbone, parts["test"].records, recipe.identity, self.shared)
            notes = [*notes, before["sentence"]] if before else notes
        with self.clock.stage("baselines"):
            answers = simple.answers(recipe.seed)
        story = Story(bundle, made.strategy.name, prepared, parts, outputs, answers, predictions, made.outcome, notes)
        report, page = write_report(story, recipe.as_dict(), self.hardware, self.folder.history(), self.clock.seconds)
        report |= {"auto": choice.as_dict()} if choice else {}
        report |= {"taught": before} if before else {}
        report |= {"source": found} if (found := self._retained(choice)) else {}
        write_text(self.folder.path / "report.html", page)
        write_json(self.folder.report_path, report)
        return Result(self.folder.path, report)

    def _retained(self, choice: Choice | None) -> dict[str, Any] | None:
        """What is left of the source that was learned too, on its own validation part; None without one."""
        own = self.folder.path if choice is None else self.folder.state_path.parent / choice.chosen
        path = own / SOURCE_ANSWERS
        return retained(kept(path), self.recipe.source_label, self.recipe.seed) if path.exists() else None


def _half_width(prepared: Prepared, outputs: np.ndarray) -> float | None:
    """Of intervals around values, learned on the validation part."""
    _, units, _ = prepared.part("valid")
    if prepared.kind.name != "regression" or not len(units.values):
        return None
    targets, known = prepared.kind.encode(units.values)
    counted = known & units.counted
    values = prepared.kind.decode(outputs[counted]).values
    return None if values is None else residual_quantile(prepared.kind.truth(targets[counted]), values)
