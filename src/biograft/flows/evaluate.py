"""A saved model on new labelled data: predictions, metrics with intervals, and what the data share with training."""

import datetime
import time
from pathlib import Path
from typing import Any

import numpy as np

from biograft.bundle import Bundle, load
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.evaluation.report import render
from biograft.files import write_json, write_text
from biograft.flows.assess import examine
from biograft.flows.prepare import check_numbers
from biograft.flows.report import intervals, leaks
from biograft.hardware import Hardware, environment
from biograft.progress import Progress

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

    Raises:
        BiograftError: the table lacks the label, holds none, or can't be read by the model.
    """
    began = time.monotonic()
    bundle = model if isinstance(model, Bundle) else load(model)
    if not isinstance(table, Records):
        table = read(table, alphabet=bundle.model.backbone.alphabet.name)
    bundle.check(table)
    name = label or bundle.label
    units = bundle.model.level.read(table, name, masks)
    if bundle.model.kind.name == "regression":
        check_numbers(table, units, name)
    known = bundle.model.kind.given(units.values) & units.counted
    labelled = np.flatnonzero(np.bincount(units.owner[known], minlength=len(table)) > 0)
    if len(labelled) == 0:
        raise BiograftError(
            f"Column '{name}' holds no label to compare with: all values are empty or masked out. Check it."
        )
    records, units = table.take(labelled), units.take(labelled)
    encode = bundle.model.backbone.encode
    outputs = bundle.model.outputs([encode(s) for s in records.sequences], hardware, progress=progress)
    part = examine(records, units, bundle.model.kind, bundle.model.level, identity, seed)
    predictions = bundle.answer(records, outputs)
    kind = bundle.model.kind
    report = {
        "biograft": environment()["biograft"],
        "title": f"{name}: saved model on {Path(records.source).name or 'records in memory'}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": {
            "label": name,
            "level": bundle.model.level.name,
            "label_kind": kind.name,
            "classes": list(getattr(kind, "classes", ())) or None,
            "metrics": list(kind.metrics),
            "masks": list(masks),
        },
        "data": {
            "source": Path(records.source).name or "records in memory",
            "alphabet": records.alphabet.name,
            "n_records": len(table),
            "n_test": len(records),
            "n_unlabelled": len(table) - len(records),
            "n_units_test": len(units.values),
            "n_units_counted_test": int(part.counted.sum()),
            "unseen_in_training": int((part.targets == -1).sum()) if kind.name == "classification" else 0,
            "changes": dict(table.changes),
            "leaks": leaks(predictions.identity),
            "notes": [part.note] if part.note else [],
        },
        "model": {"backbone": bundle.model.backbone.name, "made_by": bundle.card.get("recipe", {})},
        "metrics": {"test": intervals(part.measure(outputs))},
        "per_class": part.classes(outputs),
        "baselines": {},
        "environment": environment(),
    }
    report["seconds"] = {"total": round(time.monotonic() - began, 2)}
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        write_table(folder / "predictions.tsv", predictions.table(records.column(name)))
        write_text(folder / "report.html", render(report, part.figures(outputs, {}, predictions.identity)))
        write_json(folder / "report.json", report)
    return report
