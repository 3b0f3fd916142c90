"""The λ front for people: the part of a comparison's page, and the lines of a terminal.

Both say what ``front`` of ``comparison.json`` holds and nothing else.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from biograft.evaluation.drawing import WIDTH, Axis, figure, frame, line, tag, words
from biograft.evaluation.figures import Dot

__all__ = ["front_lines", "front_section"]

HOW = (
    "What is kept of the source (its validation part, by its own head) against what is reached on the target (its test "
    "part), means over the runs with 95 % intervals. Marked with a star: no other candidate is as good in both and "
    "better in one. The share says in how many replicates (families of both parts, luck of the runs) that holds. With "
    "λ = inf the source is left out, so that its head has learned nothing, unless both tasks share one head."
)


def front_lines(content: Mapping[str, Any]) -> list[str]:
    """A table; empty without a front."""
    found = content["front"]
    if found is None:
        return []
    rows = [["", *_titles(found)]]
    rows += [[_named(point), _dot(point, "source").text, _dot(point, "target").text, f"{point['share']:.0%}"]
             for point in found["points"]]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return ["Source against target (* no other one is as good in both)", *table, ""]


def front_section(content: Mapping[str, Any]) -> str:
    """Plot and table; '' without a front."""
    found = content["front"]
    if found is None:
        return ""
    head = tag("tr", "".join(tag("th", escape(title)) for title in ("", *_titles(found))))
    body = "".join(_line(point) for point in found["points"])
    table = tag("div", tag("table", tag("thead", head) + tag("tbody", body)), class_="scroll")
    drawn = tag("figure", _drawn(found) + tag("figcaption", escape(HOW)))
    parts = tag("section", drawn + table, class_="pair")
    return tag("section", tag("h2", "Source against target: the front of λ") + parts)


def _titles(found: Mapping[str, Any]) -> list[str]:
    source, target = found["source"], found["target"]
    return [f"source '{source['label']}', {source['metric']}", f"target, {target['metric']}", "marked in"]


def _named(point: Mapping[str, Any]) -> str:
    return f"{point['name']} *" if point["non_dominated"] else str(point["name"])


def _dot(point: Mapping[str, Any], side: str) -> Dot:
    return Dot("", point[side]["value"], point[side]["low"], point[side]["high"])


def _line(point: Mapping[str, Any]) -> str:
    cells = [
        escape(dot.middle) + tag("small", escape(dot.span)) for dot in (_dot(point, "source"), _dot(point, "target"))
    ]
    kind = {"class_": "ours"} if point["non_dominated"] else {}
    return tag("tr", tag("th", escape(_named(point))) +
               "".join(tag("td", cell, **kind) for cell in [*cells, f"{point['share']:.0%}"]))  # fmt: skip


def _drawn(found: Mapping[str, Any]) -> str:
    points = [point for point in found["points"] if None not in (point["source"]["value"], point["target"]["value"])]
    across, down = (_axis(points, "source", 52.0, WIDTH - 14.0), _axis(points, "target", 290.0, 24.0))
    source, target = found["source"], found["target"]
    parts = frame(
        across, down, f"source: {source['metric']}, validation part", f"target: {target['metric']}, test part"
    )
    marked = sorted((across(point["source"]["value"]), down(point["target"]["value"])) for point in points
                    if point["non_dominated"])  # fmt: skip
    parts.append(tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in marked), class_="curve ours"))
    for place, point in enumerate(sorted(points, key=lambda point: float(point["source"]["value"]))):
        parts += _cross(point, across, down, above=place % 2 == 0)
    said = "; ".join(f"{_named(point)} {_dot(point, 'source').text}, {_dot(point, 'target').text}" for point in points)
    return figure(330, f"Source against target score: {said}", parts)


def _axis(points: Sequence[Mapping[str, Any]], side: str, start: float, end: float) -> Axis:
    numbers = [point[side][key] for point in points for key in ("value", "low", "high")]
    return Axis.around(np.array([number for number in numbers if number is not None], dtype=np.float64), start, end)


def _cross(point: Mapping[str, Any], across: Axis, down: Axis, above: bool) -> list[str]:
    """A point with its two intervals and its λ, above or below it, so that neighbours don't cover each other."""
    source, target = point["source"], point["target"]
    x, y, kind = across(source["value"]), down(target["value"]), "ours" if point["non_dominated"] else "other"
    parts = []
    if source["low"] is not None:
        parts.append(line(across(source["low"]), y, across(source["high"]), y, f"curve {kind}"))
    if target["low"] is not None:
        parts.append(line(x, down(target["low"]), x, down(target["high"]), f"curve {kind}"))
    parts.append(tag("circle", cx=x, cy=y, r=5.0, class_=f"dot {kind}"))
    late = x > 0.8 * WIDTH
    text = f"λ={point['lambda']}" if point["lambda"] else point["name"]
    parts.append(
        words(
            x + (-8 if late else 8), y - 8 if above else y + 18, text, "end" if late else "start", class_=f"head {kind}"
        )
    )
    return parts
