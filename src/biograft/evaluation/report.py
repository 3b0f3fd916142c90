"""The report for people: one self-contained page, and the few lines that a terminal shows.

Both say what ``report.json`` holds and nothing else; only the figures need more than it keeps. The trap: names of
classes, columns and files are any text, so the page is made by a template that escapes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np

from biograft.evaluation.drawing import spoken
from biograft.evaluation.figures import MOST_COUNTED, Dot, curves, dots, fold, histogram, matrix, scatter
from biograft.tasks.classification import some
from biograft.tasks.metrics import METRICS

__all__ = ["Figures", "cautions", "headline", "render", "text"]

MOST_DRAWN = 30  # classes of a confusion matrix
MOST_LISTED = 60  # rows of a table of classes
MOST_CLASSES = 12  # of the terminal's table
MIX_UPS = 10
SHOWN_IN_TERMINAL = 3  # metrics
PER_CLASS = ("precision", "recall", "f1")
PARTS = (("train", "training"), ("valid", "validation"), ("test", "test"))
ANSWERS = {"helped": "▲", "hurt": "▼", "cannot tell": "○"}


@dataclass(frozen=True, eq=False)
class Figures:
    """What the page draws beyond the numbers of the report.

    Attributes:
        confusion: ``(classes, classes)`` counts, rows are true; None for values.
        classes: names of its rows.
        scatter: true and predicted values, ``(units,)`` each; None for classes.
        loss: points (step, loss) by name of the curve.
        nearest: ``(records,)`` identity to the nearest training record, 0 where none was found.
    """

    confusion: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    scatter: tuple[np.ndarray, np.ndarray] | None = None
    loss: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    nearest: np.ndarray | None = None


def headline(report: Mapping[str, Any]) -> tuple[str, str]:
    """The answer in a few words, and the rest of the sentence; without a verdict, the metric that leads."""
    found = report.get("verdict")
    if found:
        answer, _, rest = found["sentence"].partition(": ")
        return answer, rest
    metric = report["task"]["metrics"][0]
    rest = f"On {report['data']['n_test']:,} labelled records given to the saved model; in brackets the 95 % interval."
    return f"{metric} {_dot('', report['metrics']['test'].get(metric, {})).text}", rest


def cautions(report: Mapping[str, Any]) -> list[str]:
    """What a reader should know before trusting the numbers; empty where all is well."""
    data = report["data"]
    leaks, tested = data.get("leaks", {}), data["n_test"]
    found = []
    for name, words in (("exact_copies", "exact copies of"), ("near_identical", "at least 95 % identical to")):
        count = leaks.get(name, 0)
        if count:
            found.append(
                f"{count:,} of {tested:,} test records ({_percent(count / tested)}) are {words} training records."
            )
    if found:
        found[-1] += " On these the model may remember instead of predict."
    if data.get("unseen_in_training"):
        names, unseen = data.get("unseen_classes"), data["unseen_in_training"]
        found.append(
            f"{_several(unseen, 'test label is of a class', 'test labels are of classes')} that training never had"
            f"{f' ({some(names)})' if names else ''}; {'it counts' if unseen == 1 else 'they count'} as missed. "
            "Add records of further families of these classes, or leave the classes out."
        )
    return [*found, *data.get("notes", [])]


def _several(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def render(report: Mapping[str, Any], figures: Figures) -> str:
    """One self-contained HTML page: no outside resources, no scripts."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"spoken": spoken, "percent": _percent, "dot": partial(_dot, "")}
    template = environment.from_string(files("biograft.evaluation").joinpath("report.html").read_text(encoding="utf-8"))
    answer, sentence = headline(report)
    found = (report.get("verdict") or {}).get("answer", "")
    return template.render(
        report=report,
        headline=f"{ANSWERS.get(found, '')} {answer}",
        sentence=sentence,
        answer=found.replace(" ", "-") or "plain",
        cautions=cautions(report),
        columns=list(_answers(report)),
        metrics=[(name, METRICS[name]) for name in report["task"]["metrics"]],
        classes=_classes(report),
        mix_ups=_mix_ups(figures),
        data=_data(report["data"]),
        model=_model(report["model"]),
        drawn=_drawn(report, figures),
        many=len(figures.classes) > MOST_COUNTED,
        seconds=[(name, f"{seconds:,.1f} s") for name, seconds in report["seconds"].items()],
        MOST_DRAWN=MOST_DRAWN,
        MOST_LISTED=MOST_LISTED,
    )


def _answers(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The model, the baselines, and the model on the validation part: name and metrics."""
    yield "model", report["metrics"]["test"]
    yield from report["baselines"].items()
    if "valid" in report["metrics"]:
        yield "model, validation part", report["metrics"]["valid"]


def _dot(name: str, interval: Mapping[str, float | None], ours: bool = False) -> Dot:
    return Dot(name, interval.get("value"), interval.get("low"), interval.get("high"), ours)


def _drawn(report: Mapping[str, Any], figures: Figures) -> dict[str, str]:
    """The figures by name, as SVG."""
    metric = report["task"]["metrics"][0]
    rows = [_dot("this model", report["metrics"]["test"].get(metric, {}), ours=True)]
    rows += [_dot(name, found.get(metric, {})) for name, found in report["baselines"].items()]
    direction = "more" if METRICS[metric].greater_is_better else "less"
    drawn = {"headline": dots(rows, f"{metric}: {METRICS[metric].summary}, {direction} is better")}
    if figures.confusion is not None:
        drawn["confusion"] = matrix(*fold(figures.confusion, figures.classes, MOST_DRAWN))
    if figures.scatter is not None:
        drawn["scatter"] = scatter(*figures.scatter)
    if any(figures.loss.values()):
        selection = report["model"].get("selection") or {}
        drawn["loss"] = curves({name: line for name, line in figures.loss.items() if line}, selection.get("step"))
    if figures.nearest is not None and len(figures.nearest):
        drawn["nearest"] = histogram(figures.nearest, report["data"].get("identity"))
    return drawn


def _classes(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of classes, all or those with most test labels; numbers as dots, with intervals if any."""
    rows = list(report.get("per_class") or ())
    if len(rows) > MOST_LISTED:
        rows = sorted(rows, key=lambda row: -row["support"])[:MOST_LISTED]
    return [{**row, **{name: _dot("", _of_class(row, name)) for name in PER_CLASS}} for row in rows]


def _of_class(row: Mapping[str, Any], name: str) -> dict[str, float | None]:
    return {"value": row[name], **row.get("intervals", {}).get(name, {})}


def _mix_ups(figures: Figures) -> list[tuple[str, str, int, float]]:
    """The most frequent wrong answers: true class, predicted class, how often, and the share of the true class."""
    if figures.confusion is None or len(figures.classes) < 3:
        return []
    wrong = figures.confusion - np.diag(figures.confusion.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MIX_UPS]
    totals, names = figures.confusion.sum(axis=1), figures.classes
    places = [divmod(place, len(names)) for place in order.tolist()]
    return [(names[a], names[b], int(wrong[a, b]), float(wrong[a, b] / totals[a])) for a, b in places if wrong[a, b]]


def _data(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts about the data, in the order that they are asked for."""
    rows = [("source", f"{data['source']} ({data['alphabet']})"), ("records", spoken(data["n_records"]))]
    for key, name in PARTS:
        if f"n_{key}" in data:
            rows.append((f"{name} part", _part(data, key)))
    if "split" in data:
        rows.append(("split", str(data["split"])))
    if "families" in data:
        at = f" at {data['identity']:.0%} identity" if "identity" in data else ""
        rows.append(("families", f"{data['families']:,}{at}, found by {data['family_program']}"))
    for key, name in (
        ("n_unlabelled", "left out: no label"),
        ("n_unused", "left out: in no part"),
        ("n_beyond_limit", "left out: beyond the training limit"),
    ):
        if data.get(key):
            rows.append((name, spoken(data[key])))
    changes = "; ".join(f"{kind}: {count:,}" for kind, count in data.get("changes", {}).items())
    rows.append(("cleaned sequences", changes or "none needed"))
    return rows


def _part(data: Mapping[str, Any], key: str) -> str:
    words = _several(data[f"n_{key}"], "record", "records")
    units = data.get(f"n_units_{key}", data[f"n_{key}"])
    if units != data[f"n_{key}"]:
        words += f", {units:,} residues"
    counted = data.get(f"n_units_counted_{key}", units)
    if counted != units:
        words += f", {counted:,} of them count"
    if f"families_{key}" in data:
        words += f", {_several(data[f'families_{key}'], 'family', 'families')}"
    return words


def _model(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {"parameters": "parameters", "precision": "precision", "device": "device", "seed": "seed"}
    rows = [(name, str(model[name])) for name in ("backbone", "strategy", "head") if model.get(name)]
    rows += [
        (words, spoken(model[key]) if key == "parameters" else str(model[key]))
        for key, words in names.items()
        if key in model
    ]
    rows += [("how it was solved", note) for note in model.get("notes", ())]
    selection = model.get("selection")
    if selection:
        rows.append(("weights kept", f"of step {selection['step']:,} of {selection['steps']:,}"))
        if selection["metric"]:
            rows.append(
                ("chosen by", f"{selection['metric']} on the validation part: {spoken(selection['valid_value'])}")
            )
    return rows


def text(report: Mapping[str, Any]) -> str:
    """The short summary: what was tested on what, numbers with intervals beside the baselines, verdict, what the
    strategy told (without what ``auto`` says of its choice), cautions."""
    data, shown = report["data"], report["task"]["metrics"][:SHOWN_IN_TERMINAL]
    parts = ", ".join(f"{name} {_part(data, key)}" for key, name in PARTS if f"n_{key}" in data)
    columns = [[""], *([metric] for metric in shown)]
    for name, found in _answers(report):
        columns[0].append(name)
        for column, metric in zip(columns[1:], shown, strict=True):
            column.append(_dot("", found.get(metric, {})).text)
    lines = [report["title"], parts, "", *_aligned(columns)]
    classes = _classes(report)
    if 0 < len(classes) <= MOST_CLASSES:
        support = ["test labels", *(f"{row['support']:,}" for row in classes)]
        numbers = [[name, *(row[name].text for row in classes)] for name in PER_CLASS]
        lines += ["", *_aligned([["class", *(row["class"] for row in classes)], support, *numbers])]
    sentence = (report.get("verdict") or {}).get("sentence")
    if sentence:
        lines += ["", sentence]
    chosen = report.get("auto", {}).get("notes", ())
    told = [note for note in report.get("model", {}).get("notes", ()) if note not in chosen]
    if told:
        lines += ["", *told]
    notes = [f"Note: {caution}" for caution in cautions(report)]
    if notes:
        lines += ["", *notes]
    return "\n".join(lines)


def _aligned(columns: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, each cell as wide as the widest of its column."""
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
