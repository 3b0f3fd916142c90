"""Heads that read resting vectors in other ways than one linear layer, and all heads by name.

Each maps packed vectors ``(tokens, width)`` to ``(units, outputs)``, always in single precision. What is found without
the loop is kept in buffers, so that it is saved and reloaded with the weights.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.data.packed import Packed
from biograft.model import ConvolutionalHead, LinearHead
from biograft.tasks.task import Level

__all__ = ["HEADS", "AttentionHead", "CentroidHead", "MLPHead", "NeighboursHead"]

MOST_COSINES = 1 << 22  # that are in memory at once


class _Directions(nn.Module):
    """Centred, scaled, and brought to length 1: ``(units, features)`` whose products are cosines."""

    def __init__(self, level: Level, width: int) -> None:
        super().__init__()
        self.level = level
        self.register_buffer("mean", torch.zeros(level.features(width)))
        self.register_buffer("factor", torch.ones(level.features(width)))

    def forward(self, vectors: Packed) -> Tensor:
        features = self.level.readout(vectors).float()
        return F.normalize((features - self.get_buffer("mean")) * self.get_buffer("factor"), dim=1)

    def set_scale(self, mean: np.ndarray, factor: np.ndarray) -> None:
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("factor", torch.as_tensor(factor, dtype=torch.float32))


class CentroidHead(nn.Module):
    """``outputs = directions @ centroids.T + bias``: cosines, made as sharp as the centroids are long."""

    name: ClassVar[str] = "centroid"

    def __init__(self, level: Level, width: int, outputs: int) -> None:
        super().__init__()
        self.directions = _Directions(level, width)
        self.register_buffer("centroids", torch.zeros(outputs, level.features(width)))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, vectors: Packed) -> Tensor:
        """Packed vectors ``(tokens, width)`` -> ``(units, outputs)``."""
        directions = self.directions(vectors)
        with torch.autocast(directions.device.type, enabled=False):
            return directions @ self.get_buffer("centroids").T + self.get_buffer("bias")

    def set_centroids(self, mean: np.ndarray, factor: np.ndarray, centroids: np.ndarray, bias: np.ndarray) -> None:
        """Take over what was found: ``(features,)`` twice, ``(outputs, features)``, ``(outputs,)``."""
        self.directions.set_scale(mean, factor)
        self.register_buffer("centroids", torch.as_tensor(centroids, dtype=torch.float32))
        self.register_buffer("bias", torch.as_tensor(bias, dtype=torch.float32))

    def configuration(self) -> dict[str, Any]:
        """Nothing beside level, width and outputs."""
        return {}


class NeighboursHead(nn.Module):
    """The answers of the nearest training units by cosine, weighed by ``exp(cosine / temperature)``.

    Among shares of classes those of all training units count as one more neighbour, as near as the nearest: no class is
    ever impossible.

    Attributes:
        records: units that are kept; none before :meth:`set_records`.
        neighbours: of them that answer.
        shares: answers are classes, and the outputs logarithms of their shares; False: values.
    """

    name: ClassVar[str] = "neighbours"

    def __init__(
        self, level: Level, width: int, outputs: int, records: int = 0, neighbours: int = 1,
        temperature: float = 0.1, shares: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.records, self.neighbours, self.temperature, self.shares = records, neighbours, temperature, shares
        self.directions = _Directions(level, width)
        self.register_buffer("known", torch.zeros(records, level.features(width)))
        # the code alone: with a thousand classes, a row of shares per record would be larger than the vectors
        answers = torch.zeros(records, dtype=torch.int64) if shares else torch.zeros(records, outputs)
        self.register_buffer("answers", answers)
        self.register_buffer("prior", torch.full((outputs,), 1 / outputs))

    def forward(self, vectors: Packed) -> Tensor:
        """Packed vectors ``(tokens, width)`` -> ``(units, outputs)``."""
        directions = self.directions(vectors)
        with torch.autocast(directions.device.type, enabled=False):
            at_once = max(1, MOST_COSINES // max(1, self.records))
            return torch.cat([self._answer(units) for units in directions.split(at_once)])

    def _answer(self, directions: Tensor) -> Tensor:
        near = (directions @ self.get_buffer("known").T).topk(self.neighbours, dim=1)
        weights = ((near.values - near.values[:, :1]) / self.temperature).exp()
        answers, prior = self.get_buffer("answers")[near.indices], self.get_buffer("prior")
        total = weights.sum(1, keepdim=True)
        if self.shares:
            found = weights.new_zeros(len(weights), len(prior)).scatter_add_(1, answers, weights)
            return ((found + prior) / (total + 1)).log()
        return (weights[:, :, None] * answers).sum(1) / total

    def set_records(
        self, mean: np.ndarray, factor: np.ndarray, known: np.ndarray, answers: np.ndarray, prior: np.ndarray,
        neighbours: int,
    ) -> None:  # fmt: skip
        """Take over training units.

        Args:
            known: directions ``(records, features)``.
            answers: codes ``(records,)`` of classes, or values ``(records, outputs)``.
            prior: ``(outputs,)`` shares of all classes; of values without meaning.
        """
        self.records, self.neighbours = len(known), neighbours
        self.directions.set_scale(mean, factor)
        self.register_buffer("known", torch.as_tensor(known, dtype=torch.float32))
        kind = torch.int64 if self.shares else torch.float32
        self.register_buffer("answers", torch.as_tensor(answers, dtype=kind))
        self.register_buffer("prior", torch.as_tensor(prior, dtype=torch.float32))

    def configuration(self) -> dict[str, Any]:
        """What rebuilds it, beside level, width and outputs."""
        return {name: getattr(self, name) for name in ("records", "neighbours", "temperature", "shares")}


class AttentionHead(nn.Module):
    """Weighted means of a row's vectors, the weights learned, then one linear layer.

    Scores start at zero: before the first step every weighted mean is the plain one.

    Attributes:
        queries: weighted means per row, side by side.
    """

    name: ClassVar[str] = "attention"
    reads_positions: ClassVar[bool] = True

    def __init__(self, level: Level, width: int, outputs: int, queries: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.queries = queries
        self.normalise = nn.LayerNorm(width)
        self.score = nn.Linear(width, queries, bias=False)  # a bias would be the same for a whole row
        nn.init.zeros_(self.score.weight)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(queries * width, outputs)

    def forward(self, vectors: Packed) -> Tensor:
        """Packed vectors ``(tokens, width)`` -> ``(rows, outputs)``."""
        with torch.autocast(vectors.values.device.type, enabled=False):
            values = self.normalise(vectors.values.float())
            weights = _softmax_of_rows(vectors.with_values(self.score(values)))
            terms = weights[:, :, None] * values[:, None, :]
            sums = terms.new_zeros(len(vectors), *terms.shape[1:]).index_add_(0, vectors.owner, terms)
            return self.linear(self.dropout(sums.flatten(1)))

    def configuration(self) -> dict[str, Any]:
        """What rebuilds it, beside level, width and outputs."""
        return {"queries": self.queries, "dropout": self.dropout.p}


def _softmax_of_rows(scores: Packed) -> Tensor:
    """``(tokens, queries)`` that sum to one over each row."""
    owner, shape = scores.owner, (len(scores), scores.values.shape[1])
    with torch.no_grad():
        index = owner[:, None].expand_as(scores.values)
        largest = scores.values.new_full(shape, -torch.inf).scatter_reduce_(0, index, scores.values, "amax")
    powers = (scores.values - largest[owner]).exp()
    return powers / powers.new_zeros(shape).index_add_(0, owner, powers)[owner]


class MLPHead(nn.Module):
    """Readout of the level, a norm, one hidden layer, one linear layer."""

    name: ClassVar[str] = "mlp"

    def __init__(self, level: Level, width: int, outputs: int, hidden: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.level = level
        self.normalise = nn.LayerNorm(level.features(width))
        self.first = nn.Linear(level.features(width), hidden)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(hidden, outputs)

    def forward(self, vectors: Packed) -> Tensor:
        """Packed vectors ``(tokens, width)`` -> ``(units, outputs)``."""
        features = self.level.readout(vectors).float()
        with torch.autocast(features.device.type, enabled=False):
            return self.second(self.dropout(F.gelu(self.first(self.normalise(features)))))

    def configuration(self) -> dict[str, Any]:
        """What rebuilds it, beside level, width and outputs."""
        return {"hidden": self.first.out_features, "dropout": self.dropout.p}


HEADS: dict[str, Any] = {
    head.name: head for head in (LinearHead, ConvolutionalHead, CentroidHead, NeighboursHead, AttentionHead, MLPHead)
}
