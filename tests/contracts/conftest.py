"""What the contracts need of each entry in the catalog: a small shape of a backbone, labels that a kind understands.

A backbone without a small shape is tested in its usual one. A label kind or a level without an example fails: give it
one here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.backbones.huggingface import HuggingFace
from biograft.backbones.store import Stored, embed
from biograft.backbones.words import Words
from biograft.catalog import resolve
from biograft.data.alphabet import Alphabet, named
from biograft.data.examples import Examples, ExampleStream
from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.hardware import Hardware
from biograft.judgement import by_part, of_target
from biograft.model import LinearHead, Model
from biograft.run import RunFolder
from biograft.strategies.strategy import FixedFeatures, Strategy
from biograft.tasks.task import LabelKind, Level
from biograft.trainer import Trainer
from biograft.training import Training

SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"width": 16, "kernel": 3, "dilations": [1, 2], "dropout": 0.1},
    "bytenet": {"layers": 2, "width": 16, "inner": 8, "kernel": 3, "dilations": [1, 2], "dropout": 0.1},
    "encoder": {"layers": 2, "width": 16, "heads": 2, "inner": 24, "max_length": 24, "dropout": 0.1},
}
LABELS: dict[str, Callable[[np.random.Generator, int], list[str]]] = {
    "classification": lambda random, units: random.choice(["H", "E", "C"], units, p=[0.5, 0.3, 0.2]).tolist(),
    "regression": lambda random, units: [f"{value:.4f}" for value in random.normal(37.0, 8.0, units)],
}
COLUMN: dict[str, Callable[[list[str], list[int]], list[str]]] = {  # units' labels -> one text per record
    "sequence": lambda labels, lengths: labels[: len(lengths)],
    "residue": lambda labels, lengths: [" ".join(labels[sum(lengths[:i]) :][:n]) for i, n in enumerate(lengths)],
}


class Noisy(Backbone):
    """All that freezing must hold still: statistics of a batch norm, dropout, a buffer that counts calls."""

    name: ClassVar[str] = "noisy"

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet, self.width = alphabet, 12
        self.embedding = nn.Embedding(len(alphabet.letters), 12)
        self.inner = nn.Sequential(nn.Linear(12, 12), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.GELU())

    def forward(self, batch: Packed) -> Packed:
        return batch.with_values(self.inner(self.embedding(batch.values.int())))

    def configuration(self) -> dict[str, Any]:
        return {"alphabet": self.alphabet.name}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        return cls(named(configuration["alphabet"]))

    def blocks(self) -> list[nn.Module]:
        return [self.embedding, self.inner]


def backbone_class(name: str) -> Any:
    return Noisy if name == "noisy" else resolve("backbones", name)


def _of_others(alphabet: str) -> dict[str, Any]:
    """An ESM-C whose vocabulary is the letters of an alphabet."""
    fields = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = {"model_type": "esmc", **fields, "vocab_size": 32, "max_position_embeddings": 26}
    plain = {letter: place for place, letter in enumerate(named(alphabet).letters, start=4)}
    special = {"before": (0,), "after": (2,), "unknown": 3, "padding": 1}
    words = Words.of(named(alphabet), plain, special, apart=False)
    return HuggingFace(named(alphabet), config, words).configuration()


@cache
def _configuration(name: str, alphabet: str) -> dict[str, Any]:
    if name == "huggingface":  # a family without a usual shape
        pytest.importorskip("transformers")
        return _of_others(alphabet)
    usual = backbone_class(name)(named(alphabet)).configuration()
    return {**usual, **SMALL.get(name, {})}


def small_backbone(name: str, alphabet: str = "protein", seed: int = 0) -> Backbone:
    """By name, its weights large enough that a slip shows."""
    configuration = _configuration(name, alphabet)  # at its first call this draws random numbers
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        backbone: Backbone = backbone_class(name).from_configuration(configuration)
        with torch.no_grad():
            for parameter in backbone.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return backbone.eval()


def random_labels(kind: str, units: int, seed: int = 0) -> np.ndarray:
    """As texts in an array."""
    assert kind in LABELS, f"label kind '{kind}' is in the catalog: give it an example in LABELS"
    return np.array(LABELS[kind](np.random.default_rng(seed), units), dtype=object)


def random_table(level: str, kind: str, records: int = 12, seed: int = 0) -> Records:
    """Proteins with a column ``label`` of a level and a kind."""
    assert level in COLUMN, f"level '{level}' is in the catalog: say in COLUMN how its labels are written"
    random = np.random.default_rng([7, seed])
    lengths = random.integers(2, 16, records).tolist()
    sequences = ["".join(random.choice(list("ACDEFGHIKLMNPQRSTVWY"), length)) for length in lengths]
    column = COLUMN[level](random_labels(kind, sum(lengths), seed).tolist(), lengths)
    return Records.of(sequences, columns={"label": column}, alphabet="protein")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Nets are so small that a second thread only costs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


small = pytest.fixture(scope="session")(lambda: small_backbone)
labels = pytest.fixture(scope="session")(lambda: random_labels)
table = pytest.fixture(scope="session")(lambda: random_table)


@dataclass(eq=False)
class Trial:
    """A strategy on a small backbone and a random table.

    Attributes:
        model: as the strategy has to start with, later as it left it.
        records: the training part, and what is asked afterwards.
        notes: of the strategy's start.
        began: loss on the training part right after that.
        looped: whether it needed the loop.
    """

    strategy: Strategy
    model: Model
    records: Records
    train: Examples
    valid: Examples
    notes: list[str]
    began: float = float("nan")
    looped: bool = False

    @classmethod
    def of(cls, strategy: str, backbone: str, level: str, kind: str, weights: int = 0) -> "Trial":
        """Raises BiograftError where a model refuses the combination. ``weights``: seed of the backbone's."""
        where: Level = resolve("levels", level)()
        records, valid = random_table(level, kind, 24), random_table(level, kind, 8, seed=1)
        learned: LabelKind = resolve("label_kinds", kind).learn(where.read(records, "label").values, "label")
        plan: Strategy = resolve("strategies", strategy)()
        knowing = small_backbone(backbone, seed=weights)
        knowing.pretrained = True
        with torch.random.fork_rng([]):
            torch.manual_seed(11)
            model = Model(knowing, plan.head(knowing, where, learned), where, learned)
        return cls(plan, model, records, _examples(model, records), _examples(model, valid), [])

    def carry(
        self, folder: Path, *, cached: bool = False, steps: int = 12, judged: bool = True, stop: int | None = None
    ) -> "Trial":
        """What a fit does with a strategy; ``stop`` interrupts the loop after so many steps."""
        whole, train, valid = self.model.backbone, self.train, self.valid
        if cached:
            train, valid = (self._stored(part, folder / str(n)) for n, part in enumerate((train, valid)))
            self.model.backbone = Stored(whole)
        with torch.random.fork_rng([]):
            torch.manual_seed(3)
            features = _features(self.model, train) if self.strategy.exact(self.model.level) else None
            self.notes = self.strategy.start(self.model, features)
            source = self._source() if "source" in self.strategy.streams else None
            learner = self.strategy.learner(self.model, source and source[0])
            phases = self.strategy.phases(learner)
        self.looped = bool(phases)
        self.began = float("nan") if cached else self.loss()
        judge, began = by_part(valid, Hardware()) if judged else None, None
        if phases:
            streams, hardware = {"target": ExampleStream(train, 60, 5)}, Hardware()
            if source:
                streams["source"] = source[1]
            if "unlabelled" in self.strategy.streams:
                streams["unlabelled"] = self._domains()
            training = Training(steps=steps, every=3, save_seconds=1e9 if stop is None else 0.0)
            chooses = of_target(judge, self.strategy.target) if judge else None
            run = RunFolder.open(folder / "run", {})
            loop = Trainer(learner, phases, streams, chooses, training, hardware, run, 9)

            def interrupt(step: int) -> None:
                if step == stop:
                    raise InterruptedError

            loop.run(after_step=interrupt)
            began = loop.began
        self.notes += self.strategy.finish(self.model, judge, began)
        if cached:
            self.model.backbone = whole
        return self

    def _source(self) -> tuple[Model, ExampleStream]:
        """Another task on the same backbone, and its batches."""
        backbone = self.model.backbone
        level: Level = resolve("levels", "residue" if backbone.resolution == 1 else "sequence")()
        records = random_table(level.name, "classification", 20, seed=2)
        kind: LabelKind = resolve("label_kinds", "classification").learn(level.read(records, "label").values, "label")
        model = Model(backbone, LinearHead(level, backbone.width, kind.width), level, kind)
        return model, ExampleStream(_examples(model, records), 60, 6)

    def _domains(self) -> ExampleStream:
        """Batches of the training part and of other records, whose targets are 0 and 1."""
        level, other = self.model.level, random_table("sequence", "regression", 20, seed=4)
        rows = [*self.train.rows, *(self.model.backbone.encode(sequence) for sequence in other.sequences)]
        domains = np.repeat([0, 1], [len(self.train), len(other)])
        units = level.count(np.array([len(row) for row in rows]))
        targets = np.repeat(domains, units)
        known = np.ones(len(targets), dtype=bool)
        return ExampleStream(Examples(rows, targets, known, units, np.arange(len(rows))), 120, 8, domains)

    def _stored(self, part: Examples, folder: Path) -> Examples:
        backbone, pooled = self.model.backbone, self.model.level.resolution is None
        texts = ["".join(backbone.alphabet.letters[code] for code in row) for row in part.rows]
        rows = embed(backbone, texts, folder, pooled=pooled).rows()
        return Examples(rows, part.targets, part.counted, part.units, part.families)

    def loss(self) -> float:
        """Mean over the training part, without dropout."""
        outputs = torch.from_numpy(self.model.outputs(self.train.rows))
        return float(self.model.kind.loss(outputs, torch.from_numpy(self.train.targets)).mean())


def _examples(model: Model, records: Records) -> Examples:
    units = model.level.read(records, "label")
    targets, known = model.kind.encode(units.values)
    rows = [model.backbone.encode(sequence) for sequence in records.sequences]
    return Examples(rows, targets, known, units.lengths, np.arange(len(records)) // 2)


@torch.inference_mode()
def _features(model: Model, train: Examples) -> FixedFeatures:
    values = model.level.readout(model.backbone.eval().vectors(train.batch(np.arange(len(train))).inputs))
    families = np.repeat(train.families, train.units)
    return FixedFeatures(values.numpy(), train.targets, families, 0)


@pytest.fixture(scope="session")
def trial() -> type[Trial]:
    """A strategy about to be carried out."""
    return Trial
