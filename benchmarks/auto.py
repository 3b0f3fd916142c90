"""Whether auto does no harm: on the test part, is it ever worse than frozen by more than one standard error?

python benchmarks/auto.py [--repetitions 5] [--minutes 5]

Each repetition is a generated world of its own. A small net learns one of three sources (motifs of this world, motifs
of another world, or next to nothing) and is grafted on 60 and on 240 labels. Ends with 1 if auto is worse than frozen
by more than one standard error of the difference, from draws of families, in more repetitions than chance explains
(a sixth, as for two strategies that are equally good).
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from biograft import fit
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.evaluation.intervals import Interval
from biograft.evaluation.verdict import paired
from biograft.flows.learning import Lesson
from biograft.flows.prepare import prepare
from biograft.flows.sources import examples
from biograft.hardware import Hardware
from biograft.model import LinearHead, Model
from biograft.run import RunFolder
from biograft.strategies.full import Scratch
from biograft.tasks.metrics import METRICS, Predicted
from biograft.tasks.task import Task
from biograft.training import Training

NET = CNNConfiguration(width=32, kernel=7, dilations=(1,), dropout=0.1)
SOURCES = {"its motifs": (300, True), "other motifs": (300, False), "hardly any": (8, True)}
LABELS = (60, 240)
VALID, TEST = 60, 240
METRIC = METRICS["mcc"]


def knowing(world: World, records: int, useful: bool, folder: Path) -> Path:
    """The folder of a net that has learned where motifs are."""
    table = world.source(records, seed=1, useful=useful)
    prepared = prepare(table, Task("label"), how="random", needed=("train",))
    torch.manual_seed(world.seed)
    backbone = DilatedCNN(PROTEIN, NET)
    head = LinearHead(prepared.level, backbone.width, prepared.kind.width)
    model = Model(backbone, head, prepared.level, prepared.kind)
    parts = (examples(prepared, name, backbone) for name in ("train", "valid"))
    lesson = Lesson(*parts, Hardware(), world.seed, Training(epochs=10, min_steps=1))
    lesson.carry_out(model, Scratch(), RunFolder.open(folder / "source", {}))
    Bundle(model, "label", prepared.part("train")[0]).save(folder / "net")
    return folder / "net"


def compared(world: World, labels: int, net: Path, folder: Path, minutes: float) -> tuple[str, Interval]:
    """What auto chose, and how much better than frozen it is on the test part: half the width is one standard error."""
    table = world.target(labels, TEST, seed=3, valid=VALID)
    shared = {"backbone": str(net), "split": "column:set", "refit": False}
    auto = fit(table, "label", out=folder / "auto", minutes=minutes, **shared)
    frozen = fit(table, "label", out=folder / "frozen", strategy="frozen", **shared)
    test = table.take(np.flatnonzero(np.array(table.column("set")) == "test"))
    kind = auto.model.model.kind
    truth = kind.truth(kind.encode(np.array(test.column("label"), dtype=object))[0])

    def answers(bundle: Bundle) -> Predicted:
        return bundle.predict(test).predicted

    families = np.array(test.column("family"))
    gain = paired(METRIC, truth, answers(auto.model), answers(frozen.model), families, level=0.6827)
    return auto.report["auto"]["chosen"], gain


def main() -> int:
    """Print a row per repetition; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=5.0)
    chosen = parser.parse_args()
    worse, gains = 0, []
    print("| source | labels | chosen | mcc against frozen | standard error |\n|---|---|---|---|---|")
    for seed in range(chosen.repetitions):
        for name, (records, useful) in SOURCES.items():
            with tempfile.TemporaryDirectory() as place:
                world = World(seed=seed, shortest=50, longest=60)
                net = knowing(world, records, useful, Path(place))
                for labels in LABELS:
                    taken, gain = compared(world, labels, net, Path(place) / str(labels), chosen.minutes)
                    worse += gain.value < -gain.half_width
                    gains.append(gain.value)
                    print(f"| {name} | {labels} | {taken} | {gain.value:+.3f} | {gain.half_width:.3f} |", flush=True)
    print(
        f"\nWorse than frozen by more than one standard error: {worse} of {len(gains)}; mean difference "
        f"{np.mean(gains):+.3f}, least {min(gains):+.3f}, greatest {max(gains):+.3f}."
    )
    return int(worse > len(gains) / 6)


if __name__ == "__main__":
    sys.exit(main())
