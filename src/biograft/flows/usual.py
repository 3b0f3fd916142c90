"""What stands for the backbone ``auto``: the shipped encoder where it reads the table, and k-mers where they do better.

Only the validation part is asked, and only where the answer costs seconds: between solved heads on vectors that rest.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from biograft.data.records import Records
from biograft.flows.assess import Examination
from biograft.flows.recipe import Recipe
from biograft.shipped import shelf
from biograft.tasks.metrics import METRICS
from biograft.tasks.task import Level

__all__ = ["best", "compared", "usual"]

ENCODER = "protein-small"
MOST_LETTERS = 10_000_000  # that the encoder reads without being asked for: minutes on a laptop
SOLVED = ("auto", "frozen")  # strategies whose heads are found in no time


class _Answered(Protocol):
    """A strategy that was carried out."""

    @property
    def valid(self) -> np.ndarray:
        """Outputs for the validation part."""


Found = TypeVar("Found", bound=_Answered)


def usual(records: Records, level: Level, recipe: Recipe) -> tuple[str, ...]:
    """Names of the backbones that come into question, the first one to be taken where nothing can be tried."""
    simple = "cnn" if level.resolution == 1 else "kmer"
    if recipe.strategy == "scratch" or not _read(records.alphabet.name) or records.lengths.sum() > MOST_LETTERS:
        return (simple,)
    solved = recipe.strategy in SOLVED and not (recipe.options or recipe.source)
    return compared(records.alphabet.name, level) if solved else (ENCODER,)


def compared(alphabet: str, level: Level) -> tuple[str, ...]:
    """Names of the backbones of a comparison that names none: for proteins what ``auto`` would choose from."""
    if _read(alphabet):
        return (ENCODER,) if level.resolution == 1 else (ENCODER, "kmer")
    return ("cnn",) if level.resolution == 1 else ("kmer", "cnn")


def _read(alphabet: str) -> bool:
    """Whether there is an encoder in the package for these letters."""
    return alphabet == "protein" and shelf.find(ENCODER, shelf.backbones()) is not None


def best(names: tuple[str, ...], attempt: Callable[[str], Found], part: Examination | None) -> tuple[Found, list[str]]:
    """The attempt on the first backbone, or on one that does better by more than a standard error on the validation
    part; and a sentence on the choice, where there was one.

    The first one has the benefit of the doubt, for a validation part of a few dozen records tells little.

    Args:
        names: of :func:`usual`.
        attempt: carries the strategy out on a backbone.
        part: the validation part; None where there is none, and the first backbone is taken.
    """
    first, *others = names
    made = {first: attempt(first)}
    if part is None or not others:
        return made[first], []
    taken = first
    for name in others:
        made[name] = attempt(name)
        gain = part.gain(made[name].valid, made[taken].valid)
        taken = name if gain.value > gain.half_width else taken
    metric = METRICS[part.kind.metrics[0]]
    values = {name: float(metric(part.truth, part.predicted(found.valid))) for name, found in made.items()}
    numbers = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    return made[taken], [
        f"Backbone taken: {taken} ({metric.name} of the validation part: {numbers}; {first} stays unless another one "
        "is better by a standard error). --backbone NAME takes the one you name."
    ]
