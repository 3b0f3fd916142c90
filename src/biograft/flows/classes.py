"""Few labels per class, and classes of unequal size: draws and losses that make up for it, and advice."""

from dataclasses import replace

import numpy as np
import torch

from biograft.data.examples import Examples
from biograft.errors import BiograftError
from biograft.flows.prepare import Prepared, learnable
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification

__all__ = ["adjusted", "shift_solved", "strata"]


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
        model.head.linear.bias -= torch.tensor(adjustment, dtype=torch.float32)


def strata(sampling: str | None, model: Model, train: Examples, looped: bool) -> np.ndarray | None:
    """``(records,)`` the class of each training record where classes are drawn equally often, else None.

    Raises BiograftError where a record has no one class, or where nothing is drawn.
    """
    if sampling != "balanced":
        return None
    if not looped:
        raise BiograftError(
            "--sampling balanced draws the batches of a loop: got a strategy that solves its head without one. "
            "Choose --logit-adjustment 1 for it, or --strategy full."
        )
    if not isinstance(model.kind, Classification) or (train.units != 1).any():
        raise BiograftError(
            f"--sampling balanced draws every class equally often: got {model.kind.name} per {model.level.name}, "
            "expected one class per record. Leave it out; for classes of residues choose --logit-adjustment 1."
        )
    return train.targets
