"""Ragged rows laid end to end: ``values (tokens, ...)`` and ``lengths (rows,)`` with ``tokens == lengths.sum()``.

The one currency of the hot path; padding lives only inside an adapter that needs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

__all__ = ["Packed"]


@dataclass(frozen=True, eq=False)
class Packed:
    """Rows of unequal length without padding.

    Attributes:
        values: ``(tokens, ...)``, all rows end to end.
        lengths: ``(rows,)`` int64 on the processor, tokens per row; their sum is ``values.shape[0]``.
    """

    values: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        tokens = int(self.lengths.sum())
        if self.values.shape[0] != tokens:
            raise ValueError(
                f"Packed rows must fill the values: got {self.values.shape[0]} tokens, lengths sum to {tokens}."
            )

    @classmethod
    def of(cls, rows: Sequence[Tensor | np.ndarray]) -> "Packed":
        """Lay rows of shape ``(length, ...)`` end to end; at least one row."""
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        if isinstance(rows[0], np.ndarray):  # joined before torch sees them: rows of a memory map can't be written to
            return cls(torch.from_numpy(np.concatenate(rows)), lengths)
        return cls(torch.cat([torch.as_tensor(row) for row in rows]), lengths)

    def __len__(self) -> int:
        return self.lengths.shape[0]

    @cached_property
    def offsets(self) -> Tensor:
        """``(rows + 1,)`` int64: row i is ``values[offsets[i]:offsets[i + 1]]``."""
        return torch.cat([self.lengths.new_zeros(1), self.lengths.cumsum(0)])

    @cached_property
    def owner(self) -> Tensor:
        """``(tokens,)`` int64: the row that each token belongs to, on the device of the values."""
        rows = torch.repeat_interleave(torch.arange(len(self)), self.lengths)
        return rows.to(self.values.device)

    def rows(self) -> list[Tensor]:
        """Views of the rows, each ``(length, ...)``."""
        return list(self.values.split(self.lengths.tolist()))

    def take(self, rows: Sequence[int]) -> "Packed":
        """The chosen rows in the given order."""
        all_rows = self.rows()
        return Packed.of([all_rows[row] for row in rows])

    def with_values(self, values: Tensor) -> "Packed":
        """The same rows holding other values, ``(tokens, ...)``."""
        return replace(self, values=values)

    def to(self, device: torch.device | str) -> "Packed":
        """Values on ``device``; lengths stay on the processor, where loops over rows read them."""
        return replace(self, values=self.values.to(device, non_blocking=True))

    def mean(self) -> Tensor:
        """``(rows, ...)`` mean over each row's tokens; a row without tokens gives zeros."""
        sums = self.values.new_zeros(len(self), *self.values.shape[1:]).index_add_(0, self.owner, self.values)
        counts = self.lengths.clamp(min=1).to(self.values.device)
        return sums / counts.view(-1, *[1] * (self.values.ndim - 1))
