"""Where the gradients of two losses meet: how far they agree, and a source's gradient that can't harm the target.

Gradients are lists as long as the parameters, None where a loss doesn't reach one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["cosine", "harmless", "summed", "taken"]

Gradients = Sequence[Tensor | None]


def taken(parameters: Sequence[nn.Parameter]) -> list[Tensor | None]:
    """The gradients of the parameters, which have none afterwards."""
    found = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    return found


def _product(first: Gradients, second: Gradients) -> Tensor:
    """Inner product over the parameters that both reach."""
    parts = [(a * b).sum() for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    return torch.stack(parts).sum() if parts else torch.zeros(())


def _shared(first: Gradients, second: Gradients) -> list[Tensor | None]:
    """The first where both reach a parameter."""
    return [a if b is not None else None for a, b in zip(first, second, strict=True)]


def cosine(first: Gradients, second: Gradients) -> float:
    """Of the angle between two gradients, over the parameters that both reach; 0 where one of them is zero."""
    own, other = _shared(first, second), _shared(second, first)
    sizes = _product(own, own).sqrt() * _product(other, other).sqrt()
    return float(_product(own, other) / sizes) if sizes > 0 else 0.0


def harmless(source: Gradients, target: Gradients) -> list[Tensor | None]:
    """The source's gradient without its part against the target's (arXiv:2001.06782, on the source alone)."""
    against = _product(source, target)
    if against >= 0:
        return list(source)
    own = _shared(target, source)
    share = against / _product(own, own)
    return [
        s if s is None or t is None else s - share * t for s, t in zip(source, target, strict=True)
    ]  # parameters of the source alone stay as they are


def summed(first: Gradients, second: Gradients) -> list[Tensor | None]:
    """Sum, where None is zero."""
    return [b if a is None else a if b is None else a + b for a, b in zip(first, second, strict=True)]
