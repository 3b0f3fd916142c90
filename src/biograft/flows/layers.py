"""Which layer of a resting backbone suits a task: features of all layers, and a choice inside the training part."""

from dataclasses import dataclass

import numpy as np
import torch

from biograft.backbones.backbone import Backbone
from biograft.backbones.mix import LayerMix
from biograft.backbones.store import cache_folder, embed
from biograft.backbones.tower import Tower
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.flows.prepare import Prepared, learnable
from biograft.hardware import Hardware
from biograft.progress import Clock
from biograft.strategies.frozen import SOLVERS, Frozen, Solver
from biograft.strategies.strategy import FixedFeatures, Strategy
from biograft.tasks.levels import Sequence as SequenceLevel
from biograft.tasks.task import LabelKind, Level

__all__ = ["Layers", "at_layer"]

MOST_RECORDS = 5_000
MOST_RESIDUES = 20_000  # where each has a label


@dataclass(frozen=True, eq=False)
class Layers:
    """The training part, or a draw from it, as every layer of a backbone sees it.

    Attributes:
        records: places of the records among those of the table.
        rows: ``(tokens, heights * width)`` per record.
        heights: layers.
        targets: ``(units,)`` encoded.
        counted: ``(units,)`` bool.
        families: ``(units,)``.
        seed: of choices on them.
    """

    records: np.ndarray
    rows: list[np.ndarray]
    heights: int
    level: Level
    targets: np.ndarray
    counted: np.ndarray
    families: np.ndarray
    seed: int

    @classmethod
    def of(
        cls, backbone: Backbone, level: Level, prepared: Prepared, hardware: Hardware, clock: Clock, seed: int
    ) -> "Layers":
        """One pass over the training part; vectors of a backbone with weights are kept for other runs."""
        chosen = _drawn(prepared, level, seed)
        sequences = [prepared.records.sequences[record] for record in chosen]
        tower = Tower(backbone)
        with clock.stage("layers") as told:
            if any(True for _ in backbone.parameters()):
                pooled = isinstance(level, SequenceLevel) and level.pool == "mean"
                folder = cache_folder(tower, sequences, pooled, hardware)
                vectors = embed(tower, sequences, folder, pooled=pooled, hardware=hardware, wait=True, progress=told)
                rows = vectors.rows()
            else:
                rows = [tower.vectors(Packed.of([tower.encode(s)])).values.numpy() for s in sequences]
        units = prepared.units.take(chosen)
        targets, known = prepared.kind.encode(units.values)
        counted = learnable(prepared.kind, targets, known & units.counted)
        families = np.repeat(prepared.split.families[chosen], units.lengths)
        return cls(chosen, rows, backbone.heights, level, targets, counted, families, seed)

    @torch.inference_mode()
    def at(self, height: int) -> FixedFeatures:
        """Features of the units that count, from one layer: 1 to :attr:`heights`."""
        width = self.rows[0].shape[1] // self.heights
        rows = [np.asarray(row[:, (height - 1) * width : height * width], dtype=np.float32) for row in self.rows]
        values = self.level.readout(Packed.of(rows)).numpy()
        return FixedFeatures(values[self.counted], self.targets[self.counted], self.families[self.counted], self.seed)


def _drawn(prepared: Prepared, level: Level, seed: int) -> np.ndarray:
    """Records of the training part, all of them unless that is too many; ascending."""
    train = prepared.split.rows("train")
    order = np.random.default_rng(seed).permutation(train)
    sizes = prepared.records.lengths[order] if level.resolution == 1 else np.ones(len(order), dtype=np.int64)
    most = MOST_RESIDUES if level.resolution == 1 else MOST_RECORDS
    return np.sort(order[: max(1, int(np.searchsorted(np.cumsum(sizes), most, side="right")))])


def at_layer(
    backbone: Backbone, strategy: Strategy, level: Level, prepared: Prepared, hardware: Hardware, clock: Clock,
    seed: int,
) -> tuple[Backbone, LayerMix | None, list[str]]:  # fmt: skip
    """The backbone up to the layer that the strategy asks for, a mix of its layers if it asks for that, and sentences.

    Raises:
        BiograftError: there is no such layer.
    """
    if not isinstance(strategy, Frozen) or strategy.layer == "last":
        return backbone, None, []
    if strategy.layer.isdecimal():
        return backbone.lower(int(strategy.layer)), None, [f"Layer {strategy.layer} of {backbone.heights} is read."]
    if backbone.heights == 1:
        done = "mixed" if strategy.layer == "mix" else "chosen"
        return backbone, None, [f"Backbone '{backbone.name}' gives vectors of one layer alone: none was {done}."]
    if strategy.layer == "mix":
        return backbone, LayerMix(backbone.heights, backbone.width), []
    layers = Layers.of(backbone, level, prepared, hardware, clock, seed)
    losses, what = _losses(layers, strategy, level, prepared.kind, backbone)
    if not losses:
        return backbone, None, ["The last layer is read: too few rows for inner folds to choose another."]
    best = min(losses, key=losses.__getitem__)
    shown = ", ".join(f"{height}: {loss:.3g}" for height, loss in losses.items())
    note = f"Layer {best} of {backbone.heights} is read, of least loss of {what} on inner folds of the training part"
    return backbone.lower(best), None, [f"{note} ({shown})."]


def _losses(
    layers: Layers, strategy: Frozen, level: Level, kind: LabelKind, backbone: Backbone
) -> tuple[dict[int, float], str]:
    """Least loss on the inner folds by layer, and of which head; empty where there are too few rows."""
    name, solve = _solver(strategy, level, kind)
    standardise = None if backbone.standardise else False
    losses: dict[int, float] = {}
    for height in range(1, layers.heights + 1):
        scores = solve(layers.at(height), kind.width, standardise).scores
        if scores:
            losses[height] = min(scores.values())
    return losses, name


def _solver(strategy: Frozen, level: Level, kind: LabelKind) -> tuple[str, Solver]:
    """The strategy's own head where it is solved, else one that is solved quickly."""
    own = strategy.solver(level, kind)
    if own is not None:
        return f"head '{strategy.kind_of_head(level)}'", own
    per_residue = level.resolution == 1
    name = "lda" if per_residue and kind.name in SOLVERS["lda"] else "linear"
    if kind.name not in SOLVERS[name]:
        raise BiograftError(
            f"A layer is chosen by a solved head: got a task of {kind.name}, which has none. Choose layer=last."
        )
    return f"a quick head '{name}'", SOLVERS[name][kind.name]
