"""One-dimensional convolution over packed rows: zeros beyond each row's ends, nothing leaks between rows.

All rows stand on one line with gaps of zeros between them, so that one dense convolution serves the batch. A
stack of layers lays the line out once (:func:`with_gaps`), clears the gaps before each convolution, and takes
the letters out once.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.data.packed import Packed

__all__ = ["Line", "PackedConvolution", "with_gaps"]


@dataclass(frozen=True, eq=False)
class Line:
    """Packed rows laid out with gaps.

    Attributes:
        values: ``(line, channels)``; whatever stands in a gap is meaningless until :meth:`cleared`.
        letters: ``(line, 1)`` 1 at a letter, 0 in a gap.
        places: ``(tokens,)`` where each token of the batch stands on the line.
        gap: zeros between two rows.
    """

    values: Tensor
    letters: Tensor
    places: Tensor
    gap: int

    def with_values(self, values: Tensor) -> "Line":
        """The same places holding other values, ``(line, channels)``."""
        return replace(self, values=values)

    def cleared(self) -> "Line":
        """The same line with zeros in its gaps."""
        return self.with_values(self.values * self.letters.to(self.values.dtype))

    def closed(self) -> Tensor:
        """``(tokens, channels)``: the letters without the gaps."""
        return self.values[self.places]


def with_gaps(batch: Packed, gap: int) -> Line:
    """Lay packed ``(tokens, channels)`` values out with ``gap`` zeros between neighbouring rows."""
    places = torch.arange(len(batch.values), device=batch.values.device) + batch.owner * gap
    length = len(batch.values) + gap * max(0, len(batch) - 1)
    values = batch.values.new_zeros(length, *batch.values.shape[1:]).index_copy(0, places, batch.values)
    letters = values.new_zeros(length, 1).index_fill_(0, places, 1.0)
    return Line(values, letters, places, gap)


class PackedConvolution(nn.Module):
    """Convolution of odd ``kernel`` and ``dilation`` whose output has as many positions as its input.

    Attributes:
        convolution: the layer itself.
        gap: zeros that it needs between rows, and the letters it sees to each side.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"A convolution that keeps the length needs an odd kernel, got {kernel}.")
        self.gap = (kernel - 1) // 2 * dilation
        self.convolution = nn.Conv1d(inputs, outputs, kernel, padding=self.gap, dilation=dilation)

    def forward(self, batch: Packed) -> Packed:
        """Packed ``(tokens, inputs)`` -> packed ``(tokens, outputs)``."""
        return batch.with_values(self.along(with_gaps(batch, self.gap)).closed())

    def along(self, line: Line) -> Line:
        """Convolve a line whose gaps are clear and at least ``gap`` wide; they are not clear afterwards."""
        if line.gap < self.gap:
            raise ValueError(f"Rows would leak into each other: got gaps of {line.gap}, expected at least {self.gap}.")
        layer, dilation = self.convolution, self.convolution.dilation[0]
        # An image of one row with channels last is the line as it lies in memory: no copy on the way in or out.
        image = line.values[None, None].permute(0, 3, 1, 2)
        result = F.conv2d(image, layer.weight[:, :, None], layer.bias, padding=(0, self.gap), dilation=(1, dilation))
        return line.with_values(result.permute(0, 2, 3, 1)[0, 0])
