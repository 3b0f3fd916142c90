"""The saved state of the loop: one safetensors file, written atomically, so that a kill leaves the last good one.

A state is named sections of named tensors (weights, optimiser, random generators) and a standing that JSON can hold.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from biograft.errors import BiograftError
from biograft.files import atomic

__all__ = ["State", "random_state", "save_tensors", "set_random_state"]


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file. Raises OSError where the disk doesn't take it, as with any other file."""
    try:
        save_file(dict(tensors), path, metadata=dict(metadata or {}) or None)
    except SafetensorError as fault:
        raise OSError(str(fault)) from None


@dataclass(frozen=True, eq=False)
class State:
    """What a loop needs to go on as if it had never stopped.

    Attributes:
        sections: tensors by name, by section; a section's name holds no slash, an empty section is not kept.
        standing: numbers and texts beside the tensors.
    """

    sections: Mapping[str, Mapping[str, Tensor]]
    standing: dict[str, Any]

    def section(self, name: str) -> Mapping[str, Tensor]:
        """The tensors of a section; none where it was empty."""
        return self.sections.get(name, {})

    def save(self, path: Path) -> None:
        """Write the file; on any failure the one before stays.

        Raises BiograftError where the disk doesn't take it.
        """
        tensors = {
            f"{section}/{name}": _own(tensor)
            for section, part in self.sections.items()
            for name, tensor in part.items()
        }
        try:
            with atomic(path) as part:
                save_tensors(tensors, part, {"standing": json.dumps(self.standing)})
        except OSError as fault:
            raise BiograftError(
                f"The state could not be saved in '{path.parent}' ({fault}). Make room on the disk; the same command "
                "continues from the last state that was saved."
            ) from None

    @classmethod
    def load(cls, path: Path) -> "State | None":
        """Read the file; None where there is none. Raises BiograftError if it is damaged."""
        if not path.exists():
            return None
        sections: dict[str, dict[str, Tensor]] = {}
        try:
            with safe_open(path, "pt") as stream:
                for name in stream.keys():  # noqa: SIM118 - not a mapping
                    section, _, rest = name.partition("/")
                    sections.setdefault(section, {})[rest] = stream.get_tensor(name)
                standing = dict(json.loads(stream.metadata()["standing"]))
        except (SafetensorError, KeyError, TypeError, ValueError) as fault:
            raise BiograftError(
                f"The saved state '{path}' is damaged ({fault}). Remove it to begin the run anew."
            ) from None
        return cls(sections, standing)


def _own(tensor: Tensor) -> Tensor:
    """The tensor on the processor, in memory of its own as the file format wants it; copied only where it must be."""
    there = tensor.detach().contiguous().cpu()
    shares = there.untyped_storage().nbytes() != there.nbytes
    return there.clone() if shares else there


def random_state(device: str) -> dict[str, Tensor]:
    """Where torch's generators stand (dropout draws from them)."""
    state = {"cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor], device: str) -> None:
    """Put torch's generators back where they stood."""
    torch.set_rng_state(state["cpu"])
    if device.startswith("cuda") and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
