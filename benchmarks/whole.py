"""The shipped encoder on whole training parts: secondary structure and places, at rest and fine-tuned.

    python benchmarks/whole.py [--work FOLDER] [--only NAME ...] [--taught taught.tsv.gz] [--page]

Each fit is one command of a user, and so is each look at another test set with the saved model. Secondary structure was
a source of the encoder: its rows say how well the tool answers, and nothing about transfer. A stopped run continues,
and `--page` prints the page of what is there. `--taught` is the table that `pretraining/teacher.py` makes; without it
the fit that learns from it is left out. Exits 1 if no fine-tuning reaches Q3 .730 on NEW364.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import DATA, ROOT, command, interval
from results import table as markdown

BOUND = 0.730  # Q3 on NEW364, fully fine-tuned
STRUCTURE = ("--level", "residue", "--task", "classification", "--mask", "resolved")


@dataclass(frozen=True)
class Fit:
    """A table, its label and choices, the metric, the test sets that the saved model answers for too, and the fit that
    it goes on from, if not from the encoder."""

    title: str
    file: str
    label: str
    metric: str
    options: tuple[str, ...]
    others: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    after: str = "protein-small"


TAUGHT = ("--strategy", "joint", "--source-label", "ss3", "--source-mask", "counted")
CHAINS = ("ss/ss8_CB513.tsv.gz", "ss/ss8_TS115.tsv.gz", "ss/ss8_CASP12.tsv.gz", "ss/ss8_CASP14.tsv.gz")
BOTH = ("--mask", "resolved", "--mask", "eval_mask")
FITS = {
    "structure-frozen": Fit(
        "secondary structure, at rest", "ss/ss3_netsurfp2_flip.tsv.gz", "ss3", "q3",
        (*STRUCTURE, "--strategy", "frozen", "--strategy-option", "head=conv"), CHAINS, BOTH,
    ),
    "structure-full": Fit(
        "secondary structure, fine-tuned", "ss/ss3_netsurfp2_flip.tsv.gz", "ss3", "q3",
        (*STRUCTURE, "--strategy", "full", "--epochs", "3"), CHAINS, BOTH,
    ),
    "structure-taught": Fit(
        "secondary structure, fine-tuned on measured states and a teacher's", "ss/ss3_netsurfp2_flip.tsv.gz", "ss3",
        "q3", (*STRUCTURE, *TAUGHT, "--lambda", "1", "--epochs", "5"), CHAINS, BOTH,
    ),
    "structure-taught-further": Fit(
        "the same, gone on with", "ss/ss3_netsurfp2_flip.tsv.gz", "ss3", "q3",
        (*STRUCTURE, *TAUGHT, "--lambda", "0.3", "--epochs", "3", "--seed", "1"), CHAINS, BOTH, "structure-taught",
    ),
    "places-frozen": Fit(
        "places, at rest", "loc/deeploc1.tsv.gz", "location", "accuracy",
        ("--strategy", "frozen", "--strategy-option", "head=attention"), ("loc/deeploc1_setHARD.tsv.gz",),
    ),
    "places-full": Fit(
        "places, fine-tuned", "loc/deeploc1.tsv.gz", "location", "accuracy",
        ("--strategy", "full", "--epochs", "5"), ("loc/deeploc1_setHARD.tsv.gz",),
    ),
}  # fmt: skip
MOVED = ("structure-full", "structure-taught", "structure-taught-further")
PUBLISHED = (
    "Published, Q3 on NEW364 (Schmirler 2024): ESM-2 8M at rest .753, fine-tuned .761; its architecture from random "
    "weights .708. Places, accuracy on setHARD: ESM-2 8M at rest .520, fine-tuned .559, from all "
    "training proteins, of which a tenth lies here."
)


def measured(name: str, work: Path, taught: Path | None) -> None:
    """Fit, and hold the saved model against the other test sets."""
    fit, out = FITS[name], work / name
    joint = "joint" in fit.options
    if joint and taught is None:
        print(f"{name} is left out: it takes --taught, the table of pretraining/teacher.py", file=sys.stderr)
        return
    source = ("--source", taught) if joint and taught else ()
    begin = work / fit.after if fit.after in FITS else fit.after
    command(
        "fit", DATA / fit.file, "--label", fit.label, "--split", "column:set", "--backbone", begin,
        *fit.options, *source, "--out", out,
    )  # fmt: skip
    for file in fit.others:
        there = work / f"{name}-{_short(file)}"
        if not (there / "report.json").is_file():
            command("evaluate", out, DATA / file, *fit.masks, "--out", there)


def _short(file: str) -> str:
    return Path(file).name.split(".")[0]


def rows(name: str, work: Path) -> list[list[str]]:
    """A row for each test set that has been answered."""
    fit, found = FITS[name], []
    for place, file in ((name, fit.file), *((f"{name}-{_short(file)}", file) for file in fit.others)):
        path = work / place / "report.json"
        if not path.is_file():
            continue
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        simple = {
            other: values[fit.metric]["value"]
            for other, values in report["baselines"].items()
            if values.get(fit.metric, {}).get("value") is not None
        }
        best = max(simple, key=simple.__getitem__, default="")
        tested = "its test part" if place == name else _short(file)
        minutes = f"{report['seconds']['total'] / 60:.1f}" if place == name else ""
        value = interval(report["metrics"]["test"][fit.metric])
        found.append([fit.title, tested, fit.metric, value, f"{best} {simple[best]:.3f}" if best else "", minutes])
    return found


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "whole")
    parser.add_argument("--only", nargs="*", choices=list(FITS), default=list(FITS))
    parser.add_argument("--taught", type=Path, help="states that a teacher gives sequences of the corpus")
    parser.add_argument("--page", action="store_true", help="only print what is there")
    options = parser.parse_args()
    for name in [] if options.page else options.only:
        measured(name, options.work, options.taught)
    head = ["question", "test", "metric", "protein-small", "best simple answer", "minutes of the fit"]
    print(markdown(head, [row for name in FITS for row in rows(name, options.work)]) + f"\n\n{PUBLISHED}")
    paths = [options.work / name / "report.json" for name in MOVED]
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
    return int(max((report["metrics"]["test"]["q3"]["value"] for report in reports), default=0.0) < BOUND)


if __name__ == "__main__":
    sys.exit(main())
