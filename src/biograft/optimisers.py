"""The optimisers of one phase: every group of parameters names its own, all of them step as one.

One more optimiser is one function and one line in ``OPTIMISERS``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from biograft.strategies.strategy import Group

__all__ = ["OPTIMISERS", "Optimisers"]

MOMENTUM = 0.9  # of sgd


def _muon(groups: list[dict[str, Any]]) -> Optimizer:
    """Muon (arXiv:2502.16982), its steps as large as AdamW's, so that one rate suits both."""
    for group in groups:
        for parameter in group["params"]:
            if parameter.ndim != 2:
                raise ValueError(f"Muon moves matrices only: got a parameter of shape {tuple(parameter.shape)}.")
    return torch.optim.Muon(groups, adjust_lr_fn="match_rms_adamw")


def _sgd(groups: list[dict[str, Any]]) -> Optimizer:
    return torch.optim.SGD(groups, momentum=MOMENTUM)


OPTIMISERS: dict[str, Callable[[list[dict[str, Any]]], Optimizer]] = {
    "adamw": torch.optim.AdamW,  # arXiv:1711.05101
    "muon": _muon,
    "sgd": _sgd,
}


class Optimisers:
    """What moves the groups of a phase.

    Attributes:
        parameters: of all groups.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.parameters = [parameter for group in groups for parameter in group.parameters]
        options: dict[str, list[dict[str, Any]]] = {}
        for group in groups:
            if group.optimiser not in OPTIMISERS:
                raise ValueError(
                    f"Unknown optimiser: got '{group.optimiser}', expected one of {', '.join(OPTIMISERS)}."
                )
            if not group.parameters:
                continue
            decay = 0.0 if group.anchor is not None else group.weight_decay
            options.setdefault(group.optimiser, []).append(
                {"params": list(group.parameters), "lr": group.learning_rate, "weight_decay": decay}
            )
        self._members = {name: OPTIMISERS[name](chosen) for name, chosen in options.items()}
        self._rates = {name: [float(group["lr"]) for group in chosen] for name, chosen in options.items()}
        self._pulls = [
            (parameter, anchor.to(parameter.device), group.learning_rate * group.weight_decay)
            for group in groups
            if group.anchor is not None
            for parameter, anchor in zip(group.parameters, group.anchor, strict=True)
        ]

    def clear(self) -> None:
        """Forget the gradients."""
        for optimiser in self._members.values():
            optimiser.zero_grad(set_to_none=True)

    def step(self, factor: float) -> None:
        """Move all parameters, each at its group's rate times ``factor``."""
        with torch.no_grad():
            for parameter, anchor, strength in self._pulls:
                if parameter.grad is not None:
                    parameter.lerp_(anchor, strength * factor)
        for name, optimiser in self._members.items():
            for rate, group in zip(self._rates[name], optimiser.param_groups, strict=True):
                group["lr"] = rate * factor
            optimiser.step()

    def take_over(self, before: "Optimisers") -> None:
        """Moments and counts of the parameters that the same kind of optimiser moved before."""
        for name in self._members.keys() & before._members.keys():
            kept = before._members[name].state
            own = {p for group in self._members[name].param_groups for p in group["params"]}
            self._members[name].state.update({p: values for p, values in kept.items() if p in own})

    def state(self) -> dict[str, Tensor]:
        """Moments and counts, by ``optimiser/parameter/field``."""
        return {
            f"{name}/{number}/{field}": torch.as_tensor(value)
            for name, optimiser in self._members.items()
            for number, values in optimiser.state_dict()["state"].items()
            for field, value in values.items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state` gave."""
        parts: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in self._members}
        for key, tensor in state.items():
            name, number, field = key.split("/")
            parts[name].setdefault(int(number), {})[field] = tensor
        for name, optimiser in self._members.items():
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": parts[name], "param_groups": groups})
