"""The main flow: a table becomes a tested, saved, predicting model, in one folder that survives a crash."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from biograft.backbones.backbone import Backbone
from biograft.bundle import Bundle, load, load_backbone
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.evaluation.conformal import residual_quantile
from biograft.files import digest, file_digest, write_json, write_text
from biograft.flows.answers import SOURCE_ANSWERS, keep
from biograft.flows.assess import Examination, examine
from biograft.flows.baselines import Baselines, Shared
from biograft.flows.inputs import Inputs, fixed_features
from biograft.flows.learning import Lesson
from biograft.flows.prepare import Prepared, prepare
from biograft.flows.recipe import Recipe
from biograft.flows.report import Story, write_report
from biograft.flows.sources import SOURCE, Source
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.progress import Clock, Stages
from biograft.run import RunFolder
from biograft.strategies.choices import strategy_of
from biograft.strategies.strategy import Strategy
from biograft.tasks.levels import Sequence as SequenceLevel
from biograft.tasks.task import Level, Task
from biograft.trainer import Outcome
from biograft.training import Training

__all__ = ["Recipe", "Result", "fit", "fit_recipe"]

MOST_POSITIONS = 1024


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
    identity: float = 0.4,
    train_limit: int | None = None,
    refit: bool = True,
    epochs: float | None = None,
    seed: int = 0,
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
        strategy: name in the catalog.
        identity: from which on sequences are of one family, 0 to 1.
        train_limit: use so many training records only.
        refit: let solved heads learn from the validation part too before they answer the test part.
        epochs: passes over the training part, where the strategy needs the loop.
        progress: hears ``(stage, done, total)``.

    Raises:
        BiograftError: wherever the table or the choices don't fit; the message says what to do.
    """
    task = label if isinstance(label, Task) else Task(label)
    how = split if isinstance(split, str) else digest(*split.parts.tolist())
    recipe = Recipe(
        table="" if isinstance(table, Records) else str(table), label=task.label, level=task.level, task=task.kind,
        mask=task.masks, split=how, identity=identity, backbone=backbone, strategy=strategy,
        train_limit=train_limit, refit=refit, epochs=epochs, seed=seed,
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
        recipe, table_digest=found, source_digest=origin, device=hardware.device, precision=hardware.precision
    )
    records.column(recipe.label)
    folder = RunFolder.open(out or _default_folder(recipe), recipe.as_dict())
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

    def run(self) -> Result:
        recipe, clock = self.recipe, self.clock
        task = Task(recipe.label, recipe.level, recipe.task, recipe.mask)
        with clock.stage("families") as told:
            prepared = prepare(
                self.records, task, how=self.split or recipe.split, identity=recipe.identity,
                train_limit=recipe.train_limit, seed=recipe.seed, progress=told,
            )  # fmt: skip
        self._save_split(prepared)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            model, strategy = self._build(prepared)
            inputs = Inputs.of(model, strategy, prepared, self.hardware, clock)
            outcome, notes = self._learn(model, strategy, inputs, prepared)
        outputs = {"valid": self._answer(model, inputs, prepared, "valid")}
        half_width = _half_width(prepared, outputs["valid"])
        learned: tuple[str, ...] = ("train",)
        again = recipe.refit and recipe.train_limit is None and len(outputs["valid"]) > 0
        if again and outcome is None and strategy.exact(model.level):
            learned = ("train", "valid")
            notes = self._solve_again(model, strategy, inputs, prepared)
        outputs["test"] = self._answer(model, inputs, prepared, "test")
        bundle = self._save(model, prepared.part(*learned)[0], half_width, outcome)
        return self._report(bundle, strategy, prepared, outputs, outcome, notes, learned)

    def _save_split(self, prepared: Prepared) -> None:
        columns = {
            "id": prepared.records.ids,
            "set": prepared.split.parts.tolist(),
            "family": [str(family) for family in prepared.split.families.tolist()],
        }
        write_table(self.folder.path / "split.tsv", columns)

    def _build(self, prepared: Prepared) -> tuple[Model, Strategy]:
        recipe, level = self.recipe, prepared.level
        name = recipe.backbone
        if name == "auto":
            name = "cnn" if level.resolution == 1 else "kmer"
        backbone = load_backbone(name, prepared.records.alphabet.name)
        strategy_name = recipe.strategy
        if strategy_name == "auto":
            rests = backbone.pretrained or not any(True for _ in backbone.parameters())
            strategy_name = "joint" if recipe.source else "frozen" if rests else "scratch"
        strategy = strategy_of(strategy_name, recipe.options)
        if bool(recipe.source) != (SOURCE in strategy.streams):
            raise BiograftError(
                f"Strategy '{strategy.name}' learns from {' and '.join(strategy.streams)}: got "
                f"{f'--source {recipe.source}' if recipe.source else 'no --source'}. "
                f"{'Choose --strategy joint, or leave the source out.' if recipe.source else 'Name one with --source.'}"
            )
        level = _pooled(recipe.pool, level, backbone, prepared.records)
        head = strategy.head(backbone, level, prepared.kind)
        return Model(backbone, head, level, prepared.kind), strategy

    def _learn(
        self, model: Model, strategy: Strategy, inputs: Inputs, prepared: Prepared
    ) -> tuple[Outcome | None, list[str]]:
        """Carry the strategy out."""
        recipe = self.recipe
        training = Training() if recipe.epochs is None else Training(epochs=recipe.epochs, min_steps=1)
        with self.clock.stage("train") as told:
            train, valid = (inputs.examples(prepared, name) for name in ("train", "valid"))
            companions = {SOURCE: lambda target: Source.of(recipe, target, self._parts_seed)}
            lesson = Lesson(train, valid, self.hardware, recipe.seed, training, companions)
            with inputs.read_by(model):
                learned = lesson.carry_out(model, strategy, self.folder, told)
            notes = list(learned.notes)
            if SOURCE in learned.companions:
                source: Source = learned.companions[SOURCE]
                answers = source.answers(self.hardware)
                if answers:
                    keep(self.folder.path / SOURCE_ANSWERS, answers)
                notes += source.told(answers, prepared.part("test")[0], recipe.identity)
        return learned.outcome, notes

    @property
    def _parts_seed(self) -> int:
        """Of the parts of a source: the same for all runs of a comparison."""
        return self.shared.seed if self.shared else self.recipe.seed

    def _solve_again(self, model: Model, strategy: Strategy, inputs: Inputs, prepared: Prepared) -> list[str]:
        """Learn from the validation part too, once it has told what it is for: a solved head has no state to choose."""
        with self.clock.stage("train"), inputs.read_by(model):
            both = inputs.examples(prepared, "train", "valid")
            notes = strategy.start(model, fixed_features(model, both, self.recipe.seed, self.hardware))
            strategy.finish(model)
        told = "Solved on the training part for the numbers of the validation part, then on both together"
        return [f"{told} ({len(both):,} records): {note}" for note in notes]

    def _answer(self, model: Model, inputs: Inputs, prepared: Prepared, name: str) -> np.ndarray:
        """Outputs for a part."""
        with self.clock.stage("predict") as told, inputs.read_by(model):
            return model.outputs(inputs.of_part(prepared, name), self.hardware, progress=told)

    def _save(self, model: Model, train: Records, half_width: float | None, outcome: Outcome | None) -> Bundle:
        """The model's folder."""
        recipe = self.recipe.as_dict()
        del recipe["table_digest"]  # covers the test labels too, of which the model must know nothing
        card = {"recipe": recipe, "steps": outcome.steps if outcome else 0}
        bundle = Bundle(model.to("cpu"), self.recipe.label, train, half_width, card)
        bundle.save(self.folder.model_path)
        return bundle

    def _report(
        self, bundle: Bundle, strategy: Strategy, prepared: Prepared, outputs: dict[str, np.ndarray],
        outcome: Outcome | None, notes: list[str], learned: tuple[str, ...],
    ) -> Result:  # fmt: skip
        """Hold the answers against the truth: from here on, and only here, test labels are read."""
        recipe = self.recipe
        with self.clock.stage("evaluate"):
            parts: dict[str, Examination] = {}
            for name in ("valid", "test"):
                records, units, families = prepared.part(name)
                if len(records):
                    parts[name] = examine(
                        records, units, prepared.kind, prepared.level, recipe.identity, recipe.seed, families
                    )
            queries = {name: part.records for name, part in parts.items()}
            simple = Baselines.of(prepared, queries, learned, self.shared)
            predictions = bundle.answer(parts["test"].records, outputs["test"], simple.near["test"])
            truth = parts["test"].records.column(recipe.label)
            write_table(self.folder.path / "predictions.tsv", predictions.table(truth))
        with self.clock.stage("baselines"):
            answers = simple.answers(recipe.seed)
        story = Story(bundle, strategy.name, prepared, parts, outputs, answers, predictions, outcome, notes)
        report, page = write_report(story, recipe.as_dict(), self.hardware, self.folder.history(), self.clock.seconds)
        write_text(self.folder.path / "report.html", page)
        write_json(self.folder.report_path, report)
        return Result(self.folder.path, report)


def _half_width(prepared: Prepared, outputs: np.ndarray) -> float | None:
    """Of intervals around values, learned on the validation part."""
    _, units, _ = prepared.part("valid")
    if prepared.kind.name != "regression" or not len(units.values):
        return None
    targets, known = prepared.kind.encode(units.values)
    counted = known & units.counted
    values = prepared.kind.decode(outputs[counted]).values
    return None if values is None else residual_quantile(prepared.kind.truth(targets[counted]), values)


def _pooled(pool: str, level: Level, backbone: Backbone, records: Records) -> Level:
    """Letters of records of one length are read position by position; everything else is pooled."""
    if not isinstance(level, SequenceLevel):
        return level
    lengths = set(records.lengths.tolist())
    one_length = len(lengths) == 1 and backbone.resolution == 1
    if pool == "positions" and not one_length:
        raise BiograftError(
            f"--pool positions needs records of one length and a vector per letter: got {len(lengths)} lengths and "
            f"backbone '{backbone.name}'. Use --pool mean."
        )
    if pool == "positions" or (
        pool == "auto" and one_length and backbone.positional and max(lengths) <= MOST_POSITIONS
    ):
        return SequenceLevel("positions", lengths.pop())
    return level
