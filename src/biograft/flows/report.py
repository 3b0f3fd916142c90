"""From answers and truths to the report: its numbers as one JSON-able mapping, and the page that shows them."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from biograft.bundle import Bundle
from biograft.data.records import Records
from biograft.evaluation.intervals import Interval, finite
from biograft.evaluation.predictions import Predictions
from biograft.evaluation.report import render
from biograft.flows.assess import Examination
from biograft.flows.prepare import Prepared
from biograft.hardware import Hardware, environment
from biograft.tasks.task import LabelKind, Level
from biograft.trainer import Outcome

__all__ = ["Story", "best_baseline", "described", "doubts", "intervals", "leaks", "named", "write_report"]

THRESHOLDS = (0.3, 0.4, 0.5, 0.7, 0.95)
MOST_UNDEFINED = 0.05  # share of the draws in which a metric may be undefined without a word


@dataclass(frozen=True, eq=False)
class Story:
    """All that a run has found out.

    Attributes:
        bundle: the saved model.
        strategy: its name.
        prepared: the table and its parts.
        parts: validation and test part, ready to hold answers against.
        outputs: of the model, by part.
        baselines: outputs by name, then by part.
        predictions: for the test part.
        outcome: of the loop; None where no loop was needed.
        notes: sentences of the strategy.
    """

    bundle: Bundle
    strategy: str
    prepared: Prepared
    parts: Mapping[str, Examination]
    outputs: Mapping[str, np.ndarray]
    baselines: Mapping[str, Mapping[str, np.ndarray]]
    predictions: Predictions
    outcome: Outcome | None
    notes: list[str]


def intervals(measured: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """Value, low and high of each metric; None where a number is undefined."""
    return {
        name: finite({"value": found.value, "low": found.low, "high": found.high}) for name, found in measured.items()
    }


def doubts(measured: Mapping[str, Interval]) -> list[str]:
    """Which metrics have no interval, or one to read with care, and why; in one sentence per reason."""
    reasons: dict[str, list[str]] = {}
    for name, found in measured.items():
        if found.draws == 0 or found.valid_draws < (1 - MOST_UNDEFINED) * found.draws:
            reasons.setdefault(found.note, []).append(name)
    return [f"{', '.join(names)}: {reason}." for reason, names in reasons.items()]


def leaks(identity: np.ndarray) -> dict[str, Any]:
    """Copies and shares of relatives among test records, from their identity to the nearest training record."""
    return {
        "exact_copies": int((identity >= 1.0).sum()),
        "near_identical": int(((identity >= 0.95) & (identity < 1.0)).sum()),
        "shares": {f"{threshold:g}": float((identity >= threshold).mean()) for threshold in THRESHOLDS},
    }


def named(records: Records) -> str:
    """The file that records come from, without its folder."""
    return Path(records.source).name or "records in memory"


def described(title: str, label: str, level: Level, kind: LabelKind, masks: list[str]) -> dict[str, Any]:
    """What every report begins with: title, time, task."""
    return {
        "biograft": environment()["biograft"],
        "title": title,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": {
            "label": label,
            "level": level.name,
            "label_kind": kind.name,
            "classes": list(getattr(kind, "classes", ())) or None,
            "metrics": list(kind.metrics),
            "masks": masks,
        },
    }


def best_baseline(story: Story) -> str:
    """The simple answer that does best on the validation part (without one: on none, the first linear model)."""
    names = list(story.baselines)
    valid = story.parts.get("valid")
    if valid is None:
        return next((name for name in names if "linear" in name), names[0])
    return max(names, key=lambda name: valid.value(story.baselines[name]["valid"]))


def _called(story: Story) -> str:
    """What the rival is called: the best one can only be told with a validation part."""
    return "the best simple baseline" if "valid" in story.parts else "a simple baseline"


def write_report(
    story: Story,
    recipe: Mapping[str, Any],
    hardware: Hardware,
    history: list[dict[str, Any]],
    seconds: Mapping[str, float],
) -> tuple[dict[str, Any], str]:
    """The content of ``report.json`` and of ``report.html``."""
    prepared, test, backbone = story.prepared, story.parts["test"], story.bundle.model.backbone
    rival = best_baseline(story)
    found = test.against(story.outputs["test"], story.baselines[rival]["test"], rival)
    measured = {name: part.measure(story.outputs[name]) for name, part in story.parts.items()}
    notes = [note for note in (*prepared.notes, test.note, *doubts(measured["test"]), *test.class_notes) if note]
    report = described(
        f"{story.bundle.label}: {backbone.name}, {story.strategy}",
        story.bundle.label,
        prepared.level,
        prepared.kind,
        list(recipe.get("mask", ())),
    )
    report |= {
        "data": _data(story, recipe, notes),
        "model": _model(story, hardware, recipe),
        "metrics": {name: intervals(values) for name, values in measured.items()},
        "per_class": test.classes(story.outputs["test"]),
        "baselines": {name: intervals(test.measure(outputs["test"])) for name, outputs in story.baselines.items()},
        "verdict": {**found.as_dict(), "sentence": found.sentence(_called(story), test.resampled)},
        "environment": environment(),
        "recipe": {key: value for key, value in recipe.items() if value is not None},
        "seconds": {**seconds, "total": round(sum(seconds.values()), 2)},
    }
    figures = test.figures(story.outputs["test"], _curves(history), story.predictions.identity)
    return report, render(report, figures)


def _data(story: Story, recipe: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    prepared, test = story.prepared, story.parts["test"]
    parts = {name: prepared.part(name) for name in ("train", "valid", "test")}
    return {
        "source": named(prepared.records),
        "alphabet": prepared.records.alphabet.name,
        "n_records": len(prepared.records) + prepared.counts["unlabelled"],
        **{f"n_{name}": len(records) for name, (records, _, _) in parts.items()},
        **{f"n_units_{name}": len(units.values) for name, (_, units, _) in parts.items()},
        "n_units_counted_test": int(test.counted.sum()),
        **{f"n_{name}": count for name, count in prepared.counts.items()},
        "families": len(np.unique(prepared.split.families)),
        **{f"families_{name}": len(np.unique(families)) for name, (_, _, families) in parts.items()},
        "family_program": prepared.split.program,
        "identity": recipe["identity"],
        "split": prepared.split.how,
        "changes": dict(prepared.records.changes),
        "leaks": leaks(story.predictions.identity),
        "unseen_in_training": test.unseen,
        "unseen_classes": test.unseen_classes,
        "notes": notes,
    }


def _model(story: Story, hardware: Hardware, recipe: Mapping[str, Any]) -> dict[str, Any]:
    model, outcome = story.bundle.model, story.outcome
    selection = None
    if outcome is not None:
        selection = {
            "metric": outcome.metric,
            "valid_value": outcome.value,
            "step": outcome.step,
            "steps": outcome.steps,
        }
    return {
        "backbone": model.backbone.name,
        "strategy": story.strategy,
        "transfer": model.backbone.pretrained,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "head": getattr(model.head, "name", ""),
        "precision": hardware.precision,
        "device": hardware.device,
        "seed": recipe["seed"],
        "notes": story.notes,
        "selection": selection,
    }


def _curves(history: list[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Losses by step, for the page; a loss that was not finite has no point."""
    train = [(entry["step"], sum(entry["loss"].values())) for entry in history if "loss" in entry]
    valid = [(entry["step"], entry["valid"]["loss"]) for entry in history if "valid" in entry]
    curves = {"training": train, "validation": [point for point in valid if point[1] is not None]}
    return {name: points for name, points in curves.items() if points}
