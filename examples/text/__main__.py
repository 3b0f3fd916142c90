"""Two steps with a text encoder: ``python -m examples.text --help``, from the root of the repository."""

import argparse
import sys
from pathlib import Path

from biograft.errors import BiograftError
from biograft.strategies.full import Full
from biograft.training import Training
from examples.text.data import Language, Texts, read
from examples.text.encoder import TextEncoder, tiny
from examples.two_steps import WAYS, Experiment, check_labels, draw, perform

SOURCE, TARGET = 1500, 1200  # sentences of the language that is made up here


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.text", description=__doc__)
    parser.add_argument("--encoder", type=Path, metavar="FOLDER", help="local checkpoint; left out: a tiny random BERT")
    parser.add_argument(
        "--source", type=Path, metavar="CSV", help="columns text and label; left out: made-up sentences"
    )
    parser.add_argument("--target", type=Path, metavar="CSV", help="the same")
    parser.add_argument("--labels", type=int, default=60, help="target texts to learn from, and as many to choose on")
    parser.add_argument("--rate", type=float, default=5e-4, help="of the encoder in the first step")
    parser.add_argument("--steps", type=int, help="of each step; left out: set by the number of texts")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each strategy")
    parser.add_argument("--out", type=Path, help="folder of the runs, which continue there; left out: none is kept")
    return parser.parse_args(given)


def experiment(chosen: argparse.Namespace, out: Path) -> Experiment:
    """What was asked for. Raises BiograftError where a file doesn't fit."""
    if bool(chosen.source) != bool(chosen.target):
        raise BiograftError("Texts of one's own are two tables: got one of --source and --target. Give both.")
    language = Language()
    tables: tuple[Texts, Texts] = (
        (read(chosen.source), read(chosen.target))
        if chosen.source
        else (language.sentences(SOURCE, 1, moods=False), language.sentences(TARGET, 2, moods=True))
    )
    if chosen.source and not chosen.encoder:
        raise BiograftError("A tiny random BERT knows made-up words only: got --source without --encoder. Name one.")
    folder = chosen.encoder or tiny(out / "encoder", language.vocabulary)
    encoder = TextEncoder.load(folder)
    source, target = (texts.data(encoder.encode) for texts in tables)
    check_labels(chosen.labels, target, "texts")
    valid, train = draw(source, [len(source) // 5], seed=0)
    parts = draw(target, [chosen.labels, chosen.labels], seed=0)
    training = Training(steps=chosen.steps)
    return Experiment(
        lambda: TextEncoder.load(folder), (train, valid), (parts[0], parts[1], parts[2]),
        Full(learning_rate=chosen.rate), training, training, out, ways=WAYS,
    )  # fmt: skip


def main(given: list[str] | None = None) -> int:
    """Run it, and print a table."""
    chosen = arguments(given)
    return perform(chosen, experiment, "", "texts")


if __name__ == "__main__":
    sys.exit(main())
