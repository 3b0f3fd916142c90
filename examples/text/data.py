"""Texts with classes: a table of one's own, or a small language made up here."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biograft.errors import BiograftError
from examples.two_steps import Data

__all__ = ["Language", "Texts", "read"]

VOWELS, CONSONANTS = "aeiou", "bdfgklmnprstvz"
Encode = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Texts:
    """Texts and their labels, in one order."""

    texts: list[str]
    labels: list[str]

    def data(self, encode: Encode) -> Data:
        """As an encoder reads them."""
        return Data([encode(text) for text in self.texts], np.array(self.labels))


def read(path: Path) -> Texts:
    """A CSV file with columns ``text`` and ``label``. Raises BiograftError where it lacks them."""
    if not path.is_file():
        raise BiograftError(f"File not found: '{path}'. Check the path of the table.")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"text", "label"} <= rows[0].keys():
        found = ", ".join(rows[0]) if rows else "no row"
        raise BiograftError(f"'{path.name}' lacks its columns: got {found}, expected text and label. Name them so.")
    return Texts([row["text"] for row in rows], [row["label"] for row in rows])


@dataclass(frozen=True)
class Language:
    """Made-up words that belong to hidden topics; a sentence is mostly about one of them.

    The source asks for the topic. The target asks which of two moods a sentence has, and each mood belongs to half of
    the topics: who has learned which words go together needs few labels for it.

    Attributes:
        topics: an even number of them.
        words: of each topic.
        length: words of a sentence.
        about: share of a sentence's words that are of its topic; the others are of any.
        seed: of the words.
    """

    topics: int = 6
    words: int = 40
    length: int = 8
    about: float = 0.5
    seed: int = 0

    @property
    def vocabulary(self) -> list[str]:
        """All words; those of a topic stand together."""
        generator = np.random.default_rng([self.seed, 0])
        found: dict[str, None] = {}
        while len(found) < self.topics * self.words:
            syllables = ["".join(map(generator.choice, (list(CONSONANTS), list(VOWELS)))) for _ in range(3)]
            found["".join(syllables)] = None
        return list(found)

    def sentences(self, count: int, seed: int, moods: bool) -> Texts:
        """So many, labelled by topic, or by mood."""
        generator, vocabulary = np.random.default_rng([self.seed, 1, seed]), np.array(self.vocabulary)
        topics = generator.integers(self.topics, size=(count, 1))
        any_topic = generator.integers(self.topics, size=(count, self.length))
        chosen = np.where(generator.random((count, self.length)) < self.about, topics, any_topic)
        places = chosen * self.words + generator.integers(self.words, size=(count, self.length))
        labels = ["bright" if topic % 2 else "dark" for topic in topics[:, 0].tolist()]
        if not moods:
            labels = [f"topic {topic}" for topic in topics[:, 0].tolist()]
        return Texts([" ".join(words) for words in vocabulary[places].tolist()], labels)
