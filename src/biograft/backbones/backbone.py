"""The contract of every backbone: letters in, one vector per position out.

``encode`` turns one sequence into a row of codes; ``vectors`` runs packed rows through ``forward``, in overlapping
tiles where a row is longer than the backbone can read.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from biograft.data.alphabet import Alphabet
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.files import digest

__all__ = ["Backbone", "tiles"]


def tiles(length: int, longest: int) -> list[tuple[int, int, int, int]]:
    """Cover ``length`` positions by windows of at most ``longest`` that overlap by a quarter or more.

    Returns ``(start, end, keep_start, keep_end)`` per window: of ``[start, end)`` the positions ``[keep_start,
    keep_end)`` are used. The kept spans join without gap, each cut in the middle of an overlap, far from both borders.
    """
    if length <= longest:
        return [(0, length, 0, length)]
    count = -(-(length - longest) // max(1, longest - longest // 4)) + 1
    starts = np.linspace(0, length - longest, count).round().astype(int)
    cuts = [0, *((starts[1:] + starts[:-1] + longest) // 2).tolist(), length]
    return [(int(s), int(s) + longest, cuts[i], cuts[i + 1]) for i, s in enumerate(starts)]


class Backbone(nn.Module, ABC):
    """What a strategy may graft.

    Attributes:
        alphabet: letters it reads.
        width: numbers per vector.
        max_length: letters it can read at once; None for any number.
        resolution: letters per vector: 1 gives a vector per letter, 0 one vector for the whole sequence.
        pretrained: whether its weights were learned anywhere; from random weights only ``scratch`` makes sense.
        standardise: whether features should be brought to unit variance before a linear model reads them.
        positional: whether letters are read as they stand, so that records of one length are compared by position.
    """

    name: ClassVar[str]
    alphabet: Alphabet
    width: int
    max_length: int | None = None
    resolution: int = 1
    pretrained: bool = False
    standardise: bool = True
    positional: bool = False

    def encode(self, sequence: str) -> np.ndarray:
        """Letters -> ``(letters,)`` uint8 codes of the alphabet, the row that :meth:`forward` understands."""
        return self.alphabet.encode(sequence)

    @abstractmethod
    def forward(self, batch: Packed) -> Packed:
        """Packed codes ``(tokens,)`` -> packed vectors ``(tokens, width)``; rows don't see each other."""

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """JSON-able choices from which :meth:`from_configuration` rebuilds the architecture."""

    @classmethod
    @abstractmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """The same architecture with fresh weights."""

    def blocks(self) -> list[nn.Module]:
        """Parts that can be unfrozen one after the other, bottom to top; empty where nothing is learned."""
        return []

    @property
    def heights(self) -> int:
        """Layers whose vectors can be had one by one; the highest are those that :meth:`forward` gives."""
        return 1

    def tower(self, batch: Packed) -> Packed:
        """Vectors of all layers, bottom to top, each after the closing norm: ``(tokens, heights, width)``."""
        return batch.with_values(self(batch).values[:, None])

    def lower(self, height: int) -> Self:
        """A backbone of its own that ends at a layer from 1 to :attr:`heights` and gives that layer of :meth:`tower`.

        Raises:
            BiograftError: there is no such layer, or it can't be had alone.
        """
        if height == self.heights:
            return self
        told = f"layers 1 to {self.heights}" if self.heights > 1 else "its last layer alone"
        if not 1 <= height < self.heights:
            raise BiograftError(
                f"Backbone '{self.name}' gives vectors of {told}: got layer {height}. Choose layer=last, or another "
                "backbone."
            )
        made = self._ending_at(height)
        weights = self.state_dict()
        made.load_state_dict({name: weights[name] for name in made.state_dict()})
        made.pretrained = self.pretrained
        return made.eval()

    def _ending_at(self, height: int) -> Self:
        """Of the same architecture, with fewer layers and any weights; only asked where :attr:`heights` is above 1."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with the architecture or any weight."""
        parts: list[str | bytes] = [self.name, repr(sorted(self.configuration().items()))]
        for name, value in sorted(self.state_dict().items()):
            parts += [
                name,
                str(value.dtype),
                value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes(),
            ]
        return digest(*parts)

    def vectors(self, batch: Packed) -> Packed:
        """:meth:`forward` for rows of any length: longer ones are read in tiles and merged, never cut."""
        return self._in_tiles(batch, self)

    def all_layers(self, batch: Packed) -> Packed:
        """:meth:`tower` likewise, layers side by side: ``(tokens, heights * width)``."""
        return self._in_tiles(batch, self._side_by_side)

    def _side_by_side(self, batch: Packed) -> Packed:
        found = self.tower(batch)
        return found.with_values(found.values.flatten(1))

    def _in_tiles(self, batch: Packed, read: Callable[[Packed], Packed]) -> Packed:
        if self.max_length is None or int(batch.lengths.max()) <= self.max_length:
            return read(batch)
        windows, lengths, kept = [], [], []
        done, base = 0, 0
        for length in batch.lengths.tolist():
            for start, end, keep_start, keep_end in tiles(length, self.max_length):
                windows.append(torch.arange(base + start, base + end))
                lengths.append(end - start)
                kept.append(torch.arange(done + keep_start - start, done + keep_end - start))
                done += end - start
            base += length
        tiled = Packed(batch.values[_index(windows, batch.values)], torch.tensor(lengths))
        return batch.with_values(read(tiled).values[_index(kept, batch.values)])


def _index(spans: list[Tensor], like: Tensor) -> Tensor:
    return torch.cat(spans).to(like.device)
