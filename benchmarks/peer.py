"""Two findings of PEER (arXiv:2206.02096) with our data: which source helps a target, and which doesn't.

    python benchmarks/peer.py [--work FOLDER] [--backbone cnn] [--only NAME ...] [--seeds 3] [--longer 1] [--jobs 1]
        [--page]

A net from scratch learns a few hundred labels alone, together with a source (`joint`, λ = 1), and after the source
(`frozen` and `full`). Found is: secondary structure helps stability in one of these ways at least; folds help secondary
structure in none. A stopped run continues, and `--page` prints what is there. Exits 1 if a finding isn't found.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biograft.evaluation.verdict import holm
from drawn import Draw, compared, found_in, rows, simple
from results import DATA, ROOT, command

SOURCE_SIZES = {"train": 2000, "valid": 100, "test": 100}
SOURCE_EPOCHS = 6
LONGEST = 250  # letters
RESIDUES = ("--level", "residue", "--task", "classification")
CLASSES = ("--task", "classification")
WAYS = ("joint", "after")  # of learning the source


@dataclass(frozen=True)
class Table:
    """A draw, and the options of its question.

    Attributes:
        draw: the label is the first of its columns, the mask, if there is one, the second.
    """

    draw: Draw
    options: tuple[str, ...]

    @property
    def mask(self) -> tuple[str, ...]:
        """Column of what counts."""
        return self.draw.columns[1:]


def structure(sizes: Mapping[str, int]) -> Table:
    """Helix, strand or coil of each residue."""
    return Table(Draw("ss/ss3_netsurfp2_flip.tsv.gz", ("ss3", "resolved"), sizes, LONGEST), RESIDUES)


STABILITY = Draw("fitness/stability_rocklin_tape.tsv.gz", ("target",), {"train": 2000, "valid": 100, "test": 500})
FOLDS = Draw("protein_class/remote_homology_tape.tsv.gz", ("target",), SOURCE_SIZES, LONGEST, classes=60)


@dataclass(frozen=True)
class Finding:
    """What PEER found, and what is compared here.

    Attributes:
        helps: whether the source does.
        epochs: passes over the target at most.
    """

    title: str
    target: Table
    source: Table
    labels: int
    epochs: float
    helps: bool


FINDINGS = {
    "helps": Finding(
        "Secondary structure as the source of stability",
        Table(STABILITY, ("--task", "regression")),
        structure(SOURCE_SIZES),
        labels=300, epochs=40, helps=True,
    ),
    "does-not": Finding(
        "Folds as the source of secondary structure",
        structure({"train": 1000, "valid": 60, "test": 200}),
        Table(FOLDS, CLASSES),
        labels=100, epochs=30, helps=False,
    ),
}  # fmt: skip


def masks(table: Table, option: str) -> list[str | Path]:
    """The option for each mask."""
    return [word for column in table.mask for word in (option, column)]


def measure(name: str, options: argparse.Namespace) -> None:
    """The source alone, then both comparisons."""
    asked, tables = FINDINGS[name], options.work / "tables"
    target, source = asked.target, asked.source
    path, taught = target.draw.to(tables / f"{name}.tsv"), source.draw.to(tables / f"{name}-source.tsv")
    net = options.work / f"{name}-source"
    command(
        "fit", taught, "--label", source.draw.columns[0], *source.options, *masks(source, "--mask"),
        "--split", "column:set", "--backbone", options.backbone, "--strategy", "scratch",
        "--epochs", f"{SOURCE_EPOCHS * options.longer:g}", "--out", net,
    )  # fmt: skip
    shared = [
        "--label", target.draw.columns[0], *target.options, *masks(target, "--mask"), "--limits", str(asked.labels),
        "--epochs", f"{asked.epochs * options.longer:g}", "--seeds", str(options.seeds), "--jobs", str(options.jobs),
    ]  # fmt: skip
    beside = ["--source", taught, "--source-label", source.draw.columns[0], *masks(source, "--source-mask")]
    if source.options == CLASSES:
        beside += ["--source-task", "classification"]  # folds have numbers for names
    together = ["--backbones", options.backbone, "--strategies", "joint", *beside]
    compared(path, [*shared, *together], options.work / f"{name}-joint")
    compared(path, [*shared, "--backbones", net, "--strategies", "frozen,full"], options.work / f"{name}-after")


def answers(contents: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Verdicts against scratch by the way of learning the source."""
    return {
        one["strategy"]: one["against_scratch"]
        for content in contents.values()
        for one in content["candidates"]
        if one["against_scratch"]
    }


def helped(verdicts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Ways that helped, corrected for all of them together (Holm): each comparison corrects for its own alone."""
    adjusted = holm([1.0 if one["p"] is None else one["p"] for one in verdicts.values()])
    return [
        name for (name, one), p in zip(verdicts.items(), adjusted, strict=True) if p < 0.05 and one["difference"] > 0
    ]


def found(helps: bool, verdicts: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the verdicts say what PEER says."""
    return bool(verdicts) and bool(helped(verdicts)) == helps


def concluded(asked: Finding, verdicts: Mapping[str, Mapping[str, Any]]) -> str:
    """The finding in sentences, with what could have been seen."""
    said = "the source helps" if asked.helps else "the source hurts or doesn't help"
    result = "found" if found(asked.helps, verdicts) else "**not found**"
    ways = "; ".join(f"`{name}` {verdict['sentence'].rstrip('.')}" for name, verdict in verdicts.items())
    better = ", ".join(f"`{name}`" for name in helped(verdicts)) or "none"
    return (
        f"PEER: {said}. Here: {result}; helped, with Holm's correction for all {len(verdicts)} ways: {better}. Against "
        f"the same net from scratch: {ways}."
    )


def section(name: str, options: argparse.Namespace) -> tuple[str, bool]:
    """The page of a finding, and whether it is found; '' for what isn't there."""
    asked = FINDINGS[name]
    kept = {way: found_in(options.work / f"{name}-{way}.json") for way in WAYS}
    contents = {way: content for way, content in kept.items() if content is not None}
    if len(contents) < len(WAYS):
        return "", False
    data, source = contents["joint"]["data"], asked.source.draw
    verdicts = answers(contents)
    notes = [note for note in contents["joint"]["notes"] if "source" in note]
    told = [
        f"### {asked.title}, {asked.labels} labels",
        f"`{asked.target.draw.file}`: {data['n_test']} test records; source `{source.file}`, at most "
        f"{source.sizes['train']:,} training records of at most {LONGEST} letters"
        f"{f' in the {source.classes} most frequent classes' if source.classes else ''}.",
        f"Together with the source (`{contents['joint']['typed']}`):\n\n{rows(contents['joint'])}",
        f"After the source:\n\n{rows(contents['after'])}",
        simple(contents["joint"]),
        " ".join(notes),
        concluded(asked, verdicts),
    ]
    return "\n\n".join(text for text in told if text), found(asked.helps, verdicts)


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "peer")
    parser.add_argument("--backbone", default="cnn")
    parser.add_argument("--only", nargs="*", choices=list(FINDINGS), default=list(FINDINGS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--longer", type=float, default=1, help="times as many passes")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--page", action="store_true", help="only print what is there")
    options = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"The data are not at '{DATA}'. Set BIOGRAFT_DATA.")
    for name in [] if options.page else options.only:
        measure(name, options)
    sections = {name: section(name, options) for name in options.only}
    missing = [name for name, (text, _) in sections.items() if not text]
    intro = (
        f"Backbone `{options.backbone}` from random weights, {options.seeds} seeds, each of which draws the labels. "
        "*Cannot tell* is no proof that nothing is there: beside it stands what half of such comparisons would find."
    )
    end = [f"Not measured: {', '.join(missing)}."] if missing else []
    print("\n\n".join([intro, *(text for text, _ in sections.values() if text), *end]))
    return int(not all(met for _, met in sections.values()))


if __name__ == "__main__":
    sys.exit(main())
