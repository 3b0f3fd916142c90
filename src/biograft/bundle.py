"""The saved model: one self-contained folder of JSON, safetensors and a table; loading it runs no code of its own.

``model.json`` says what it is, ``weights.safetensors`` holds backbone and head, ``training.tsv.gz`` the training
records, so that every prediction can name the nearest one; where that one has a say, ``relatives.npz`` holds classes
and how far they count. A model that comes with the package is smaller: ``neighbours.npz`` holds a sketch of the
training records, and a backbone that rested is named, with its fingerprint.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from biograft import catalog
from biograft.backbones.backbone import Backbone
from biograft.backbones.folder import open_folder
from biograft.backbones.mix import LayerMix
from biograft.data.nearest import Nearest, nearest
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.data.sketch import Sketch
from biograft.errors import BiograftError
from biograft.evaluation.predictions import Predictions
from biograft.files import atomic_folder, read_json, write_json
from biograft.hardware import Hardware
from biograft.heads import HEADS
from biograft.model import Model
from biograft.progress import Progress
from biograft.shipped import shelf
from biograft.state import save_tensors
from biograft.tasks.relatives import Relatives

__all__ = ["Bundle", "load", "nearest_of", "training_in"]

FORMAT = 1
WEIGHTS = "weights.safetensors"
RELATIVES = "relatives.npz"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model with all it needs to answer for new records.

    Attributes:
        model: backbone, head, level and label kind.
        label: name of the column it predicts.
        training: ids and sequences of the training part, or a sketch of them.
        half_width: of the 95 % interval around a predicted value, in the user's units; None where it isn't known.
        card: how it was made and what was measured.
        encoder: name of the shipped backbone that the model stands on, which is then not saved again; '' for none.
        relatives: classes of the training records, where the nearest one has a say; None where only the model answers.
    """

    model: Model
    label: str
    training: Records | Sketch
    half_width: float | None = None
    card: dict[str, Any] = field(default_factory=dict)
    encoder: str = ""
    relatives: Relatives | None = None

    def predict(
        self,
        records: Records | Sequence[str],
        *,
        hardware: Hardware | None = None,
        progress: Progress | None = None,
    ) -> Predictions:
        """Answers in input order, with the nearest training record of each.

        Args:
            records: records, or plain sequences (then numbered row1, row2, …).

        Raises:
            BiograftError: records of another alphabet, or of a length that the model cannot read.
        """
        backbone = self.model.backbone
        if not isinstance(records, Records):
            records = Records.of(records, alphabet=backbone.alphabet)
        self.check(records)
        near = self.nearest(records)
        return self.answer(records, self.outputs(records, near, hardware=hardware, progress=progress), near)

    def outputs(
        self,
        records: Records,
        near: Nearest,
        *,
        hardware: Hardware | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """``(units, width)``: what the model says, and the nearest training records where they have a say."""
        encode = self.model.backbone.encode
        found = self.model.outputs([encode(s) for s in records.sequences], hardware, progress=progress)
        return found if self.relatives is None else self.relatives.blended(found, near)

    def answer(self, records: Records, outputs: np.ndarray, near: Nearest) -> Predictions:
        """Predictions from ``outputs`` and nearest training records that are there already."""
        names = [self.training.ids[place] if place >= 0 else "" for place in near.index.tolist()]
        return Predictions(
            ids=records.ids,
            units=self.model.level.count(records.lengths),
            predicted=self.model.kind.decode(outputs),
            classes=tuple(getattr(self.model.kind, "classes", ())),
            nearest=names,
            identity=near.identity,
            half_width=self.half_width,
            per_residue=self.model.level.name == "residue",
        )

    def nearest(self, records: Records) -> Nearest:
        """The nearest training record of each."""
        return nearest_of(self.training, records)

    def caution(self, answers: Predictions) -> str:
        """A sentence on answers that lack what the model leans on; '' where it leans on nothing, or lacks nothing.

        A shipped model whose relatives have a say was measured on proteins without any.
        """
        found = self.card.get("measured")
        if self.relatives is None or not found or not answers.alone:
            return ""
        return (
            f"{answers.alone:,} of {len(answers):,} have no near relative among what '{self.card['name']}' learned "
            f"from: for such proteins its answer is a weak hint ({found['metric']} {found['value']:.2f} on the test)."
        )

    def check(self, records: Records) -> None:
        """Raise BiograftError if the model can't read these records."""
        wanted = self.model.backbone.alphabet.name
        if records.alphabet.name != wanted:
            raise BiograftError(
                f"The model reads {wanted}: got {records.alphabet.name} in '{records.source}'. "
                f"Check the input, or name its letters with --alphabet {wanted}."
            )

    def save(self, folder: Path | str) -> None:
        """Write the folder; an older one is replaced only once the new one is whole."""
        model, backbone = self.model, self.model.backbone
        whole = {"name": backbone.name, "configuration": backbone.configuration()}
        about = {
            "format": FORMAT,
            "label": self.label,
            "level": {"name": model.level.name, **model.level.configuration()},
            "label_kind": {"name": model.kind.name, **model.kind.configuration()},
            "backbone": {"shipped": self.encoder, "fingerprint": backbone.fingerprint()} if self.encoder else whole,
            **({"mix": model.mix.configuration()} if model.mix else {}),
            "head": {"name": getattr(model.head, "name", ""), "configuration": model.head.configuration()},  # type: ignore[operator]
            "half_width": self.half_width,
            **({"relatives": True} if self.relatives is not None else {}),
            "card": self.card,
        }
        with atomic_folder(folder) as part:
            kept = model.state_dict()
            if self.encoder:
                kept = {name: value for name, value in kept.items() if not name.startswith("backbone.")}
            save_tensors({n: value.detach().cpu().contiguous().clone() for n, value in kept.items()}, part / WEIGHTS)
            if isinstance(self.training, Sketch):
                self.training.save(part / "neighbours.npz")
            else:
                columns = {"id": self.training.ids, "sequence": self.training.sequences}
                write_table(part / "training.tsv.gz", columns)
            if self.relatives is not None:
                self.relatives.save(part / RELATIVES)
            write_json(part / "model.json", about)


def _folder(path: Path | str) -> Path:
    """The model's folder: that of a shipped name, the path itself, or ``model`` inside a run."""
    shipped = shelf.models()
    if (found := shelf.find(str(path), shipped)) is not None:
        return found.folder
    path = Path(path)
    for folder in (path, path / "model"):
        if (folder / "model.json").is_file():
            return folder
    if not path.exists():
        names = [found.name for found in shipped]
        near = difflib.get_close_matches(str(path), names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        also = f", or one of {', '.join(names)}." if names else ". No models come with this installation."
        raise BiograftError(
            f"Model not found: '{path}'.{hint} Give a run, or a model folder (it holds model.json){also}"
        )
    raise BiograftError(f"'{path}' is not a model: it holds no model.json. Give a run, or a model folder.")


def _rebuild(about: dict[str, Any], folder: Path) -> Model:
    try:
        if about["format"] != FORMAT:
            raise BiograftError(
                f"The model '{folder}' has format {about['format']}, this version reads {FORMAT}. Update biograft."
            )
        level_fields, kind_fields = dict(about["level"]), dict(about["label_kind"])
        level = catalog.resolve("levels", level_fields.pop("name"))(**level_fields)
        kind = catalog.resolve("label_kinds", kind_fields.pop("name"))(**kind_fields)
        backbone = _backbone(about["backbone"], folder)
        mix = LayerMix(**about["mix"]) if "mix" in about else None
        head = HEADS[about["head"]["name"]](level, backbone.width, kind.width, **about["head"]["configuration"])
    except (KeyError, TypeError) as fault:
        raise BiograftError(f"The model '{folder}' is damaged (model.json: {fault!r}). Fit it again.") from None
    return Model(backbone, head, level, kind, mix)


def _backbone(about: dict[str, Any], folder: Path) -> Backbone:
    """Rebuilt with weights to be filled in, or the shipped one that the model names, if it is still the same."""
    if "shipped" not in about:
        fresh: Backbone = catalog.resolve("backbones", about["name"]).from_configuration(about["configuration"])
        return fresh
    shipped = shelf.backbones()
    found = shelf.find(about["shipped"], shipped)
    if found is None:
        raise catalog.unknown(
            f"shipped backbone in '{folder}'",
            about["shipped"],
            [one.name for one in shipped],
            "Install biograft again.",
        )
    backbone = open_folder(found.folder, found.card["encoder"]["alphabet"])
    if (there := backbone.fingerprint()) != about["fingerprint"]:
        raise BiograftError(
            f"The model '{folder}' was made on other weights of '{found.name}': got {there}, expected "
            f"{about['fingerprint']}. Use model and encoder of one version of biograft, or fit the model again."
        )
    return backbone


def load(path: Path | str) -> Bundle:
    """Load a model by its shipped name, from its folder, or from the run that made it.

    Raises BiograftError if there is none, or if a part of it is missing or damaged.
    """
    folder = _folder(path)
    about = read_json(folder / "model.json")
    model = _rebuild(about, folder)
    encoder = about["backbone"].get("shipped", "")
    try:
        weights = load_file(folder / WEIGHTS)
        if encoder:
            weights |= model.backbone.state_dict(prefix="backbone.")
        model.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as fault:
        first = str(fault).strip().split("\n")[0]
        raise BiograftError(f"The weights in '{folder}' are damaged ({first}). Fit the model again.") from None
    model.requires_grad_(False)
    model.eval()
    model.backbone.pretrained = any(True for _ in model.backbone.parameters())
    training = training_in(folder, model.backbone.alphabet.name)
    known = (folder / RELATIVES).is_file() or about.get("relatives", False)
    relatives = _relatives(folder / RELATIVES, len(training), model.kind.width) if known else None
    return Bundle(model, about["label"], training, about["half_width"], about["card"], encoder, relatives)


def _relatives(path: Path, records: int, classes: int) -> Relatives:
    found = Relatives.load(path)
    if len(found.codes) != records or found.codes.max(initial=0) >= classes:
        raise BiograftError(
            f"'{path}' does not belong to this model: got {len(found.codes)} classes, expected {records} out of "
            f"{classes}. Fit the model again."
        )
    return found


def training_in(folder: Path, alphabet: str) -> Records | Sketch:
    """What the model in a folder learned from. Raises BiograftError where that is damaged."""
    try:
        if (folder / "neighbours.npz").is_file():
            return Sketch.load(folder / "neighbours.npz")
        return read(folder / "training.tsv.gz", alphabet=alphabet)
    except BiograftError as fault:
        raise BiograftError(f"The model '{folder}' is damaged: {fault} Or fit the model again.") from None


def nearest_of(training: Records | Sketch, records: Records) -> Nearest:
    """The nearest training record of each of ``records``, by alignment or by sketch."""
    if isinstance(training, Sketch):
        return training.nearest(records.sequences)
    return nearest(records.sequences, training.sequences, records.alphabet)
