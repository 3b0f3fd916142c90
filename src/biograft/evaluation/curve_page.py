"""Learning curves for people: the part of a comparison's page, and the lines of a terminal.

Both say what ``learning_curve`` of ``comparison.json`` holds and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import log10
from typing import Any

import numpy as np

from biograft.evaluation.drawing import WIDTH, Axis, figure, line, spoken, tag, words
from biograft.evaluation.figures import Dot

__all__ = ["STYLE", "curve_lines", "curve_section"]

HUES = 6
DASHES = ("", "7 4", "2 3")
STYLE = (
    ":root { --hue0: #16735a; --hue1: #b4530a; --hue2: #3f5fb5; --hue3: #a03070; --hue4: #7a6a00; --hue5: #5b4b9a; }"
    "@media (prefers-color-scheme: dark) { :root { --hue0: #4fc39d; --hue1: #f0a050; --hue2: #8fb0ff; --hue3: #f08cc0;"
    " --hue4: #d8c850; --hue5: #b8a8ff; } }"
    + "".join(
        f"svg .hue{hue} {{ stroke: var(--hue{hue}); }} svg circle.hue{hue} {{ fill: var(--hue{hue}); }}"
        for hue in range(HUES)
    )
    + "svg .series { fill: none; stroke-width: 2; } svg .bar1 { stroke-width: 1.4; stroke-opacity: .7; }"
    " svg .plain { stroke: var(--other); } svg circle.plain { fill: var(--other); }"
)
HOW = (
    "Each point is the mean over the runs on the test part, with its 95 % interval. The seed of a run draws the "
    "records it learns from, fewer among more, and all candidates learn from the same ones; so the luck of the draw is "
    "in the intervals. The scale of the labels is logarithmic. The validation part is the whole one everywhere."
)
NEEDED = (
    "Read off the rival's curve, made monotone and interpolated on a logarithmic scale; 95 % intervals from replicates "
    "of both curves (families drawn anew, luck of the runs). No number beyond what was measured is made up."
)
PER_RESIDUE = "Labels are counted in labelled records, each of which has a label per residue."


def _rows(curve: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and rows; baselines stand in brackets."""
    yield from ((row["name"], row) for row in curve["candidates"])
    yield from ((f"({row['name']})", row) for row in curve["baselines"])


def _dot(point: Mapping[str, Any]) -> Dot:
    return Dot("", point["value"], point["low"], point["high"])


def curve_lines(content: Mapping[str, Any]) -> list[str]:
    """A table of values, what rivals would need, what more labels would bring; empty without a curve."""
    curve = content["learning_curve"]
    if curve is None:
        return []
    rows = [[f"{content['metric']['name']}, test", *(f"{labels:,} labels" for labels in curve["labels"])]]
    for name, row in _rows(curve):
        found = {point["labels"]: _dot(point).text for point in row["points"]}
        rows.append([name, *(found.get(labels, "–") for labels in curve["labels"])])
    told = ["Learning curve", *_counted(content), *_columns(rows), ""]
    held = _held(curve)
    if held:
        titles = ["labels for the same result", "by", *(f"as of {labels:,}" for labels in curve["labels"])]
        rows = [[name, rival, *(texts.get(labels, "–") for labels in curve["labels"])]
                for (name, rival), texts in held.items()]  # fmt: skip
        told += [*_columns([titles, *rows]), ""]
    return [*told, "More labels", *(f"  {names}: {sentence}" for names, sentence in _growth(curve)), ""]


def _counted(content: Mapping[str, Any]) -> list[str]:
    """What a number of labels counts, where a record has more than one."""
    return [PER_RESIDUE] if content["task"]["level"] == "residue" else []


def _growth(curve: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Sentences, each once, behind the names of those it is true of."""
    found: dict[str, list[str]] = {}
    for row in curve["candidates"]:
        found.setdefault(row["growth"]["sentence"], []).append(row["name"])
    yield from (("; ".join(names), sentence) for sentence, names in found.items())


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _held(curve: Mapping[str, Any]) -> dict[tuple[str, str], dict[int, str]]:
    """By candidate and rival: the labels that the rival would need, by those that the candidate had."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for row in curve["candidates"]:
        for need in row["needed"]:
            found.setdefault((row["name"], need["against"]), {})[need["labels"]] = need["text"]
    return found


def curve_section(content: Mapping[str, Any]) -> str:
    """Plot, table of values, table of needed labels, and what more labels would bring; '' without a curve."""
    curve = content["learning_curve"]
    if curve is None:
        return ""
    drawn = tag("figure", _drawn(content, curve) + tag("figcaption", escape(" ".join([HOW, *_counted(content)]))))
    said = [tag("b", escape(f"{names}: ")) + escape(sentence) for names, sentence in _growth(curve)]
    growth = "".join(tag("p", text) for text in said)
    told = tag("div", tag("h3", f"What would {curve['more']:,} more labels bring?") + growth)
    parts = tag("section", drawn + told, class_="pair") + _values(curve) + _needed(curve)
    return tag("section", tag("h2", "Learning curve") + parts)


def _values(curve: Mapping[str, Any]) -> str:
    head = tag("tr", "".join(tag("th", text) for text in ("", *(f"{labels:,} labels" for labels in curve["labels"]))))
    body = []
    for name, row in _rows(curve):
        found = {point["labels"]: _dot(point) for point in row["points"]}
        cells = [tag("td", escape(dot.middle) + tag("small", escape(dot.span))) if (dot := found.get(labels)) else
                 tag("td", "–") for labels in curve["labels"]]  # fmt: skip
        body.append(tag("tr", tag("th", escape(name)) + "".join(cells)))
    return tag("section", tag("div", tag("table", tag("thead", head) + tag("tbody", "".join(body))), class_="scroll"))


def _needed(curve: Mapping[str, Any]) -> str:
    """Rows are a candidate against a rival, columns the labels that the candidate had."""
    found = _held(curve)
    if not found:
        return ""
    titles = ("", "would be reached by", *(f"of {labels:,} labels" for labels in curve["labels"]))
    head = tag("tr", "".join(tag("th", escape(text)) for text in titles))
    body = []
    for (name, rival), texts in found.items():
        cells = [tag("td", _two_lines(texts.get(labels, "–"))) for labels in curve["labels"]]
        body.append(tag("tr", tag("th", escape(name)) + tag("td", escape(rival), class_="words") + "".join(cells)))
    table = tag("div", tag("table", tag("thead", head) + tag("tbody", "".join(body))), class_="scroll")
    told = tag("p", escape(NEEDED), class_="quiet")
    return tag("section", tag("h3", "Labels that a rival would need for the same result") + table + told)


def _two_lines(text: str) -> str:
    value, _, span = text.partition(" (")
    return escape(value) + (tag("small", escape(span.rstrip(")"))) if span else "")


def _drawn(content: Mapping[str, Any], curve: Mapping[str, Any]) -> str:
    best = [row for row in curve["baselines"] if row["name"] == content["best_baseline"]]
    shown = [*_rows({**curve, "baselines": best})]
    numbers = [point[key] for _, row in shown for point in row["points"] for key in ("value", "low", "high")]
    values = np.array([number for number in numbers if number is not None], dtype=np.float64)
    labels = curve["labels"]
    across = Axis.around(np.log10(np.array(labels, dtype=np.float64)), 52.0, WIDTH - 14.0)
    down = Axis.around(values, 270.0, 24.0)
    parts = [*_grid(across, down, labels), words(across.start, 14, f"{content['metric']['name']}, test", class_="name")]
    middle = (across.start + across.end) / 2
    parts.append(words(middle, down.start + 36, "training labels", "middle", class_="name"))
    foot = down.start + 58
    for place, (name, row) in enumerate(shown):
        kind, dash = _look(place, row)
        shift = 3.0 * (place - (len(shown) - 1) / 2)
        parts += _series(row, across, down, kind, dash, shift)
        top = foot + 19 * place
        parts.append(tag("line", x1=across.start, y1=top, x2=across.start + 26, y2=top, class_=f"series {kind}",
                         stroke_dasharray=dash))  # fmt: skip
        parts.append(words(across.start + 34, top + 4, name, class_="head"))
    return figure(foot + 19 * len(shown), _told(content, shown), parts)


def _look(place: int, row: Mapping[str, Any]) -> tuple[str, str]:
    """What carries something over has a colour; the others are grey."""
    if row.get("transfer"):
        return f"hue{place % HUES}", DASHES[place // HUES % len(DASHES)]
    return "plain", DASHES[place % len(DASHES)] if "transfer" in row else "1 3"


def _grid(across: Axis, down: Axis, labels: Sequence[int]) -> list[str]:
    parts = []
    for value, text in down.ticks():
        parts += [line(across.start, down(value), across.end, down(value), "grid"),
                  words(across.start - 6, down(value) + 4, text, "end")]  # fmt: skip
    last = -np.inf
    for count in labels:
        x = across(log10(count))
        parts.append(line(x, down.start, x, down.end, "grid"))
        if x - last > 30:
            parts.append(words(x, down.start + 17, f"{count:,}", "middle"))
            last = x
    return parts


def _series(row: Mapping[str, Any], across: Axis, down: Axis, kind: str, dash: str, shift: float) -> list[str]:
    points = [point for point in row["points"] if point["value"] is not None]
    places = [(across(log10(point["labels"])) + shift, down(point["value"])) for point in points]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [tag("polyline", points=drawn, class_=f"series {kind}", stroke_dasharray=dash)]
    for point, (x, y) in zip(points, places, strict=True):
        if point["low"] is not None and point["high"] is not None:
            parts.append(line(x, down(point["low"]), x, down(point["high"]), f"bar1 {kind}"))
        parts.append(tag("circle", cx=x, cy=y, r=3.4, class_=kind))
    return parts


def _told(content: Mapping[str, Any], shown: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    said = []
    for name, row in shown:
        told = ", ".join(f"{spoken(point['value'])} at {point['labels']:,}" for point in row["points"])
        said.append(f"{name} {told}")
    return f"{content['metric']['name']} on the test part by training labels: {'; '.join(said)}"
