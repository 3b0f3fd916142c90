"""A backbone that answers a task: ``outputs = head(backbone(letters))``, one row of outputs per unit."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.backbones.convolution import PackedConvolution
from biograft.backbones.mix import LayerMix
from biograft.data.batches import in_order
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.hardware import Hardware
from biograft.progress import Progress
from biograft.tasks.task import LabelKind, Level

__all__ = ["ConvolutionalHead", "LinearHead", "Model", "SharedBackbone", "rest"]

B = TypeVar("B", bound=Backbone)


class LinearHead(nn.Module):
    """Readout of the level, then one linear layer.

    Attributes:
        level: gives the units and their features.
    """

    name: ClassVar[str] = "linear"

    def __init__(self, level: Level, width: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.level = level
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(level.features(width), outputs)

    def forward(self, vectors: Packed) -> Tensor:
        """Packed vectors ``(tokens, width)`` -> ``(units, outputs)``, always in single precision.

        In bf16 a solved head would tie answers that differ in the third digit, and cost no less.
        """
        features = self.level.readout(vectors).float()
        with torch.autocast(features.device.type, enabled=False):
            return self.linear(self.dropout(features))

    def set_linear(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Take over a solution found outside the loop: ``(outputs, features)`` and ``(outputs,)``."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.as_tensor(weight))
            self.linear.bias.copy_(torch.as_tensor(bias))

    def configuration(self) -> dict[str, Any]:
        """What rebuilds it, beside level, width and outputs."""
        return {"dropout": self.dropout.p}


class ConvolutionalHead(nn.Module):
    """Two convolutions over neighbouring positions, the readout of the level, one linear layer.

    Attributes:
        reads_positions: a head with this mark needs the vector of every position, where others may get their mean.
    """

    name: ClassVar[str] = "convolutional"
    reads_positions: ClassVar[bool] = True

    def __init__(
        self, level: Level, width: int, outputs: int, channels: int = 64, kernel: int = 7, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.channels, self.kernel = channels, kernel
        self.normalise = nn.LayerNorm(width)
        self.first = PackedConvolution(width, channels, kernel)
        self.second = PackedConvolution(channels, channels, kernel)
        self.readout = LinearHead(level, channels, outputs, dropout)

    def forward(self, vectors: Packed) -> Tensor:
        """Packed vectors ``(tokens, width)`` -> ``(units, outputs)``."""
        hidden = self.first(vectors.with_values(self.normalise(vectors.values.float())))
        hidden = self.second(hidden.with_values(nn.functional.gelu(hidden.values)))
        return self.readout(hidden.with_values(nn.functional.gelu(hidden.values)))

    def configuration(self) -> dict[str, Any]:
        """What rebuilds it, beside level, width and outputs."""
        return {"channels": self.channels, "kernel": self.kernel, "dropout": self.readout.dropout.p}


class Model(nn.Module):
    """f_θ and g_w of the design's equation: ``head(backbone.vectors(batch))``, or the head on a mix of all layers.

    Attributes:
        backbone: letters in, vectors out.
        head: vectors in, ``(units, kind.width)`` out.
        level: where labels sit.
        kind: what they are, with the constants of the training part.
        mix: of the backbone's layers, which the head then reads instead of the last one; None for the last.
    """

    def __init__(
        self, backbone: Backbone, head: nn.Module, level: Level, kind: LabelKind, mix: LayerMix | None = None
    ) -> None:
        super().__init__()
        needed = level.resolution
        if needed is not None and backbone.resolution != needed:
            gives = (
                f"one vector per {backbone.resolution} letters" if backbone.resolution else "one vector per sequence"
            )
            raise BiograftError(
                f"A {level.name} task needs one vector per letter: got backbone '{backbone.name}', with {gives}. "
                "Choose a backbone with resolution 1, such as onehot or cnn."
            )
        self.backbone, self.head, self.level, self.kind, self.mix = backbone, head, level, kind, mix

    def forward(self, batch: Packed) -> Tensor:
        """Packed codes -> ``(units, kind.width)`` outputs, row after row."""
        if self.mix is None:
            return self.head(self.backbone.vectors(batch))
        return self.head(self.mix(self.backbone.all_layers(batch)))

    def train(self, mode: bool = True) -> Self:
        """As usual, but what doesn't learn stays in eval mode: no dropout, fixed batch-norm statistics."""
        super().train(mode)
        if mode:
            rest(self)
        return self

    @torch.inference_mode()
    def outputs(
        self,
        rows: Sequence[np.ndarray],
        hardware: Hardware | None = None,
        budget: int | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Answers for encoded rows in input order: ``(units, kind.width)`` float32.

        Equal rows are computed once. ``budget`` bounds the letters in memory at once; None takes what suits the
        hardware.
        """
        hardware = hardware or Hardware()
        self.eval().to(hardware.device)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        units = self.level.count(lengths)
        offsets = np.concatenate([[0], np.cumsum(units)])
        result = np.empty((int(offsets[-1]), self.kind.width), dtype=np.float32)
        distinct, copies = _distinct(rows)
        done = 0
        for batch in in_order(lengths[distinct], budget or hardware.budget):
            chosen = distinct[batch]
            with hardware.products():
                answer = self(Packed.of([np.asarray(rows[row]) for row in chosen]).to(hardware.device))
            parts = np.split(answer.float().cpu().numpy(), np.cumsum(units[chosen])[:-1])
            for row, part in zip(chosen, parts, strict=True):
                for copy in copies[int(row)]:
                    result[offsets[copy] : offsets[copy + 1]] = part
            done += len(batch)
            if progress:
                progress(done, len(distinct))
        return result


class SharedBackbone(nn.Module, Generic[B]):
    """One backbone and the models that answer different tasks with it; the backbone of each is this very one.

    Attributes:
        backbone: learns from all of them.
    """

    def __init__(self, backbone: B, models: Mapping[str, Model]) -> None:
        super().__init__()
        self.backbone = backbone
        self._models = nn.ModuleDict(models)

    @property
    def models(self) -> dict[str, Model]:
        """By name."""
        return {name: model for name, model in self._models.items() if isinstance(model, Model)}

    def train(self, mode: bool = True) -> Self:
        """As usual, but what doesn't learn stays in eval mode."""
        super().train(mode)
        if mode:
            rest(self)
        return self


def rest(module: nn.Module) -> None:
    """Put every subtree that has parameters, none of which learns, into eval mode."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    for child in module.children():
        rest(child)


def _distinct(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, dict[int, list[int]]]:
    """First places of distinct rows, and for each all places that hold the same."""
    first: dict[bytes, int] = {}
    copies: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        array = np.ascontiguousarray(row)
        copies.setdefault(first.setdefault(array.tobytes(), place), []).append(place)
    return np.array(list(copies), dtype=np.int64), copies
