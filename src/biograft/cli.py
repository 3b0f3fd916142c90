"""The command line: options in, one flow called, a short answer out.

Exit codes: 0 done, 2 the user's to mend, 1 ours.
"""

import csv
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from biograft.errors import BiograftError

__all__ = ["app", "main"]

INTERRUPTED = 130  # as shells have it


class _Door(TyperGroup):
    """Translates what goes wrong into a message and an exit code, in one place for all commands."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BiograftError as fault:
            _complain(f"Error: {fault}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _complain("Stopped. The same command continues where it was.")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as fault:
            where = f" '{fault.filename}'" if fault.filename else ""
            _complain(
                f"Error: {fault.strerror or fault}{where}. Check the path, its permissions and the room on the disk."
            )
            raise typer.Exit(2) from None
        except (typer.Exit, typer.Abort, typer.BadParameter.__base__):  # type: ignore[misc]
            raise
        except Exception as fault:
            traceback.print_exc()
            _complain("This is a fault of biograft, not of your input. Please report the lines above.")
            raise typer.Exit(1) from fault


def _complain(text: str) -> None:
    typer.secho(text, err=True, fg="red")


app = typer.Typer(
    name="biograft",
    cls=_Door,
    help="Carry what a model knows about biology over to a question with few labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Table = Annotated[
    Path, typer.Argument(help="Sequences: .csv .tsv .parquet .fasta .fa .faa .fna, also .gz", metavar="TABLE")
]
Label = Annotated[str, typer.Option(help="Column of the labels.")]
SequenceColumn = Annotated[str, typer.Option("--sequence", help="Column of the sequences.")]
IdColumn = Annotated[str | None, typer.Option("--id", help="Column of the ids [default: id if present].")]
AlphabetName = Annotated[str, typer.Option("--alphabet", help="auto, protein, dna or rna.")]
Unknown = Annotated[str | None, typer.Option(help="Letter that replaces unknown ones, such as X or N.")]
Identity = Annotated[float, typer.Option(help="From this share of identical letters on, sequences are of one family.")]
Masks = Annotated[list[str] | None, typer.Option("--mask", help="Column of 0 and 1: residues that count (repeatable).")]
Seed = Annotated[int, typer.Option(help="Of all random choices.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
AsJSON = Annotated[bool, typer.Option("--json", help="Last line of stdout is the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors and what was asked for.")]


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Bars on stderr, one per stage; none where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars: dict[str, Any] = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def told(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(stage, total=total)
            progress.update(bars[stage], completed=done, total=total)

        yield told


def _say(text: str, quiet: bool = False) -> None:
    if not quiet:
        typer.echo(text)


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(help="Table of sequences and labels, or a recipe.toml.", metavar="TABLE")],
    label: Annotated[str | None, typer.Option(help="Column of the labels.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run [default: one under runs/].")] = None,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    level: Annotated[str, typer.Option(help="auto, sequence or residue.")] = "auto",
    task: Annotated[str, typer.Option(help="auto, classification or regression.")] = "auto",
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    split: Annotated[str, typer.Option(help="auto, homology, random or column:NAME.")] = "auto",
    identity: Identity = 0.4,
    mask: Masks = None,
    backbone: Annotated[str, typer.Option(help="Name, trained model's folder, or checkpoint's folder.")] = "auto",
    strategy: Annotated[str, typer.Option(help="auto, scratch, frozen or full.")] = "auto",
    pool: Annotated[str, typer.Option(help="auto, mean or positions.")] = "auto",
    train_limit: Annotated[int | None, typer.Option(help="Use so many training records only.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training part.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Train, test, report and save a model."""
    from biograft.evaluation.report import text
    from biograft.flows.fit import Recipe, fit_recipe
    from biograft.run import read_recipe

    if table.suffix == ".toml":
        recipe = Recipe.of(read_recipe(table), str(table))
    elif label is None:
        raise BiograftError("Which column holds the labels? Name it with --label COL.")
    else:
        recipe = Recipe(
            table=str(table), label=label, sequence=sequence, id=id, level=level, task=task, alphabet=alphabet,
            unknown=unknown, split=split, identity=identity, mask=tuple(mask or ()), backbone=backbone,
            strategy=strategy, pool=pool, train_limit=train_limit, epochs=epochs, seed=seed, device=device,
            precision=precision,
        )  # fmt: skip
    with _progress(quiet) as told:
        result = fit_recipe(recipe, out, progress=told)
    _say(text(result.report), quiet)
    _say(f"\nRun: {result.folder}\nReport: {result.folder / 'report.html'}", quiet)
    if as_json:
        typer.echo(json.dumps(result.report))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A run, or a model's folder.", metavar="MODEL")],
    table: Annotated[Path, typer.Argument(help="Sequences to predict for.", metavar="INPUT")],
    out: Annotated[Path | None, typer.Option(help="File for the predictions [default: stdout].")] = None,
    format: Annotated[str, typer.Option(help="tsv, csv or parquet (with --out: by suffix).")] = "tsv",
    probabilities: Annotated[Path | None, typer.Option(help="File .npz for all probabilities.")] = None,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    device: Device = "auto",
    precision: Precision = "auto",
    quiet: Quiet = False,
) -> None:
    """Predict with a saved model: one row per record, in the order of the input."""
    from biograft.bundle import load
    from biograft.data.readers import read, write_table
    from biograft.hardware import Hardware

    if format not in ("tsv", "csv", "parquet"):
        raise BiograftError(f"Unknown --format: got '{format}', expected tsv, csv or parquet.")
    if format == "parquet" and out is None:
        raise BiograftError("Parquet is not text: give a file with --out.")
    bundle = load(model)
    letters = bundle.model.backbone.alphabet.name if alphabet == "auto" else alphabet
    records = read(table, sequence=sequence, id=id, alphabet=letters, unknown=unknown)
    with _progress(quiet) as told:
        listener = None if told is None else lambda done, total: told("predict", done, total)
        answers = bundle.predict(records, hardware=Hardware.choose(device, precision), progress=listener)
    if probabilities is not None:
        answers.save_probabilities(probabilities)
    if out is None:
        columns = answers.table()
        writer = csv.writer(sys.stdout, delimiter="\t" if format == "tsv" else ",", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return
    target = out if out.suffix else out.with_suffix(f".{format}")
    write_table(target, answers.table())
    _say(f"{len(answers)} predictions: {target}", quiet)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A run, or a model's folder.", metavar="MODEL")],
    table: Table,
    label: Annotated[str | None, typer.Option(help="Column of the truth [default: as fitted].")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report and predictions.")] = None,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    unknown: Unknown = None,
    mask: Masks = None,
    identity: Identity = 0.4,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Hold a saved model against new labelled data."""
    from biograft.bundle import load
    from biograft.data.readers import read
    from biograft.evaluation.report import text
    from biograft.flows.evaluate import evaluate as run
    from biograft.hardware import Hardware

    letters = load(model).model.backbone.alphabet.name
    records = read(table, sequence=sequence, id=id, alphabet=letters, unknown=unknown)
    with _progress(quiet) as told:
        listener = None if told is None else lambda done, total: told("predict", done, total)
        report = run(
            model, records, label=label, masks=tuple(mask or ()), out=out, identity=identity, seed=seed,
            hardware=Hardware.choose(device, precision), progress=listener,
        )  # fmt: skip
    _say(text(report), quiet)
    if out is not None:
        _say(f"\nReport: {out / 'report.html'}", quiet)
    if as_json:
        typer.echo(json.dumps(report))


@app.command()
def embed(
    table: Annotated[Path, typer.Argument(help="Sequences.", metavar="INPUT")],
    backbone: Annotated[str, typer.Option(help="Name, trained model's folder, or checkpoint's folder.")],
    out: Annotated[Path, typer.Option(help="Folder for ids.tsv and vectors.npy.")],
    pool: Annotated[str, typer.Option(help="none: a vector per letter; mean: one per record.")] = "none",
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    device: Device = "auto",
    precision: Precision = "auto",
    quiet: Quiet = False,
) -> None:
    """Vectors of all sequences; stopped at any moment, the same command goes on where it was."""
    from biograft.backbones.store import embed as run
    from biograft.bundle import load_backbone
    from biograft.data.readers import read, write_table
    from biograft.hardware import Hardware

    if pool not in ("none", "mean"):
        raise BiograftError(f"Unknown value for --pool: got '{pool}', expected none or mean.")
    records = read(table, sequence=sequence, id=id, alphabet=alphabet, unknown=unknown)
    grafted = load_backbone(backbone, records.alphabet.name)
    with _progress(quiet) as told:
        listener = None if told is None else lambda done, total: told("embed", done, total)
        vectors = run(
            grafted, records.sequences, out, pooled=pool == "mean", hardware=Hardware.choose(device, precision),
            progress=listener,
        )  # fmt: skip
    columns = {"id": records.ids, "start": vectors.starts.tolist(), "rows": vectors.lengths.tolist()}
    write_table(out / "ids.tsv", columns)
    found = len(vectors) - vectors.computed
    _say(f"{len(vectors)} records ({found} were there already): {out / 'vectors.npy'}, {vectors.values.shape}", quiet)


@app.command()
def split(
    table: Table,
    out: Annotated[Path, typer.Option(help="File for the table with its new column `set`.")],
    identity: Identity = 0.4,
    label: Annotated[str | None, typer.Option(help="Column whose classes are kept in balance.")] = None,
    how: Annotated[str, typer.Option("--split", help="homology or random.")] = "homology",
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Add columns `set` (no family straddles train, valid and test) and `family`."""
    from biograft.data.readers import read, write_table
    from biograft.flows.split import split as run

    records = read(table, sequence=sequence, id=id, alphabet=alphabet, unknown=unknown)
    with _progress(quiet) as told:
        listener = None if told is None else lambda done, total: told("families", done, total)
        made = run(records, how, label=label, identity=identity, seed=seed, progress=listener)
    columns = {name: values for name, values in records.columns.items() if name not in ("set", "family")}
    families = [str(family) for family in made.families.tolist()]
    write_table(
        out,
        {"id": records.ids, "sequence": records.sequences, **columns, "set": made.parts.tolist(), "family": families},
    )
    sizes = ", ".join(f"{name} {len(made.rows(name))}" for name in ("train", "valid", "test"))
    _say(f"{len(set(families))} families at {identity:.0%} identity ({made.program}); {sizes}: {out}", quiet)


@app.command()
def audit(
    train: Annotated[Path, typer.Argument(help="Training records.", metavar="TRAIN")],
    test: Annotated[Path | None, typer.Argument(help="Test records [default: rows of TRAIN with set = test].")] = None,
    label: Annotated[str | None, typer.Option(help="Column of both whose labels should agree.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the list of pairs.")] = None,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """List what leaks from training records into test records."""
    from biograft.data.audit import audit as run
    from biograft.data.readers import read, write_table
    from biograft.flows.split import parts_of

    first = read(train, sequence=sequence, id=id, alphabet=alphabet, unknown=unknown)
    if test is None:
        learned, held = parts_of(first)
    else:
        learned, held = first, read(test, sequence=sequence, id=id, alphabet=first.alphabet.name, unknown=unknown)
    with _progress(quiet) as told:
        listener = None if told is None else lambda done, total: told("audit", done, total)
        found = run(learned, held, label, progress=listener)
    _say("\n".join(found.lines()), quiet)
    if out is not None:
        write_table(out, found.table())
        _say(f"{len(found.pairs)} pairs: {out}", quiet)
    if as_json:
        typer.echo(json.dumps(found.as_dict()))


@app.command(name="list")
def list_things(
    kind: Annotated[str | None, typer.Argument(help="backbones, strategies, levels, label_kinds or metrics.")] = None,
) -> None:
    """Show what there is to choose from."""
    from biograft import catalog

    if kind is not None and kind not in catalog.KINDS:
        raise BiograftError(f"Nothing to list under '{kind}'. Choose one of {', '.join(catalog.KINDS)}.")
    for name in [kind] if kind else catalog.KINDS:
        typer.echo(name.replace("_", " "))
        for entry in catalog.entries(name):
            typer.echo(f"  {entry.name:18} {entry.summary}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN")],
    as_json: AsJSON = False,
) -> None:
    """Show the report of a run again."""
    from biograft.evaluation.report import text
    from biograft.run import RunFolder

    folder = RunFolder(run)
    content = folder.report()
    if content is None:
        raise BiograftError(
            f"'{run}' holds no report.json: the run is not finished, or is none. Continue it with biograft fit."
        )
    typer.echo(json.dumps(content) if as_json else text(content))
    if not as_json:
        typer.echo(f"\nReport: {run / 'report.html'}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the three runs.")] = Path("runs/demo"),
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn a source task on generated families, graft it on 60 labels, and see whether it helped."""
    from biograft.flows.demo import demo as run

    with _progress(quiet) as told:
        lines = run(out, seed=seed, progress=told)
    _say("\n".join(lines))


def main() -> None:
    """The program ``biograft``."""
    app()
