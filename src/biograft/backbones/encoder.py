"""The packed transformer encoder: ESM-2's architecture (doi:10.1126/science.ade2574) without padding.

Every row gets a start and an end token inside :meth:`Encoder.forward`; what comes back are the letters alone.
Linear layers run over all tokens at once, attention within each row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.backbones.attention import Positions, RotaryAttention, frequencies
from biograft.backbones.language import LanguageBackbone, LanguageHead
from biograft.data.alphabet import Alphabet, named
from biograft.data.packed import Packed
from biograft.errors import BiograftError

__all__ = ["ESM2_VOCABULARY", "Encoder", "EncoderBlock", "EncoderConfiguration"]

ESM2_VOCABULARY = (
    "<cls>",
    "<pad>",
    "<eos>",
    "<unk>",
    *"LAGVSERTIDPKQNFYMHWCXBUZO",
    ".",
    "-",
    "<null_1>",
    "<mask>",
)
MASKED_IN_PRETRAINING = 0.15 * 0.8  # share of tokens that ESM-2 saw as <mask>; token dropout makes up for it


@dataclass(frozen=True)
class EncoderConfiguration:
    """Shape of an :class:`Encoder`; the default is ESM-2 8M.

    Attributes:
        layers, width, heads: transformer blocks, numbers per vector, attention heads.
        inner: width between the two linear layers of a block; None for four times ``width``.
        vocabulary: tokens in the order of their ids; ``<cls> <eos> <unk> <mask>`` are needed.
        max_length: letters read at once; longer sequences are read in tiles.
        token_dropout: masked tokens are zeros, and the others scaled as if 12 % of them were masked (ESM-2).
        dropout, attention_dropout: shares dropped in training.
        norm_epsilon: added to the variance in layer norms.
        rotary_base: of the rotary positions.
        rotary_frequencies: angles per position where they are not what ``rotary_base`` gives; else None.
        language_head: whether there is a head that predicts tokens.
    """

    layers: int = 6
    width: int = 320
    heads: int = 20
    inner: int | None = None
    vocabulary: tuple[str, ...] = ESM2_VOCABULARY
    max_length: int = 1022
    token_dropout: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    norm_epsilon: float = 1e-5
    rotary_base: float = 10_000.0
    rotary_frequencies: tuple[float, ...] | None = None
    language_head: bool = True

    def __post_init__(self) -> None:
        positive = ("layers", "width", "heads", "max_length", "norm_epsilon", "rotary_base")
        checks = [(name, getattr(self, name) > 0, "a number above 0") for name in positive]
        if self.inner is not None:
            checks.append(("inner", self.inner > 0, "a number above 0"))
        if all(fits for _, fits, _ in checks):
            pairs, stored = self.width // self.heads // 2, self.rotary_frequencies
            whole = self.width % (2 * self.heads) == 0
            checks.append(("width", whole, f"a multiple of twice the {self.heads} heads"))
            checks.append(("rotary_frequencies", stored is None or len(stored) == pairs, f"{pairs} numbers"))
        checks += [
            (name, 0 <= getattr(self, name) < 1, "0 up to, but not including, 1")
            for name in ("dropout", "attention_dropout")
        ]
        needed = [token for token in ("<cls>", "<eos>", "<unk>", "<mask>") if token not in self.vocabulary]
        checks.append(("vocabulary", not needed, f"tokens with {' '.join(needed)} among them"))
        for name, fits, expected in checks:
            if not fits:
                raise BiograftError(
                    f"Field '{name}' of an encoder does not fit: got {getattr(self, name)}, expected {expected}. "
                    "Change it."
                )

    @property
    def angles(self) -> Tensor:
        """``(width / heads / 2,)`` float32 rotary angles per position."""
        if self.rotary_frequencies is not None:
            return torch.tensor(self.rotary_frequencies)
        return frequencies(self.width // self.heads, self.rotary_base)


class EncoderBlock(nn.Module):
    """Attention, then a two-layer net per token; both read normalised values and add to the stream."""

    def __init__(self, shape: EncoderConfiguration) -> None:
        super().__init__()
        inner = shape.inner or 4 * shape.width
        self.attention_norm = nn.LayerNorm(shape.width, shape.norm_epsilon)
        self.attention = RotaryAttention(shape.width, shape.heads, shape.attention_dropout)
        self.feed_norm = nn.LayerNorm(shape.width, shape.norm_epsilon)
        self.expand, self.contract = nn.Linear(shape.width, inner), nn.Linear(inner, shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, values: Tensor, positions: Positions) -> Tensor:
        """``(tokens, width)`` -> ``(tokens, width)``."""
        values = values + self.dropout(self.attention(self.attention_norm(values), positions))
        return values + self.dropout(self.contract(F.gelu(self.expand(self.feed_norm(values)))))


class Encoder(LanguageBackbone):
    """``x = embed(letters); x += attention(norm(x)); x += net(norm(x)) …; vectors = norm(x)``.

    Codes are those of the alphabet; the mask's, one above them, stands for a masked letter. Letters
    without a token of their own are read as ``<unk>``.
    """

    name: ClassVar[str] = "encoder"

    def __init__(self, alphabet: Alphabet, shape: EncoderConfiguration | None = None) -> None:
        super().__init__()
        shape = shape or EncoderConfiguration()
        self.alphabet, self.shape, self.width, self.max_length = (
            alphabet,
            shape,
            shape.width,
            shape.max_length,
        )
        self.register_buffer("token_of_code", _tokens(alphabet, shape.vocabulary), persistent=False)
        self.embedding = nn.Embedding(len(shape.vocabulary), shape.width)
        self.layers = nn.ModuleList(EncoderBlock(shape) for _ in range(shape.layers))
        self.normalise = nn.LayerNorm(shape.width, shape.norm_epsilon)
        head = LanguageHead(shape.width, len(shape.vocabulary), shape.norm_epsilon) if shape.language_head else None
        self.language_head = head
        self.apply(_initialise)

    def forward(self, batch: Packed) -> Packed:
        """Packed codes ``(tokens,)`` -> packed vectors ``(tokens, width)``."""
        values, positions, letters = self._embed(batch)
        for layer in self.layers:
            values = layer(values, positions)
        return batch.with_values(self.normalise(values[letters]))

    def hidden(self, batch: Packed, layers: Sequence[int]) -> Packed:
        """Vectors at several heights: ``(tokens, len(layers), width)``.

        Layer 0 is the embedding, layer i what block i gives; the last (or -1) is what :meth:`forward` gives.
        """
        top = len(self.layers)
        wanted = [top if layer == -1 else layer for layer in layers]
        outside = [layer for layer in wanted if not 0 <= layer <= top]
        if outside:
            raise BiograftError(
                f"There is no layer {outside[0]}: got an encoder of {top} blocks. Choose from 0 to {top}, or -1."
            )
        values, positions, letters = self._embed(batch)
        found = {0: values[letters]}
        for height, layer in enumerate(self.layers[: max(wanted)], start=1):
            values = layer(values, positions)
            if height in wanted:
                found[height] = values[letters] if height < top else self.normalise(values[letters])
        return batch.with_values(torch.stack([found[layer] for layer in wanted], dim=1))

    @property
    def heights(self) -> int:
        """One per transformer block."""
        return len(self.layers)

    def tower(self, batch: Packed) -> Packed:
        """``(tokens, layers, width)``; unlike :meth:`hidden`, all after the closing norm."""
        values, positions, letters = self._embed(batch)
        found = []
        for layer in self.layers:
            values = layer(values, positions)
            found.append(self.normalise(values[letters]))
        return batch.with_values(torch.stack(found, dim=1))

    def _ending_at(self, height: int) -> Self:
        with torch.random.fork_rng([]):
            return type(self)(self.alphabet, replace(self.shape, layers=height, language_head=False))

    def token_ids(self, codes: Tensor) -> Tensor:
        """Codes ``(tokens,)`` -> ids in the vocabulary, the targets of masked-language modelling."""
        return self.get_buffer("token_of_code")[codes.long()]

    def blocks(self) -> list[nn.Module]:
        """Embedding, then the transformer blocks; the last one together with the closing normalisation."""
        *lower, top = [self.embedding, *self.layers]
        return [*lower, nn.ModuleList([top, self.normalise])]

    def configuration(self) -> dict[str, Any]:
        """The alphabet's name and the fields of :class:`EncoderConfiguration`."""
        fields = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.shape).items()}
        return {"alphabet": self.alphabet.name, **fields, "inner": self.shape.inner or 4 * self.width}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """From what :meth:`configuration` gave. Raises BiograftError for a field that doesn't fit."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in configuration.items()}
        return cls(named(fields.pop("alphabet")), EncoderConfiguration(**fields))

    def _embed(self, batch: Packed) -> tuple[Tensor, Positions, Tensor]:
        """Framed token vectors, their positions, and where the letters are among them."""
        vocabulary, device = self.shape.vocabulary, batch.values.device
        lengths = batch.lengths + 2
        ends = lengths.cumsum(0).to(device) - 1
        letters = torch.arange(len(batch.values), device=device) + 2 * batch.owner + 1
        ids = torch.full((int(lengths.sum()),), vocabulary.index("<cls>"), device=device)
        ids = ids.index_fill(0, ends, vocabulary.index("<eos>")).index_copy(0, letters, self.token_ids(batch.values))
        values = self.embedding(ids)
        if self.shape.token_dropout:
            values = self._rescaled(values, ids == vocabulary.index("<mask>"), lengths.to(device))
        return values, Positions.of(lengths, self.shape.angles, device), letters

    def _rescaled(self, values: Tensor, masked: Tensor, lengths: Tensor) -> Tensor:
        """Zeros at masked tokens, the rest of a row scaled to the share of unmasked tokens in pretraining."""
        owner = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
        seen = values.new_zeros(len(lengths), dtype=torch.float).index_add_(0, owner, (~masked).float()) / lengths
        scale = (1 - MASKED_IN_PRETRAINING) / seen
        return values * (scale[owner] * ~masked)[:, None].to(values.dtype)


def _tokens(alphabet: Alphabet, vocabulary: Sequence[str]) -> Tensor:
    """``(letters + 1,)`` token id of each code, the mask last."""
    missing = [letter for letter in alphabet.letters[: alphabet.core] if letter not in vocabulary]
    if missing:
        raise BiograftError(
            f"The vocabulary lacks the {alphabet.title} letters {''.join(missing)}: "
            f"got {' '.join(vocabulary)}. Use a checkpoint that was made for this alphabet."
        )
    ids = {token: number for number, token in enumerate(vocabulary)}
    return torch.tensor([*(ids.get(letter, ids["<unk>"]) for letter in alphabet.letters), ids["<mask>"]])


def _initialise(module: nn.Module) -> None:
    """Weights from a normal distribution of deviation .02, biases zero, as BERT and ESM-2 start."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
