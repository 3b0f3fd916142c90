"""Commands that make encoders: pretrain."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from biograft.cli.options import (
    FORMS,
    RUN,
    AlphabetName,
    AsJSON,
    Device,
    IdColumn,
    Identity,
    Precision,
    Quiet,
    Seed,
    SequenceColumn,
    Unknown,
    folder_to_write,
)
from biograft.cli.screen import numbers, progress, say

__all__ = ["COMMANDS", "pretrain"]

SHAPE, COURSE, SOURCES = "Shape of the encoder", "How it learns", "Tables learned beside the corpus"


def _number(help: str, panel: str) -> Any:
    return typer.Option(help=help, rich_help_panel=panel)


def _tokens(text: str) -> int:
    """``20M`` and the like."""
    units = {"k": 1e3, "m": 1e6, "g": 1e9}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1.0)
    try:
        return round(float(number) * unit)
    except (OverflowError, ValueError):
        raise typer.BadParameter(f"got '{text}', expected a number such as 20M or 1.5G.") from None


def pretrain(
    corpus: Annotated[
        Path, typer.Argument(help=f"Sequences without labels: {FORMS}.", metavar="CORPUS", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of the run, afterwards a backbone.", callback=folder_to_write, rich_help_panel=RUN,
            show_default=False,
        ),
    ],
    backbone: Annotated[
        str | None,
        typer.Option(help="Encoder to go on from, such as protein-small or a folder; left out: random weights.",
                     rich_help_panel=SHAPE, metavar="NAME|FOLDER", show_default=False),
    ] = None,
    architecture: Annotated[
        str, _number("encoder (a transformer) or bytenet (dilated convolutions: several times faster).", SHAPE)
    ] = "encoder",
    layers: Annotated[int, _number("Blocks.", SHAPE)] = 6,
    width: Annotated[int, _number("Numbers per vector.", SHAPE)] = 320,
    heads: Annotated[int, _number("Attention heads of a transformer.", SHAPE)] = 5,
    window: Annotated[int, _number("Letters read at once in training.", SHAPE)] = 512,
    tokens: Annotated[str, _number("Letters of the corpus to read in all, such as 20M.", COURSE)] = "50M",
    batch_letters: Annotated[int, _number("Letters of the corpus per step.", COURSE)] = 16_384,
    learning_rate: Annotated[float, _number("Largest rate of the schedule.", COURSE)] = 2e-3,
    weight_decay: Annotated[float, _number("Decay of the blocks' matrices.", COURSE)] = 0.05,
    optimiser: Annotated[str, _number("muon (matrices; AdamW for the rest) or adamw.", COURSE)] = "muon",
    schedule: Annotated[str, _number("wsd (warm up, stay, fall at the end) or cosine.", COURSE)] = "wsd",
    masked: Annotated[float, _number("Share of the letters that are asked for.", COURSE)] = 0.15,
    held_out: Annotated[int, _number("Sequences held out, with their relatives, to measure on.", COURSE)] = 200,
    identity: Identity = 0.4,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Labelled table to learn as well. May be given again.", rich_help_panel=SOURCES,
                     metavar="TABLE"),
    ] = None,
    source_label: Annotated[
        list[str] | None,
        typer.Option(help="Its label column, one for each source.", rich_help_panel=SOURCES, metavar="COL"),
    ] = None,
    source_mask: Annotated[
        list[str] | None,
        typer.Option(help="Its column of residues that count, one for each source or none at all; '' for all.",
                     rich_help_panel=SOURCES, metavar="COL"),
    ] = None,
    lambda_: Annotated[
        list[float] | None,
        typer.Option("--lambda", help="Its weight against the corpus's 1, one for each source; left out: 1.",
                     rich_help_panel=SOURCES, metavar="X"),
    ] = None,
    source_letters: Annotated[
        list[int] | None,
        typer.Option(help="Its letters per step: one number for all sources (left out: 4096), or one for each.",
                     rich_help_panel=SOURCES, metavar="N"),
    ] = None,
    seed: Seed = 0,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Train a new encoder on sequences without labels. Stopped at any moment, the same command goes on where it was."""
    from biograft.flows.pretrain import pretrain as run
    from biograft.flows.pretrain import summary
    from biograft.flows.pretrain_recipe import PretrainRecipe

    tables = tuple(source or ())
    recipe = PretrainRecipe(
        corpus=str(corpus), sequence=sequence, id=id, alphabet=alphabet, unknown=unknown,
        backbone=backbone or "", architecture=architecture, layers=layers, width=width, heads=heads, window=window,
        tokens=_tokens(tokens), batch_letters=batch_letters,
        learning_rate=learning_rate, weight_decay=weight_decay, optimiser=optimiser, schedule=schedule, masked=masked,
        held_out=held_out, identity=identity, source=tables, source_label=tuple(source_label or ()),
        source_mask=tuple(source_mask or ("",) * len(tables)), source_weight=tuple(lambda_ or (1.0,) * len(tables)),
        source_letters=tuple(source_letters or (4096,)), seed=seed, device=device, precision=precision,
    )  # fmt: skip
    with progress(quiet) as told:
        result = run(recipe, out, progress=told)
    say("\n".join(summary(result.report)), quiet)
    say(f"\nBackbone: {result.folder}", quiet)
    if as_json:
        numbers(result.report)


COMMANDS: dict[Callable[..., None], str] = {
    pretrain: "Example: biograft pretrain corpus.fasta.xz --tokens 20M --source ss.tsv.gz --source-label ss3 "
    "--source-mask resolved --out encoder"
}
