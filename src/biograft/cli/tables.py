"""Commands about tables of sequences and about what there is: embed, split, audit, list."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from biograft.cli.options import (
    FORMS,
    RUN,
    AlphabetName,
    AsJSON,
    BackboneOf,
    Device,
    IdColumn,
    Identity,
    Precision,
    Quiet,
    Seed,
    SequenceColumn,
    Sequences,
    Table,
    Unknown,
    file_to_write,
    folder_to_write,
)
from biograft.cli.screen import numbers, one, progress, say
from biograft.errors import BiograftError

__all__ = ["COMMANDS", "audit", "embed", "list_things", "split"]


def embed(
    table: Sequences,
    backbone: BackboneOf,
    out: Annotated[
        Path,
        typer.Option(help="Folder for ids.tsv and vectors.npy.", callback=folder_to_write, show_default=False),
    ],
    pool: Annotated[
        str, typer.Option(help="none: a vector per letter; mean: one per record.", metavar="NAME")
    ] = "none",
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Vectors of all sequences, for numpy. Stopped at any moment, the same command goes on where it was."""
    from biograft.backbones.store import embed as run
    from biograft.data.readers import read, write_table
    from biograft.hardware import Hardware
    from biograft.origins import load_backbone

    if pool not in ("none", "mean"):
        raise BiograftError(f"Unknown value for --pool: got '{pool}', expected none or mean. Choose one of them.")
    hardware = Hardware.choose(device, precision)
    records = read(table, sequence=sequence, id=id, alphabet=alphabet, unknown=unknown)
    grafted = load_backbone(backbone, records.alphabet.name)
    with progress(quiet) as told:
        vectors = run(
            grafted, records.sequences, out, pooled=pool == "mean", hardware=hardware, progress=one(told, "embed")
        )
    columns = {"id": records.ids, "start": vectors.starts.tolist(), "rows": vectors.lengths.tolist()}
    write_table(out / "ids.tsv", columns)
    found = len(vectors) - vectors.computed
    rows, width = vectors.values.shape
    say(f"{len(vectors)} records ({found} were there already): {out / 'vectors.npy'}, ({rows}, {width})", quiet)
    if as_json:
        numbers({"records": len(vectors), "computed": vectors.computed, "rows": rows, "width": width,
                 "changes": dict(records.changes)})  # fmt: skip


def split(
    table: Table,
    out: Annotated[
        Path,
        typer.Option(
            help="File for the table with its new columns set and family.", callback=file_to_write, show_default=False
        ),
    ],
    identity: Identity = 0.4,
    label: Annotated[
        str | None,
        typer.Option(help="Column whose classes (of numbers: fifths) are kept in balance.", metavar="COL"),
    ] = None,
    how: Annotated[
        str, typer.Option("--split", help="homology (no family straddles) or random.", metavar="HOW")
    ] = "homology",
    seed: Seed = 0,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Add columns set (70, 10 and 20 % for train, valid and test, no family straddles them) and family to a table."""
    from biograft.data.readers import read, write_table
    from biograft.flows.split import split as run

    if how not in ("homology", "random"):
        raise BiograftError(f"Unknown value for --split: got '{how}', expected homology or random. Choose one of them.")
    records = read(table, sequence=sequence, id=id, alphabet=alphabet, unknown=unknown)
    with progress(quiet) as told:
        made = run(records, how, label=label, identity=identity, seed=seed, progress=one(told, "families"))
    columns = {name: values for name, values in records.columns.items() if name not in ("set", "family")}
    families = [str(family) for family in made.families.tolist()]
    target = out if out.suffix else out.with_suffix(".tsv")
    write_table(
        target,
        {"id": records.ids, "sequence": records.sequences, **columns, "set": made.parts.tolist(), "family": families},
    )
    sizes = {name: len(made.rows(name)) for name in ("train", "valid", "test")}
    parts = ", ".join(f"{name} {size}" for name, size in sizes.items())
    say(f"{len(set(families))} families at {identity:.0%} identity ({made.program}); {parts}: {target}", quiet)
    if as_json:
        numbers({**{f"n_{name}": size for name, size in sizes.items()}, "families": len(set(families)),
                 "program": made.program, "changes": dict(records.changes)})  # fmt: skip


def audit(
    train: Annotated[Path, typer.Argument(help=f"Training records: {FORMS}.", metavar="TRAIN", show_default=False)],
    test: Annotated[
        Path | None, typer.Argument(help="Test records; left out: rows of TRAIN whose column set is test.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of both whose labels should agree between copies.", metavar="COL")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File for the list of pairs.", callback=file_to_write, rich_help_panel=RUN),
    ] = None,
    sequence: SequenceColumn = "sequence",
    id: IdColumn = None,
    alphabet: AlphabetName = "auto",
    unknown: Unknown = None,
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """List what leaks from training records into test records: copies, other strands, near relatives."""
    from biograft.data.audit import audit as run
    from biograft.data.readers import read, read_for, write_table
    from biograft.flows.split import parts_of

    choices = {"sequence": sequence, "alphabet": alphabet}
    first = read(train, id=id, unknown=unknown, **choices)
    if test is None:
        learned, held = parts_of(first)
    else:
        reader = f"an audit of {train.name}"
        learned, held = first, read_for(first.alphabet, test, id=id, unknown=unknown, reader=reader, **choices)
    with progress(quiet) as told:
        found = run(learned, held, label, progress=one(told, "audit"))
    say("\n".join(found.lines()), quiet)
    if out is not None:
        target = out if out.suffix else out.with_suffix(".tsv")
        write_table(target, found.table())
        say(f"{len(found.pairs)} pairs: {target}", quiet)
    if as_json:
        numbers(found.as_dict())


def list_things(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="backbones, models, strategies, levels, label_kinds or metrics; left out: all.", metavar="KIND"
        ),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Show what there is to choose from."""
    from biograft import catalog
    from biograft.shipped import shelf

    chosen = kind.replace("-", "_").replace(" ", "_") if kind else None
    kinds = [chosen] if chosen else [*catalog.KINDS, "models"]
    found: dict[str, list[catalog.Entry | catalog.Checkpoint | shelf.Shipped]] = {}
    for name in kinds:
        found[name] = [*shelf.models()] if name == "models" else [*catalog.entries(name)]
        if name == "backbones":
            found[name] += [*shelf.backbones(), *catalog.CHECKPOINTS]
        if name == "strategies":
            found[name].append(catalog.AUTO)
    for name, entries in found.items():
        say(name.replace("_", " ") + ("" if entries else "\n  none in this installation"))
        for entry in entries:
            say(f"  {entry.name:20} {entry.summary}")
    if as_json:
        numbers({name: {entry.name: entry.summary for entry in entries} for name, entries in found.items()})


COMMANDS: dict[Callable[..., None], str] = {
    embed: "Example: biograft embed proteins.fasta --backbone kmer --pool mean --out vectors",
    split: "Example: biograft split tm.csv --identity 0.3 --label tm_celsius --out tm_split.csv",
    audit: "Examples: biograft audit train.csv test.csv --label y --out leaks.tsv  ·  biograft audit tm_split.csv",
    list_things: "Example: biograft list backbones",
}
"""Each command, and examples of its use."""
