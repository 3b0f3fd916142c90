"""What the shipped encoder carries over to seven targets with few labels, beside the same net from scratch.

    python benchmarks/encoder.py [--work FOLDER] [--backbone protein-small] [--limits 100 500 all] [--only NAME ...]
        [--left-out ENCODER] [--strategies scratch,frozen,full] [--page]

Each target is a table of at most 4,000 training records (`all`; of these `--limits` are drawn), 250 to choose on and
1,000 to answer for, drawn at random from the parts of the real files (what is learned from has at most 512 letters);
then `biograft compare` with three seeds for each number of records. A target that the shipped encoder had as a source
is measured with the encoder `--left-out`, which learned without it. A stopped run continues, more seeds or strategies
are added to what is there, and `--page` prints the page of what is there without running anything. Exits 1 if transfer
helped on fewer than four targets with 500.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from results import DATA, ROOT, interval
from results import table as markdown

ENOUGH, AT = 4, "500"  # targets on which transfer must help, with so many training records
SIZES = {"train": 4000, "valid": 250, "test": 1000}
LONGEST = 512  # letters of a record to learn from or to choose on


@dataclass(frozen=True)
class Target:
    """A table, its label, the options that the question needs, and whether the shipped encoder learned from its
    training part: what was a source is no evidence of transfer, and needs an encoder without it."""

    file: str
    label: str
    options: tuple[str, ...] = ()
    source: bool = False


TARGETS = {
    "stability": Target("fitness/stability_rocklin_tape.tsv.gz", "target", ("--task", "regression")),
    "gb1": Target("flip/gb1/low_vs_high.tsv.gz", "target", ("--task", "regression")),
    "structure": Target(
        "ss/ss3_netsurfp2_flip.tsv.gz",
        "ss3",
        ("--level", "residue", "--mask", "resolved", "--task", "classification"),
        source=True,
    ),
    "homology": Target("protein_class/remote_homology_tape.tsv.gz", "target", ("--task", "classification")),
    "avgfp": Target("fitness/dms_avgfp.tsv.gz", "score", ("--task", "regression")),
    "places": Target("loc/deeploc1.tsv.gz", "location", ("--task", "classification")),
    "melting": Target("fitness/tm_human_cells.tsv.gz", "tm_celsius", ("--task", "regression")),
}


def drawn(target: Target, path: Path) -> Path:
    """The target's table with its parts drawn down to size; the draw is always the same.

    Long proteins are not learned from, for time's sake; those to answer for are what they are.
    """
    if not path.exists():
        whole = pl.read_csv(DATA / target.file, separator="\t", quote_char=None, infer_schema_length=0)
        if "id" not in whole.columns:
            whole = whole.with_row_index("row").with_columns(pl.format("row{}", "row").alias("id")).drop("row")
        learned = (pl.col("set") == "test") | (pl.col("sequence").str.len_chars() <= LONGEST)
        parts = [whole.filter((pl.col("set") == name) & learned) for name in SIZES]
        kept = [part.sample(min(len(part), size), seed=0) for part, size in zip(parts, SIZES.values(), strict=True)]
        wanted = ["id", "sequence", target.label, "set", *(["resolved"] if "resolved" in whole.columns else [])]
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.concat(kept).select(wanted).write_csv(path, separator="\t")
    return path


def compared(name: str, limit: str, options: argparse.Namespace) -> None:
    """Run the comparison of one target with so many training records."""
    target, out = TARGETS[name], options.work / f"{name}-{limit}"
    backbone = options.left_out if target.source else options.backbone
    if not backbone:
        print(f"{name} was a source of the shipped encoder: give --left-out, an encoder that learned without it")
        return
    table = drawn(target, options.work / f"tables-{LONGEST}" / f"{name}.tsv")
    words = [sys.executable, "-m", "biograft", "compare", table]
    words += ["--label", target.label, *target.options, "--split", "column:set", "--backbones", backbone]
    words += ["--strategies", options.strategies, "--limits", limit, "--epochs", options.epochs]
    words += ["--seeds", options.seeds, "--jobs", options.jobs, "--out", out, "--quiet"]
    subprocess.run([str(word) for word in words], check=True)


def found_in(work: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """All comparisons that are there, by target and number of training records."""
    asked = [(name, limit) for name in TARGETS for limit in ("100", "500", "all")]
    paths = {(name, limit): work / f"{name}-{limit}" / "comparison.json" for name, limit in asked}
    return {key: json.loads(path.read_text(encoding="utf-8")) for key, path in paths.items() if path.is_file()}


def row(begin: list[str], found: dict[str, Any], best: str) -> tuple[list[str], bool]:
    """A candidate as a row of the page, and whether it helped."""
    verdict = found["against_scratch"]
    difference = interval({**verdict, "value": verdict["difference"]}) if verdict else ""
    answer = verdict["answer"] if verdict else ""
    shown = [found["strategy"], str(found["runs"]), interval(found["test"]), difference, answer, best]
    return [*begin, *shown], answer == "helped"


def told(contents: dict[tuple[str, str], dict[str, Any]]) -> tuple[str, int]:
    """All targets as a table, and on how many of them transfer helped with ``AT`` training records."""
    rows, helped, measured = [], set(), sum(limit == AT for _, limit in contents)
    for (name, limit), content in contents.items():
        simple = next(one for one in content["baselines"] if one["name"] == content["best_baseline"])
        best = f"{simple['name']} {interval(simple['test'])}"
        labels = limit if limit != "all" else f"all {content['data']['n_train']:,}"
        begin = [name, labels, f"{content['recipe']['epochs']:g}", content["metric"]["name"]]
        for found in sorted(content["candidates"], key=lambda found: found["strategy"] != "scratch"):
            line, better = row(begin, found, best)
            rows.append(line)
            helped |= {name} if better and limit == AT else set()
    head = ["target", "labels", "passes", "metric", "strategy", "runs", "test", "minus scratch", "transfer"]
    text = (
        "Passes are those of every net that moves (300 steps at least); parts drawn down to at most "
        f"{SIZES['train']:,} records to learn from (`all`; of these the seed draws the labels), {SIZES['valid']} to "
        f"choose on and {SIZES['test']:,} to answer for, the first two of at most {LONGEST} letters. Intervals are of "
        "families (records, where there are fewer than six families) and seeds. Secondary structure was a source of "
        "the shipped encoder: its rows are of an encoder that learned without it.\n\n"
        + markdown([*head, "best simple answer"], rows)
        + f"\n\nWith {AT} labels transfer helped on {len(helped)} of {measured} targets "
        f"({', '.join(sorted(helped)) or 'none'}).\n"
    )
    return text, len(helped)


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "encoder")
    parser.add_argument("--backbone", default="protein-small")
    parser.add_argument("--strategies", default="scratch,frozen,full")
    parser.add_argument("--left-out", help="encoder that learned without the source which is the target")
    parser.add_argument("--limits", nargs="*", choices=["100", "500", "all"], default=["100", "500"])
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--page", action="store_true", help="only print what is there")
    options = parser.parse_args()
    for limit in [] if options.page else options.limits:
        for name in options.only:
            compared(name, limit, options)
    text, helped = told(found_in(options.work))
    print(text)
    return int(helped < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
