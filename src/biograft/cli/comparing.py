"""Commands that hold ways to learn against each other: compare."""

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
    Epochs,
    FitLabel,
    IdColumn,
    Identity,
    LevelName,
    LogitAdjustment,
    Masks,
    Pool,
    Precision,
    Quiet,
    Sampling,
    Seed,
    SequenceColumn,
    SourceLabel,
    SourceMasks,
    SourceTable,
    SourceTask,
    SplitHow,
    Table,
    TaskName,
    TrainLimit,
    Unknown,
    UnlabelledFile,
    folder_to_write,
    recipe_choices,
)
from biograft.cli.screen import numbers, progress, say

__all__ = ["COMMANDS", "compare"]

FIELD = "Who takes part"


def _several(
    name: str, help: str, metavar: str, panel: str = FIELD, also: tuple[str, ...] = ()
) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(
        name, *also, help=f"{help} Several are separated by commas.", metavar=metavar, rich_help_panel=panel
    )
    return found


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the comparison; left out: one under runs/.", callback=folder_to_write, rich_help_panel=RUN
    ),
]
Backbones = Annotated[
    str,
    _several(
        "--backbones", "Names or folders, as for fit; left out: for proteins the shipped encoder and kmer.", "LIST"
    ),
]
Strategies = Annotated[
    str,
    _several(
        "--strategies",
        "See 'biograft list strategies'; left out: scratch, frozen and full where a backbone knows something. "
        "scratch is added wherever there are weights. With choices: full:learning_rate=1e-4.",
        "LIST",
    ),
]
OptionsByStrategy = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy-option",
        help="A choice for all candidates of a strategy, such as full:learning_rate=1e-4. May be given again.",
        metavar="STRATEGY:NAME=VALUE",
        rich_help_panel=FIELD,
    ),
]
AutoMinutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        help="Time for each run of the strategy auto; left out: 2.",
        metavar="MINUTES",
        rich_help_panel=FIELD,
    ),
]
Limits = Annotated[
    str,
    _several("--limits", "A learning curve: numbers of training records, and all, such as 25,50,100,all.", "LIST"),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        help="Runs of each, to see how much is luck of the run; left out: 3, or 1 on each of several --splits.",
        rich_help_panel=FIELD, show_default=False,
    ),
]  # fmt: skip
Splits = Annotated[
    int | None,
    typer.Option(
        help="Compare on so many random splits, and answer over all of them; left out: on one.", rich_help_panel=FIELD
    ),
]
Lambdas = Annotated[
    str,
    _several(
        "--lambdas",
        "Weight of this table against the source's 1: a number, inf, rising or learned. Several show what is kept of "
        "the source against what is gained.",
        "LIST",
        LEARN,
        also=("--lambda",),
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        help="Processes at a time; 0: as many as there are processors, or one for a GPU.", rich_help_panel=RUN
    ),
]


def compare(
    ctx: typer.Context,
    table: Table,
    label: FitLabel = "",
    out: Folder = None,
    backbones: Backbones = "",
    strategies: Strategies = "",
    strategy_options: OptionsByStrategy = None,
    auto_minutes: AutoMinutes = None,
    limits: Limits = "",
    seeds: Seeds = None,
    splits: Splits = None,
    level: LevelName = "auto",
    task: TaskName = "auto",
    pool: Pool = "auto",
    split: SplitHow = "auto",
    identity: Identity = 0.4,
    train_limit: TrainLimit = None,
    epochs: Epochs = None,
    source: SourceTable = "",
    source_label: SourceLabel = "",
    source_mask: SourceMasks = None,
    source_task: SourceTask = None,
    lambdas: Lambdas = "",
    unlabelled: UnlabelledFile = None,
    sampling: Sampling = None,
    logit_adjustment: LogitAdjustment = None,
    seed: Seed = 0,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    mask: Masks = None,
    jobs: Jobs = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Fit strategies on backbones, several times each; say what helped. Stopped, it goes on likewise."""
    from biograft.evaluation.comparison_page import lines
    from biograft.flows.comparison.compare import compare_recipe
    from biograft.flows.comparison.field import Field
    from biograft.flows.recipe import Recipe

    recipe = Recipe.of({"table": str(table), **recipe_choices(ctx)})
    entrants = Field(
        _listed(backbones), _listed(strategies), _listed(lambdas), seeds, jobs, tuple(strategy_options or ()),
        _listed(limits), auto_minutes, splits,
    )  # fmt: skip
    with progress(quiet) as told:
        found = compare_recipe(recipe, entrants, out, progress=told)
    say("\n".join(lines(found.content)), quiet)
    say(f"\nComparison: {found.folder}\nReport: {found.folder / 'comparison.html'}", quiet)
    if as_json:
        numbers(found.content)


COMMANDS: dict[Callable[..., None], str] = {
    compare: "Examples: biograft compare tm.csv --label tm_celsius --backbones kmer,cnn --seeds 3  ·  biograft compare "
    "tm.csv --label tm_celsius --backbones runs/ss3 --strategies frozen,full,auto --train-limit 200 --out "
    "runs/compare-tm  ·  biograft compare tm.csv --label tm_celsius --backbones runs/ss3 --limits 25,50,100,250,all"
}
"""Each command, and examples of its use."""
