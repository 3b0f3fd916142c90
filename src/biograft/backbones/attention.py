"""Self-attention over packed rows with rotary positions: ``(tokens, heads, head width)``, no padding.

Each row attends to itself alone. On a GPU in half precision one variable-length kernel serves all rows;
elsewhere rows are visited one by one: a processor's kernel gains nothing from batching them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Positions", "RotaryAttention", "attend", "frequencies", "rotate"]


def frequencies(head_width: int, base: float = 10_000.0) -> Tensor:
    """``(head_width / 2,)`` float32 angles per position, from 1 down to about 1 / base (arXiv:2104.09864)."""
    return 1.0 / (base ** (torch.arange(0, head_width, 2, dtype=torch.float) / head_width))


@dataclass(frozen=True, eq=False)
class Positions:
    """Where rows lie, and the angles of each token; made once per batch, read by every layer.

    Attributes:
        lengths: tokens per row.
        offsets: ``(rows + 1,)`` int32 on the device of the tokens.
        turns: ``(tokens, 1, head width / 2)`` complex64 numbers of size 1, the angles of each token.
    """

    lengths: list[int]
    offsets: Tensor
    turns: Tensor

    @classmethod
    def of(cls, lengths: Tensor, angles: Tensor, device: torch.device) -> "Positions":
        """For rows of ``(rows,)`` lengths and ``(head width / 2,)`` float32 angles per position."""
        sizes = lengths.tolist()
        steps = torch.arange(max(sizes, default=0), dtype=torch.float)[:, None] * angles.float()
        within = torch.cat([torch.arange(size) for size in sizes]).to(device)
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]).to(device, torch.int32)
        turns = torch.polar(torch.ones_like(steps), steps)[:, None].to(device)
        return cls(sizes, offsets, turns[within])


def rotate(vectors: Tensor, positions: Positions) -> Tensor:
    """Turn the pairs (i, i + head width / 2) by their position's angles, in float32; same shape and dtype.

    Pairs come back side by side, so that they can be multiplied as complex numbers: a quarter of the time of sines and
    cosines apart. Scores don't depend on the order within a head, if queries and keys share it.
    """
    pairs = torch.complex(*vectors.float().chunk(2, dim=-1)) * positions.turns
    return torch.view_as_real(pairs).flatten(-2).to(vectors.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, positions: Positions, dropout: float = 0.0) -> Tensor:
    """Softmax attention within each row; scores are divided by the root of the head width.

    All tensors are ``(tokens, heads, head width)``; ``dropout`` is the share of attention weights dropped.
    """
    if _one_kernel_serves(query, dropout):
        from torch.nn.attention.varlen import varlen_attn

        longest = max(positions.lengths)
        result = varlen_attn(query, key, value, positions.offsets, positions.offsets, longest, longest)
        assert isinstance(result, Tensor)
        return result
    heads_first = [part.transpose(0, 1).split(positions.lengths, dim=1) for part in (query, key, value)]
    with torch.autocast(query.device.type, enabled=False):  # the type is the caller's choice
        rows = [
            F.scaled_dot_product_attention(q[None], k[None], v[None], dropout_p=dropout)[0].transpose(0, 1)
            for q, k, v in zip(*heads_first, strict=True)
        ]
    return torch.cat(rows)


def _one_kernel_serves(query: Tensor, dropout: float) -> bool:
    """Whether torch's variable-length kernel takes these tensors: it knows no float32 and no dropout."""
    width = query.shape[-1]
    half = query.dtype in (torch.bfloat16, torch.float16)
    return query.is_cuda and half and dropout == 0 and width % 8 == 0 and width <= 256 and _has_variable_length()


def _has_variable_length() -> bool:
    """True from torch 2.10 on."""
    try:
        import torch.nn.attention.varlen  # noqa: F401
    except ImportError:
        return False
    return True


def _attends_in_single(vectors: Tensor) -> bool:
    """Whether float32 is faster: on a processor without matrix tiles (AMX), whose kernel widens bf16 all the same."""
    return vectors.device.type == "cpu" and not torch.cpu._is_amx_tile_supported()


class RotaryAttention(nn.Module):
    """Multi-head self-attention with one fused product for queries, keys and values.

    Attributes:
        project: ``width -> 3 * width``: queries, keys, values, each head by head.
        combine: ``width -> width``.
        dropout: share of attention weights dropped in training.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.project = nn.Linear(width, 3 * width)
        self.combine = nn.Linear(width, width)

    def forward(self, values: Tensor, positions: Positions) -> Tensor:
        """``(tokens, width)`` -> ``(tokens, width)``."""
        tokens, width = values.shape
        projected = self.project(values)
        heads = projected.view(tokens, 3, self.heads, width // self.heads)
        if _attends_in_single(heads):
            heads = heads.float()
        turned = rotate(heads[:, :2].flatten(1, 2), positions).view(tokens, 2, self.heads, -1)
        dropout = self.dropout if self.training else 0.0
        result = attend(turned[:, 0], turned[:, 1], heads[:, 2], positions, dropout)
        return self.combine(result.reshape(tokens, width).to(projected.dtype))
