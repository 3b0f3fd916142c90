"""Few labels per class, and classes of unequal size: draws and losses that make up for it, and advice."""

from dataclasses import replace

import numpy as np
import torch

from biograft.data.examples import Examples, ExampleStream
from biograft.errors import BiograftError
from biograft.flows.prepare import Prepared, learnable
from biograft.model import LinearHead, Model
from biograft.strategies.strategy import Strategy
from biograft.tasks.classification import Classification
from biograft.tasks.task import LabelKind, Level

__all__ = ["adjusted", "balanced_stream", "check_sampling", "shift_solved"]


def adjusted(prepared: Prepared, strength: float | None) -> Prepared:
    """The same with a loss that counts rare classes as much as frequent ones; None or 0 changes nothing.

    Class shares are those of the training part. Raises BiograftError where labels are no classes.
    """
    if not strength:
        return prepared
    kind = prepared.kind
    if not isinstance(kind, Classification):
        raise BiograftError(
            f"--logit-adjustment is for classes: got a task of {kind.name}, expected classification. Leave it out."
        )
    _, units, _ = prepared.part("train")
    targets, known = kind.encode(units.values)
    note = (
        f"The loss was adjusted for class shares (strength {strength:g}): probabilities are those of a world in which "
        "all classes are equally frequent, and log_loss and ece judge them as if they were of this one."
    )
    told = [*prepared.notes, note if strength == 1 else note.replace("equally frequent", "nearer to equally frequent")]
    found = kind.adjusted(targets[learnable(kind, targets, known & units.counted)], strength)
    return replace(prepared, kind=found, notes=told)


def shift_solved(model: Model) -> None:
    """Give a head that was solved without the loop the adjustment that its kind asks for.

    The intercepts of a solved classifier are free of any penalty, so that learning under the adjusted loss would give
    the same weights and intercepts that are less by the adjustment.
    """
    adjustment = getattr(model.kind, "adjustment", ())
    if not adjustment:
        return
    if not isinstance(model.head, LinearHead):
        raise BiograftError(
            f"--logit-adjustment shifts the intercepts of a linear head: got a head of the kind "
            f"'{getattr(model.head, 'name', '')}', which has none. Leave it out, or choose --strategy full."
        )
    with torch.no_grad():
        model.head.linear.bias.sub_(torch.tensor(adjustment, dtype=torch.float32))


def check_sampling(sampling: str | None, strategy: Strategy, level: Level, kind: LabelKind) -> None:
    """Raise BiograftError where classes can't be drawn equally often: no draws, or no one class per record."""
    if sampling != "balanced":
        return
    if not isinstance(kind, Classification) or (level.count(np.array([3, 5])) != 1).any():
        raise BiograftError(
            f"--sampling balanced draws every class equally often: got {kind.name} per {level.name}, expected one "
            "class per record. Leave it out; for classes of residues choose --logit-adjustment 1."
        )
    if strategy.cacheable and strategy.exact(level):
        raise BiograftError(
            f"--sampling balanced draws the batches of a loop: got strategy '{strategy.name}', which solves its head "
            "without one. Choose --logit-adjustment 1 for it, or --strategy full."
        )


def balanced_stream(train: Examples, budget: int, seed: int) -> ExampleStream:
    """Batches of records with one class each, every class equally often."""
    return ExampleStream(train, budget, seed, train.targets)
