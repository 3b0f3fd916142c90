"""Encoded records with their targets, and the streams of batches that the loop draws from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from biograft.data.batches import Batches
from biograft.data.packed import Packed

__all__ = ["Batch", "ExampleStream", "Examples", "Stream"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some examples at once.

    Attributes:
        inputs: packed codes ``(tokens,)`` or cached vectors ``(tokens, width)``.
        targets: ``(units,)`` as the label kind encodes them.
        counted: ``(units,)`` bool: labelled, and not masked out.
    """

    inputs: Packed
    targets: Tensor
    counted: Tensor

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        return Batch(self.inputs.to(device), self.targets.to(device), self.counted.to(device))


class Stream(Protocol):
    """Endless batches, each a function of the step alone, so that a continued run draws what it would have drawn."""

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the data."""

    def batch(self, step: int) -> Batch:
        """Batch number ``step``, from 0."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Records ready for the loop.

    Attributes:
        rows: one array per record, ``(tokens, ...)``: codes, or vectors of a backbone that doesn't move.
        targets: ``(units,)``, record after record.
        counted: ``(units,)`` bool.
        units: ``(records,)`` units per record.
        families: ``(records,)`` family of each record.
    """

    rows: Sequence[np.ndarray]
    targets: np.ndarray
    counted: np.ndarray
    units: np.ndarray
    families: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lengths(self) -> np.ndarray:
        """``(records,)`` tokens per record."""
        return np.array([len(row) for row in self.rows], dtype=np.int64)

    @cached_property
    def costs(self) -> np.ndarray:
        """``(records,)`` what a record costs in a batch: its tokens, or its units where these grow faster."""
        return np.maximum(self.lengths, self.units)

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.units)])

    def batch(self, records: np.ndarray) -> Batch:
        """The chosen records, in the given order."""
        spans = [slice(self._offsets[record], self._offsets[record + 1]) for record in records]
        targets = np.concatenate([self.targets[span] for span in spans])
        counted = np.concatenate([self.counted[span] for span in spans])
        inputs = Packed.of([self.rows[record] for record in records])
        return Batch(inputs, torch.from_numpy(targets), torch.from_numpy(counted))


@dataclass(frozen=True, eq=False)
class ExampleStream:
    """Batches of near-equal cost from examples, each pass in a new random order.

    Attributes:
        examples: at least one.
        budget: cost aimed at per batch.
        seed: with the step it decides the order.
        strata: ``(records,)`` int that are drawn equally often, such as classes; None: every record once per pass.
    """

    examples: Examples
    budget: int
    seed: int
    strata: np.ndarray | None = None

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.examples.costs, self.budget, self.seed, self.strata)

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the examples."""
        return self._batches.per_epoch

    def batch(self, step: int) -> Batch:
        """Batch number ``step``, from 0."""
        return self.examples.batch(self._batches.rows(step))
