"""How letters become the tokens of somebody else's encoder: letters, k-mers side by side or overlapping, or pieces.

A row holds one number per letter: the id of the token that begins there (of an overlapping word: that has its middle
there), and -1 where a letter belongs to the token before. Rows of pieces hold the ids alone.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from biograft.data.alphabet import Alphabet
from biograft.errors import BiograftError

__all__ = ["Scheme", "Words", "scheme_of", "spelled"]

Scheme = Literal["letters", "windows", "overlapping", "pieces"]
RARE = "UZOB"  # read as X by encoders that were trained on words apart, such as ProtT5 and ProtBert


def spelled(vocabulary: Mapping[str, int]) -> dict[str, int]:
    """The vocabulary by what is written: the mark of a word's beginning is left out, and such words come first."""
    plain = dict(vocabulary)
    for token, number in vocabulary.items():
        if token.startswith("▁") and len(token) > 1:
            plain[token[1:]] = number
    return plain


def scheme_of(plain: Mapping[str, int], alphabet: Alphabet) -> tuple[Scheme, int] | None:
    """How a vocabulary reads this alphabet, and letters per word; None where letters of it are missing.

    Words of one length that are all there are k-mers. Beside single letters, which spell what no word covers, they
    stand side by side; without these they overlap.
    """
    letters = set(alphabet.letters[: alphabet.core])
    sizes = [len(word) for word in plain if len(word) > 1 and set(word) <= letters]
    single, size = letters <= set(plain), max(sizes, default=1)
    if single and not sizes:
        return "letters", 1
    if len(set(sizes)) == 1 and len(sizes) == alphabet.core**size:
        return ("windows" if single else "overlapping"), size
    return ("pieces", 0) if single else None


@dataclass(frozen=True)
class Words:
    """What turns sequences into ids, and what stands around each row.

    Attributes:
        alphabet: of the sequences.
        scheme: how letters are read.
        size: letters per word; 0 for pieces, whose lengths differ.
        ids: the words and letters of the alphabet; empty for pieces.
        unknown: id of what has no token.
        before, after: ids put around each row.
        padding: id that fills up short rows.
        pieces: the tokenizer that cuts pieces, as JSON; else empty.
    """

    alphabet: Alphabet
    scheme: Scheme
    size: int
    ids: dict[str, int]
    unknown: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    padding: int
    pieces: str = ""

    @classmethod
    def of(cls, alphabet: Alphabet, plain: Mapping[str, int], special: Mapping[str, Any], *, apart: bool) -> Self:
        """For a vocabulary; ``special`` holds the other fields, ``apart`` tells that rare amino acids are read as X.

        Raises BiograftError where letters of the alphabet are missing.
        """
        found = scheme_of(plain, alphabet)
        if found is None:
            missing = [letter for letter in alphabet.letters[: alphabet.core] if letter not in plain]
            raise BiograftError(
                f"The tokenizer lacks the {alphabet.title} letters {''.join(missing)}: got {len(plain)} tokens. "
                "Use a checkpoint that was made for this alphabet."
            )
        scheme, size = found
        if scheme == "pieces":
            return cls(alphabet, scheme, size, {}, **special)
        core = set(alphabet.letters[: alphabet.core])
        ids = {w: n for w, n in plain.items() if w in alphabet.letters or (len(w) == size and set(w) <= core)}
        any_letter = plain.get(alphabet.unknown)
        if apart and any_letter is not None and alphabet.name == "protein":
            ids |= dict.fromkeys(RARE, any_letter)
        unknown = special["unknown"] if any_letter is None or scheme == "overlapping" else any_letter
        ids = dict(sorted(ids.items()))  # tokenizers give their vocabulary in no order
        return cls(alphabet, scheme, size, ids, **{**special, "unknown": unknown, "pieces": ""})

    @classmethod
    def from_configuration(cls, alphabet: Alphabet, configuration: Mapping[str, Any]) -> Self:
        """From what :meth:`configuration` gave."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in configuration.items()}
        return cls(alphabet, **fields)

    def configuration(self) -> dict[str, Any]:
        """JSON-able fields, all but the alphabet."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)[1:]}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}

    @property
    def resolution(self) -> int:
        """Letters per vector: k of words side by side, 1 of letters and overlapping words, 0 of pieces."""
        return {"windows": self.size, "pieces": 0}.get(self.scheme, 1)

    @property
    def last_piece(self) -> int:
        """Highest id among the pieces; 0 where there are none."""
        if not self.pieces:
            return 0
        model = json.loads(self.pieces)["model"]["vocab"]
        return max(model.values()) if isinstance(model, dict) else len(model) - 1

    @cached_property
    def single(self) -> np.ndarray:
        """``(letters,)`` id of each code of the alphabet."""
        return np.array([self.ids.get(letter, self.unknown) for letter in self.alphabet.letters], dtype=np.int32)

    def row(self, codes: np.ndarray) -> np.ndarray:
        """``(letters,)`` codes -> ``(letters,)`` int32 ids, -1 where a letter belongs to the word before.

        A sequence that is shorter than one overlapping word is one unknown word.
        """
        words = self._words(codes)
        row = np.full(len(codes), -1, dtype=np.int32)
        if self.scheme == "overlapping":
            middle = (self.size - 1) // 2
            row[: 0 if len(words) else 1] = self.unknown
            row[middle : middle + len(words)] = np.where(words < 0, self.unknown, words)
            return row
        place = 0
        while place < len(codes):
            whole = place < len(words) and words[place] >= 0
            row[place] = words[place] if whole else self.single[codes[place]]
            place += self.size if whole else 1
        return row

    def _words(self, codes: np.ndarray) -> np.ndarray:
        """The word that begins at each letter, ``(letters - size + 1,)`` ids; -1 where there is none."""
        digits = np.minimum(codes, self.alphabet.core).astype(np.int64)
        count = max(0, len(codes) - self.size + 1)
        numbers = np.zeros(count, dtype=np.int64)
        for place in range(self.size):
            numbers = numbers * (self.alphabet.core + 1) + digits[place : place + count]
        return self._table[numbers]

    @cached_property
    def _table(self) -> np.ndarray:
        """Number of a word, its letters as digits -> its id, -1 where it has none."""
        base = self.alphabet.core + 1
        table = np.full(base**self.size, -1, dtype=np.int32)
        for word, number in self.ids.items():
            digits = [self.alphabet.letters.index(letter) for letter in word]
            if len(word) == self.size and max(digits) < base:
                table[sum(digit * base**place for place, digit in enumerate(reversed(digits)))] = number
        return table
