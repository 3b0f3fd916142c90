"""A backbone out of a folder, whichever of the layouts that we read lies in it, and one of ours into a folder."""

from pathlib import Path

from biograft.backbones import checkpoint, esm2, native
from biograft.backbones.backbone import Backbone
from biograft.backbones.encoder import Encoder

__all__ = ["open_folder", "save_folder"]


def open_folder(folder: Path, alphabet: str, origin: str = "") -> Backbone:
    """Our own layout, ESM-2's, or another one of Hugging Face's; ``origin`` is name and revision of what was fetched.

    Raises BiograftError for weights that are damaged or don't fit, and for what isn't read here.
    """
    if native.reads(folder):
        return native.load(folder)
    return esm2.load(folder) if esm2.reads(folder) else checkpoint.load(folder, alphabet, origin)


def save_folder(backbone: Backbone, folder: Path) -> None:
    """In the layout that ``transformers`` reads too, where it knows the architecture; else in our own."""
    if isinstance(backbone, Encoder):
        esm2.save(backbone, folder)
    else:
        native.save(backbone, folder)
