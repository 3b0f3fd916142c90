"""Which rows go together: batches of near-equal cost, in an order that is a pure function of seed and step."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

__all__ = ["Batches", "in_order"]


def _cut(costs: np.ndarray, budget: int) -> list[int]:
    """Borders of near-equal shares of the cumulative cost: as many shares as the budget asks for, none empty."""
    ends = np.cumsum(costs, dtype=np.int64)
    shares = min(len(costs), max(1, -(-int(ends[-1]) // budget)))
    targets = ends[-1] * np.arange(1, shares) / shares
    middles = ends - costs / 2  # a row belongs to the share in which its middle lies
    borders = np.searchsorted(middles, targets)
    return sorted({0, *borders.tolist(), len(costs)})


@dataclass(frozen=True, eq=False)
class Batches:
    """Endless random batches.

    Attributes:
        costs: ``(rows,)`` int64, what a row costs (tokens, or units where these grow faster).
        budget: cost aimed at per batch; a single dearer row makes a batch of its own.
        seed: with the step it decides the order, so that a continued run sees what it would have seen.
        strata: ``(rows,)`` int; each of them is drawn as often as any other, and they take turns. None: every row once
            per pass.
    """

    costs: np.ndarray
    budget: int
    seed: int
    strata: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.costs) == 0:
            raise ValueError("Batches need at least one row.")

    @property
    def per_epoch(self) -> int:
        """Nominal number of batches in one pass over the rows."""
        return min(len(self.costs), max(1, -(-int(self.costs.sum()) // self.budget)))

    def rows(self, step: int) -> np.ndarray:
        """Row numbers of batch ``step`` (from 0, endless), each pass in a new random order."""
        epoch, place = divmod(step, self.per_epoch)
        batches = _epoch(self, epoch)
        return batches[place % len(batches)]


@lru_cache(maxsize=4)
def _epoch(batches: Batches, epoch: int) -> list[np.ndarray]:
    generator = np.random.default_rng([batches.seed, epoch])
    order = generator.permutation(len(batches.costs))
    if batches.strata is not None:
        order = _in_turns(batches.strata, generator)
    borders = _cut(batches.costs[order], batches.budget)
    return [order[start:end] for start, end in pairwise(borders)]


def _in_turns(strata: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rows of one pass: of each stratum as many, the rows of a small one again and again, of a large one a part."""
    places, own = np.unique(strata, return_inverse=True)
    wanted = max(1, len(strata) // len(places))
    drawn = []
    for place in range(len(places)):
        members = np.flatnonzero(own == place)
        times, rest = divmod(wanted, len(members))
        drawn.append(np.concatenate([np.tile(members, times), generator.permutation(members)[:rest]]))
    rows = generator.permuted(np.stack(drawn), axis=1)
    return generator.permuted(rows, axis=0).T.ravel()


def in_order(costs: np.ndarray, budget: int) -> list[np.ndarray]:
    """Batches for inference: rows sorted by cost, dearest first (memory peaks at once), ties in input order."""
    if len(costs) == 0:
        return []
    order = np.argsort(-np.asarray(costs), kind="stable")
    batches, start, spent = [], 0, 0
    for place, cost in enumerate(costs[order]):
        if place > start and spent + cost > budget:
            batches.append(order[start:place])
            start, spent = place, 0
        spent += int(cost)
    return [*batches, order[start:]]
