"""ByteNet (arXiv:1610.10099) as CARP (doi:10.1016/j.cels.2024.01.008) made it a language model of proteins.

Narrow dilated convolutions between two linear layers: a quarter of a transformer block's products, time that grows
with the letters alone, and what stands near counts from the first step.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.backbones.convolution import Line, PackedConvolution
from biograft.backbones.language import LanguageBackbone, LanguageHead
from biograft.backbones.stack import ConvolutionStack
from biograft.data.alphabet import Alphabet, named
from biograft.errors import BiograftError

__all__ = ["ByteNet", "ByteNetConfiguration"]


@dataclass(frozen=True)
class ByteNetConfiguration:
    """Shape of :class:`ByteNet`.

    Attributes:
        layers, width: blocks, numbers per vector.
        inner: channels of the convolutions; None for half of ``width``.
        kernel: letters per convolution, odd.
        dilations: of the blocks, from the bottom, over and over.
        dropout: share of a block's output that is dropped in training, 0 to 1.
        language_head: whether there is a head that predicts letters.
    """

    layers: int = 15
    width: int = 256
    inner: int | None = None
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    dropout: float = 0.0
    language_head: bool = True

    def __post_init__(self) -> None:
        for field, fits, expected in (
            ("layers", self.layers > 0, "a number above 0"),
            ("width", self.width > 1, "a number above 1"),
            ("inner", self.inner is None or self.inner > 0, "a number above 0"),
            ("kernel", self.kernel > 0 and self.kernel % 2 == 1, "an odd number"),
            ("dilations", bool(self.dilations) and all(d > 0 for d in self.dilations), "numbers above 0"),
            ("dropout", 0 <= self.dropout < 1, "0 up to, but not including, 1"),
        ):
            if not fits:
                raise BiograftError(
                    f"Field '{field}' of a ByteNet does not fit: got {getattr(self, field)}, expected {expected}. "
                    "Change it."
                )

    @property
    def reached(self) -> tuple[int, ...]:
        """The dilation of each block."""
        return tuple(self.dilations[layer % len(self.dilations)] for layer in range(self.layers))


class _Block(nn.Module):
    """``x += widen(convolve(narrow(x)))``, each step after a norm and a GELU."""

    def __init__(self, shape: ByteNetConfiguration, dilation: int) -> None:
        super().__init__()
        width, inner = shape.width, shape.inner or shape.width // 2
        self.narrow_norm, self.narrow = nn.LayerNorm(width), nn.Linear(width, inner)
        self.convolution_norm = nn.LayerNorm(inner)
        self.convolution = PackedConvolution(inner, inner, shape.kernel, dilation)
        self.widen_norm, self.widen = nn.LayerNorm(inner), nn.Linear(inner, width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, line: Line) -> Line:
        narrow = self.narrow(F.gelu(self.narrow_norm(line.values)))
        spread = self.convolution.along(line.with_values(F.gelu(self.convolution_norm(narrow))).cleared()).values
        return line.with_values(line.values + self.dropout(self.widen(F.gelu(self.widen_norm(spread)))))


class ByteNet(ConvolutionStack, LanguageBackbone):
    """Residual blocks over embedded letters; codes are those of the alphabet, the mask one above them."""

    name: ClassVar[str] = "bytenet"

    def __init__(self, alphabet: Alphabet, shape: ByteNetConfiguration | None = None) -> None:
        super().__init__()
        shape = shape or ByteNetConfiguration()
        self.alphabet, self.shape, self.width = alphabet, shape, shape.width
        tokens = len(alphabet.letters) + 1
        self.embedding = nn.Embedding(tokens, shape.width)
        nn.init.normal_(self.embedding.weight, std=shape.width**-0.5)  # also the last product of the language head
        self.layers = nn.ModuleList(_Block(shape, dilation) for dilation in shape.reached)
        self.normalise = nn.LayerNorm(shape.width)
        self.language_head = LanguageHead(shape.width, tokens) if shape.language_head else None
        self.gap = (shape.kernel - 1) // 2 * max(shape.reached)

    def _ending_at(self, height: int) -> Self:
        with torch.random.fork_rng([]):
            return type(self)(self.alphabet, replace(self.shape, layers=height, language_head=False))

    def token_ids(self, codes: Tensor) -> Tensor:
        """Codes are rows of the embedding as they stand."""
        return codes.long()

    def configuration(self) -> dict[str, Any]:
        """The alphabet's name and the fields of :class:`ByteNetConfiguration`."""
        return {"alphabet": self.alphabet.name, **asdict(self.shape), "dilations": list(self.shape.dilations)}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """From what :meth:`configuration` gave. Raises BiograftError for a field that doesn't fit."""
        fields = {key: value for key, value in configuration.items() if key != "alphabet"}
        shape = ByteNetConfiguration(**{**fields, "dilations": tuple(fields["dilations"])})
        return cls(named(configuration["alphabet"]), shape)
