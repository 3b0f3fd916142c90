"""Options that several commands share, with the checks that need no table."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from biograft.errors import BiograftError

__all__ = [
    "FORMS", "LEARN", "READ", "RUN", "AlphabetName", "AsJSON", "BackboneName", "BackboneOf", "Device", "Epochs",
    "FitLabel", "IdColumn", "Identity", "Lambda", "LevelName", "LogitAdjustment", "Masks", "Minutes", "Pool",
    "Precision", "Quiet", "Refit", "ReportFolder", "RunFolder", "Sampling", "Seed", "SequenceColumn", "Sequences",
    "SourceLabel", "SourceMasks", "SourceTable", "SourceTask", "SplitHow", "StrategyName", "StrategyOptions", "Table",
    "TableOrRecipe", "TaskName", "TrainLimit", "Unknown", "UnlabelledFile", "UseRelatives", "file_to_write",
    "folder_to_write", "recipe_choices",
]  # fmt: skip

FORMS = ".csv .tsv .parquet .fasta .fa .faa .fna, also .gz and .xz"
LEARN, READ, RUN = "What is learned, and how", "Reading the table", "Machine and output"  # headings of the help


def file_to_write(path: Path | None) -> Path | None:
    """Refuse a table's path that could not be written, before any work is done for it."""
    if path is None:
        return None
    from biograft.data.source import form

    if path.suffix and form(path) == "fasta":
        raise BiograftError(f"--out is a table: got '{path}', expected the suffix .csv, .tsv or .parquet. Rename it.")
    if path.is_dir():
        raise BiograftError(f"--out is a file: got the folder '{path}'. Add the name of a file.")
    _check_parent(path)
    return path


def folder_to_write(path: Path | None) -> Path | None:
    """Refuse a folder's path that could not be made, before any work is done for it."""
    if path is None:
        return None
    if path.exists() and not path.is_dir():
        raise BiograftError(f"--out is a folder: got the file '{path}'. Choose another name.")
    _check_parent(path)
    return path


def _check_parent(path: Path) -> None:
    """The nearest folder that is there must be one, and take new entries."""
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir():
        raise BiograftError(f"'{path}' cannot be written: '{there}' is a file. Choose another --out.")
    if not os.access(there, os.W_OK):
        raise BiograftError(f"'{path}' cannot be written: '{there}' is closed to this user. Choose another --out.")


def recipe_choices(ctx: typer.Context) -> dict[str, Any]:
    """Options of a command that carry the names of a recipe's fields; what may be given again, as a list."""
    from dataclasses import fields

    from biograft.flows.recipe import Recipe

    names = {field.name for field in fields(Recipe)} - {"table"}
    options = {name: value for name, value in ctx.params.items() if name in names}
    return options | {
        name: list(options[name] or ()) for name in ("mask", "source_mask", "strategy_option") if name in options
    }


def _share(identity: float) -> float:
    if not 0 < identity <= 1:
        raise BiograftError(
            f"--identity is a share: got {identity:g}, expected above 0 and at most 1. Give 40 % as --identity 0.4."
        )
    return identity


def _seed(seed: int) -> int:
    if seed < 0:
        raise BiograftError(f"--seed is a whole number: got {seed}, expected 0 or more. Choose another.")
    return seed


def _column(*names: str, help: str, panel: str = READ) -> Any:
    return typer.Option(*names, help=help, metavar="COL", rich_help_panel=panel, show_default=panel == READ)


def _name(*names: str, help: str, panel: str = LEARN, metavar: str = "NAME") -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel)


def _input(help: str, metavar: str) -> Any:
    return typer.Argument(help=help, metavar=metavar, show_default=False)


BACKBONES = "a name from 'biograft list backbones', the folder of a trained model, or of an ESM-2 checkpoint"

Sequences = Annotated[Path, _input(f"Sequences: {FORMS}.", "INPUT")]
Table = Annotated[Path, _input("Sequences, labels: .csv .tsv .parquet, also .gz and .xz.", "TABLE")]
TableOrRecipe = Annotated[
    Path,
    _input(
        "Sequences and labels: .csv .tsv .parquet, also .gz and .xz. Or a recipe.toml: options that are given too "
        "replace its choices.",
        "TABLE",
    ),
]

FitLabel = Annotated[str, _column(help="Column of the labels.", panel=LEARN)]
LevelName = Annotated[str, _name(help="What a label belongs to: sequence or residue; auto: seen from the labels.")]
TaskName = Annotated[str, _name(help="classification or regression; auto: seen from the labels.")]
BackboneName = Annotated[
    str,
    _name(
        help=f"What reads the letters: {BACKBONES}; auto: for proteins the shipped encoder, or kmer where the "
        "validation part prefers it; else kmer, for residues cnn.",
        metavar="NAME|FOLDER",
    ),
]
BackboneOf = Annotated[
    str,
    typer.Option(
        "--backbone", help=f"{BACKBONES[0].upper()}{BACKBONES[1:]}.", metavar="NAME|FOLDER", show_default=False
    ),
]
StrategyName = Annotated[
    str,
    _name(
        help="How it learns: see 'biograft list strategies'; auto: frozen where the backbone rests or knows something, "
        "and with --minutes what costs more too."
    ),
]
Pool = Annotated[
    str, _name(help="mean of all letters, or positions side by side (sequences of one length); auto: what fits.")
]
SplitHow = Annotated[
    str,
    _name(
        help="homology (no family straddles), random, or column:NAME; auto: column:set if there is one, else homology.",
        metavar="HOW",
    ),
]
Identity = Annotated[
    float,
    typer.Option(
        help="Sequences that share this part of their letters or more are of one family.",
        callback=_share, metavar="SHARE",
    ),
]  # fmt: skip
TrainLimit = Annotated[
    int | None,
    typer.Option(help="Learn from so many training records only, drawn at random.", rich_help_panel=LEARN),
]
Refit = Annotated[
    bool,
    typer.Option(
        "--refit/--no-refit",
        help="Let solved heads learn from the validation part too, once it has told its numbers.",
        rich_help_panel=LEARN,
    ),
]
Epochs = Annotated[
    float | None,
    typer.Option(help="Passes over the training part at most; left out: set by its size.", rich_help_panel=LEARN),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        help="Time for the run: strategy auto then tries what costs more than frozen, and takes it where it pays.",
        metavar="MINUTES", rich_help_panel=LEARN,
    ),
]  # fmt: skip
StrategyOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy-option", help="A choice of the strategy, such as learning_rate=1e-4. May be given again.",
        metavar="NAME=VALUE", rich_help_panel=LEARN,
    ),
]  # fmt: skip
SourceTable = Annotated[
    str, typer.Option("--source", help="Table learned together with this one.", metavar="TABLE", rich_help_panel=LEARN)
]
SourceLabel = Annotated[
    str, typer.Option("--source-label", help="Its label column.", metavar="COL", rich_help_panel=LEARN)
]
SourceTask = Annotated[
    str | None,
    typer.Option(
        "--source-task", help="As --task, for the source; left out: seen from its labels.", metavar="NAME",
        rich_help_panel=LEARN,
    ),
]  # fmt: skip
SourceMasks = Annotated[
    list[str] | None,
    typer.Option("--source-mask", help="As --mask, for the source.", metavar="COL", rich_help_panel=LEARN),
]
Lambda = Annotated[
    str,
    typer.Option(
        "--lambda", help="Weight of this table against the source's 1: a number, inf, rising or learned.",
        metavar="X", rich_help_panel=LEARN,
    ),
]  # fmt: skip
UnlabelledFile = Annotated[
    str | None,
    typer.Option(
        "--unlabelled", help="Sequences of the domain in which the model will be used, for adversarial and coral.",
        metavar="FILE", rich_help_panel=LEARN,
    ),
]  # fmt: skip
Sampling = Annotated[
    str | None,
    typer.Option(
        help="balanced: every class is drawn equally often; left out: every record once per pass.",
        metavar="NAME", rich_help_panel=LEARN,
    ),
]  # fmt: skip
LogitAdjustment = Annotated[
    float | None,
    typer.Option(
        help="Let rare classes count as much as frequent ones in the loss: 1 in full; left out: as they come.",
        metavar="X", rich_help_panel=LEARN,
    ),
]  # fmt: skip
UseRelatives = Annotated[
    bool | None,
    typer.Option(
        "--relatives/--no-relatives",
        help="Let the class of the nearest training record count as far as relatives share classes.",
        show_default="no", rich_help_panel=LEARN,
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option(help="Of all random choices, 0 or more.", callback=_seed)]

SequenceColumn = Annotated[str, _column("--sequence", help="Column of the sequences.")]
IdColumn = Annotated[str | None, _column("--id", help="Column of the ids; left out: 'id' if there is one.")]
AlphabetName = Annotated[str, _name("--alphabet", help="protein, dna or rna; auto: seen from the letters.", panel=READ)]
Unknown = Annotated[
    str | None,
    _name(
        "--unknown", help="Letter to replace unknown ones (X or N); left out: refused.", panel=READ, metavar="LETTER"
    ),
]
Masks = Annotated[
    list[str] | None,
    _column("--mask", help="Column of 0 and 1, a digit per residue: those with 1 count. May be given again."),
]

RunFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the run; left out: one under runs/, named after the choices.",
        callback=folder_to_write, rich_help_panel=RUN,
    ),
]  # fmt: skip
ReportFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder for report.json, report.html and predictions.tsv; left out: nothing is written.",
        callback=folder_to_write, rich_help_panel=RUN,
    ),
]  # fmt: skip
Device = Annotated[str, _name("--device", help="cpu or cuda; auto: cuda where there is one.", panel=RUN)]
Precision = Annotated[str, _name("--precision", help="fp32 or bf16; auto: bf16 where the processor has it.", panel=RUN)]
AsJSON = Annotated[
    bool, typer.Option("--json", help="End stdout with a line of JSON: the result.", rich_help_panel=RUN)
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Say nothing but errors and what was asked for.", rich_help_panel=RUN)
]
