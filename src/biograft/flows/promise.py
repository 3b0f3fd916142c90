"""What one layer of a resting backbone, or a source's classifier, promises for the labels of the training part."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from biograft.backbones.backbone import Backbone
from biograft.bundle import load
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.evaluation.intervals import bootstrap
from biograft.evaluation.transferability import h_score, leep, logme, nce
from biograft.flows.layers import Layers
from biograft.flows.prepare import Prepared
from biograft.hardware import Hardware
from biograft.heads import NeighboursHead
from biograft.model import LinearHead, Model
from biograft.progress import Clock
from biograft.strategies.frozen import SOLVERS
from biograft.strategies.inner import Folds, threads_for
from biograft.strategies.strategy import FixedFeatures
from biograft.tasks.levels import Sequence as SequenceLevel
from biograft.tasks.metrics import METRICS
from biograft.tasks.task import LabelKind

__all__ = ["NUMBERS", "PROBES", "SOURCE_NUMBERS", "apart", "numbers", "of_source", "probed"]

DRAWS = 500
AT_ONCE = 1000  # units that a probe answers for
PROBES: Mapping[str, Mapping[str, str]] = {
    "classification": {"knn": "knn", "lda": "lda"},
    "regression": {"knn": "knn", "ridge": "linear"},
}
"""By label kind: names of probes, and the heads that they are."""
NUMBERS = ("logme", "h_score")
SOURCE_NUMBERS = ("leep", "nce")


def probed(head: str, features: FixedFeatures, backbone: Backbone, kind: LabelKind) -> dict[str, float | None]:
    """Value and 95 % interval of the kind's first metric over units that the probe didn't learn from.

    Families stay together in the folds where :func:`apart` says so, and are resampled for the interval. None where
    nothing can be learned.
    """
    folds = _folds(features, kind)
    answers, rows = [], []
    for learn, out in folds.parts():
        part = FixedFeatures(features.values[learn], features.targets[learn], features.families[learn], features.seed)
        if _learnable(part, kind):
            answers.append(_answers(head, part, features.values[out], backbone, kind))
            rows.append(out)
    if not rows:
        return dict.fromkeys(("value", "low", "high"))
    asked, metric = np.concatenate(rows), METRICS[kind.metrics[0]]
    truth, predicted = kind.truth(features.targets[asked]), kind.decode(np.concatenate(answers))
    found = bootstrap([metric], truth, predicted, features.families[asked], DRAWS, features.seed)
    shown = found[metric.name].as_dict()
    return {name: shown[name] for name in ("value", "low", "high")}


def apart(features: FixedFeatures, kind: LabelKind) -> bool:
    """Whether a probe is asked about families it didn't learn from: not where these are too few, or one has most."""
    return bool(_folds(features, kind).together)


def _folds(features: FixedFeatures, kind: LabelKind) -> Folds:
    return Folds.draw(features.families, kind.strata(features.targets), False, features.seed)


def _learnable(part: FixedFeatures, kind: LabelKind) -> bool:
    """Two classes, and one of them twice."""
    return kind.name != "classification" or 1 < len(np.unique(part.targets)) < len(part.targets)


@torch.inference_mode()
def _answers(head: str, learned: FixedFeatures, asked: np.ndarray, backbone: Backbone, kind: LabelKind) -> np.ndarray:
    """``(units, kind.width)``."""
    level, width = SequenceLevel(), asked.shape[1]
    made = (
        NeighboursHead(level, width, kind.width, shares=kind.name == "classification")
        if head == "knn"
        else LinearHead(level, width, kind.width)
    )
    SOLVERS[head][kind.name](learned, kind.width, backbone.standardise).put(made)
    blocks = [torch.from_numpy(asked[start : start + AT_ONCE]) for start in range(0, len(asked), AT_ONCE)]
    return np.concatenate([made(Packed(b, torch.ones(len(b), dtype=torch.int64))).numpy() for b in blocks])


def numbers(features: FixedFeatures, kind: LabelKind) -> dict[str, float | None]:
    """LogME and, of classes, the regularised H-score."""
    classes = kind.width if kind.name == "classification" else None
    with threads_for(features.values.size):
        return {
            "logme": logme(features.values, features.targets, classes),
            "h_score": None if classes is None else h_score(features.values, features.targets),
        }


def of_source(
    name: str, prepared: Prepared, layers: Layers, hardware: Hardware, clock: Clock
) -> tuple[dict[str, float | None], list[str]]:
    """LEEP and NCE of a trained model that tells classes apart, and sentences; None for other backbones and labels.

    A source that answers per residue gives a sequence the mean of its probabilities.
    """
    none: dict[str, float | None] = dict.fromkeys(SOURCE_NUMBERS)
    if prepared.kind.name != "classification" or not _is_model(name):
        return none, []
    source = load(name).model
    if source.kind.name != "classification":
        return none, []
    if source.level.name != layers.level.name and layers.level.resolution == 1:
        return none, [f"The source '{name}' answers per {source.level.name}: no LEEP or NCE for labels of residues."]
    try:
        with clock.stage("source"):
            probabilities = _probabilities(source, prepared, layers, hardware)
    except BiograftError as fault:  # such as lengths that it can't read
        return none, [f"The source '{name}' could not be asked for its classes: {fault}"]
    shown, codes = probabilities[layers.counted], layers.targets[layers.counted]
    return {"leep": leep(shown, codes), "nce": nce(shown.argmax(1), codes)}, []


def _is_model(name: str) -> bool:
    return any((folder / "model.json").is_file() for folder in (Path(name), Path(name) / "model"))


def _probabilities(source: Model, prepared: Prepared, layers: Layers, hardware: Hardware) -> np.ndarray:
    """``(units, source classes)`` for the units of the records that are looked at."""
    sequences = [prepared.records.sequences[record] for record in layers.records]
    rows = [source.backbone.encode(sequence) for sequence in sequences]
    found = source.kind.decode(source.outputs(rows, hardware)).scores
    assert found is not None
    if source.level.name == layers.level.name:
        return found
    counts = source.level.count(np.array([len(row) for row in rows]))
    return np.add.reduceat(found, np.cumsum(counts) - counts) / counts[:, None]
