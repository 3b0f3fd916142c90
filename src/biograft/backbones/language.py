"""Backbones that can be asked for hidden letters: what masked-language modelling (arXiv:1810.04805) needs of them."""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError

__all__ = ["LanguageBackbone", "LanguageHead"]


class LanguageHead(nn.Module):
    """Vectors -> scores of all tokens; the last product shares its weights with the token embedding."""

    def __init__(self, width: int, tokens: int, norm_epsilon: float = 1e-5) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.normalise = nn.LayerNorm(width, norm_epsilon)
        self.bias = nn.Parameter(torch.zeros(tokens))

    def forward(self, vectors: Tensor, embedding: Tensor) -> Tensor:
        """``(tokens, width)`` and ``(vocabulary, width)`` -> ``(tokens, vocabulary)``."""
        return F.linear(self.normalise(F.gelu(self.dense(vectors))), embedding, self.bias)


class LanguageBackbone(Backbone):
    """A backbone whose inputs may be masked, and that scores what stands behind the mask.

    Attributes:
        embedding: token vectors; its rows are the tokens that can be asked for.
        language_head: None where a checkpoint held none.
    """

    embedding: nn.Embedding
    layers: nn.ModuleList
    language_head: LanguageHead | None

    @property
    def mask_code(self) -> int:
        """The code that :meth:`forward` reads as a masked letter, one above those of the alphabet."""
        return len(self.alphabet.letters)

    @abstractmethod
    def token_ids(self, codes: Tensor) -> Tensor:
        """Codes ``(tokens,)`` -> rows of the embedding, the targets of masked-language modelling."""

    def logits(self, vectors: Tensor) -> Tensor:
        """Vectors ``(tokens, width)`` of :meth:`forward` -> ``(tokens, vocabulary)`` scores of each token."""
        if self.language_head is None:
            raise BiograftError(
                f"This {self.name} has no head that predicts tokens: its checkpoint held none. Use one with it."
            )
        scores: Tensor = self.language_head(vectors, self.embedding.weight)
        return scores
