"""The saved state of the loop: one safetensors file, written atomically, so that a kill leaves the last good one."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from biograft.errors import BiograftError
from biograft.files import atomic

__all__ = ["restore", "save"]


def save(
    path: Path,
    moving: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    standing: Any,
) -> None:
    """Write weights that move, the best ones so far, optimiser, random generators and the standing (a dataclass)."""
    tensors = {f"now/{name}": tensor.detach() for name, tensor in moving.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    for number, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{name}": torch.as_tensor(value) for name, value in values.items()}
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    content = {name: tensor.contiguous().cpu().clone() for name, tensor in tensors.items()}
    with atomic(path) as part:
        save_file(content, part, metadata={"standing": json.dumps(vars(standing))})


def restore(
    path: Path, model: torch.nn.Module, moving: Mapping[str, Tensor], best: dict[str, Tensor], standing: Any
) -> Callable[[torch.optim.Optimizer], None] | None:
    """Put a saved state back. Returns what completes it once the optimiser exists; None without a state.

    Raises BiograftError if the file is damaged or belongs to another architecture.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a mapping
            saved = json.loads(stream.metadata()["standing"])
    except (SafetensorError, KeyError, TypeError, ValueError) as fault:
        raise BiograftError(
            f"The saved state '{path}' is damaged ({fault}). Remove it to begin the run anew."
        ) from None
    if {name[4:] for name in tensors if name.startswith("now/")} != set(moving):
        raise BiograftError(f"The saved state '{path}' belongs to another model. Remove it, or choose another --out.")
    with torch.no_grad():
        for name, tensor in moving.items():
            tensor.copy_(tensors[f"now/{name}"])
    device = next(iter(moving.values())).device
    best.update({name[5:]: tensor.to(device) for name, tensor in tensors.items() if name.startswith("best/")})
    vars(standing).update(saved)

    def complete(optimiser: torch.optim.Optimizer) -> None:
        layout = optimiser.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser/"):
                _, number, field = name.split("/")
                state.setdefault(int(number), {})[field] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": layout["param_groups"]})
        torch.set_rng_state(tensors["random/cpu"])
        if "random/cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random/cuda"])

    return complete
