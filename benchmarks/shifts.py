"""Whether the verdict is right where the truth is known: generated sources that help, do nothing, or hurt.

python benchmarks/shifts.py [--repetitions 50] [--first 100]

Each repetition is a world of its own: a target with few labels, and three sources that are learned jointly with it
(λ = 1), six runs each, beside the same net from scratch. Differences, errors, Holm's correction and answers are
those of `compare`. Ends with 1 if a source that helps or hurts is called so in less than 90 % of the repetitions, or a
useless one is called anything in more than 5 %.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.split import Split
from biograft.evaluation.comparison import Difference, Judged, Measured, difference, judged, measured
from biograft.flows.learning import Lesson
from biograft.flows.prepare import Prepared, prepare
from biograft.flows.recipe import Recipe
from biograft.flows.sources import SOURCE, Source, examples
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.run import RunFolder
from biograft.strategies.full import Scratch
from biograft.strategies.joint import Joint
from biograft.strategies.strategy import Strategy
from biograft.tasks.metrics import METRICS, Predicted
from biograft.tasks.task import Task
from biograft.training import Training

METRIC = METRICS["mcc"]
KNOWN = {"helpful": "helped", "useless": "cannot tell", "harmful": "hurt"}
RIVAL = "scratch"
LAMBDA = 1.0
RUNS = 6
FIRST = 100  # worlds below it were used to find how many runs and test records the claim needs
TRAIN, VALID, TEST, SOURCES = 36, 60, 320, 600
NET = CNNConfiguration(width=16, kernel=7, dilations=(1,), dropout=0.1)
STEPS, LETTERS = 64, 2048
RATE = 1e-2
WANTED, ALLOWED = 0.9, 0.05


def world(seed: int) -> World:
    """Short sequences with one motif each, three classes."""
    return World(seed=seed, motifs=3, span=7, classes=3, shortest=30, longest=40, motif_drift=0.1)


def strategies() -> dict[str, Strategy]:
    """The rival, and the same rates with each source."""
    joint = Joint(weight=LAMBDA, learning_rate=RATE, head_learning_rate=RATE)
    return {RIVAL: Scratch(learning_rate=RATE), **dict.fromkeys(KNOWN, joint)}


def target(made: World, seed: int) -> Prepared:
    """The target's parts; families are known, not searched for."""
    records = made.target(TRAIN, TEST, seed, VALID)
    families = np.unique(records.column("family"), return_inverse=True)[1]
    return prepare(records, Task("label"), how=Split(np.array(records.column("set")), families, "given", ""))


def learned(prepared: Prepared, strategy: Strategy, source: Path, seed: int, folder: Path) -> Predicted:
    """One run: what the net says of the test part."""
    torch.manual_seed(seed)
    net = DilatedCNN(PROTEIN, NET)
    model = Model(net, strategy.head(net, prepared.level, prepared.kind), prepared.level, prepared.kind)
    recipe = Recipe(source=str(source), source_label="label")
    parts = {name: examples(prepared, name, net) for name in ("train", "valid", "test")}
    training = Training(steps=STEPS, batch_letters=LETTERS, every=STEPS // 8, patience=8)
    companions = {SOURCE: lambda model: Source.of(recipe, model, 0)}
    lesson = Lesson(parts["train"], parts["valid"], Hardware(), seed, training, companions)
    lesson.carry_out(model, strategy, RunFolder.open(folder, {}))
    return prepared.kind.decode(model.outputs(parts["test"].rows, Hardware()))


@dataclass(frozen=True)
class Repetition:
    """Means over the runs, and differences from scratch with their answers, by source."""

    values: dict[str, float]
    differences: dict[str, Difference]
    answers: dict[str, Judged]


def repetition(seed: int, folder: Path) -> Repetition:
    """One world."""
    made, prepared = world(seed), target(world(seed), seed)
    tables = {name: folder / f"{name}.tsv" for name in KNOWN}
    for name, path in tables.items():
        records = made.shifted(SOURCES, seed, name)  # type: ignore[arg-type]
        columns = {title: records.column(title) for title in ("label", "set")}
        write_table(path, {"id": records.ids, "sequence": records.sequences, **columns})
    records, units, families = prepared.part("test")
    truth = prepared.kind.encode(units.values)[0]
    found: dict[str, Measured] = {}
    for name, strategy in strategies().items():
        runs = [learned(prepared, strategy, tables.get(name, folder), RUNS * seed + run, folder / f"{name}{run}")
                for run in range(RUNS)]  # fmt: skip
        found[name] = measured(METRIC, truth, runs, families, seed=seed)
    differences = {name: difference(found[name], found[RIVAL], METRIC) for name in KNOWN}
    answers = judged(differences, dict.fromkeys(KNOWN, RIVAL), METRIC)
    return Repetition({name: one.value for name, one in found.items()}, differences, answers)


def wilson(hits: int, of: int) -> str:
    """A share with its 95 % interval (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z, share = float(stats.norm.ppf(0.975)), hits / of
    middle, side = share + z * z / (2 * of), z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * side) / (1 + z * z / of) for sign in (-1, 1))
    return f"{share:.0%} [{max(low, 0):.0%}, {min(high, 1):.0%}]"


def power(made: list[Repetition], name: str) -> float:
    """Share of such comparisons that would find the true difference, taken as the mean of all repetitions.

    From the spread of the differences and the size that each one states as detectable: normal, both sides counted.
    """
    values = np.array([one.differences[name].interval.value for one in made])
    seen = np.array([one.answers[name].verdict.detectable for one in made])
    errors = values.std(ddof=1)
    return float(np.mean(stats.norm.sf((seen - abs(values.mean())) / errors)))


def row(made: list[Repetition], name: str) -> tuple[str, bool]:
    """A line of the table, and whether the claim is met."""
    count = len(made)
    values = np.array([one.differences[name].interval.value for one in made])
    error = values.std(ddof=1) / sqrt(count)
    told = [one.answers[name].verdict.answer for one in made]
    right = sum(answer == KNOWN[name] for answer in told)
    met = right / count >= (WANTED if KNOWN[name] != "cannot tell" else 1 - ALLOWED)
    tallies = " / ".join(str(told.count(answer)) for answer in ("helped", "cannot tell", "hurt"))
    side = float(stats.t.ppf(0.975, count - 1)) * error
    seen = np.median([one.answers[name].verdict.detectable for one in made])
    cells = [
        name, KNOWN[name], f"{np.mean([one.values[name] for one in made]):.3f}",
        f"{values.mean():+.3f} [{values.mean() - side:+.3f}, {values.mean() + side:+.3f}]", f"{seen:.2f}",
        "–" if name == "useless" else f"{power(made, name):.0%}", tallies, wilson(right, count),
        "met" if met else "**missed**",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |", met


def main() -> int:
    """Print a table; 1 if a claim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--first", type=int, default=FIRST, help="seed of the first world")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began, made = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first, options.first + options.repetitions):
            (place := Path(folder) / str(seed)).mkdir()
            made.append(repetition(seed, place))
    rival = np.mean([one.values[RIVAL] for one in made])
    print(
        f"{len(made)} worlds (seeds from {options.first}), {TRAIN} training labels, {SOURCES} of each source, {TEST} "
        f"test records in {TEST // 2} families; {RUNS} runs of each; three comparisons at a time, Holm's correction. A "
        f"net of {NET.width} channels. From scratch: mcc {rival:.3f}.\n"
    )
    print("| source | known answer | mcc, mean | true difference | detectable, median | power stated | helped / cannot "
          "tell / hurt | right | |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    lines = [row(made, name) for name in KNOWN]
    print("\n".join(line for line, _ in lines))
    print(
        "\nThe true difference is the mean over all worlds, with a 95 % interval; shares stand with theirs (Wilson). "
        "The power is what follows from the sizes stated as detectable and from how differences vary among worlds. "
        f"{time.monotonic() - began:.0f} s."
    )
    return int(not all(met for _, met in lines))


if __name__ == "__main__":
    sys.exit(main())
