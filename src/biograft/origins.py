"""Where backbones come from: the catalog, the package, a trained model, a checkpoint in a folder or a repository."""

from pathlib import Path

from biograft import catalog
from biograft.backbones import huggingface
from biograft.backbones.backbone import Backbone
from biograft.backbones.folder import open_folder
from biograft.bundle import load, training_in
from biograft.data.alphabet import named
from biograft.data.records import Records
from biograft.data.sketch import Sketch
from biograft.errors import BiograftError
from biograft.shipped import shelf

__all__ = ["check_backbone", "load_backbone", "training_of"]


def training_of(name: str, alphabet: str) -> Records | Sketch | None:
    """What a trained model, named as a backbone is, learned its own task from; None for other backbones."""
    if name in _names():
        return None
    found = next((folder for folder in (Path(name), Path(name) / "model") if (folder / "model.json").is_file()), None)
    return training_in(found, alphabet) if found else None


def _names() -> list[str]:
    """All names of backbones that stand for something without a path."""
    shipped = [found.name for found in shelf.backbones()]
    return [*catalog.names("backbones"), *shipped, *(known.name for known in catalog.CHECKPOINTS)]


def check_backbone(name: str) -> None:
    """Raise BiograftError for what :func:`load_backbone` could not even look for."""
    known = _names()
    if name not in known and not Path(name).exists() and not huggingface.is_name(name):
        raise catalog.unknown("backbone", name, known, "See: biograft list backbones.")


def load_backbone(name: str, alphabet: str) -> Backbone:
    """A backbone by its name in the catalog or in the package, from a trained model's folder, or from a checkpoint in
    the Hugging Face layout: its folder, its short name, or OWNER/NAME or OWNER/NAME@REVISION.

    Raises BiograftError for an unknown name, or a backbone of another alphabet.
    """
    if name in catalog.names("backbones"):
        return catalog.resolve("backbones", name)(named(alphabet))
    backbone = _with_weights(name, alphabet)
    if backbone.alphabet.name != alphabet:
        raise BiograftError(
            f"Backbone '{name}' reads {backbone.alphabet.name}: the table holds {alphabet}. Choose another --backbone."
        )
    return backbone


def _with_weights(name: str, alphabet: str) -> Backbone:
    check_backbone(name)
    if (shipped := shelf.find(name, shelf.backbones())) is not None:
        backbone = open_folder(shipped.folder, alphabet)
        if shipped.card.get("fingerprint", (there := backbone.fingerprint())) != there:
            raise BiograftError(
                f"The weights of '{name}' in '{shipped.folder}' are not those of its card: got {there}, expected "
                f"{shipped.card['fingerprint']}. Install biograft again."
            )
        return backbone
    published = {known.name: known.repository for known in catalog.CHECKPOINTS}
    name = published.get(name, name)
    folder, origin = Path(name), ""
    if not folder.exists() and huggingface.is_name(name):
        folder, origin = huggingface.fetch(name)
    if (folder / "model" / "config.json").is_file():
        folder = folder / "model"  # a pretraining run
    if (folder / "config.json").is_file():
        return open_folder(folder, alphabet, origin)
    if not any((place / "model.json").is_file() for place in (folder, folder / "model")):
        raise BiograftError(
            f"'{name}' is no backbone: it holds neither config.json, as a checkpoint does, nor model.json, as a model "
            "does. Take the whole checkpoint; a run is a backbone once it is finished."
        )
    return load(folder).model.backbone
