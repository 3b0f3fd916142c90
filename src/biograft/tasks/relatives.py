"""What the nearest training record says of a class, trusted as far as relatives of that identity share classes.

Annotation is passed on by homology like this everywhere; mixed with a learned model it does better than either (as in
DeepGOPlus, doi:10.1093/bioinformatics/btz595, whose weight is one for all identities).
"""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import isotonic_regression

from biograft.data.nearest import Nearest
from biograft.errors import BiograftError
from biograft.files import atomic

__all__ = ["Relatives", "Search"]

FOLDS = 5
MOST_ASKED = 1_000  # records in a fold; of larger tables one fold is enough
STEPS = 10  # of the curve: as many ranges of identity, with equally many records each
FEWEST = 20  # records with a relative, or nothing can be said
LEAST = 1e-6  # of a probability: its logarithm must be finite

Search = Callable[[Sequence[str], Sequence[str]], Nearest]
"""Queries and references -> the nearest reference of each query."""


@dataclass(frozen=True, eq=False)
class Relatives:
    """Classes of the training records, and how far a relative's class is to be trusted.

    Attributes:
        codes: ``(records,)`` int64 class of each training record; -1 for one that the model can't name.
        identity: ``(steps,)`` rising, 0 to 1.
        trust: ``(steps,)`` rising: share of pairs of that identity that are of one class, beyond what any two records
            give by chance; 0 to 1.
    """

    codes: np.ndarray
    identity: np.ndarray
    trust: np.ndarray

    @classmethod
    def learned(
        cls, codes: np.ndarray, sequences: Sequence[str], search: Search, seed: int, families: np.ndarray | None = None
    ) -> "Relatives":
        """Ask for part of the training records which of the others is nearest, and whether their classes agree.

        With ``families`` ``(records,)`` it is asked once more with whole families left out: else hardly a pair would be
        as far apart as records to come of new families are, and the curve would say nothing of them.

        Raises BiograftError where too few have a relative.
        """
        draws, records = np.random.default_rng(seed), np.arange(len(codes))
        asked = _folds(records, draws) + ([] if families is None else _folds(families, draws))
        identity, agree = [np.zeros(0)], [np.zeros(0, bool)]
        for rows in asked:
            others = np.setdiff1d(records, rows)
            near = search([sequences[row] for row in rows], [sequences[row] for row in others])
            named = near.index >= 0
            identity.append(near.identity[named])
            agree.append(codes[rows[named]] == codes[others[near.index[named]]])
        found = np.concatenate(identity)
        if len(found) < FEWEST:
            raise BiograftError(
                f"Relatives can't be asked: got {len(found)} training records with a relative among the others, "
                f"expected {FEWEST} or more. Leave out --relatives."
            )
        middle, share = _curve(found, np.concatenate(agree))
        chance = float(np.square(np.bincount(codes[codes >= 0]) / (codes >= 0).sum()).sum())  # any two records agree
        return cls(codes, middle, np.maximum(0, share - chance) / max(1 - chance, LEAST))

    def blended(self, outputs: np.ndarray, near: Nearest) -> np.ndarray:
        """Outputs ``(records, classes)`` of a head -> logarithms of t·(class of the nearest) + (1 − t)·(model).

        t is the trust at the identity of the two: 0 where relatives agree no more often than any two records do, for a
        share s of agreement becomes (s - chance) / (1 - chance). Records without a relative keep the model's answer.
        """
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        shares = np.exp(shifted, dtype=np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        known = near.index >= 0
        known[known] = self.codes[near.index[known]] >= 0  # a class that only the validation part holds is not known
        rows = np.flatnonzero(known)
        trust = np.interp(near.identity[rows], self.identity, self.trust)
        shares[rows] *= 1 - trust[:, None]
        shares[rows, self.codes[near.index[rows]]] += trust
        return np.log(np.maximum(shares, LEAST))

    def save(self, path: Path | str) -> None:
        """Write one ``.npz`` file."""
        with atomic(path) as part, part.open("wb") as stream:
            np.savez_compressed(stream, codes=self.codes.astype(np.int32), identity=self.identity, trust=self.trust)

    @classmethod
    def load(cls, path: Path | str) -> "Relatives":
        """Read what :meth:`save` wrote. Raises BiograftError where it is missing or damaged."""
        try:
            with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return cls(file["codes"].astype(np.int64), file["identity"], file["trust"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as fault:
            raise BiograftError(f"'{path}' is missing or damaged ({fault}). Fit the model again.") from None

    def told(self, near: Nearest) -> str:
        """A sentence on the curve, and on how many of the records asked have a relative."""
        ends = ", ".join(
            f"{self.trust[place]:.2f} at {100 * self.identity[place]:.0f} % identity"
            for place in sorted({0, len(self.identity) - 1})
        )
        return (
            f"The class of the nearest training record counts as far as training records of that identity share "
            f"classes more often than any two do: {ends}. {(near.index >= 0).sum():,} of {len(near.index):,} test "
            "records have a relative; for the others only the model answers."
        )


def _folds(groups: np.ndarray, draws: np.random.Generator) -> list[np.ndarray]:
    """Rows to ask about, whole groups together: all rows in turn, or of large tables one fold."""
    names, codes = np.unique(groups, return_inverse=True)
    place = draws.permutation(len(names))[codes]  # of each row's group, in an order that is drawn
    if len(groups) <= FOLDS * MOST_ASKED:
        folds = [np.flatnonzero(place % FOLDS == fold) for fold in range(FOLDS)]
        return [rows for rows in folds if 0 < len(rows) < len(groups)]
    order = np.argsort(place, kind="stable")
    return [order[place[order] <= place[order[MOST_ASKED - 1]]]]  # with the rest of the last group


def _curve(identity: np.ndarray, agree: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of agreement that never fall as identity rises (isotonic regression), one success and one failure added
    to each step. Steps of one identity, such as copies, are one: their order is chance, and must not seem to rise."""
    order = np.argsort(identity, kind="stable")
    steps = np.array_split(order, min(STEPS, len(order) // FEWEST))
    middle, step = np.unique([identity[rows].mean() for rows in steps], return_inverse=True)
    weight = np.bincount(step, [len(rows) for rows in steps]) + 2
    share = (np.bincount(step, [agree[rows].sum() for rows in steps]) + 1) / weight
    return middle, isotonic_regression(share, weights=weight).x
