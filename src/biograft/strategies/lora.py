"""Low-rank adapters: ``y = x (W + scale · up · down)ᵀ + bias``, where only ``up`` and ``down`` learn (``lora``).

An adapted layer is a linear layer whose weight and bias keep their names; merged, it is a plain one again.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.judgement import Judge
from biograft.model import LinearHead, Model
from biograft.strategies.full import trainable, untrained
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Refusal, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["Adapted", "LoRA", "adapt", "exchange", "merge"]

LARGE = 100_000_000  # weights; below, full fine-tuning fits into any memory


class Adapted(nn.Linear):
    """A linear layer with a learned correction of low rank; at first the correction is zero.

    Attributes:
        down: ``(rank, inputs)``, random at first.
        up: ``(outputs, rank)``, zeros at first.
        scale: of the correction.
    """

    def __init__(self, layer: nn.Linear, rank: int, scale: float) -> None:
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        self.weight, self.bias, self.scale = layer.weight, layer.bias, scale
        self.down = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        self.up = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        """``(..., inputs)`` -> ``(..., outputs)``."""
        correction = F.linear(F.linear(values, self.down), self.up)
        return F.linear(values, self.weight, self.bias) + self.scale * correction

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain layer that gives the same; it takes the weights over."""
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        layer.weight, layer.bias = self.weight, self.bias
        layer.weight.add_(self.up @ self.down, alpha=self.scale)
        return layer.train(self.training)


def exchange(backbone: Backbone, make: Callable[[str, nn.Module], nn.Module | None]) -> list[nn.Module]:
    """Put what ``make(path, module)`` gives in the place of modules; one that stands in several places is made once."""
    made: dict[nn.Module, nn.Module] = {}
    for path, parent in list(backbone.named_modules()):
        for name, child in list(parent.named_children()):
            if child not in made:
                other = make(f"{path}.{name}" if path else name, child)
                if other is None:
                    continue
                made[child] = other
            setattr(parent, name, made[child])
    return list(made.values())


def adapt(backbone: Backbone, rank: int, scale: float) -> list[Adapted]:
    """Adapt the linear layers of all blocks, in place: in a transformer those of attention and feed-forward net."""
    within = {module for block in backbone.blocks() for module in block.modules()}

    def adapted(path: str, module: nn.Module) -> Adapted | None:
        return Adapted(module, rank, scale) if type(module) is nn.Linear and module in within else None

    return [module for module in exchange(backbone, adapted) if isinstance(module, Adapted)]


def merge(backbone: Backbone) -> None:
    """Turn adapted layers into plain ones, in place."""
    exchange(backbone, lambda path, module: module.merged() if isinstance(module, Adapted) else None)


@dataclass(frozen=True)
class LoRA(Strategy):
    """Low-rank adapters in the backbone and a fresh head, which has none, learn; all else rests (arXiv:2106.09685).

    Attributes:
        rank: of the corrections.
        alpha: scale of the corrections times ``rank``.
        learning_rate: of the adapters; larger than in full fine-tuning.
        head_learning_rate: of the head.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "lora"
    rank: int = 8
    alpha: float = 16.0
    learning_rate: float = 1e-3
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise BiograftError(f"Choice 'rank' is a whole number: got {self.rank}, expected 1 or more. Mend it.")

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Put the adapters in; advises against them where the backbone is small."""
        backbone = model.backbone
        trainable(model, self.name)
        size = sum(parameter.numel() for parameter in backbone.parameters())
        made = adapt(backbone, self.rank, self.alpha / self.rank)
        if not made:
            raise Refusal(
                f"LoRA adapts the linear layers of a backbone's blocks: got backbone '{backbone.name}', without any. "
                "Choose --strategy full or bitfit."
            )
        learning = sum(layer.down.numel() + layer.up.numel() for layer in made)
        notes = [f"{learning:,} weights in {len(made)} adapters of rank {self.rank} learn beside {size:,} that rest."]
        if size < LARGE:
            notes.append(
                f"LoRA spares the memory of large backbones: '{backbone.name}' has {size / 1e6:.1f} million weights, "
                "and below 100 million there is little to spare. Compare with --strategy full."
            )
        return [*notes, *untrained(backbone, "adapting")]

    def phases(self, learner: Model) -> list[Phase]:
        """One phase: adapters and head."""
        made = [module for module in learner.backbone.modules() if isinstance(module, Adapted)]
        adapters = tuple(parameter for layer in made for parameter in (layer.down, layer.up))
        backbone = Group(adapters, self.learning_rate, self.weight_decay)
        return [Phase((backbone, Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay)))]

    def finish(self, model: Model, judge: Judge | None = None, began: Mapping[str, Tensor] | None = None) -> list[str]:
        """Add the corrections to the weights."""
        merge(model.backbone)
        return []
