"""What a report draws: values with intervals, confusion, scatter, learning curves, identity to training.

Functions from arrays to inline SVG; names may be any text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np

from biograft.evaluation.drawing import WIDTH, Axis, figure, frame, line, spoken, tag, words

__all__ = ["MOST_COUNTED", "Dot", "curves", "dots", "fold", "histogram", "matrix", "scatter"]

MOST_POINTS = 2000  # beyond it points would only cover each other: cells are shaded by how many they hold
HEXAGON = 5.0
SHADES = 6
MOST_COUNTED = 12  # classes up to which every cell shows its number
MOST_LETTERS = 21  # of the name of a class beside a matrix
WIDE = 680  # of a matrix of more classes
BINS = 20
MOST_STEPS = 240  # of a curve


@dataclass(frozen=True)
class Dot:
    """A value with its interval; None where it is undefined. ``ours``: of the model, not of a baseline."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    ours: bool = False

    @property
    def _size(self) -> float:
        return max((abs(number) for number in (self.value, self.low, self.high) if number is not None), default=0.0)

    @property
    def middle(self) -> str:
        """The value in words, as finely as its interval is told."""
        return spoken(self.value, self._size)

    @property
    def span(self) -> str:
        """The interval in words; empty without one."""
        if self.low is None or self.high is None:
            return ""
        return f"{spoken(self.low, self._size)} to {spoken(self.high, self._size)}"

    @property
    def text(self) -> str:
        """Value and interval."""
        return f"{self.middle} ({self.span})" if self.span else self.middle


def dots(rows: Sequence[Dot], metric: str) -> str:
    """Values with intervals, one under the other; a line through ours helps to compare."""
    numbers = [number for row in rows for number in (row.value, row.low, row.high) if number is not None]
    across = Axis.around(np.array(numbers, dtype=np.float64), 8.0, WIDTH - 8.0)
    foot = 42.0 * len(rows) + 4
    parts = []
    for value, text in across.ticks(8):
        parts += [line(across(value), 0, across(value), foot, "grid"), words(across(value), foot + 16, text, "middle")]
    parts += [
        line(across(row.value), 0, across(row.value), foot, "guide")
        for row in rows
        if row.ours and row.value is not None
    ]
    for place, row in enumerate(rows):
        parts += _dot(row, 42.0 * place, across)
    parts.append(words(WIDTH / 2, foot + 34, metric, "middle", class_="name"))
    said = "; ".join(f"{row.name} {row.text}" for row in rows)
    return figure(foot + 40, f"{metric} with 95 % intervals: {said}", parts)


def _dot(row: Dot, top: float, across: Axis) -> list[str]:
    kind, parts = "ours" if row.ours else "other", []
    if row.low is not None and row.high is not None:
        parts.append(line(across(row.low), top + 28, across(row.high), top + 28, f"span {kind}"))
    if row.value is not None:
        parts.append(tag("circle", cx=across(row.value), cy=top + 28, r=5.5, class_=f"dot {kind}"))
    parts.append(words(2, top + 16, row.name, class_=f"head {kind}"))
    parts.append(words(WIDTH - 2, top + 16, row.text, "end", class_=f"head {kind}"))
    return parts


def fold(counts: np.ndarray, names: Sequence[str], most: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """At most ``most`` classes: those with most true units, in their order, and all others added up as the last."""
    if len(names) <= most:
        return counts, tuple(names)
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    kept = np.sort(order[: most - 1])
    place = np.full(len(names), most - 1)
    place[kept] = np.arange(most - 1)
    folded = np.zeros((most, most), dtype=counts.dtype)
    np.add.at(folded, (place[:, None], place[None, :]), counts)
    return folded, (*(names[row] for row in kept.tolist()), f"{len(names) - most + 1} others")


class _Grid(NamedTuple):
    """Where the cells of a matrix lie."""

    left: float
    top: float
    cell: float

    def box(self, row: float, column: float, size: float = 1.0) -> dict[str, Any]:
        x, y = self.left + column * self.cell, self.top + row * self.cell
        return {"x": x, "y": y, "width": size * self.cell, "height": size * self.cell}


def matrix(counts: np.ndarray, names: Sequence[str]) -> str:
    """Confusion: rows are true classes, columns predicted ones; shaded by the share of the true class."""
    size, wide = len(names), WIDTH if len(names) <= MOST_COUNTED else WIDE
    letters = 11 if size <= 20 else 10.5
    shown = [name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…" for name in names]
    margin = min(max(46.0, 0.6 * letters * max(map(len, shown)) + 12), 0.34 * wide)  # room for the word above it
    grid = _Grid(margin, margin + 20, min((wide - margin - 2) / size, 76.0))
    parts = [words(grid.left, 12, "predicted →", class_="name")]
    parts.append(words(grid.left - 6, grid.top - 6, "true ↓", "end", class_="name"))
    for row, name in enumerate(shown):
        middle, size_of = (row + 0.5) * grid.cell + letters / 3, f"{letters}px"
        parts.append(words(grid.left - 6, grid.top + middle, name, "end", font_size=size_of))
        place = f"translate({grid.left + middle:.1f} {grid.top - 6:.1f}) rotate(-90)"
        parts.append(words(0, 0, name, transform=place, font_size=size_of))
    digits = len(f"{int(counts.max(initial=0)):,}")
    type_size = min(12.5, grid.cell / (0.62 * digits)) if size <= MOST_COUNTED else None
    totals = counts.sum(axis=1)
    for row, column in np.argwhere(counts > 0).tolist():
        count, share = int(counts[row, column]), float(counts[row, column] / totals[row])
        told = tag("title", escape(f"{names[row]} predicted as {names[column]}: {count:,} ({share:.1%})"))
        box = grid.box(row, column)
        parts.append(tag("rect", told, **box, class_="cell", fill_opacity=0.06 + 0.94 * share))
        if type_size is not None:
            x, y, kind = (
                box["x"] + grid.cell / 2,
                box["y"] + grid.cell / 2 + type_size / 3,
                "on" if share > 0.55 else "off",
            )
            parts.append(words(x, y, f"{count:,}", "middle", class_=kind, font_size=f"{type_size:.1f}px"))
    parts += [tag("rect", **grid.box(row, row), class_="diagonal") for row in range(size)]
    parts.append(tag("rect", **grid.box(0, 0, size), class_="border"))
    return figure(grid.top + size * grid.cell + 4, f"Confusion matrix of {size} classes", parts, wide)


def scatter(truth: np.ndarray, values: np.ndarray) -> str:
    """Predicted over true values on equal axes, with the diagonal; as shaded cells where there are many."""
    fine = np.isfinite(truth) & np.isfinite(values)
    truth, values = truth[fine], values[fine]
    across = Axis.around(np.concatenate([truth, values]), 52.0, WIDTH - 10.0)
    down = Axis(across.low, across.high, 426.0, 24.0)
    parts = frame(across, down, "true value", "predicted value")
    parts.append(line(across.start, down.start, across.end, down.end, "guide"))
    places = np.array([(across(x), down(y)) for x, y in zip(truth.tolist(), values.tolist(), strict=True)])
    if len(truth) <= MOST_POINTS:
        radius = 2.6 if len(truth) > 300 else 3.6
        parts += [tag("circle", cx=x, cy=y, r=radius, class_="point") for x, y in places.tolist()]
        return figure(470, f"Predicted over true values of {len(truth):,} units", parts)
    cells, counts = _honeycomb(places)
    most = int(counts.max())
    shade = np.ceil(SHADES * np.log1p(counts) / np.log1p(most)).astype(int)
    for level in range(1, SHADES + 1):
        path = "".join(map(_hexagon, cells[shade == level].tolist()))
        parts.append(tag("path", d=path, class_="area", fill_opacity=0.1 + 0.9 * level / SHADES))
    parts.append(words(WIDTH - 12, 16, f"1 to {most:,} per cell, shaded by logarithm", "end"))
    return figure(470, f"Density of predicted over true values of {len(truth):,} units", parts)


def _honeycomb(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres ``(cells, 2)`` of the hexagons that hold points ``(points, 2)``, and how many each holds."""
    pitch = HEXAGON * np.array([3**0.5, 3.0])  # two rectangular lattices of centres, shifted by half a pitch
    even, odd = ((np.round(points / pitch - shift) + shift) * pitch for shift in (0.0, 0.5))
    nearer = ((even - points) ** 2).sum(axis=1) <= ((odd - points) ** 2).sum(axis=1)
    return np.unique(np.where(nearer[:, None], even, odd).round(3), axis=0, return_counts=True)


def _hexagon(centre: Sequence[float]) -> str:
    half, side = HEXAGON * 3**0.5 / 2, HEXAGON
    turns = f"l{half:.2f} {side / 2:g}v{side:g}l-{half:.2f} {side / 2:g}-{half:.2f}-{side / 2:g}v-{side:g}z"
    return f"M{centre[0]:.1f} {centre[1] - side:.1f}{turns}"


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], chosen: float | None = None) -> str:
    """Loss by step; ``chosen``: the step whose weights were kept."""
    thinned = {name: _thin(np.array(points, dtype=np.float64)) for name, points in lines.items()}
    everything = np.concatenate(list(thinned.values()))
    across = Axis(0.0, float(everything[:, 0].max()) or 1.0, 52.0, WIDTH - 22.0)
    down = Axis.around(everything[:, 1], 250.0, 34.0)
    parts = frame(across, down, "step", "")
    if chosen is not None:
        late = across(chosen) > WIDTH / 2
        parts.append(line(across(chosen), down.start, across(chosen), down.end, "guide"))
        parts.append(
            words(across(chosen) + (-5 if late else 5), down.end + 12, "weights kept", "end" if late else "start")
        )
    for place, (name, points) in enumerate(thinned.items()):
        kind = "ours" if name == "validation" or len(thinned) == 1 else "other"
        drawn = [(across(step), down(loss)) for step, loss in points.tolist()]
        parts.append(tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in drawn), class_=f"curve {kind}"))
        if len(drawn) <= 30:
            parts += [tag("circle", cx=x, cy=y, r=3.0, class_=f"dot {kind}") for x, y in drawn]
        left = across.start + 130 * place
        parts += [line(left, 14, left + 22, 14, f"span {kind}"), words(left + 28, 18, name)]
    return figure(290, "Loss by step: " + ", ".join(lines), parts)


def _thin(points: np.ndarray) -> np.ndarray:
    """Means of neighbours, where there are more points than a line can show."""
    if len(points) <= MOST_STEPS:
        return points
    return np.stack([part.mean(axis=0) for part in np.array_split(points, MOST_STEPS)])


def histogram(identity: np.ndarray, family: float | None = None) -> str:
    """Test records by identity to the nearest training record; ``family``: from which on two are of one family."""
    found = identity[identity > 0]
    counts = np.bincount(np.minimum((found * BINS + 1e-9).astype(int), BINS - 1), minlength=BINS)
    none = len(identity) - len(found)
    step = (WIDTH - 62.0) / (BINS + 2)
    across = Axis(0.0, 1.0, 52.0 + 2 * step, WIDTH - 10.0)
    down = Axis(0.0, max(4, int(counts.max()), none) * 1.04, 214.0, 28.0)
    bars = [(52.0, none, "none found", "other")]
    for place, count in enumerate(counts.tolist()):
        kind = "near" if family is not None and (place + 0.5) / BINS >= family else "ours"
        bars.append((across(place / BINS), count, f"{place / BINS:.0%} to {(place + 1) / BINS:.0%}", kind))
    parts = []
    for value, text in down.ticks(4):
        parts += [line(52, down(value), across.end, down(value), "grid"), words(46, down(value) + 4, text, "end")]
    for left, count, told, kind in bars:
        box = {"x": left + 1, "y": down(count), "width": step - 2, "height": down.start - down(count)}
        parts.append(tag("rect", tag("title", f"{told}: {count:,}"), **box, class_=f"bar {kind}"))
    if family is not None:
        parts.append(line(across(family), down.start, across(family), down.end, "guide"))
        parts.append(words(across(family) + 5, down.end + 10, "one family from here on"))
    parts += [words(across(share), 231, f"{share:.0%}", "middle") for share in (0.25, 0.5, 0.75)]
    parts.append(words(across.end, 231, "100%", "end"))
    parts.append(words(52 + step / 2, 231, "none", "middle"))
    parts.append(words(256, 250, "identity to the nearest training record", "middle", class_="name"))
    parts.append(words(52, 16, "test records", class_="name"))
    return figure(258, f"Identity of {len(identity):,} test records to training; none found for {none:,}", parts)
