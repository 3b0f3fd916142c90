"""The classic two steps on images: ``python -m examples.images --help``, from the root of the repository."""

import argparse
import math
import sys
from functools import partial
from pathlib import Path

from biograft.training import Training
from examples.images.data import load
from examples.images.lenet import Classic, LeNet, VariedStream
from examples.two_steps import Data, Experiment, check_labels, draw, perform

BATCH = 100
USUAL = {"digits": (0.01, 60.0), "cifar10": (0.001, 20.0)}  # rate and passes; 1,797 digits make few steps in a pass


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.images", description=__doc__)
    parser.add_argument("--source", default="digits:0-4", help="digits or cifar10, with :FIRST-LAST for some classes")
    parser.add_argument("--target", default="digits:5-9", help="the same")
    parser.add_argument("--cifar10", type=Path, metavar="FOLDER", help="folder of the binary version of CIFAR-10")
    parser.add_argument("--labels", type=int, default=50, help="target images to learn from, and as many to choose on")
    parser.add_argument("--rate", type=float, help="of the first step; left out: .001, for digits .01")
    parser.add_argument("--epochs", type=float, help="of the first step; left out: 20, for digits 60")
    parser.add_argument("--steps", type=int, help="of the second step; left out: set by the number of labels")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each strategy")
    parser.add_argument("--out", type=Path, help="folder of the runs, which continue there; left out: none is kept")
    return parser.parse_args(given)


def experiment(chosen: argparse.Namespace, out: Path) -> Experiment:
    """What was asked for. Raises BiograftError where there is no such thing."""
    source, target = load(chosen.source, chosen.cifar10), load(chosen.target, chosen.cifar10)
    rate, epochs = USUAL[chosen.source.partition(":")[0]]
    check_labels(chosen.labels, target, "images")
    varied, varied_source = (
        partial(VariedStream, mirrored=not name.startswith("digits")) for name in (chosen.target, chosen.source)
    )
    valid, train = draw(source, [len(source) // 5], seed=0)
    parts: list[Data] = draw(target, [chosen.labels, chosen.labels], seed=0)
    classic = Training(
        epochs=chosen.epochs or epochs, min_steps=1, batch_letters=BATCH, schedule="constant", warm_up=0.0,
        clip=math.inf, patience=10,
    )  # fmt: skip
    return Experiment(
        LeNet, (train, valid), (parts[0], parts[1], parts[2]), Classic(chosen.rate or rate), classic,
        Training(batch_letters=BATCH, steps=chosen.steps), out, varied, varied_source,
    )  # fmt: skip


def main(given: list[str] | None = None) -> int:
    """Run it, and print a table."""
    chosen = arguments(given)
    return perform(chosen, experiment, f"{chosen.source} → {chosen.target}, ", "images")


if __name__ == "__main__":
    sys.exit(main())
