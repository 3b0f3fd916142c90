"""Parts of a table (train, valid, test) that no family straddles, with the class balance kept as well as it can be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biograft.errors import BiograftError

__all__ = ["PARTS", "Split", "by_column", "by_family", "random"]

PARTS = ("train", "valid", "test")
SPELLINGS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
TRIES = 24
ASSIGNED = 150_000
"""Families to be assigned in all tries together: about two seconds."""


@dataclass(frozen=True)
class Split:
    """``parts`` (rows,) of str: train, valid, test, or "" for rows that are in none; ``families`` (rows,) of int.

    ``how`` says in words what was done, ``program`` what found the families ("" where none were needed).
    """

    parts: np.ndarray
    families: np.ndarray
    how: str
    program: str

    def rows(self, *names: str) -> np.ndarray:
        """Rows of one part, or of several together, ascending."""
        for name in names:
            if name not in PARTS:
                raise BiograftError(f"Unknown part of a split: got '{name}', expected one of {', '.join(PARTS)}.")
        return np.flatnonzero(np.isin(self.parts, names))


def _checked(fractions: Sequence[float]) -> np.ndarray:
    shares = np.asarray(fractions, float)
    if shares.shape != (3,) or not np.isfinite(shares).all() or (shares < 0).any() or not np.isclose(shares.sum(), 1):
        raise BiograftError(
            f"Shares of train, valid and test: got {tuple(fractions)}, expected three numbers from 0 to 1 that add "
            "up to 1, such as (0.7, 0.1, 0.2)."
        )
    if shares[0] <= 0:
        raise BiograftError("A training part that is empty: its share is 0. Give train a share above 0.")
    return shares


def _counts(families: np.ndarray, strata: np.ndarray | None) -> np.ndarray:
    """(families, strata + 1) rows per family: in each stratum, and in all."""
    size = int(families.max(initial=-1)) + 1
    columns = []
    if strata is not None:
        codes = np.asarray(strata)
        columns = [np.bincount(families[codes == code], minlength=size) for code in np.unique(codes[codes >= 0])]
    return np.stack([*columns, np.bincount(families, minlength=size)], axis=1).astype(float)


def _distance(load: np.ndarray, wanted: np.ndarray) -> float:
    """How far the parts are from what is wanted: strata count alike, the size of the parts as all of them."""
    strata = wanted.shape[1] - 1
    weight = np.append(np.full(strata, 1.0 / max(strata, 1)), 1.0)
    share = (load - wanted) / np.maximum(wanted.sum(axis=0), 1)
    return float((share**2 * weight).sum())


def _assign(counts: np.ndarray, shares: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Part of each family, large ones first, each to where the distance to what is wanted falls most."""
    total = counts.sum(axis=0)
    wanted = shares[:, None] * total
    strata = counts.shape[1] - 1
    weight = np.append(np.full(strata, 1.0 / max(strata, 1)), 1.0) / np.maximum(total, 1) ** 2
    load = np.zeros_like(wanted)
    part = np.zeros(len(counts), np.int64)
    closed = shares <= 0
    for family in order:
        count = counts[family]
        # (load + count - wanted)^2 - (load - wanted)^2, summed over strata
        gain = ((2 * (load - wanted) + count) * count * weight).sum(axis=1)
        gain[closed] = np.inf
        chosen = int(gain.argmin())
        load[chosen] += count
        part[family] = chosen
    return part


def by_family(
    families: np.ndarray,
    strata: np.ndarray | None,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
) -> np.ndarray:
    """Part of each row; whole families only. ``strata`` (rows,): class code of each row (-1 unknown), None for none.

    For numbers give quantile bins. Several random orders are tried and the best balanced one is kept.

    Raises BiograftError where no such split exists, naming the share of the largest family.
    """
    shares = _checked(fractions)
    families = np.unique(np.asarray(families), return_inverse=True)[1]
    rows = len(families)
    if not rows:
        raise BiograftError("There is nothing to split: got 0 records, expected at least one per part.")
    counts = _counts(families, strata)
    _possible(counts[:, -1], shares)
    generator = np.random.default_rng(seed)
    wanted = shares[:, None] * counts.sum(axis=0)
    best, best_distance = np.zeros(len(counts), np.int64), np.inf
    for _ in range(int(np.clip(ASSIGNED // len(counts), 2, TRIES))):
        noise = generator.random(len(counts))
        part = _assign(counts, shares, np.lexsort((noise, -counts[:, -1])))
        load = np.stack([counts[part == number].sum(axis=0) for number in range(3)])
        empty = (load[:, -1] == 0) & (shares > 0)
        distance = _distance(load, wanted) + 10 * empty.sum()
        if distance < best_distance:
            best, best_distance = part, distance
    best = _filled(best, counts[:, -1], shares)
    return np.array(PARTS)[best[families]]


def _possible(sizes: np.ndarray, shares: np.ndarray) -> None:
    """Refuse what can't be done: too few families for the parts, or one that is clearly larger than training may be."""
    rows, parts = sizes.sum(), int((shares > 0).sum())
    largest = int(sizes.max())
    share = largest / rows
    advice = (
        "Use a higher --identity for smaller families, --split random (then relatives are in both parts and the "
        "result says less about new families), or a table with its own set column (--split column:set)."
    )
    if len(sizes) < parts:
        raise BiograftError(
            f"Too few families for a split: got {len(sizes)} in {int(rows)} records (the largest holds {share:.0%}), "
            f"expected at least {parts}, one for each part. {advice}"
        )
    if share > shares[0] + 0.05:
        raise BiograftError(
            f"No split by family is possible: one family holds {share:.0%} of the records ({largest} of {int(rows)}), "
            f"so that only {1 - share:.0%} would be left for validation and test, where "
            f"{1 - shares[0]:.0%} are wanted. {advice}"
        )


def _filled(part: np.ndarray, sizes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Give a part that stayed empty the smallest family of the part with most families."""
    part = part.copy()
    for number in np.flatnonzero(shares > 0):
        if not (part == number).any():
            giver = int(np.bincount(part, minlength=3).argmax())
            members = np.flatnonzero(part == giver)
            part[members[sizes[members].argmin()]] = number
    return part


def random(
    rows: int, strata: np.ndarray | None, fractions: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0
) -> np.ndarray:
    """Part of each row at random, class by class: every record is its own family."""
    shares = _checked(fractions)
    if rows < int((shares > 0).sum()):
        raise BiograftError(
            f"Too few records for a split: got {rows}, expected at least {int((shares > 0).sum())}, one for each part."
        )
    generator = np.random.default_rng(seed)
    codes = np.zeros(rows, np.int64) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    part = np.empty(rows, np.int64)
    part[order] = _dealt(codes[order], shares, generator)
    return np.array(PARTS)[_filled(part, np.ones(rows), shares)]


def _dealt(codes: np.ndarray, shares: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Parts for rows sorted by class: each class in the wanted shares, fractions of a row carried to the next class."""
    parts = np.empty(len(codes), np.int64)
    owed = np.zeros(3)
    start = 0
    for size in np.bincount(codes):
        owed += shares * size
        number = np.floor(owed).astype(np.int64).clip(0)  # a part may have had more than its due
        while number.sum() < size:
            number[int((owed - number).argmax())] += 1
        while number.sum() > size:
            number[int(np.where(number > 0, owed - number, np.inf).argmin())] -= 1
        owed -= number
        parts[start : start + size] = generator.permutation(np.repeat(np.arange(3), number))
        start += size
    return parts


def by_column(
    values: Sequence[str],
    families: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    valid: float = 0.1,
    seed: int = 0,
    column: str = "set",
    needed: Sequence[str] = ("train", "test"),
) -> np.ndarray:
    """Parts as a column of the table names them; "" is in no part. Without a valid part one is cut from train.

    ``valid``: its share of the rows of train, cut by family (``families``, rows of the whole table) so that no family
    is in both; without families, or where one family is nearly all of train, row by row.

    Raises BiograftError for other names, and for a ``needed`` part that is empty.
    """
    named = [value.strip().lower() for value in values]
    wrong = sorted({value for value, name in zip(values, named, strict=True) if name and name not in SPELLINGS})
    if wrong:
        found = ", ".join(f"'{value}'" for value in wrong[:5]) + (", …" if len(wrong) > 5 else "")
        raise BiograftError(
            f"Unknown part in column '{column}': got {found}, expected one of {', '.join(SPELLINGS)} or nothing "
            "(a row without a part is left out). Rename them, or choose --split homology."
        )
    parts = np.array([SPELLINGS.get(name, "") for name in named], dtype="<U5")
    for part in needed:
        if not (parts == part).any():
            word = "training" if part == "train" else part
            raise BiograftError(
                f"A {word} part that is empty: no row of column '{column}' says '{part}' (rows by part: "
                f"{_tally(parts)}). Name some rows '{part}', or choose --split homology."
            )
    if (parts == "valid").any():
        return parts
    train = np.flatnonzero(parts == "train")
    codes = None if strata is None else np.asarray(strata)[train]
    if families is None:
        cut = random(len(train), codes, (1 - valid, valid, 0.0), seed)
    else:
        try:
            cut = by_family(np.asarray(families)[train], codes, (1 - valid, valid, 0.0), seed)
        except BiograftError:  # variants of one protein: the user's own column decides, so rows must do
            cut = random(len(train), codes, (1 - valid, valid, 0.0), seed)
    parts[train] = cut
    return parts


def _tally(parts: np.ndarray) -> str:
    return ", ".join(f"{name or 'none'} {int((parts == name).sum())}" for name in (*PARTS, ""))
