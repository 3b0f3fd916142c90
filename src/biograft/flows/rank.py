"""Which backbone and which layer promise most for a task, before anything is trained: advice, not a decision.

Only the training part is looked at. Probes are asked about families that they didn't learn from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biograft.backbones.backbone import Backbone
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.flows.layers import Layers
from biograft.flows.prepare import Prepared, prepare
from biograft.flows.promise import NUMBERS, PROBES, SOURCE_NUMBERS, apart, numbers, of_source, probed
from biograft.flows.recipe import Recipe
from biograft.flows.workshop import means_told, pooled
from biograft.hardware import Hardware
from biograft.origins import load_backbone
from biograft.progress import Clock, Stages
from biograft.tasks.task import Task

__all__ = ["Ranking", "lines", "rank", "rank_recipe"]

ADVICE = (
    "Advice, not a decision: probes and scores look at resting vectors of the training part. Fine-tuning may turn the "
    "order round; biograft compare tells."
)
MEANS = (
    "These records are variants of one parent. Probes read the mean of all letters of '{}', layer by layer; biograft "
    "fit reads its last layer position by position, and likely reaches more."
)
TOGETHER = (
    "The training part has fewer than three families, or one with most of the labels: probes were asked about labels "
    "of families that they learned from, and their numbers are likely too high. Add records of other families."
)


@dataclass(frozen=True, eq=False)
class Ranking:
    """What was found.

    Attributes:
        content: JSON-able: ``rows``, most promising first, ``metric`` of the probes, ``notes``.
    """

    content: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One per backbone and layer, most promising first."""
        found: list[dict[str, Any]] = self.content["rows"]
        return found

    def columns(self) -> dict[str, list[Any]]:
        """As a table."""
        probes = self.content["probes"]
        columns: dict[str, list[Any]] = {name: [row[name] for row in self.rows] for name in ("backbone", "layer")}
        for probe in probes:
            for name, field in ((probe, "value"), (f"{probe}_low", "low"), (f"{probe}_high", "high")):
                columns[name] = [row[probe][field] for row in self.rows]
        return columns | {name: [row[name] for row in self.rows] for name in NUMBERS + SOURCE_NUMBERS}

    def save(self, path: Path | str) -> None:
        """Write the table, in the form that the suffix says."""
        write_table(path, self.columns())


def rank(
    table: Records | str | Path,
    label: str | Task,
    *,
    backbones: Sequence[str],
    split: str | Split = "auto",
    identity: float = 0.4,
    train_limit: int | None = None,
    seed: int = 0,
    progress: Stages | None = None,
) -> Ranking:
    """Order backbones and their layers by what a probe on resting vectors makes of the training part.

    Args:
        table: records, or the file that holds them.
        label: name of the label column, or a task.
        backbones: names or folders, as for :func:`biograft.fit`; a model that tells classes apart is also asked what
            its classes say of the labels (LEEP, NCE).
        split: as of :func:`biograft.fit`; its valid and test parts are left alone.
        identity: from which on sequences are of one family, 0 to 1.
        train_limit: use so many training records only.
        progress: hears ``(stage, done, total)``.

    Raises:
        BiograftError: wherever the table or the choices don't fit.
    """
    task = label if isinstance(label, Task) else Task(label)
    recipe = Recipe(
        table="" if isinstance(table, Records) else str(table), label=task.label, level=task.level, task=task.kind,
        mask=task.masks, split=split if isinstance(split, str) else "given", identity=identity,
        train_limit=train_limit, seed=seed,
    )  # fmt: skip
    records = table if isinstance(table, Records) else None
    return rank_recipe(
        recipe, backbones, records=records, split=split if isinstance(split, Split) else None, progress=progress
    )


def rank_recipe(
    recipe: Recipe,
    backbones: Sequence[str],
    *,
    records: Records | None = None,
    split: Split | None = None,
    progress: Stages | None = None,
) -> Ranking:
    """:func:`rank` for choices that are gathered in a recipe; its backbone and strategy are not looked at."""
    if not backbones:
        raise BiograftError("Which backbones? Got none, expected one or more. Name them: --backbones kmer,cnn.")
    clock, hardware = Clock(progress), Hardware.choose(recipe.device, recipe.precision)
    with clock.stage("read"):
        records = records or read(
            recipe.table, sequence=recipe.sequence, id=recipe.id, alphabet=recipe.alphabet, unknown=recipe.unknown
        )
        loaded = {name: load_backbone(name, records.alphabet.name) for name in dict.fromkeys(backbones)}
    with clock.stage("families") as told:
        prepared = prepare(
            records, Task(recipe.label, recipe.level, recipe.task, recipe.mask), how=split or recipe.split,
            identity=recipe.identity, train_limit=recipe.train_limit, seed=recipe.seed, needed=("train",),
            progress=told,
        )  # fmt: skip
    if prepared.kind.name not in PROBES:
        raise BiograftError(
            f"Backbones are ranked for {' and '.join(PROBES)}: got a task of {prepared.kind.name}. "
            "Use biograft compare."
        )
    return Ranking(_content(recipe, prepared, loaded, hardware, clock))


def _content(
    recipe: Recipe, prepared: Prepared, loaded: Mapping[str, Backbone], hardware: Hardware, clock: Clock
) -> dict[str, Any]:
    kind, notes = prepared.kind, list(prepared.notes)
    used, counted, kept_apart = 0, 0, True
    rows: list[dict[str, Any]] = []
    probes = PROBES[kind.name]
    for name, backbone in loaded.items():
        level = pooled(recipe.pool, prepared.level, backbone, prepared.records)
        if means_told(level, backbone, prepared.records):
            notes.append(MEANS.format(name))
        layers = Layers.of(backbone, level, prepared, hardware, clock, recipe.seed)
        used, counted = len(layers.records), int(layers.counted.sum())
        answers, told = of_source(name, prepared, layers, hardware, clock)
        notes += told
        with clock.stage("probe") as heard:
            for height in range(1, layers.heights + 1):
                features = layers.at(height)
                kept_apart = apart(features, kind)
                row = {"backbone": name, "layer": height, "layers": layers.heights}
                row |= {probe: probed(head, features, backbone, kind) for probe, head in probes.items()}
                top = height == layers.heights
                rows.append(row | numbers(features, kind) | (answers if top else dict.fromkeys(SOURCE_NUMBERS)))
                heard(height, layers.heights)
        if not backbone.pretrained and any(True for _ in backbone.parameters()):
            notes.append(f"The weights of '{name}' are random: its rows show what the architecture alone gives.")
    if used < (whole := len(prepared.split.rows("train"))):
        notes.append(f"{used:,} of the {whole:,} training records were drawn; the others were not looked at.")
    if not kept_apart:
        notes.append(TOGETHER)
    rows.sort(key=lambda row: max(_known(row[probe]["value"]) for probe in probes), reverse=True)
    return {
        "task": {"label": recipe.label, "level": prepared.level.name, "label_kind": kind.name},
        "metric": kind.metrics[0], "probes": list(probes), "records": used, "units": counted,
        "apart": kept_apart, "rows": rows, "notes": [*notes, ADVICE],
    }  # fmt: skip


def _known(value: float | None) -> float:
    return float("-inf") if value is None else value


def lines(content: Mapping[str, Any]) -> list[str]:
    """The ranking for people: a table, most promising first, and what to know when reading it."""
    probes, rows = content["probes"], content["rows"]
    shown = [name for name in NUMBERS + SOURCE_NUMBERS if any(row[name] is not None for row in rows)]
    table = [["backbone", "layer", *probes, *shown]]
    for row in rows:
        layer = f"{row['layer']}/{row['layers']}"
        table.append(
            [row["backbone"], layer, *(_cell(row[probe]) for probe in probes), *(_number(row[n]) for n in shown)]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligned = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in table]
    unit = f" ({content['units']:,} labels)" if content["units"] != content["records"] else ""
    head = (
        f"{content['task']['label']}: {content['metric']} of {' and '.join(probes)} on "
        f"{'families' if content['apart'] else 'labels'} they didn't learn from, 95 % interval; training part of "
        f"{content['records']:,} records{unit}"
    )
    return [head, "", *aligned, "", *content["notes"]]


def _cell(found: Mapping[str, float | None]) -> str:
    if found["value"] is None:
        return "-"
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
