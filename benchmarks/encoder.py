"""What the shipped encoder carries over to seven targets with few labels, beside the same net from scratch.

    python benchmarks/encoder.py [--work FOLDER] [--backbone protein-small] [--limits 500] [--only NAME ...]

Each target is a table of at most 4,000 training records (of which `--limits` are drawn), 250 to choose on and 1,000 to
answer for, drawn at random from the parts of the real files; then `biograft compare` with three seeds. A stopped run
continues. `--strategies scratch` prepares the twins alone. Exits 1 if transfer helped on fewer than four targets.
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

ENOUGH = 4  # targets on which transfer must help
SIZES = {"train": 4000, "valid": 250, "test": 1000}


@dataclass(frozen=True)
class Target:
    """A table, its label, the options that the question needs, and whether the encoder learned from its training part.

    What was a source is no evidence of transfer: such a row is shown, and not counted.
    """

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
    """The target's table with its parts drawn down to size; the draw is always the same."""
    if not path.exists():
        whole = pl.read_csv(DATA / target.file, separator="\t", quote_char=None, infer_schema_length=0)
        if "id" not in whole.columns:
            whole = whole.with_row_index("row").with_columns(pl.format("row{}", "row").alias("id")).drop("row")
        parts = [whole.filter(pl.col("set") == name) for name in SIZES]
        kept = [part.sample(min(len(part), size), seed=0) for part, size in zip(parts, SIZES.values(), strict=True)]
        wanted = ["id", "sequence", target.label, "set", *(["resolved"] if "resolved" in whole.columns else [])]
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.concat(kept).select(wanted).write_csv(path, separator="\t")
    return path


def compared(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The comparison of one target, run or read."""
    target, out = TARGETS[name], options.work / name
    words = [sys.executable, "-m", "biograft", "compare", drawn(target, options.work / "tables" / f"{name}.tsv")]
    words += ["--label", target.label, *target.options, "--split", "column:set", "--backbones", options.backbone]
    words += ["--strategies", options.strategies, "--limits", options.limits, "--epochs", options.epochs]
    words += ["--seeds", options.seeds, "--jobs", options.jobs, "--out", out, "--quiet"]
    subprocess.run([str(word) for word in words], check=True)
    content: dict[str, Any] = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    return content


def row(name: str, found: dict[str, Any], metric: str, best: str) -> tuple[list[str], bool]:
    """A candidate as a row of the page, and whether it helped."""
    verdict = found["against_scratch"]
    difference = interval({**verdict, "value": verdict["difference"]}) if verdict else ""
    answer = verdict["answer"] if verdict else ""
    told = f"({answer}: it was a source)" if answer and TARGETS[name].source else answer
    helped = answer == "helped" and not TARGETS[name].source
    return [
        name,
        metric,
        found["strategy"],
        str(found["runs"]),
        interval(found["test"]),
        difference,
        told,
        best,
    ], helped


def told(contents: dict[str, dict[str, Any]], options: argparse.Namespace) -> tuple[str, int]:
    """All targets as a table, and on how many of them transfer helped."""
    rows, helped = [], set()
    for name, content in contents.items():
        simple = next(one for one in content["baselines"] if one["name"] == content["best_baseline"])
        best = f"{simple['name']} {interval(simple['test'])}"
        for found in sorted(content["candidates"], key=lambda found: found["strategy"] != "scratch"):
            line, better = row(name, found, content["metric"]["name"], best)
            rows.append(line)
            helped |= {name} if better else set()
    head = ["target", "metric", "strategy", "runs", "test", "minus scratch", "transfer", "best simple answer"]
    text = (
        f"{options.limits} labels, {options.epochs:g} epochs for every net that moves; parts drawn down to "
        f"{SIZES['train']:,} records to learn from (of which the seed draws the labels), {SIZES['valid']} to choose on "
        f"and {SIZES['test']:,} to answer for. Intervals are of families (records, where there are fewer than six "
        "families) and seeds.\n\n"
        + markdown(head, rows)
        + f"\n\nTransfer helped on {len(helped)} of {len(contents)} targets ({', '.join(sorted(helped)) or 'none'}).\n"
    )
    return text, len(helped)


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "encoder")
    parser.add_argument("--backbone", default="protein-small")
    parser.add_argument("--strategies", default="scratch,frozen,full")
    parser.add_argument("--limits", default="500")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=list(TARGETS), default=list(TARGETS))
    options = parser.parse_args()
    contents = {name: compared(name, options) for name in options.only}
    text, helped = told(contents, options)
    print(text)
    return int(helped < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
