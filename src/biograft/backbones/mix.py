"""A learned mix of all layers of a backbone at rest: packed ``(tokens, heights * width)`` to ``(tokens, width)``."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biograft.data.packed import Packed

__all__ = ["LayerMix"]


class LayerMix(nn.Module):
    """``scale * Σ softmax(weights)_k * (layer_k - mean_k) / size_k`` (arXiv:1802.05365, equation 1).

    Every layer is centred and brought to one size first. Without that, a layer of larger numbers would count for more
    at equal weights, and what all vectors of a layer share would drown that in which they differ. The paper normalises
    by what stands in a batch; here the numbers are constants of the training part, so that no row depends on another,
    and the mix of a row's means is the mean of its mixed vectors.

    Attributes:
        heights: layers.
        width: of each.
    """

    def __init__(self, heights: int, width: int) -> None:
        super().__init__()
        self.heights, self.width = heights, width
        self.weights = nn.Parameter(torch.zeros(heights))
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(heights, width))
        self.register_buffer("size", torch.ones(heights))

    def normalised(self, vectors: Packed) -> Tensor:
        """``(tokens, heights, width)``."""
        values = vectors.values.float().unflatten(1, (self.heights, self.width))
        return (values - self.get_buffer("mean")) / self.get_buffer("size")[:, None]

    def forward(self, vectors: Packed) -> Packed:
        """All layers side by side -> their mix."""
        shares = self.scale * self.weights.softmax(0)
        return vectors.with_values((self.normalised(vectors) * shares[:, None]).sum(1))

    @property
    def shares(self) -> list[float]:
        """Of every layer, bottom to top; their sum is 1."""
        found: list[float] = self.weights.detach().softmax(0).tolist()
        return found

    def set_scales(self, mean: np.ndarray, size: np.ndarray) -> None:
        """Constants of the training part: ``(heights, width)`` and ``(heights,)``."""
        self.get_buffer("mean").copy_(torch.as_tensor(mean))
        self.get_buffer("size").copy_(torch.as_tensor(size))

    @torch.no_grad()
    def set_shares(self, shares: np.ndarray) -> None:
        """Shares ``(heights,)`` that were found outside the loop; a share of zero becomes one of no account."""
        self.weights.copy_(torch.as_tensor(np.log(np.maximum(shares, 1e-12))))
        self.scale.fill_(1.0)

    def told(self) -> str:
        """The shares, for the report."""
        return ", ".join(f"{height}: {share:.2f}" for height, share in enumerate(self.shares, start=1))

    def configuration(self) -> dict[str, Any]:
        """What rebuilds it."""
        return {"heights": self.heights, "width": self.width}
