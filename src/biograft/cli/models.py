"""Commands that make, ask and judge models: fit, predict, evaluate, report, demo."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from biograft.cli.options import (
    RUN,
    AlphabetName,
    AsJSON,
    BackboneName,
    Device,
    Epochs,
    FitLabel,
    IdColumn,
    Identity,
    Lambda,
    LevelName,
    LogitAdjustment,
    Masks,
    Minutes,
    Pool,
    Precision,
    Quiet,
    Refit,
    ReportFolder,
    RunFolder,
    Sampling,
    Seed,
    SequenceColumn,
    Sequences,
    SourceLabel,
    SourceMasks,
    SourceTable,
    SourceTask,
    SplitHow,
    StrategyName,
    StrategyOptions,
    Table,
    TableOrRecipe,
    TaskName,
    TrainLimit,
    Unknown,
    UnlabelledFile,
    UseRelatives,
    file_to_write,
    folder_to_write,
    recipe_choices,
)
from biograft.cli.screen import numbers, one, progress, say
from biograft.errors import BiograftError

__all__ = ["COMMANDS", "demo", "evaluate", "fit", "predict", "report"]

ModelFolder = Annotated[
    Path,
    typer.Argument(
        help="A shipped model's name (biograft list models), a run's folder, or the folder of a saved model.",
        metavar="MODEL",
        show_default=False,
    ),
]


def fit(
    ctx: typer.Context,
    table: TableOrRecipe,
    label: FitLabel = "",
    out: RunFolder = None,
    level: LevelName = "auto",
    task: TaskName = "auto",
    backbone: BackboneName = "auto",
    strategy: StrategyName = "auto",
    pool: Pool = "auto",
    split: SplitHow = "auto",
    identity: Identity = 0.4,
    train_limit: TrainLimit = None,
    refit: Refit = True,
    epochs: Epochs = None,
    minutes: Minutes = None,
    strategy_option: StrategyOptions = None,
    source: SourceTable = "",
    source_label: SourceLabel = "",
    source_mask: SourceMasks = None,
    source_task: SourceTask = None,
    lambda_: Lambda = "",
    unlabelled: UnlabelledFile = None,
    sampling: Sampling = None,
    logit_adjustment: LogitAdjustment = None,
    relatives: UseRelatives = None,
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
    """Train, test, report and save a model. Stopped at any moment, the same command goes on where it was."""
    from biograft.evaluation.report import text
    from biograft.flows.fit import fit_recipe

    recipe = _recipe(ctx, table)
    with progress(quiet) as told:
        result = fit_recipe(recipe, out, progress=told)
    say(text(result.report), quiet)
    if "auto" in result.report:
        say("\n".join(["", *result.report["auto"]["notes"]]), quiet)
    say(f"\nRun: {result.folder}\nReport: {result.folder / 'report.html'}", quiet)
    if as_json:
        numbers(result.report)


def _recipe(ctx: typer.Context, table: Path) -> Any:
    """The choices: options of the command line carry the names of the recipe's fields."""
    from biograft.flows.recipe import Recipe
    from biograft.run import read_recipe

    options = recipe_choices(ctx)
    if table.suffix.lower() != ".toml":
        return Recipe.of({"table": str(table), **options})
    given = {name: value for name, value in options.items() if _is_given(ctx, name)}
    return Recipe.of({**read_recipe(table), **given}, str(table))


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def predict(
    model: ModelFolder,
    table: Sequences,
    out: Annotated[
        Path | None, typer.Option(help="File to write; left out: stdout.", callback=file_to_write, rich_help_panel=RUN)
    ] = None,
    format: Annotated[
        str, typer.Option(help="tsv, csv or parquet; a suffix of --out decides.", metavar="NAME", rich_help_panel=RUN)
    ] = "tsv",
    probabilities: Annotated[
        Path | None, typer.Option(help="File .npz for the probabilities of all classes.", rich_help_panel=RUN)
    ] = None,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    device: Device = "auto",
    precision: Precision = "auto",
    quiet: Quiet = False,
) -> None:
    """Predict with a saved model: one row per record, in the order of the input, with the nearest training record."""
    from biograft.bundle import load
    from biograft.data.readers import read_for, write_table
    from biograft.data.sketch import Sketch
    from biograft.data.tables import as_text
    from biograft.hardware import Hardware

    if format not in ("tsv", "csv", "parquet"):
        raise BiograftError(f"Unknown --format: got '{format}', expected tsv, csv or parquet. Choose one of them.")
    if format == "parquet" and out is None:
        raise BiograftError("Parquet is not text: got --format parquet without a file. Name one with --out.")
    hardware = Hardware.choose(device, precision)
    bundle = load(model)
    if probabilities is not None and not getattr(bundle.model.kind, "classes", ()):
        raise BiograftError(
            f"The model predicts values of '{bundle.label}', not classes: --probabilities has nothing to hold. "
            "Leave it out."
        )
    if probabilities is not None and not probabilities.parent.is_dir():
        raise BiograftError(
            f"'{probabilities}' cannot be written: there is no folder '{probabilities.parent}'. Make it."
        )
    records = read_for(
        bundle.model.backbone.alphabet, table, sequence=sequence, id=id, alphabet=alphabet, unknown=unknown
    )
    with progress(quiet) as told:
        answers = bundle.predict(records, hardware=hardware, progress=one(told, "predict"))
    if probabilities is not None:
        answers.save_probabilities(probabilities)
    if not quiet and isinstance(bundle.training, Sketch):
        typer.echo(
            f"nearest_identity is an estimate: the model keeps a sketch only. See: biograft report {model}.", err=True
        )
    if not quiet and (caution := bundle.caution(answers)):
        typer.echo(caution, err=True)
    if out is None:
        sys.stdout.write(as_text(answers.table(), format, "stdout"))
        return
    target = out if out.suffix else out.with_suffix(f".{format}")
    write_table(target, answers.table())
    say(f"{len(answers)} predictions: {target}", quiet)


def evaluate(
    model: ModelFolder,
    table: Table,
    label: Annotated[
        str | None, typer.Option(help="Column of the true labels; left out: the name it was fitted on.", metavar="COL")
    ] = None,
    out: ReportFolder = None,
    identity: Identity = 0.4,
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
    """Hold a saved model against new labelled data: metrics with intervals, and what the data share with training."""
    from biograft.bundle import load
    from biograft.data.readers import read_for
    from biograft.evaluation.report import text
    from biograft.flows.evaluate import evaluate as run
    from biograft.hardware import Hardware

    hardware = Hardware.choose(device, precision)
    bundle = load(model)
    records = read_for(
        bundle.model.backbone.alphabet, table, sequence=sequence, id=id, alphabet=alphabet, unknown=unknown
    )
    with progress(quiet) as told:
        content = run(
            bundle, records, label=label, masks=tuple(mask or ()), out=out, identity=identity, seed=seed,
            hardware=hardware, progress=one(told, "predict"),
        )  # fmt: skip
    say(text(content), quiet)
    if out is not None:
        say(f"\nReport: {out / 'report.html'}", quiet)
    if as_json:
        numbers(content)


def report(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a run, or the name of a shipped model or encoder.", metavar="RUN",
                       show_default=False),
    ],
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show the report of a run again, or the card of what comes with biograft."""
    from biograft import run as runs
    from biograft.evaluation.report import text
    from biograft.shipped import shelf

    shipped = [*shelf.models(), *shelf.backbones()]
    if (found := shelf.find(str(run), shipped)) is not None:
        say(found.text(), quiet)
        if as_json:
            numbers(found.card)
        return
    if not run.exists():
        names = ", ".join(one.name for one in shipped) or "this installation has none"
        raise BiograftError(
            f"There is no '{run}': expected the folder of a run, or a shipped name ({names}). Check it."
        )
    content = runs.RunFolder(run).report()
    if content is None and (run / "recipe.toml").exists():
        raise BiograftError(f"The run '{run}' is not finished: it has no report yet. Continue it with biograft fit.")
    if content is None:
        raise BiograftError(f"'{run}' is no run: got no report.json in it, expected the folder of a fit. Check it.")
    if "corpus" in content:
        from biograft.flows.pretrain import summary

        say("\n".join(summary(content)), quiet)
    else:
        say(text(content), quiet)
        say(f"\nReport: {run / 'report.html'}", quiet)
    if as_json:
        numbers(content)


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the runs.", callback=folder_to_write, rich_help_panel=RUN)
    ] = Path("runs/demo"),
    only_tables: Annotated[bool, typer.Option("--tables", help="Write the tables alone, to try things on.")] = False,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn a source task on generated families, graft it on 60 labels, and see whether it helped."""
    from biograft.flows.demo import demo as run
    from biograft.flows.demo import tables

    if only_tables:
        say("\n".join(map(str, tables(out, seed=seed).values())), quiet)
        return
    with progress(quiet) as told:
        lines = run(out, seed=seed, progress=told)
    say("\n".join(lines), quiet)


COMMANDS: dict[Callable[..., None], str] = {
    fit: "Examples: biograft fit tm.csv --label tm_celsius  ·  biograft fit ss.tsv.gz --label ss3 --backbone cnn --out "
    "runs/ss3  ·  biograft fit runs/ss3/recipe.toml --seed 1 --out runs/ss3-seed1",
    predict: "Examples: biograft predict runs/tm new.fasta > predictions.tsv  ·  biograft predict runs/tm new.csv "
    "--out predictions.parquet  ·  biograft predict secondary-structure new.fasta",
    evaluate: "Example: biograft evaluate runs/ss3 cb513.tsv --mask resolved --mask eval_mask --out runs/ss3-cb513",
    report: "Examples: biograft report runs/tm --json --quiet > tm.json  ·  biograft report protein-small",
    demo: "Example: biograft demo --seed 1",
}
"""Each command, and examples of its use."""
