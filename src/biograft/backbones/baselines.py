"""Backbones without knowledge: one-hot letters, k-mer frequencies, composition, a convolutional net to train.

Reports show them beside every pretrained backbone. An ambiguity letter is zeros in one-hot and in no k-mer.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.backbones.backbone import Backbone
from biograft.backbones.convolution import Line, PackedConvolution
from biograft.backbones.stack import ConvolutionStack
from biograft.data.alphabet import Alphabet, named
from biograft.data.packed import Packed
from biograft.errors import BiograftError

__all__ = ["CNNConfiguration", "Composition", "DilatedCNN", "KMer", "OneHot"]


class OneHot(Backbone):
    """Each letter as it stands: ``width`` = canonical letters; ambiguity letters are zeros. No parameters."""

    name: ClassVar[str] = "onehot"
    standardise = False
    positional = True

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet, self.width = alphabet, alphabet.core
        self.register_buffer("table", torch.eye(len(alphabet.letters), alphabet.core), persistent=False)

    def forward(self, batch: Packed) -> Packed:
        """Packed codes ``(tokens,)`` -> ``(tokens, width)`` of zeros and ones."""
        table: Tensor = self.get_buffer("table")
        return batch.with_values(table[batch.values.long()])

    def configuration(self) -> dict[str, Any]:
        """The alphabet's name."""
        return {"alphabet": self.alphabet.name}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """From what :meth:`configuration` gave."""
        return cls(named(configuration["alphabet"]))


class KMer(Backbone):
    """Square roots of k-mer frequencies for k = 1 … ``longest``, one block per k, each of Euclidean length 1.

    The root (Hellinger distance) keeps frequent words from drowning rare ones. Words with an ambiguity letter
    don't count; a sequence without any word of k letters has zeros there. No parameters.

    Attributes:
        longest: largest k; None takes 2 for proteins (420 numbers) and 5 for DNA and RNA (1,364).
    """

    name: ClassVar[str] = "kmer"
    usual: ClassVar[Mapping[str, int]] = {"protein": 2, "dna": 5, "rna": 5}
    resolution = 0
    standardise = False

    def __init__(self, alphabet: Alphabet, longest: int | None = None) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.longest = longest or self.usual[alphabet.name]
        self.width = sum(alphabet.core**k for k in range(1, self.longest + 1))

    def encode(self, sequence: str) -> np.ndarray:
        """Letters -> the ``(1, width)`` float32 vector itself."""
        core = self.alphabet.core
        letters = self.alphabet.encode(sequence).astype(np.int64)
        words, whole = np.zeros(len(letters) + 1, dtype=np.int64), np.ones(len(letters) + 1, dtype=bool)
        blocks = []
        for k in range(1, self.longest + 1):
            last = letters[k - 1 :]
            words = words[: len(last)] * core + last
            whole = whole[: len(last)] & (last < core)
            counts = np.bincount(words[whole], minlength=core**k)
            blocks.append(np.sqrt(counts / max(1, counts.sum()), dtype=np.float32))
        return np.concatenate(blocks)[None]

    def forward(self, batch: Packed) -> Packed:
        """The vectors, as they are: packed ``(rows, width)``, one token per row."""
        return batch

    def configuration(self) -> dict[str, Any]:
        """The alphabet's name and the largest k."""
        return {"alphabet": self.alphabet.name, "longest": self.longest}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """From what :meth:`configuration` gave."""
        return cls(named(configuration["alphabet"]), configuration["longest"])


class Composition(KMer):
    """Letter frequencies alone (their square roots): what a baseline can know without any order."""

    name: ClassVar[str] = "composition"
    usual: ClassVar[Mapping[str, int]] = {"protein": 1, "dna": 1, "rna": 1}


@dataclass(frozen=True)
class CNNConfiguration:
    """Shape of :class:`DilatedCNN`.

    Attributes:
        width: channels.
        kernel: letters per convolution, odd.
        dilations: one per block; reach to each side is their sum times ``(kernel - 1) / 2`` letters.
        dropout: share of a block's output that is dropped in training, 0 to 1.
    """

    width: int = 128
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for field, value, fits, expected in (
            ("width", self.width, self.width > 0, "a positive number"),
            ("kernel", self.kernel, self.kernel > 0 and self.kernel % 2 == 1, "an odd number"),
            ("dilations", self.dilations, all(d > 0 for d in self.dilations), "positive numbers"),
            ("dropout", self.dropout, 0 <= self.dropout < 1, "0 up to, but not including, 1"),
        ):
            if not fits:
                raise BiograftError(
                    f"Field '{field}' of a CNN does not fit: got {value}, expected {expected}. Change it."
                )


class _Dropout(nn.Module):
    """Dropout by random bytes, eight from each number drawn; its share is rounded to 256ths.

    PyTorch draws a number per value, on one core: with products in bf16 that was an eighth of a step.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = min(255, round(share * 256))

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or not self.dropped:
            return values
        drawn = torch.empty((values.numel() + 7) // 8, dtype=torch.int64, device=values.device)
        octets = drawn.random_(-(2**63), None).view(torch.uint8)[: values.numel()].view(values.shape)
        return values * ((octets >= self.dropped).to(values.dtype) * (256 / (256 - self.dropped)))


class _Block(nn.Module):
    """Adds to a line what a dilated convolution and a linear layer make of its normalised values."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.normalise = nn.LayerNorm(width)
        self.convolution = PackedConvolution(width, width, kernel, dilation)
        self.mix = nn.Linear(width, width)
        self.dropout = _Dropout(dropout)

    def forward(self, line: Line) -> Line:
        hidden = self.convolution.along(line.with_values(self.normalise(line.values)).cleared())
        return line.with_values(line.values + self.dropout(self.mix(F.gelu(hidden.values))))


class DilatedCNN(ConvolutionStack):
    """Residual dilated convolutions over embedded letters; normalised over channels, so that rows never mix.

    It starts from random weights: the baseline *without* transfer, and a small net to train on a source.
    """

    name: ClassVar[str] = "cnn"

    def __init__(self, alphabet: Alphabet, shape: CNNConfiguration | None = None) -> None:
        super().__init__()
        shape = shape or CNNConfiguration()
        self.alphabet, self.shape, self.width = alphabet, shape, shape.width
        self.embedding = nn.Embedding(len(alphabet.letters), shape.width)
        self.layers = nn.ModuleList(
            _Block(shape.width, shape.kernel, dilation, shape.dropout) for dilation in shape.dilations
        )
        self.normalise = nn.LayerNorm(shape.width)
        self.gap = (shape.kernel - 1) // 2 * max(shape.dilations, default=0)

    def _ending_at(self, height: int) -> Self:
        with torch.random.fork_rng([]):
            return type(self)(self.alphabet, replace(self.shape, dilations=self.shape.dilations[:height]))

    def configuration(self) -> dict[str, Any]:
        """The alphabet's name and the fields of :class:`CNNConfiguration`."""
        return {"alphabet": self.alphabet.name, **asdict(self.shape), "dilations": list(self.shape.dilations)}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """From what :meth:`configuration` gave. Raises BiograftError for a field that doesn't fit."""
        fields = {key: value for key, value in configuration.items() if key != "alphabet"}
        shape = CNNConfiguration(**{**fields, "dilations": tuple(fields["dilations"])})
        return cls(named(configuration["alphabet"]), shape)
