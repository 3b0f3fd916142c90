"""Residual blocks of dilated convolutions over embedded letters: the body of every convolutional backbone."""

from collections import deque
from collections.abc import Iterator

import torch
from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.backbones.convolution import Line, with_gaps
from biograft.data.packed import Packed

__all__ = ["ConvolutionStack"]


class ConvolutionStack(Backbone):
    """``line = embed(letters); line = block(line) …; vectors = norm(line)``.

    Attributes:
        layers: blocks that take a :class:`Line` and give one.
        gap: zeros that the farthest reaching of them needs between rows.
    """

    embedding: nn.Embedding
    layers: nn.ModuleList
    normalise: nn.LayerNorm
    gap: int

    def forward(self, batch: Packed) -> Packed:
        """Packed codes ``(tokens,)`` -> packed vectors ``(tokens, width)``."""
        top = deque(self._lines(batch), maxlen=1).pop()  # what lies below is let go at once
        return batch.with_values(self.normalise(top.closed()))

    @property
    def heights(self) -> int:
        """One per residual block."""
        return max(1, len(self.layers))

    def tower(self, batch: Packed) -> Packed:
        """``(tokens, blocks, width)``, each after the closing norm."""
        if not self.layers:
            return super().tower(batch)
        _, *lines = self._lines(batch)
        return batch.with_values(torch.stack([self.normalise(line.closed()) for line in lines], dim=1))

    def blocks(self) -> list[nn.Module]:
        """Embedding, then the residual blocks; the last one together with the closing normalisation."""
        *lower, top = [self.embedding, *self.layers]
        return [*lower, nn.ModuleList([top, self.normalise])]

    def _lines(self, batch: Packed) -> Iterator[Line]:
        """The embedding, then what each block gives."""
        line = with_gaps(batch.with_values(self.embedding(batch.values.int())), self.gap)
        yield line
        for layer in self.layers:
            line = layer(line)
            yield line
