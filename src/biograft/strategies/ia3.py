"""Learned rescaling of keys, values and feed-forward activations (``ia3``, arXiv:2205.05638).

One number per unit of these layers, 1 at first. A rescaled layer is a linear layer whose weight and bias keep their
names; merged, it is a plain one again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.backbones.backbone import Backbone
from biograft.judgement import Judge
from biograft.model import LinearHead, Model
from biograft.strategies.full import trainable, untrained
from biograft.strategies.lora import exchange
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Refusal, Strategy, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["IA3", "Rescaled", "merge", "rescale"]

# Layers by the names that encoders give them: ours, and those that transformers runs.
_KEYS_VALUES = {"key", "value", "k_proj", "v_proj", "k_lin", "v_lin", "k", "v"}
_FUSED = {"project", "Wqkv"}  # queries, keys and values side by side
_FEED_FORWARD = {"contract", "down_proj", "lin2", "ffn_output", "wo"}  # the second layer: it reads the activations


class Rescaled(nn.Linear):
    """A linear layer with a learned factor on each output or each input.

    Attributes:
        scale: ``(outputs - first,)`` or ``(inputs,)``, ones at first.
        inputs: whether it is on the inputs.
        first: outputs before this one have no factor (the queries of a fused layer).
    """

    def __init__(self, layer: nn.Linear, inputs: bool, first: int = 0) -> None:
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        self.weight, self.bias, self.inputs, self.first = layer.weight, layer.bias, inputs, first
        self.scale = nn.Parameter(layer.weight.new_ones(layer.in_features if inputs else layer.out_features - first))

    def _factors(self) -> Tensor:
        return torch.cat([self.scale.new_ones(self.first), self.scale]) if self.first else self.scale

    def forward(self, values: Tensor) -> Tensor:
        """``(..., inputs)`` -> ``(..., outputs)``."""
        if self.inputs:
            return F.linear(values * self.scale, self.weight, self.bias)
        found = F.linear(values, self.weight, self.bias)
        return (found * self._factors()).to(found.dtype)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain layer that gives the same; it takes the weights over."""
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        layer.weight, layer.bias = self.weight, self.bias
        layer.weight.mul_(self.scale if self.inputs else self._factors()[:, None])
        if not self.inputs and layer.bias is not None:
            layer.bias.mul_(self._factors())
        return layer.train(self.training)


def _rescaled(path: str, layer: nn.Linear) -> Rescaled | None:
    """For a layer of keys, values or both, or the second one of a feed-forward net; None for any other."""
    *above, name = path.split(".")
    if name in _KEYS_VALUES:
        return Rescaled(layer, inputs=False)
    if name in _FUSED and layer.out_features == 3 * layer.in_features:
        return Rescaled(layer, inputs=False, first=layer.in_features)
    dense = name == "dense" and above[-1:] == ["output"] and above[-2:-1] != ["attention"]
    return Rescaled(layer, inputs=True) if name in _FEED_FORWARD or dense or path.endswith("mlp.Wo") else None


def rescale(backbone: Backbone) -> list[Rescaled]:
    """Give the layers of all blocks their factors, in place; empty where there are no such layers."""
    within = {module for block in backbone.blocks() for module in block.modules()}

    def made(path: str, module: nn.Module) -> Rescaled | None:
        return _rescaled(path, module) if type(module) is nn.Linear and module in within else None

    return [module for module in exchange(backbone, made) if isinstance(module, Rescaled)]


def merge(backbone: Backbone) -> None:
    """Turn rescaled layers into plain ones, in place."""
    exchange(backbone, lambda path, module: module.merged() if isinstance(module, Rescaled) else None)


@dataclass(frozen=True)
class IA3(Strategy):
    """Factors on keys, values and feed-forward activations learn, with a fresh head; all else rests.

    Attributes:
        learning_rate: of the factors; much larger than in full fine-tuning, for they are near 1.
        head_learning_rate: of the head.
        weight_decay: of the head, decoupled (AdamW, arXiv:1711.05101); a factor would decay to zero, so these don't.
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "ia3"
    learning_rate: float = 3e-3
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Put the factors in. Raises BiograftError where a backbone has no keys and values, or no feed-forward net."""
        backbone = model.backbone
        trainable(model, self.name)
        size = sum(parameter.numel() for parameter in backbone.parameters())
        made = rescale(backbone)
        sides = {layer.inputs for layer in made}
        if len(sides) < 2:
            lacks = {0: "neither", 1: "no feed-forward net" if False in sides else "no keys and values"}[len(sides)]
            merge(backbone)
            raise Refusal(
                "Strategy ia3 rescales keys, values and feed-forward activations of a transformer: got backbone "
                f"'{backbone.name}', where {lacks} was found. Choose --strategy bitfit or lora."
            )
        learning = sum(layer.scale.numel() for layer in made)
        told = f"{learning:,} factors on {len(made)} layers learn beside {size:,} weights that rest."
        return [told, *untrained(backbone, "rescaling")]

    def phases(self, learner: Model) -> list[Phase]:
        """One phase: factors and head."""
        factors = tuple(module.scale for module in learner.backbone.modules() if isinstance(module, Rescaled))
        head = Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay)
        return [Phase((Group(factors, self.learning_rate, 0.0), head))]

    def finish(self, model: Model, judge: Judge | None = None, began: Mapping[str, Tensor] | None = None) -> list[str]:
        """Multiply the factors into the weights."""
        merge(model.backbone)
        return []
