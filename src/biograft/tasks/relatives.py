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
        trust: ``(steps,)`` rising: share of pairs of that identity that are of one class; 0 to 1.
    """

    codes: np.ndarray
    identity: np.ndarray
    trust: np.ndarray

    @classmethod
    def learned(cls, codes: np.ndarray, sequences: Sequence[str], search: Search, seed: int) -> "Relatives":
        """Ask for part of the training records which of the others is nearest, and whether their classes agree.

        Raises BiograftError where too few have a relative.
        """
        order = np.random.default_rng(seed).permutation(len(codes))
        whole = len(codes) <= FOLDS * MOST_ASKED
        asked = [order[fold::FOLDS] for fold in range(FOLDS)] if whole else [order[:MOST_ASKED]]
        identity, agree = [np.zeros(0)], [np.zeros(0, bool)]
        for rows in asked:
            others = np.setdiff1d(order, rows)
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
        return cls(codes, *_curve(found, np.concatenate(agree)))

    def blended(self, outputs: np.ndarray, near: Nearest) -> np.ndarray:
        """Outputs ``(records, classes)`` of a head -> logarithms of t·(class of the nearest) + (1 − t)·(model).

        t is the trust at the identity of the two; records without a relative keep the model's answer.
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
            f"classes: {ends}. {(near.index >= 0).sum():,} of {len(near.index):,} test records have a relative; for "
            "the others only the model answers."
        )


def _curve(identity: np.ndarray, agree: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of agreement that never fall as identity rises (isotonic regression), one success and one failure added
    to each step. Steps of one identity, such as copies, are one: their order is chance, and must not seem to rise."""
    order = np.argsort(identity, kind="stable")
    steps = np.array_split(order, min(STEPS, len(order) // FEWEST))
    middle, step = np.unique([identity[rows].mean() for rows in steps], return_inverse=True)
    weight = np.bincount(step, [len(rows) for rows in steps]) + 2
    share = (np.bincount(step, [agree[rows].sum() for rows in steps]) + 1) / weight
    return middle, isotonic_regression(share, weights=weight).x
