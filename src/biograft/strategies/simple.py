"""Simple answers that models are shown beside: a constant, linear models on letters, the nearest homologue.

Each gives outputs in the form of a head's, so that one label kind decodes them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biograft.backbones.baselines import Composition, KMer, OneHot
from biograft.data.alignment import aligned_positions
from biograft.data.nearest import Nearest, nearest
from biograft.data.records import Records
from biograft.strategies.linear import LinearFit, logistic, ridge
from biograft.tasks.task import LabelKind, Level

__all__ = ["Labelled", "simple_answers"]

WINDOW = 9  # residues to each side
MOST_RESIDUES = 40_000  # that a linear model over windows is fitted on


@dataclass(frozen=True, eq=False)
class Labelled:
    """The training part as baselines see it.

    Attributes:
        records: ids and sequences.
        targets: ``(units,)`` encoded labels.
        counted: ``(units,)`` bool.
        units: ``(records,)`` units per record.
        families: ``(records,)`` int.
    """

    records: Records
    targets: np.ndarray
    counted: np.ndarray
    units: np.ndarray
    families: np.ndarray

    @property
    def offsets(self) -> np.ndarray:
        """``(records + 1,)`` first unit of each record."""
        return np.concatenate([[0], np.cumsum(self.units)])


def simple_answers(
    train: Labelled,
    kind: LabelKind,
    level: Level,
    queries: Sequence[Records],
    seed: int,
    near: Sequence[Nearest] | None = None,
) -> dict[str, list[np.ndarray]]:
    """Outputs ``(units, kind.width)`` of each baseline for each set of queries, by name.

    ``near``: for each set, the nearest record of ``train`` of each query; None finds them.
    """
    if near is None:
        near = [nearest(records.sequences, train.records.sequences, records.alphabet) for records in queries]
    constant = kind.constant(train.targets[train.counted])
    flat = "majority" if kind.name == "classification" else "mean"
    sizes = [int(level.count(records.lengths).sum()) for records in queries]
    answers = {flat: [np.tile(constant, (size, 1)) for size in sizes]}
    if level.name == "residue":
        answers["window"] = _window(train, kind, queries, seed)
    else:
        answers |= _letters(train, kind, level, queries, seed)
    answers["nearest"] = [
        _copied(train, kind, level, records, found, constant) for records, found in zip(queries, near, strict=True)
    ]
    return answers


def _fit(features: np.ndarray, targets: np.ndarray, families: np.ndarray, kind: LabelKind, seed: int) -> LinearFit:
    if kind.name == "regression":
        return ridge(features, targets, families, standardise=False, seed=seed)
    return logistic(features, targets, kind.width, families, standardise=False, seed=seed)


def _apply(fit: LinearFit, features: np.ndarray) -> np.ndarray:
    return features @ fit.weight.T + fit.bias


def _letters(
    train: Labelled, kind: LabelKind, level: Level, queries: Sequence[Records], seed: int
) -> dict[str, list[np.ndarray]]:
    """Linear models on composition, and on k-mers, or on one-hot positions where all records have one length."""
    alphabet = train.records.alphabet
    lengths = {length for records in (train.records, *queries) for length in records.lengths.tolist()}
    second = OneHot(alphabet) if len(lengths) == 1 else KMer(alphabet)
    answers = {}
    for backbone in (Composition(alphabet), second):

        def features(records: Records, encode: OneHot | KMer = backbone) -> np.ndarray:
            if isinstance(encode, OneHot):
                return _one_hot(records).reshape(len(records), -1)
            return np.concatenate([encode.encode(sequence) for sequence in records.sequences])

        keep = train.counted
        fit = _fit(features(train.records)[keep], train.targets[keep], train.families[keep], kind, seed)
        answers[f"{backbone.name} linear"] = [_apply(fit, features(records)) for records in queries]
    return answers


def _one_hot(records: Records) -> np.ndarray:
    """``(letters, core)`` of all records end to end."""
    table = np.eye(len(records.alphabet.letters), records.alphabet.core, dtype=np.float32)
    return table[np.concatenate([records.alphabet.encode(sequence) for sequence in records.sequences])]


def _windows(records: Records) -> np.ndarray:
    """``(letters, 2 * WINDOW + 1)`` codes around each letter; the code after the last letter means "beyond the end"."""
    beyond = len(records.alphabet.letters)
    rows = []
    for sequence in records.sequences:
        padded = np.pad(records.alphabet.encode(sequence), WINDOW, constant_values=beyond)
        rows.append(np.lib.stride_tricks.sliding_window_view(padded, 2 * WINDOW + 1))
    return np.concatenate(rows)


def _window(train: Labelled, kind: LabelKind, queries: Sequence[Records], seed: int) -> list[np.ndarray]:
    """A linear model on the letters within ``WINDOW`` residues, fitted on a random part of the residues."""
    alphabet = train.records.alphabet
    table = np.eye(len(alphabet.letters) + 1, alphabet.core, dtype=np.float32)
    chosen = np.flatnonzero(train.counted)
    if len(chosen) > MOST_RESIDUES:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, MOST_RESIDUES, replace=False))
    families = np.repeat(train.families, train.units)[chosen]
    features = table[_windows(train.records)[chosen]].reshape(len(chosen), -1)
    fit = _fit(features, train.targets[chosen], families, kind, seed)
    # One product per place in the window, by table look-up: the one-hot matrix of all residues never exists.
    weights = fit.weight.reshape(kind.width, 2 * WINDOW + 1, alphabet.core)
    lookup = np.einsum("lc,owc->wlo", table, weights)
    answers = []
    for records in queries:
        windows = _windows(records)
        total = np.tile(fit.bias.astype(np.float32), (len(windows), 1))
        for place in range(2 * WINDOW + 1):
            total += lookup[place][windows[:, place]]
        answers.append(total)
    return answers


def _copied(
    train: Labelled, kind: LabelKind, level: Level, queries: Records, near: Nearest, constant: np.ndarray
) -> np.ndarray:
    """The label of the nearest training record (of the residue aligned to), trusted as far as the two are identical."""
    units = level.count(queries.lengths)
    starts = np.concatenate([[0], np.cumsum(units)])
    answer = np.tile(constant.astype(np.float64), (int(starts[-1]), 1))
    offsets = train.offsets
    for row, (place, identity) in enumerate(zip(near.index.tolist(), near.identity.tolist(), strict=True)):
        if place < 0:
            continue
        if level.name == "residue":
            sequences = queries.sequences[row], train.records.sequences[place]
            pairs = aligned_positions(*sequences, queries.alphabet)
        else:
            pairs = np.zeros((1, 2), dtype=np.int64)
        pairs = pairs[train.counted[offsets[place] + pairs[:, 1]]]
        answer[starts[row] + pairs[:, 0]] = _certain(
            kind, train.targets[offsets[place] + pairs[:, 1]], identity, constant
        )
    return answer


def _certain(kind: LabelKind, targets: np.ndarray, identity: float, constant: np.ndarray) -> np.ndarray:
    """Outputs that say ``targets``; for classes mixed with the class shares by the identity of the two sequences."""
    if kind.name == "regression":
        return targets[:, None]
    trust = min(identity, 0.99)
    known = np.exp(constant)
    mixed = np.tile((1 - trust) * known / known.sum(), (len(targets), 1))
    mixed[np.arange(len(targets)), targets] += trust
    return np.log(mixed)
