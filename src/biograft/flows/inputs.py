"""What a model reads of a table: codes, or vectors from the store where its backbone rests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from biograft.backbones.store import Stored, cache_folder, embed
from biograft.backbones.tower import Tower
from biograft.data.batches import in_order
from biograft.data.examples import Examples
from biograft.data.packed import Packed
from biograft.flows.prepare import Prepared, learnable
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.progress import Clock
from biograft.strategies.strategy import FixedFeatures, Strategy
from biograft.tasks.levels import Sequence as SequenceLevel

__all__ = ["Inputs", "fixed_features", "normalise_layers"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """One row per record.

    Attributes:
        rows: ``(tokens, ...)`` each: codes, or vectors of a backbone that rests.
        stored: whether they are vectors.
    """

    rows: list[np.ndarray]
    stored: bool

    @classmethod
    def of(cls, model: Model, strategy: Strategy, prepared: Prepared, hardware: Hardware, clock: Clock) -> "Inputs":
        """Encode all records, or find their vectors; these are computed once for all runs."""
        sequences, backbone = prepared.records.sequences, Tower(model.backbone) if model.mix else model.backbone
        if not (strategy.cacheable and any(True for _ in backbone.parameters())):
            return cls([backbone.encode(sequence) for sequence in sequences], False)
        means = isinstance(model.level, SequenceLevel) and model.level.pool == "mean"
        pooled = means and not getattr(model.head, "reads_positions", False)
        with clock.stage("embed") as told:
            folder = cache_folder(backbone, sequences, pooled, hardware)
            vectors = embed(
                backbone, sequences, folder, pooled=pooled, hardware=hardware, wait=True, progress=told
            )  # another run may be filling the same cache
        return cls(vectors.rows(), True)

    @contextmanager
    def read_by(self, model: Model) -> Iterator[None]:
        """While the model reads these rows. Its backbone is whole again afterwards."""
        whole = model.backbone
        if self.stored:
            whole.requires_grad_(False)
            model.backbone = Stored(whole)
        try:
            yield
        finally:
            if self.stored:
                model.backbone = whole

    def of_part(self, prepared: Prepared, *names: str) -> list[np.ndarray]:
        """Rows of the records of a part, or of several together."""
        return [self.rows[record] for record in prepared.split.rows(*names)]

    def examples(self, prepared: Prepared, *names: str) -> Examples:
        """Rows of a part, or of several together, with their targets."""
        chosen = prepared.split.rows(*names)
        units = prepared.units.take(chosen)
        targets, known = prepared.kind.encode(units.values)
        families = prepared.split.families[chosen]
        return Examples(self.of_part(prepared, *names), targets, known & units.counted, units.lengths, families)


@torch.inference_mode()
def fixed_features(model: Model, train: Examples, seed: int, hardware: Hardware) -> FixedFeatures:
    """Features of the units that count, without dropout; a class that the model can't name teaches nothing.

    For a model that mixes layers they are ``(units, layers, features)``, each layer normalised.
    """
    features = model.level.features(model.backbone.width)
    shape = (len(train.targets), features) if model.mix is None else (len(train.targets), model.mix.heights, features)
    values = np.empty(shape, dtype=np.float32)
    starts = np.concatenate([[0], np.cumsum(train.units)])
    for batch, vectors in _vectors(model, train, hardware):
        places = np.concatenate([np.arange(starts[row], starts[row + 1]) for row in batch])
        if model.mix is None:
            values[places] = model.level.readout(vectors).float().cpu().numpy()
            continue
        for height, layer in enumerate(model.mix.normalised(vectors).unbind(1)):
            values[places, height] = model.level.readout(vectors.with_values(layer)).cpu().numpy()
    keep = learnable(model.kind, train.targets, train.counted)
    families = np.repeat(train.families, train.units)
    return FixedFeatures(values[keep], train.targets[keep], families[keep], seed)


@torch.inference_mode()
def normalise_layers(model: Model, train: Examples, hardware: Hardware) -> None:
    """Give a mix of layers its constants: the mean of each, and the root mean square of what differs from it."""
    mix = model.mix
    if mix is None:
        return
    count, total, squares = 0, torch.zeros(mix.heights, mix.width).double(), torch.zeros(mix.heights).double()
    for _, vectors in _vectors(model, train, hardware):
        values = vectors.values.double().cpu().unflatten(1, (mix.heights, mix.width))
        count += len(values)
        total += values.sum(0)
        squares += values.square().sum((0, 2))
    mean = total / count
    size = (squares / count - mean.square().sum(1)).clamp(min=0).div(mix.width).sqrt()
    mix.set_scales(mean.numpy(), torch.where(size > 0, size, 1.0).numpy())


def _vectors(model: Model, train: Examples, hardware: Hardware) -> Iterator[tuple[np.ndarray, Packed]]:
    """Places of rows, and their vectors; of all layers side by side where the model mixes them."""
    for part in (model.backbone, model.mix):
        if part is not None:
            part.eval().to(hardware.device)
    read = model.backbone.vectors if model.mix is None else model.backbone.all_layers
    for batch in in_order(train.lengths, 16_384):
        rows = train.batch(batch).inputs.to(hardware.device)
        with hardware.products():
            yield batch, read(rows)
