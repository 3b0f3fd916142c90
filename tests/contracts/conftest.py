"""What the contracts need of each entry in the catalog: a small shape of a backbone, labels that a kind understands.

A backbone without a small shape is tested in its usual one. A label kind or a level without an example fails: give it
one here.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from biograft.backbones.backbone import Backbone
from biograft.catalog import resolve
from biograft.data.alphabet import named
from biograft.data.records import Records

SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"width": 16, "kernel": 3, "dilations": [1, 2], "dropout": 0.1},
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


@cache
def _configuration(name: str, alphabet: str) -> dict[str, Any]:
    usual = resolve("backbones", name)(named(alphabet)).configuration()
    return {**usual, **SMALL.get(name, {})}


@pytest.fixture
def small() -> Callable[..., Backbone]:
    """A small backbone by name, its weights large enough that a slip shows."""

    def build(name: str, alphabet: str = "protein", seed: int = 0) -> Backbone:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            backbone: Backbone = resolve("backbones", name).from_configuration(_configuration(name, alphabet))
            with torch.no_grad():
                for parameter in backbone.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.2)
        return backbone.eval()

    return build


@pytest.fixture
def labels() -> Callable[..., np.ndarray]:
    """Random labels of a kind, as texts in an array."""

    def draw(kind: str, units: int, seed: int = 0) -> np.ndarray:
        assert kind in LABELS, f"label kind '{kind}' is in the catalog: give it an example in LABELS"
        return np.array(LABELS[kind](np.random.default_rng(seed), units), dtype=object)

    return draw


@pytest.fixture
def table(labels: Callable[..., np.ndarray]) -> Callable[..., Records]:
    """Random proteins with a column ``label`` of a level and a kind."""

    def build(level: str, kind: str, records: int = 12, seed: int = 0) -> Records:
        assert level in COLUMN, f"level '{level}' is in the catalog: say in COLUMN how its labels are written"
        random = np.random.default_rng([7, seed])
        lengths = random.integers(2, 16, records).tolist()
        sequences = ["".join(random.choice(list("ACDEFGHIKLMNPQRSTVWY"), length)) for length in lengths]
        column = COLUMN[level](labels(kind, sum(lengths), seed).tolist(), lengths)
        return Records.of(sequences, columns={"label": column}, alphabet="protein")

    return build
