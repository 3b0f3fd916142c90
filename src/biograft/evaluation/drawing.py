"""Ink and axes: SVG elements as text, coloured by the style sheet of the page around them.

Figures are 460 units wide, so that their letters stay readable on a phone, and say in words what they show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

import numpy as np

__all__ = ["WIDTH", "Axis", "figure", "frame", "line", "spoken", "tag", "words"]

WIDTH = 460


def spoken(value: float | None, size: float | None = None) -> str:
    """A number for people: three decimals, fewer where it is large, two digits where it is tiny, '–' for none.

    ``size`` is the largest of numbers that stand together and should be told as finely; None: of the value itself.
    """
    if value is None or not np.isfinite(value):
        return "–"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    size = abs(value) if size is None else size
    if 0 < size < 0.001:
        return f"{value:.2g}"
    return f"{value:z,.{3 if size < 10 else 2 if size < 100 else 1}f}"


@dataclass(frozen=True)
class Axis:
    """``low`` .. ``high`` of the data on ``start`` .. ``end`` of the drawing (up the page: start > end)."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: np.ndarray, start: float, end: float) -> "Axis":
        """Room for all finite values and a little more."""
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        room = 0.04 * (high - low) or abs(high) or 1.0
        return cls(low - room, high + room, start, end)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Round values inside, about so many, with their texts."""
        rough = (self.high - self.low) / most
        power = 10.0 ** floor(log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
        first, last = int(np.ceil(self.low / step - 1e-9)), int(np.floor(self.high / step + 1e-9))
        decimals = max(0, -floor(log10(step) + 1e-9))
        return [(place * step, f"{place * step:,.{decimals}f}") for place in range(first, last + 1)]


def tag(name: str, content: str = "", **attributes: object) -> str:
    """An element; ``content`` is taken as it is, ``class_`` becomes class and ``text_anchor`` text-anchor."""
    texts = [
        f'{key.rstrip("_").replace("_", "-")}="{escape(f"{value:.2f}" if isinstance(value, float) else str(value))}"'
        for key, value in attributes.items()
    ]
    return f"<{' '.join([name, *texts])}>{content}</{name}>"


def words(x: float, y: float, text: str, anchor: str = "start", **attributes: object) -> str:
    """A line of text; any text is safe."""
    return tag("text", escape(text), x=float(x), y=float(y), text_anchor=anchor, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a class of the style sheet."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=kind)


def figure(height: float, told: str, parts: Sequence[str], width: float = WIDTH) -> str:
    """The whole drawing; ``told`` is what it says to those who cannot see it."""
    return tag("svg", "".join(parts), viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=told)


def frame(across: Axis, down: Axis, below: str, above: str) -> list[str]:
    """Grid and numbers of two axes, the name of the first below and of the second above."""
    parts = []
    for value, text in down.ticks():
        parts.append(line(across.start, down(value), across.end, down(value), "grid"))
        parts.append(words(across.start - 6, down(value) + 4, text, "end"))
    for value, text in across.ticks():
        parts.append(line(across(value), down.start, across(value), down.end, "grid"))
        parts.append(words(across(value), down.start + 17, text, "middle"))
    parts.append(words((across.start + across.end) / 2, down.start + 36, below, "middle", class_="name"))
    parts.append(words(across.start, down.end - 8, above, class_="name"))
    return parts
