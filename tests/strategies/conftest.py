"""A small net, records whose class is easy to learn, and the loop over them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.data.alphabet import PROTEIN
from biograft.data.examples import Examples, ExampleStream
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.run import RunFolder
from biograft.strategies.strategy import Strategy
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.trainer import Trainer
from biograft.training import Training


@pytest.fixture
def net() -> Callable[[Strategy], Model]:
    """The same pretrained net of three blocks at every call, with the head that a strategy gives it."""

    def made(strategy: Strategy) -> Model:
        with torch.random.fork_rng([]):
            torch.manual_seed(5)
            backbone = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1, 2), 0.1))
            backbone.pretrained = True
            level, kind = Sequence(), Classification(("a", "b"))
            return Model(backbone, strategy.head(backbone, level, kind), level, kind)

    return made


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Callable[..., Trainer]]:
    """What trains a model by the phases of a strategy that has started."""
    generator = np.random.default_rng(0)
    classes = generator.integers(2, size=48)
    rows = [
        (generator.integers(0, 12, size=generator.integers(5, 20)) + 8 * label).astype(np.uint8) for label in classes
    ]
    ones = np.ones(48, dtype=np.int64)
    examples = Examples(rows, classes, ones.astype(bool), ones, np.arange(48))

    def made(strategy: Strategy, model: Model, steps: int = 20, judge: Any = None) -> Trainer:
        folder = RunFolder.open(tmp_path / str(len(list(tmp_path.iterdir()))), {})
        training = Training(steps=steps, every=5, save_seconds=1e9)
        streams = {"target": ExampleStream(examples, 100, 1)}
        return Trainer(model, strategy.phases(model), streams, judge, training, Hardware(), folder, 3)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield made
    torch.set_num_threads(before)
