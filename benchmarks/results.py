"""Run every measured claim of docs/results.md on the real files and write the page anew.

    python benchmarks/results.py [--only NAME ...] [--work FOLDER]

Each job runs commands as a user would type them and reads its numbers from what they leave; whether a claim is met is
computed from those numbers. The data are read in place (environment variable BIOGRAFT_DATA, default ../shared/data)
and never copied. A job's section is kept in docs/results/NAME.md, so that one job can be run again alone. Exit code 1
says that a claim is missed.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biograft.hardware import Hardware, environment

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("BIOGRAFT_DATA", ROOT.parent / "shared" / "data")).resolve()
SECTIONS = ROOT / "docs" / "results"
MET, MISSED = "met", "**missed**"
INTRODUCTION = """# Results

Made by `python benchmarks/results.py`, seed 0. Each section names its commands, the machine and the time they took:
on the clock, and of the processor (all cores together; on a machine that others use too, the clock says more about
them). Values in brackets are 95 % intervals from 1,000 draws of families (of records, where a part holds fewer than
six families). Choices were made on training and validation parts; test parts were read for these numbers; where one was
read more often, the page on choices says so.
Floors are numbers of simple methods on the same files, measured before this project began.
How settings were chosen, and what did not work: [choices](results/choices.md). `embed` beside biotrainer, which
needs an environment of its own: [embed_peer](results/embed_peer.md).
"""


@dataclass(frozen=True)
class Claim:
    """A number held against its bound."""

    text: str
    found: str
    met: bool

    def row(self) -> str:
        """As a row of a Markdown table."""
        return f"| {self.text} | {self.found} | {MET if self.met else MISSED} |"


@dataclass(frozen=True)
class Done:
    """A command that ended well.

    Attributes:
        typed: as a user types it, $DATA for the folder of data.
        seconds: on the clock.
        busy: seconds of the processor, all cores together.
        answer: the JSON that its output ends with.
    """

    typed: str
    seconds: float
    busy: float
    answer: dict[str, Any]

    def took(self) -> str:
        """Both times in words."""
        if self.seconds < 100:
            return f"{self.seconds:.1f} s ({self.busy:.1f} s of the processor)"
        return f"{self.seconds / 60:.1f} minutes ({self.busy / 60:.1f} minutes of the processor)"


def _busy() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def command(*words: str | Path, answers: bool = True) -> Done:
    """Run the command line; ends the script where the command fails. ``answers``: whether it has an option --json."""
    typed = ["biograft", *map(str, words)]
    began, before = time.monotonic(), _busy()
    called = [sys.executable, "-m", *typed, "--quiet", *(["--json"] if answers else [])]
    done = subprocess.run(called, capture_output=True, text=True, cwd=ROOT, check=False)
    seconds, busy = time.monotonic() - began, _busy() - before
    if done.returncode:
        raise SystemExit(f"{' '.join(typed)}\nended with {done.returncode}:\n{done.stderr}")
    shown = " ".join(typed).replace(str(DATA), "$DATA").replace(f"{ROOT}/", "")
    return Done(shown, seconds, busy, json.loads(done.stdout.strip().splitlines()[-1]) if answers else {})


def fresh(folder: Path) -> Path:
    """A folder that isn't there yet: what an earlier run left would make times and reuse look better than they are."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def machine() -> str:
    """Processor, cores, number type, versions, state of the source and date."""
    versions = environment()
    info = Path("/proc/cpuinfo")
    named = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    processor = named[0].split(":", 1)[1].strip() if named else platform.processor() or platform.machine()
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=, changed"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    parts = [
        f"{processor}, {os.cpu_count()} cores, {Hardware.choose().precision}",
        f"{versions['platform']}, Python {versions['python']}, torch {versions['torch']}",
        *([f"commit {described.stdout.strip()}"] if described.returncode == 0 else []),
        datetime.date.today().isoformat(),
        f"load of the machine before: {os.getloadavg()[0]:.1f}",
    ]
    return f"*{' · '.join(parts)}*"


def interval(found: dict[str, float | None]) -> str:
    """A value with its interval."""
    if found["value"] is None:
        return "–"
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def beside(report: dict[str, Any], names: list[str]) -> str:
    """Model and baselines of a report, metric by metric."""
    rows = {"**model**": report["metrics"]["test"], **report["baselines"]}
    return table(["", *names], [[name, *(interval(found[metric]) for metric in names)] for name, found in rows.items()])


Section = tuple[str, list[Claim]]


def gb1(work: Path) -> Section:
    """FLIP GB1 from one-hot letters."""
    floors = {"three_vs_rest": 0.755, "two_vs_rest": 0.579, "sampled": 0.789}
    rows, claims, typed = [], [], ""
    for name, floor in floors.items():
        done = command(
            "fit", DATA / f"flip/gb1/{name}.tsv.gz", "--label", "target", "--backbone", "onehot",
            "--strategy", "frozen", "--out", fresh(work / f"gb1-{name}"),
        )  # fmt: skip
        typed = typed or done.typed
        found, near = done.answer["metrics"]["test"]["spearman"], done.answer["baselines"]["nearest"]["spearman"]
        rows.append([name, interval(found), f"{floor:.3f}", interval(near), done.took()])
        wanted = f"GB1 `{name}`, one-hot ridge: Spearman ≥ {floor - 0.01:.3f} (floor {floor:.3f} less .01)"
        claims.append(Claim(wanted, f"{found['value']:.3f}", found["value"] >= floor - 0.01))
    head = ["split", "Spearman of the test part", "floor: one-hot ridge", "nearest homologue", "took"]
    return f"## FLIP GB1, one-hot letters, ridge\n\n`{typed}` (and the other splits)\n\n{table(head, rows)}", claims


def secondary_structure(work: Path) -> Section:
    """The convolutional net from scratch, then the saved model on the other test sets."""
    run = fresh(work / "ss3")
    done = command(
        "fit", DATA / "ss/ss3_netsurfp2_flip.tsv.gz", "--label", "ss3", "--level", "residue", "--mask", "resolved",
        "--backbone", "cnn", "--strategy", "scratch", "--out", run,
    )  # fmt: skip
    report = done.answer
    q3 = report["metrics"]["test"]["q3"]
    stages = ", ".join(f"{name} {seconds:.0f}" for name, seconds in report["seconds"].items() if name != "total")
    floors = {"ss8_CB513": "0.672", "ss8_TS115": "0.689", "ss8_CASP12": "–", "ss8_CASP14": "–"}
    rows, counts, typed = [], {}, ""
    for name, floor in floors.items():
        other = command(
            "evaluate", run, DATA / f"ss/{name}.tsv.gz", "--mask", "resolved", "--mask", "eval_mask",
            "--out", fresh(work / f"ss3-{name}"),
        )  # fmt: skip
        typed = typed or other.typed
        data = other.answer["data"]
        counts[name] = data["n_units_counted_test"]
        related = f"{data['leaks']['shares']['0.5']:.1%}"
        rows.append([name, f"{counts[name]:,}", interval(other.answer["metrics"]["test"]["q3"]), floor, related])
    head = ["test", "residues that count", "Q3", "floor", "chains ≥ 50 % identical to training"]
    text = (
        f"## Secondary structure, dilated CNN from scratch\n\n`{done.typed}`: {done.took()}. By stage: {stages} s. "
        f"{report['model']['parameters']:,} parameters, Q3 of the validation part "
        f"{report['metrics']['valid']['q3']['value']:.3f}.\n\nNEW364 (floor: 19-residue one-hot window and MLP, Q3 "
        f"0.671; published, same data, ESM-2-8M's architecture from random weights: 0.708):\n\n"
        f"{beside(report, ['q3', 'macro_f1', 'mcc'])}\n\nThe saved model, `{typed}` (and the others):\n\n"
        f"{table(head, rows)}"
    )
    return text, [
        Claim("Secondary structure, CNN from scratch, NEW364: Q3 ≥ 0.690", f"{q3['value']:.3f}", q3["value"] >= 0.69),
        Claim("its whole `fit` in under 30 minutes on two cores", done.took(), done.seconds < 1800),
        Claim("CB513 with both masks: 83,427 residues", f"{counts['ss8_CB513']:,}", counts["ss8_CB513"] == 83_427),
    ]


def simple(title: str, file: str, label: str, names: list[str]) -> Callable[[Path], Section]:
    """A job that fits k-mers to a table, twice, and shows the report's numbers."""

    def job(work: Path) -> Section:
        run = fresh(work / Path(file).name.split(".")[0])
        words = ["fit", DATA / file, "--label", label, "--backbone", "kmer", "--strategy", "frozen", "--out", run]
        done = command(*words)
        again = command(*words)
        data = done.answer["data"]
        reused = again.answer["created"] == done.answer["created"]
        text = (
            f"## {title}\n\n`{done.typed}`: {done.took()}; the same command again: {again.took()}.\n\n"
            f"{data['n_train']:,} training, {data['n_valid']:,} validation, {data['n_test']:,} test records.\n\n"
            f"{beside(done.answer, names)}\n\n{done.answer['verdict']['sentence']}"
        )
        return text, [
            Claim(f"`{file}`, k-mers: `fit` in under 2 minutes", done.took(), done.seconds < 120),
            Claim("the same `fit` again reads what is there", again.took(), reused and again.seconds < done.seconds),
        ]

    return job


def script(title: str, file: str, claim: str) -> Callable[[Path], Section]:
    """A job that is a script of its own: it prints a table and ends with 0 if its claim is met."""

    def job(work: Path) -> Section:
        began, before = time.monotonic(), _busy()
        done = subprocess.run([sys.executable, ROOT / "benchmarks" / file], capture_output=True, text=True, check=False)
        took = Done("", time.monotonic() - began, _busy() - before, {}).took()
        if done.returncode:
            print(done.stderr, file=sys.stderr)
        if "Traceback" in done.stderr or not done.stdout.strip():
            raise SystemExit(f"benchmarks/{file} broke down: nothing is written.")
        text = f"## {title}\n\n`python benchmarks/{file}`: {took}.\n\n{done.stdout.strip()}"
        return text, [Claim(claim, "see the section", done.returncode == 0)]

    return job


JOBS: dict[str, Callable[[Path], Section]] = {
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
    "audit": script("What leaks between published parts", "audit.py", "`audit` finds the known leaks exactly"),
    "families": script(
        "Families of 20,000 proteins", "clusters.py",
        "families of 20,000 proteins: at most 1.5 times the time of MMseqs2, no pair across parts above the threshold",
    ),
    "encoder": script(
        "The shipped encoder with 500 labels", "encoder.py",
        "with 500 labels the shipped encoder beats the same net from scratch on at least four of seven targets",
    ),
    "whole": script(
        "The shipped encoder on whole training parts", "whole.py",
        "fully fine-tuned on secondary structure: NEW364 Q3 ≥ .730"
    ),
    "strategies": script(
        "All strategies with few labels", "strategies.py",
        "every strategy that takes the shipped encoder has its verdict against scratch on four targets",
    ),
    "peer": script(
        "Which source helps: two findings of PEER", "peer.py",
        "secondary structure helps stability, and folds don't help secondary structure",
    ),
    "pace": script(
        "How long it takes", "pace.py",
        "`compare` of six strategies × 3 seeds on 1,000 proteins in < 15 minutes on two cores, `frozen` on cached "
        "vectors in < 5 s, a shipped model answers for 1,000 proteins in < 3 minutes",
    ),
    "shifts": script(
        "Verdicts on generated shifts", "shifts.py",
        "sources that help are called *helped*, and that hurt *hurt*, in ≥ 90 % of 50 worlds; useless ones anything in "
        "≤ 5 %",
    ),
    "embed": script(
        "A killed `embed` goes on where it was", "embed_resume.py", "a killed `embed` loses no finished vector"
    ),
    "reading": script(
        "Reading FASTA", "reading.py", "a FASTA of 100 MB streams in at most twice the time of SimpleFastaParser"
    ),
}  # fmt: skip


HEAD = table(["claim", "found", ""], [])


def section(text: str, claims: Sequence[Claim], where: str) -> str:
    """Text, the table of claims, the machine."""
    return "\n".join([text, "", HEAD, *(claim.row() for claim in claims), "", where, ""])


def page(sections: Sequence[str]) -> str:
    """Introduction, all claims in one table, then the sections."""
    claims = [line for text in sections for line in text.rpartition(HEAD)[2].splitlines() if line.startswith("| ")]
    return "\n".join([INTRODUCTION, HEAD, *claims, "", *sections])


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
    missed = 0
    for name in options.only:
        print(f"{name} …", flush=True)
        where = machine()
        text, claims = JOBS[name](options.work.resolve())
        (SECTIONS / f"{name}.md").write_text(section(text, claims, where), encoding="utf-8")
        print("\n".join(claim.row() for claim in claims), flush=True)
        missed += sum(not claim.met for claim in claims)
    parts = [path.read_text(encoding="utf-8") for name in JOBS if (path := SECTIONS / f"{name}.md").exists()]
    (ROOT / "docs" / "results.md").write_text(page(parts), encoding="utf-8")
    sys.exit(int(missed > 0))


if __name__ == "__main__":
    main()
