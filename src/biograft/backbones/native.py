"""Folders of backbones that are our own: ``config.json`` with the catalog's name, and ``model.safetensors``."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from biograft import catalog
from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.files import atomic_folder, read_json, write_json
from biograft.state import save_tensors

__all__ = ["load", "reads", "save"]

KIND = "biograft"
MEND = "Take config.json and weights of one and the same backbone."


def reads(folder: Path | str) -> bool:
    """Whether a folder's ``config.json`` describes a backbone of ours."""
    config = read_json(Path(folder) / "config.json")
    return isinstance(config, dict) and config.get("model_type") == KIND


def save(backbone: Backbone, folder: Path | str) -> None:
    """Write the folder; an existing one is replaced once the new one is whole."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in backbone.state_dict().items()}
    with atomic_folder(folder) as part:
        save_tensors(tensors, part / "model.safetensors", {"format": "pt"})
        about = {"model_type": KIND, "backbone": backbone.name, "configuration": backbone.configuration()}
        write_json(part / "config.json", about)


def load(folder: Path | str) -> Backbone:
    """The backbone with float32 weights, in eval mode.

    Raises:
        BiograftError: a file is missing or damaged, or configuration and weights don't fit each other.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    try:
        kind: Any = catalog.resolve("backbones", config["backbone"])
        backbone: Backbone = kind.from_configuration(config["configuration"])
    except (KeyError, TypeError) as fault:
        raise BiograftError(f"'{folder / 'config.json'}' lacks what a backbone needs ({fault!r}). {MEND}") from None
    path = folder / "model.safetensors"
    if not path.is_file():
        raise BiograftError(f"'{folder}' holds no weights: expected model.safetensors. {MEND}")
    try:
        weights = {name: value.float() for name, value in load_file(path).items()}
    except (SafetensorError, OSError) as fault:
        raise BiograftError(f"'{path}' is damaged or cut off ({fault}). Copy it again.") from None
    broken = next((name for name, value in weights.items() if not torch.isfinite(value).all()), None)
    if broken:
        raise BiograftError(f"'{broken}' in '{path}' holds values that are not finite. Copy it again.")
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as fault:
        reason = str(fault).strip().split("\n")[-1].strip()
        raise BiograftError(f"The weights in '{folder}' don't fit its config.json ({reason}). {MEND}") from None
    backbone.pretrained = True
    return backbone.eval()
