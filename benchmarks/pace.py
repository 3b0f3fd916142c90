"""How long the comparison, a head on cached vectors, and the shipped models take.

    python benchmarks/pace.py [--work FOLDER] [--backbone protein-small] [--only NAME ...] [--seeds 3] [--records 1000]

`mini`: six strategies on 1,000 mini-proteins, as users run them. `natural`: one seed and one pass of the same on
1,000 natural proteins, from which the time of the usual passes and all seeds follows. `cached`: a second frozen fit on
the same proteins. `predict`: the shipped models on 1,000 natural proteins. Each part begins anew, with an empty cache,
so that what is there can't make it look fast; one that was measured is read from `--work`. Exits 1 if a time is missed.
"""

import argparse
import json
import lzma
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from biograft.scale import cores
from biograft.training import USUAL_EPOCHS
from drawn import Draw
from results import DATA, MET, MISSED, ROOT, Done, command, fresh
from results import table as markdown

STRATEGIES = "frozen,full,lpft,l2sp,bitfit"  # and scratch, which compare adds
COMPARE, CACHED, PREDICT = 15 * 60.0, 5.0, 3 * 60.0  # seconds that are claimed
MODELS = ("secondary-structure", "localization", "enzyme-class")
MINI, NATURAL = "fitness/stability_rocklin_tape.tsv.gz", "fitness/tm_human_cells.tsv.gz"
LONGEST = 600  # letters of the natural proteins that a comparison learns from


@dataclass(frozen=True)
class Timed:
    """A time held against its bound.

    Attributes:
        what: in words.
        clock, busy: seconds on the clock, and of the processor.
        counted: seconds that are held against ``bound``, if there is a claim.
        how: what these are.
    """

    what: str
    clock: float
    busy: float
    counted: float
    bound: float | None
    how: str

    @property
    def met(self) -> bool:
        """Whether nothing is claimed that isn't so."""
        return self.bound is None or self.counted < self.bound

    def row(self) -> list[str]:
        """As a row of the page."""
        told = [self.what, spoken(self.clock), spoken(self.busy)]
        if self.bound is None:
            return [*told, "", "", ""]
        counted = f"{spoken(self.counted)} ({self.how})"
        return [*told, counted, f"< {spoken(self.bound)}", MET if self.met else MISSED]


def spoken(seconds: float) -> str:
    """A time for people."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def on_two(clock: float, busy: float) -> tuple[float, str]:
    """Seconds on two cores: the clock's where there are two, else half of the processor's."""
    return (
        (clock, "the clock, two cores") if cores() == 2 else (busy / 2, f"half of the processor's, {cores()} core(s)")
    )


def drawn(file: str, label: str, options: argparse.Namespace, longest: int | None = None) -> Path:
    """So many proteins in all."""
    sizes = {"train": 7 * options.records // 10, "valid": options.records // 10, "test": options.records // 5}
    return Draw(file, (label,), sizes, longest).to(options.work / "tables" / f"{Path(file).name.split('.')[0]}.tsv")


def comparison(path: Path, label: str, options: argparse.Namespace, *words: str) -> Done:
    """Six strategies by seeds."""
    return command(
        "compare", path, "--label", label, "--task", "regression", "--split", "column:set", "--backbones",
        options.backbone, "--strategies", STRATEGIES, *words, "--out", fresh(options.work / path.stem),
    )  # fmt: skip


def mini(options: argparse.Namespace) -> list[Timed]:
    """The whole comparison."""
    done = comparison(drawn(MINI, "target", options), "target", options, "--seeds", str(options.seeds))
    counted, how = on_two(done.seconds, done.busy)
    what = f"`compare`, 6 strategies × {options.seeds} seeds, {options.records:,} mini-proteins (45 letters)"
    return [Timed(what, done.seconds, done.busy, counted, COMPARE, how)]


def projected(done: Done, folder: Path, seeds: int) -> float:
    """Seconds of the processor that the usual passes and all seeds take, from one pass and one seed.

    What isn't training is counted once per run. Stages are known by the clock, and scaled to the processor's time.
    """
    fits = [json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in folder.glob("fits/*/report.json")]
    clock = sum(one["total"] + (USUAL_EPOCHS - 1) * one.get("train", 0.0) for one in fits)
    once = done.seconds - sum(one["total"] for one in fits)
    return (seeds * clock + once) * done.busy / done.seconds


def natural(options: argparse.Namespace) -> list[Timed]:
    """One pass of one seed, and what follows from it."""
    path = drawn(NATURAL, "tm_celsius", options, LONGEST)
    done = comparison(path, "tm_celsius", options, "--seeds", "1", "--epochs", "1", "--jobs", "1")
    busy = projected(done, options.work / path.stem, options.seeds)
    what = f"`compare`, 6 strategies, {options.records:,} natural proteins (at most {LONGEST} letters), 1 pass, 1 seed"
    how = f"half of the processor's that {USUAL_EPOCHS} passes and {options.seeds} seeds would take at most: projected"
    return [Timed(what, done.seconds, done.busy, busy / 2, COMPARE, how)]


def cached(options: argparse.Namespace) -> list[Timed]:
    """The same fit twice: the second one finds the vectors."""
    path = drawn(MINI, "target", options)
    words = ["fit", path, "--label", "target", "--split", "column:set", "--backbone", options.backbone]
    words += ["--strategy", "frozen", "--out"]
    first, second = (command(*words, fresh(options.work / f"frozen-{turn}")) for turn in (1, 2))
    inside = second.answer["seconds"]["total"]
    what = f"`fit --strategy frozen`, {options.records:,} mini-proteins, vectors in the cache"
    return [
        Timed(what, second.seconds, second.busy, second.seconds, CACHED, "the clock, the whole process"),
        Timed("the same without starting Python and importing", inside, inside, inside, CACHED, "the clock"),
        Timed("the same with an empty cache", first.seconds, first.busy, first.seconds, None, ""),
    ]


def proteins(options: argparse.Namespace) -> Path:
    """The first records of the corpus, which is in random order."""
    path: Path = options.work / "tables" / "natural.fasta"
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(DATA / "corpus" / "corpus.fasta.xz", "rt") as corpus:
        path.write_text("".join(islice(corpus, 2 * options.records)), encoding="utf-8")
    return path


def predict(options: argparse.Namespace) -> list[Timed]:
    """The shipped models."""
    path, found = proteins(options), []
    for name in MODELS:
        out = options.work / f"{name}.tsv"
        out.unlink(missing_ok=True)
        done = command("predict", name, path, "--out", out, answers=False)
        counted, how = on_two(done.seconds, done.busy)
        what = f"`predict {name}`, {options.records:,} natural proteins"
        found.append(Timed(what, done.seconds, done.busy, counted, PREDICT, how))
    return found


PARTS: dict[str, Callable[[argparse.Namespace], list[Timed]]] = {
    "predict": predict, "cached": cached, "mini": mini, "natural": natural,
}  # fmt: skip


def measured(name: str, options: argparse.Namespace) -> list[Timed]:
    """A part, measured or read."""
    kept: Path = options.work / f"{name}.json"
    if not kept.is_file():
        os.environ["BIOGRAFT_CACHE"] = str(fresh(options.work / "cache"))
        found = PARTS[name](options)
        kept.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")
    lines: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return [Timed(**line) for line in lines]


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "pace")
    parser.add_argument("--backbone", default="protein-small")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--records", type=int, default=1000)
    options = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"The data are not at '{DATA}'. Set BIOGRAFT_DATA.")
    options.work.mkdir(parents=True, exist_ok=True)
    times = [one for name in options.only for one in measured(name, options)]
    head = ["what", "clock", "processor", "counted", "claim", ""]
    print(f"Backbone `{options.backbone}`.\n\n{markdown(head, [one.row() for one in times])}")
    return int(not all(one.met for one in times))


if __name__ == "__main__":
    sys.exit(main())
