"""The command that looks before anything is trained: rank."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from biograft.cli.options import (
    LEARN,
    RUN,
    AlphabetName,
    AsJSON,
    Device,
    FitLabel,
    IdColumn,
    Identity,
    LevelName,
    Masks,
    Pool,
    Precision,
    Quiet,
    Seed,
    SequenceColumn,
    SplitHow,
    Table,
    TaskName,
    TrainLimit,
    Unknown,
    file_to_write,
)
from biograft.cli.screen import numbers, progress, say

__all__ = ["COMMANDS", "rank"]


def rank(
    table: Table,
    label: FitLabel = "",
    backbones: Annotated[
        str,
        typer.Option(
            help="Names or folders, as for fit, separated by commas; a model that tells classes apart is also asked "
            "what its classes say of the labels.",
            metavar="LIST",
            rich_help_panel=LEARN,
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="File for the table: .tsv, .csv or .parquet.", callback=file_to_write, rich_help_panel=RUN),
    ] = None,
    level: LevelName = "auto",
    task: TaskName = "auto",
    pool: Pool = "auto",
    split: SplitHow = "auto",
    identity: Identity = 0.4,
    train_limit: TrainLimit = None,
    seed: Seed = 0,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    mask: Masks = None,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Say which backbone and which of its layers promise most for a table, from its training part alone: advice."""
    from biograft.flows.rank import lines, rank_recipe
    from biograft.flows.recipe import Recipe

    recipe = Recipe.of(
        {
            "table": str(table), "label": label, "level": level, "task": task, "pool": pool, "split": split,
            "identity": identity, "train_limit": train_limit, "seed": seed, "sequence": sequence, "id": id,
            "alphabet": alphabet, "unknown": unknown, "mask": list(mask or ()), "device": device,
            "precision": precision,
        }
    )  # fmt: skip
    names = tuple(part.strip() for part in backbones.split(",") if part.strip())
    with progress(quiet) as told:
        found = rank_recipe(recipe, names, progress=told)
    say("\n".join(lines(found.content)), quiet)
    if out is not None:
        target = out if out.suffix else out.with_suffix(".tsv")
        found.save(target)
        say(f"\nTable: {target}", quiet)
    if as_json:
        numbers(found.content)


COMMANDS: dict[Callable[..., None], str] = {
    rank: "Examples: biograft rank tm.csv --label tm_celsius --backbones kmer,esm2-8m  ·  biograft rank loc.tsv "
    "--label location --backbones runs/ss3,runs/fold --train-limit 200 --out rank.tsv"
}
"""Each command, and examples of its use."""
