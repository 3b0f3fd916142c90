"""Run every measured claim of docs/results.md on the real files and write the page anew.

    python benchmarks/results.py [--only NAME ...] [--work FOLDER]

Each job is a command as a user would type it; its numbers are read from what it leaves. The data are read in place
(environment variable BIOGRAFT_DATA, default ../shared/data) and never copied. A job's section is kept in
docs/results/NAME.md, so that one job can be run again alone.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("BIOGRAFT_DATA", ROOT.parent / "shared" / "data"))
SECTIONS = ROOT / "docs" / "results"
INTRODUCTION = """# Results

Measured by `python benchmarks/results.py` on the files named, two processor cores, seed 0. Values in brackets are
95 % intervals from 1,000 draws of families (of records, where a set holds one family only). Choices were made on
training and validation parts; test parts were read once, for these numbers.
"""


def command(*words: str | Path) -> tuple[str, float, dict[str, Any]]:
    """Run the command line; returns what was typed ($DATA for the folder of data), seconds, the JSON it ends with."""
    typed = ["biograft", *map(str, words)]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *typed, "--json", "--quiet"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(typed)}\nended with {done.returncode}:\n{done.stderr}")
    shown = " ".join(typed).replace(str(DATA), "$DATA")
    return shown, seconds, json.loads(done.stdout.strip().splitlines()[-1])


def shown(found: dict[str, float | None]) -> str:
    """A value with its interval."""
    if found["value"] is None:
        return "–"
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def table(report: dict[str, Any], names: list[str]) -> str:
    """Model and baselines side by side."""
    rows = {"**model**": report["metrics"]["test"], **report["baselines"]}
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [f"| {name} | {' | '.join(shown(found[metric]) for metric in names)} |" for name, found in rows.items()]
    return "\n".join(lines)


def gb1(work: Path) -> str:
    """FLIP GB1 from one-hot letters."""
    floors = {"three_vs_rest": 0.755, "two_vs_rest": 0.579, "sampled": 0.789}
    lines = [
        "| split | Spearman of the test part | floor | nearest homologue | seconds | |",
        "|---|---|---|---|---|---|",
    ]
    typed = ""
    for name, floor in floors.items():
        typed, seconds, report = command(
            "fit", DATA / f"flip/gb1/{name}.tsv.gz", "--label", "target", "--backbone", "onehot",
            "--strategy", "frozen", "--out", work / f"gb1-{name}",
        )  # fmt: skip
        found = report["metrics"]["test"]["spearman"]
        near = report["baselines"]["nearest"]["spearman"]
        met = "met" if found["value"] >= floor - 0.01 else "**missed**"
        lines.append(f"| {name} | {shown(found)} | {floor:.3f} | {shown(near)} | {seconds:.0f} | {met} |")
    return f"## FLIP GB1, one-hot letters, ridge\n\n`{typed}` (and the other splits)\n\n" + "\n".join(lines)


def secondary_structure(work: Path) -> str:
    """The convolutional net from scratch, then the saved model on the other test sets."""
    run = work / "ss3"
    typed, seconds, report = command(
        "fit", DATA / "ss/ss3_netsurfp2_flip.tsv.gz", "--label", "ss3", "--level", "residue", "--mask", "resolved",
        "--backbone", "cnn", "--strategy", "scratch", "--out", run,
    )  # fmt: skip
    text = f"## Secondary structure, dilated CNN from scratch\n\n`{typed}`: {seconds / 60:.1f} minutes.\n\n"
    text += "NEW364:\n\n" + table(report, ["q3", "macro_f1", "mcc"]) + "\n\n"
    lines = ["| test | residues that count | Q3 |", "|---|---|---|"]
    for name in ("ss8_CB513", "ss8_TS115", "ss8_CASP12", "ss8_CASP14"):
        typed, _, found = command(
            "evaluate", run, DATA / f"ss/{name}.tsv.gz", "--mask", "resolved", "--mask", "eval_mask",
            "--out", work / f"ss3-{name}",
        )  # fmt: skip
        counted = found["data"]["n_units_counted_test"]
        lines.append(f"| {name} | {counted:,} | {shown(found['metrics']['test']['q3'])} |")
    return text + f"The saved model, `{typed}` (and the others):\n\n" + "\n".join(lines)


def simple(title: str, file: str, label: str, names: list[str]) -> Callable[[Path], str]:
    """A job that fits k-mers to a table and shows the report's numbers."""

    def job(work: Path) -> str:
        run = work / Path(file).name.split(".")[0]
        typed, seconds, report = command(
            "fit", DATA / file, "--label", label, "--backbone", "kmer", "--strategy", "frozen", "--out", run
        )
        again = command(
            "fit", DATA / file, "--label", label, "--backbone", "kmer", "--strategy", "frozen", "--out", run
        )[1]
        text = f"## {title}\n\n`{typed}`: {seconds:.0f} s; the same command again: {again:.1f} s.\n\n"
        return text + table(report, names) + f"\n\n{report['verdict']['sentence']}"

    return job


def script(title: str, file: str) -> Callable[[Path], str]:
    """A job that is a script of its own and prints a table."""

    def job(work: Path) -> str:
        done = subprocess.run([sys.executable, ROOT / "benchmarks" / file], capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
        state = (
            ""
            if done.returncode == 0
            else f"\n\n**The script ended with {done.returncode}: a number was not reached.**"
        )
        return f"## {title}\n\n`python benchmarks/{file}`\n\n{done.stdout.strip()}{state}"

    return job


JOBS: dict[str, Callable[[Path], str]] = {
    "gb1": gb1,
    "secondary-structure": secondary_structure,
    "places": simple(
        "Subcellular place, `loc/deeploc1` (10 places), k-mers", "loc/deeploc1.tsv.gz", "location",
        ["accuracy", "mcc", "macro_f1"],
    ),
    "melting-point": simple(
        "Melting point, `fitness/tm_human_cells`, k-mers", "fitness/tm_human_cells.tsv.gz", "tm_celsius",
        ["spearman", "pearson", "rmse"],
    ),
    "audit": script("What leaks between published parts", "audit.py"),
    "families": script("Families of 20,000 proteins", "clusters.py"),
    "embed": script("A killed `embed` goes on where it was", "embed_resume.py"),
    "reading": script("Reading FASTA", "reading.py"),
}  # fmt: skip


def main() -> None:
    """Run the jobs and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=JOBS, default=list(JOBS))
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "results")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"Skipped: the data are not at '{DATA}'. Set BIOGRAFT_DATA.")
        return
    SECTIONS.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        print(f"{name} …", flush=True)
        (SECTIONS / f"{name}.md").write_text(JOBS[name](options.work) + "\n", encoding="utf-8")
    parts = [
        (SECTIONS / f"{name}.md").read_text(encoding="utf-8") for name in JOBS if (SECTIONS / f"{name}.md").exists()
    ]
    (ROOT / "docs" / "results.md").write_text("\n".join([INTRODUCTION, *parts]), encoding="utf-8")


if __name__ == "__main__":
    main()
