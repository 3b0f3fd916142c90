"""A saved model on new labelled data: predictions, metrics with intervals, and what the data share with training."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from biograft.bundle import Bundle, load
from biograft.data.kept_families import kept_families
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.evaluation.predictions import Predictions
from biograft.evaluation.report import render
from biograft.files import write_json, write_text
from biograft.flows.assess import Examination, examine
from biograft.flows.prepare import check_numbers
from biograft.flows.report import described, doubts, intervals, leaks, named
from biograft.hardware import Hardware, environment
from biograft.progress import Progress
from biograft.tasks.classification import UNSEEN, Classification, some
from biograft.tasks.task import Units

__all__ = ["evaluate"]


def evaluate(
    model: Bundle | str | Path,
    table: Records | str | Path,
    *,
    label: str | None = None,
    masks: tuple[str, ...] = (),
    out: str | Path | None = None,
    identity: float = 0.4,
    seed: int = 0,
    hardware: Hardware | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Hold a saved model against labelled records that it has not learned from.

    Args:
        model: a loaded model, a run or a model's folder.
        table: records, or the file that holds them.
        label: column of the truth; None takes the one the model was fitted on.
        masks: columns of 0 and 1 per residue; those count where all are 1.
        out: folder for ``report.json``, ``report.html`` and ``predictions.tsv``; None writes nothing.
        identity: from which on records are of one family, resampled together.
        hardware: None takes what a fit would take here, so that its test part gives the same numbers again.

    Returns:
        The content of ``report.json``: as that of a fit, without baselines and verdict.

    Raises:
        BiograftError: the table lacks the label, holds none, or can't be read by the model.
    """
    began = time.monotonic()
    bundle = model if isinstance(model, Bundle) else load(model)
    if not isinstance(table, Records):
        table = read(table, alphabet=bundle.model.backbone.alphabet.name)
    bundle.check(table)
    name = label or bundle.label
    records, units = _labelled(bundle, table, name, masks)
    kind, near = bundle.model.kind, bundle.nearest(records)
    hardware = hardware or Hardware.choose()
    outputs = bundle.outputs(records, near, hardware=hardware, progress=progress)
    predictions = bundle.answer(records, outputs, near)
    found = kept_families(records.sequences, records.alphabet, identity)
    part = examine(records, units, kind, bundle.model.level, identity, seed, found.labels)
    measured = part.measure(outputs)
    report = described(f"{name}: saved model on {named(records)}", name, bundle.model.level, kind, list(masks))
    report |= {
        "data": {
            **_counts(table, part, units, predictions),
            "families": len(np.unique(found.labels)),
            "family_program": found.program,
            "identity": identity,
            "notes": [note for note in (part.note, *doubts(measured), *part.class_notes) if note],
        },
        "model": {
            "backbone": bundle.model.backbone.name,
            "parameters": sum(parameter.numel() for parameter in bundle.model.parameters()),
            "precision": hardware.precision,
            "device": hardware.device,
        },
        "recipe": bundle.card.get("recipe", {}),
        "metrics": {"test": intervals(measured)},
        "per_class": part.classes(outputs),
        "baselines": {},
        "environment": environment(),
        "seconds": {"total": round(time.monotonic() - began, 2)},
    }
    if out is not None:
        folder = Path(out)
        write_table(folder / "predictions.tsv", predictions.table(records.column(name)))
        write_text(folder / "report.html", render(report, part.figures(outputs, {}, predictions.identity)))
        write_json(folder / "report.json", report)
    return report


def _labelled(bundle: Bundle, table: Records, name: str, masks: tuple[str, ...]) -> tuple[Records, Units]:
    """The records that have a label to compare with."""
    units, kind = bundle.model.level.read(table, name, masks), bundle.model.kind
    if kind.name == "regression":
        check_numbers(table, units, name)
    known = kind.given(units.values) & units.counted
    rows = np.flatnonzero(np.bincount(units.owner[known], minlength=len(table)) > 0)
    if len(rows) == 0:
        raise BiograftError(
            f"Column '{name}' holds no label to compare with: all values are empty or masked out. Check it."
        )
    if isinstance(kind, Classification):
        codes, _ = kind.encode(units.values)
        if (codes[known] == UNSEEN).all():
            raise BiograftError(
                f"Column '{name}' holds no class that the model knows: got {some(sorted(set(units.values[known])))}, "
                f"expected {some(kind.classes)}. Name the column of the true classes with --label."
            )
    return table.take(rows), units.take(rows)


def _counts(table: Records, part: Examination, units: Units, predictions: Predictions) -> dict[str, Any]:
    return {
        "source": named(table),
        "alphabet": table.alphabet.name,
        "n_records": len(table),
        "n_test": len(part.records),
        "n_unlabelled": len(table) - len(part.records),
        "n_units_test": len(units.values),
        "n_units_counted_test": int(part.counted.sum()),
        "unseen_in_training": part.unseen,
        "unseen_classes": part.unseen_classes,
        "changes": dict(table.changes),
        "leaks": leaks(predictions.identity),
    }
