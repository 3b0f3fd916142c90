"""One number per unit, learned on a standardised scale and answered in the user's units."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor

from biograft.errors import BiograftError
from biograft.tasks.metrics import Predicted
from biograft.tasks.task import LabelKind

__all__ = ["MARKS", "Regression", "numbers"]

MARKS = ("", "nan", "na", "n/a", "none", "null")


def numbers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Text ``(units,)`` -> float64 values (nan where missing) and which are given.

    Raises BiograftError naming the first text that is neither a finite number nor one of the marks of a missing one.
    """
    given = Regression.given(values)
    result = np.full(len(values), np.nan)
    try:
        result[given] = values[given].astype(np.float64)
    except ValueError:
        bad = next(text for text in values[given].tolist() if not _number(text))
        raise BiograftError(
            f"A target must be a number: got '{bad}'. Write numbers with a decimal point, leave missing ones empty, "
            "or ask with --task classification."
        ) from None
    endless = given & np.isinf(result)
    if endless.any():
        raise BiograftError(
            f"A target must be finite: got '{values[endless.argmax()]}'. Leave it empty where it is not known."
        )
    return result, given


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Regression(LabelKind):
    """Squared error on standardised values.

    Attributes:
        mean: of the training part, in the user's units.
        scale: standard deviation of the training part, in the user's units, > 0.
    """

    name: ClassVar[str] = "regression"
    mean: float
    scale: float

    @property
    def width(self) -> int:
        """One output."""
        return 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """Rank correlation leads: most assays are monotonic in what matters, few are linear."""
        return ("spearman", "pearson", "r2", "rmse", "mae")

    @classmethod
    def learn(cls, values: np.ndarray, label: str) -> Self:
        """Mean and standard deviation. Raises BiograftError for a constant target."""
        known, given = numbers(values)
        known = known[given]
        if len(known) < 2 or np.ptp(known) == 0:
            found = "no number" if len(known) == 0 else f"only the value {known[0]:g}"
            raise BiograftError(
                f"A target that never changes can't be learned: column '{label}' has {found} in the training part, "
                "expected two or more different ones. Check --label and the split."
            )
        return cls(float(known.mean()), float(known.std()))

    @classmethod
    def given(cls, values: np.ndarray) -> np.ndarray:
        """False where empty, nan, NA, none or null, in any case."""
        return np.array([text.strip().lower() not in MARKS for text in values.tolist()], dtype=bool)

    def encode(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(units,)`` float64 standardised values (0 where missing) and which are given."""
        result, given = numbers(values)
        return np.where(given, (result - self.mean) / self.scale, 0.0), given

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Squared error on the standardised scale."""
        return (outputs[:, 0].float() - targets.float()).square()

    def decode(self, outputs: np.ndarray) -> Predicted:
        """Values in the user's units."""
        return Predicted(codes=None, scores=None, values=outputs[:, 0].astype(np.float64) * self.scale + self.mean)

    def truth(self, targets: np.ndarray) -> np.ndarray:
        """Values in the user's units."""
        return targets * self.scale + self.mean

    def constant(self, targets: np.ndarray) -> np.ndarray:
        """The mean."""
        return np.array([targets.mean()])

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Fifths of the values by rank."""
        ranks = np.argsort(np.argsort(targets, kind="stable"), kind="stable")
        return ranks * 5 // max(1, len(targets))

    def configuration(self) -> dict[str, Any]:
        """Mean and scale."""
        return asdict(self)
