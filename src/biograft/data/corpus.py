"""Unlabelled sequences for pretraining: all letters end to end, cut into windows, masked as they are drawn.

Nothing is padded and no letter is left out: a longer sequence becomes several windows of like length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from biograft.data.alphabet import Alphabet
from biograft.data.batches import Batches
from biograft.data.examples import Batch
from biograft.data.nearest import nearest
from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.progress import Progress

__all__ = ["Corpus", "HeldOut", "MaskedStream", "Masking", "hold_out"]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sequences of one alphabet without labels.

    Attributes:
        alphabet: of the codes.
        codes: ``(letters,)`` uint8, all sequences end to end.
        offsets: ``(sequences + 1,)`` int64: sequence i is ``codes[offsets[i]:offsets[i + 1]]``.
    """

    alphabet: Alphabet
    codes: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, records: Records) -> "Corpus":
        """The sequences of these records, in their order."""
        codes = records.alphabet.encode("".join(records.sequences))
        return cls(records.alphabet, codes, np.concatenate([[0], np.cumsum(records.lengths)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """``(sequences,)`` letters of each."""
        return np.diff(self.offsets)

    def windows(self, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """``(windows,)`` first letters and lengths: every sequence in the fewest like parts of ``longest`` at most."""
        parts = -(-self.lengths // longest)
        owner = np.repeat(np.arange(len(self)), parts)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
        begin, end = (self.lengths[owner] * place // parts[owner] for place in (number, number + 1))
        return self.offsets[owner] + begin, end - begin


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows of a corpus, ascending: those learned from, those held out, and relatives of these, which are neither."""

    train: np.ndarray
    valid: np.ndarray
    relatives: np.ndarray


def hold_out(
    records: Records, count: int, identity: float = 0.4, seed: int = 0, progress: Progress | None = None
) -> HeldOut:
    """Hold out ``count`` random sequences; leave out all that are ``identity`` or more alike over half their length.

    Raises BiograftError where nothing would be left to learn from.
    """
    rows = np.arange(len(records))
    if not 0 < count <= len(records) // 2:
        raise BiograftError(
            f"Too few sequences for a validation part: got {len(records)} with {count} to hold out, expected at least "
            "twice as many. Give more sequences, or hold out fewer."
        )
    valid = np.sort(np.random.default_rng(seed).choice(len(records), count, replace=False))
    rest = np.setdiff1d(rows, valid)
    sequences = records.sequences
    found = nearest(
        [sequences[row] for row in rest], [sequences[row] for row in valid], records.alphabet, progress=progress
    )
    alike = found.identity >= identity
    if alike.all():
        raise BiograftError(
            f"Nothing is left to learn from: all {len(rest)} sequences are {identity:.0%} or more alike to one of the "
            f"{count} held out. Hold out fewer, or set the identity higher."
        )
    return HeldOut(rest[~alike], valid, rest[alike])


@dataclass(frozen=True)
class Masking:
    """Which letters are asked for, and what the encoder sees in their place (arXiv:1810.04805).

    Attributes:
        share: of the letters that are asked for; ambiguity letters never are.
        hidden: share of these that is shown as the mask.
        changed: share of these that is shown as a random letter; the rest is shown as it is.
    """

    share: float = 0.15
    hidden: float = 0.8
    changed: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.share < 1 and min(self.hidden, self.changed) >= 0 and self.hidden + self.changed <= 1):
            raise BiograftError(
                f"Masking needs shares between 0 and 1, hidden and changed together at most 1: got {self.share:g}, "
                f"{self.hidden:g} and {self.changed:g}. 0.15, 0.8 and 0.1 are usual."
            )

    def draw(self, codes: np.ndarray, core: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """``(letters,)`` codes -> what is shown, int64, -1 for the mask, and ``(letters,)`` bool, what is asked for."""
        asked = (generator.random(len(codes)) < self.share) & (codes < core)
        fate = generator.random(len(codes))
        shown = codes.astype(np.int64)
        other = generator.integers(core, size=len(codes))
        changed = asked & (fate >= self.hidden) & (fate < self.hidden + self.changed)
        shown[changed] = other[changed]
        shown[asked & (fate < self.hidden)] = -1
        return shown, asked


@dataclass(frozen=True, eq=False)
class MaskedStream:
    """Endless masked batches, each a function of seed and step.

    Attributes:
        corpus: where letters come from.
        budget: letters per batch.
        window: letters per row, at most.
        mask_code: the code that the backbone reads as a masked letter.
        masking: what is asked for.
        seed: with the step it decides rows and masks.
    """

    corpus: Corpus
    budget: int
    window: int
    mask_code: int
    masking: Masking = Masking()
    seed: int = 0

    @cached_property
    def _windows(self) -> tuple[np.ndarray, np.ndarray]:
        return self.corpus.windows(self.window)

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self._windows[1], self.budget, self.seed)

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the corpus."""
        return self._batches.per_epoch

    def batch(self, step: int) -> Batch:
        """Inputs: what is shown; targets ``(letters,)``: the true codes; counted: what is asked for."""
        starts, lengths = self._windows
        rows = self._batches.rows(step)
        index = np.concatenate([np.arange(starts[row], starts[row] + lengths[row]) for row in rows])
        codes = self.corpus.codes[index]
        generator = np.random.default_rng([self.seed, step, 1])
        shown, asked = self.masking.draw(codes, self.corpus.alphabet.core, generator)
        shown[shown < 0] = self.mask_code
        inputs = Packed(torch.from_numpy(shown.astype(np.uint8)), torch.from_numpy(lengths[rows]))
        return Batch(inputs, torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(asked))

    def once(self) -> Iterator[Batch]:
        """One pass, always the same: for validation."""
        for step in range(self.per_epoch):
            yield self.batch(step)
