"""One class per unit, out of those that the training part holds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from biograft.errors import BiograftError
from biograft.tasks.metrics import Predicted
from biograft.tasks.task import ABSENT, LabelKind

__all__ = ["UNSEEN", "Classification", "some"]

UNSEEN = -1
MOST_NAMED = 8  # classes in a sentence
MOST_RANKED = 20  # beyond so many classes the ranking metrics cost minutes and say little
_SECONDARY_STRUCTURE = {3: ("q3", set("HEC")), 8: ("q8", set("HGIEBTSC"))}


@dataclass(frozen=True)
class Classification(LabelKind):
    """Classes in a fixed order; the code of a class that training never had is -1.

    Attributes:
        classes: names, sorted (as numbers where all are whole numbers).
        adjustment: ``(classes,)`` added to the outputs in the loss; empty for none.
    """

    name: ClassVar[str] = "classification"
    classes: tuple[str, ...]
    adjustment: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for field in ("classes", "adjustment"):
            object.__setattr__(self, field, tuple(getattr(self, field)))  # JSON gives back a list

    @property
    def width(self) -> int:
        """One output per class."""
        return len(self.classes)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Q3 or Q8 lead where the classes are those of secondary structure, else the correlation coefficient leads.

        Before all of them stands balanced accuracy, where the adjusted loss aims at it.
        """
        name, letters = _SECONDARY_STRUCTURE.get(self.width, ("", set()))
        aim = ("balanced_accuracy",) if self.adjustment else ()
        lead = (name,) if set(self.classes) == letters else ()
        ranks = ("roc_auc", "average_precision") if self.width <= MOST_RANKED else ()
        found = (*aim, *lead, "mcc", "accuracy", "balanced_accuracy", "macro_f1", *ranks, "log_loss", "ece")
        return tuple(dict.fromkeys(found))

    @classmethod
    def learn(cls, values: np.ndarray, label: str) -> Self:
        """The distinct labels. Raises BiograftError if there is only one."""
        classes = sorted(set(values.tolist()) - set(ABSENT))
        if len(classes) < 2:
            raise BiograftError(
                f"Nothing to tell apart: column '{label}' has {len(classes)} class in the training part"
                f"{f' ({classes[0]!r})' if classes else ''}, expected two or more. Check --label and the split."
            )
        if all(_whole(name) for name in classes):
            classes.sort(key=int)
        return cls(tuple(classes))

    def adjusted(self, targets: np.ndarray, strength: float) -> Self:
        """Rare classes count as much as frequent ones: ``strength`` times the log of the shares among ``targets``.

        Added in the loss and not in the answer (arXiv:2007.07314, equation 10): at strength 1 the best answer is the
        one with the least balanced error. Every class must be among the targets.
        """
        counts = np.bincount(targets, minlength=self.width)
        return replace(self, adjustment=tuple((strength * np.log(counts / counts.sum())).tolist()))

    @classmethod
    def given(cls, values: np.ndarray) -> np.ndarray:
        """False where empty or nan; any other text may be a class, NA too."""
        return ~np.isin(values.astype(str), ABSENT)

    def encode(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(units,)`` int64 codes and which labels are given."""
        codes = {name: code for code, name in enumerate(self.classes)}
        distinct, inverse = np.unique(values.astype(str), return_inverse=True)
        table = np.array([codes.get(name, UNSEEN) for name in distinct.tolist()], dtype=np.int64)
        return table[inverse], self.given(distinct)[inverse]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy; units of an unseen class cost nothing, for the model cannot name them."""
        logits = outputs.float()
        if self.adjustment:
            logits = logits + logits.new_tensor(self.adjustment)
        return torch.nn.functional.cross_entropy(logits, targets, ignore_index=UNSEEN, reduction="none")

    def decode(self, outputs: np.ndarray) -> Predicted:
        """Probabilities by softmax, and the class of the largest."""
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True), dtype=np.float64)
        scores = shifted / shifted.sum(axis=1, keepdims=True)
        return Predicted(codes=scores.argmax(axis=1), scores=scores, values=None)

    def truth(self, targets: np.ndarray) -> np.ndarray:
        """Codes as they are."""
        return targets

    def constant(self, targets: np.ndarray) -> np.ndarray:
        """Logarithms of the class shares, every class counted once more than seen."""
        counts = np.bincount(targets[targets >= 0], minlength=self.width) + 1.0
        return np.log(counts / counts.sum())

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """The codes."""
        return targets

    def configuration(self) -> dict[str, Any]:
        """The classes; the adjustment where there is one."""
        return {name: value for name, value in asdict(self).items() if name == "classes" or value}


def _whole(text: str) -> bool:
    return text.lstrip("+-").isdigit()


def some(classes: Sequence[str]) -> str:
    """The names of the first few, for a sentence."""
    return ", ".join(classes[:MOST_NAMED]) + (" …" if len(classes) > MOST_NAMED else "")
