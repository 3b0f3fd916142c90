"""Generated families of proteins with known answers, for the demo and the tests.

Motifs, short words of which every copy differs a little, decide all labels. Sequences descend from ancestors and keep
their motifs better than the rest; members of a family are alike, families are not.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from biograft.data.alphabet import PROTEIN
from biograft.data.records import Records
from biograft.errors import BiograftError

__all__ = ["World"]

OUTSIDE, MARKS = "a", "bcdefghijklmnopqrstuvwxyz"
CLASSES = "ABCDEFGHIJ"
SOURCE_FAMILY, TARGET_FAMILY = 4, 2  # members of each


@dataclass(frozen=True)
class World:
    """A small world in which what helps is known.

    Attributes:
        seed: of the motifs; the same seed gives the same world.
        motifs: number of motifs, at most 25.
        span: letters per motif.
        classes: of the target, at most 10; the motifs are dealt out to them in turn.
        shortest: letters of the shortest ancestor.
        longest: letters of the longest ancestor.
        drift: share of letters that are drawn anew between ancestor and member, outside motifs.
        motif_drift: the same inside motifs.

    Raises:
        BiograftError: numbers that make no world, such as more classes than motifs.
    """

    seed: int = 0
    motifs: int = 6
    span: int = 7
    classes: int = 3
    shortest: int = 80
    longest: int = 100
    drift: float = 0.25
    motif_drift: float = 0.12

    def __post_init__(self) -> None:
        for fits, what in (
            (2 <= self.classes <= len(CLASSES), f"{self.classes} classes, expected 2 to {len(CLASSES)}"),
            (
                self.classes <= self.motifs <= len(MARKS),
                f"{self.motifs} motifs, expected one per class or more, at most {len(MARKS)}",
            ),
            (
                1 <= self.span <= self.shortest <= self.longest,
                f"motifs of {self.span} letters in {self.shortest} to {self.longest} letters, expected them to fit",
            ),
            (
                0 <= self.drift <= 1 and 0 <= self.motif_drift <= 1,
                f"drifts of {self.drift:g} and {self.motif_drift:g}, expected shares from 0 to 1",
            ),
        ):
            if not fits:
                raise BiograftError(f"No such world: got {what}. Change that number.")

    def source(self, records: int, seed: int, useful: bool = True) -> Records:
        """A residue task: column ``label`` has one letter per residue, ``a`` outside motifs, ``b``, ``c``, … inside.

        ``useful=False`` plants motifs of another world, which teach nothing about this one's target. Column
        ``family`` names the common ancestor of four records.
        """
        words = self._words(self.seed if useful else self.seed + 1000)
        generator = np.random.default_rng([self.seed, 1, seed])
        sequences, labels, families = [], [], []
        for number in range(records):
            if number % SOURCE_FAMILY == 0:
                ancestor, places = self._ancestor(words, generator)
            sequences.append(self._member(ancestor, places, generator))
            labels.append("".join((OUTSIDE + MARKS)[place + 1] for place in places.tolist()))
            families.append(str(number // SOURCE_FAMILY))
        return self._records(sequences, {"label": labels, "family": families})

    def target(self, train: int, test: int, seed: int, valid: int = 0) -> Records:
        """A sequence task: column ``label`` names the class of the one motif planted; column ``set`` the part.

        Every part has families of its own, two records each; classes are as even as they can be.
        """
        sizes = {"train": train, "valid": valid, "test": test}
        return self._classified(sizes, self._words(self.seed), np.random.default_rng([self.seed, 2, seed]))

    def shifted(self, records: int, seed: int, relation: Literal["helpful", "useless", "harmful"]) -> Records:
        """A source of the target's form, in a part ``train``, whose worth for the target is known.

        ``helpful``: the same motifs decide the same classes. ``harmful``: the same motifs decide other classes, each
        the next one, so that whoever believes the source is wrong about the target. ``useless``: motifs of another
        world decide classes of their own, whose names the target doesn't have.
        """
        generator = np.random.default_rng([self.seed, 3, seed])
        if relation == "useless":
            words = self._words(self.seed + 1000)
            return self._classified({"train": records}, words, generator, naming="kind {}")
        shift = 1 if relation == "harmful" else 0
        return self._classified({"train": records}, self._words(self.seed), generator, shift=shift)

    def _classified(
        self, sizes: dict[str, int], words: np.ndarray, generator: np.random.Generator, shift: int = 0,
        naming: str = "class {}",
    ) -> Records:  # fmt: skip
        sequences, labels, parts, families = [], [], [], []
        for part, size in sizes.items():
            for number in range(size):
                if number % TARGET_FAMILY == 0:
                    motif = (number // TARGET_FAMILY) % self.motifs
                    ancestor, places = self._ancestor(words[motif : motif + 1], generator)
                sequences.append(self._member(ancestor, places, generator))
                labels.append(naming.format(CLASSES[(motif + shift) % self.classes]))
                parts.append(part)
                families.append(f"{part} {number // TARGET_FAMILY}")
        return self._records(sequences, {"label": labels, "set": parts, "family": families})

    def _words(self, seed: int) -> np.ndarray:
        """``(motifs, span)`` letter codes."""
        return np.random.default_rng([seed, 0]).integers(PROTEIN.core, size=(self.motifs, self.span))

    def _ancestor(self, words: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Letter codes of a random sequence with one of the words in it; the word's number per place, -1 outside."""
        length = int(generator.integers(self.shortest, self.longest + 1))
        letters = generator.integers(PROTEIN.core, size=length)
        places = np.full(length, -1)
        word, start = int(generator.integers(len(words))), int(generator.integers(length - self.span + 1))
        letters[start : start + self.span] = words[word]
        places[start : start + self.span] = word
        return letters, places

    def _member(self, ancestor: np.ndarray, places: np.ndarray, generator: np.random.Generator) -> str:
        """A descendant: letters change at random, those of motifs more rarely."""
        rate = np.where(places >= 0, self.motif_drift, self.drift)
        other = generator.integers(PROTEIN.core, size=len(ancestor))
        return PROTEIN.decode(np.where(generator.random(len(ancestor)) < rate, other, ancestor).astype(np.uint8))

    def _records(self, sequences: list[str], columns: dict[str, list[str]]) -> Records:
        ids = [f"generated{number:05d}" for number in range(1, len(sequences) + 1)]
        return Records.of(sequences, ids, columns, alphabet=PROTEIN, source="generated families")
