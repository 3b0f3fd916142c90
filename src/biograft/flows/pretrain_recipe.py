"""Every choice of a pretraining run, checked as soon as it is made."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from biograft.errors import BiograftError

__all__ = ["PretrainRecipe"]


@dataclass(frozen=True)
class PretrainRecipe:
    """Every choice of a pretraining run; the fields are the options of the command line.

    Attributes:
        corpus: file of the sequences; ``corpus_digest`` of its content.
        architecture: ``encoder`` (transformer) or ``bytenet`` (dilated convolutions).
        layers, width, heads: shape; a head has ``width / heads`` numbers, and only the transformer has heads.
        window: letters per row in training; longer sequences are cut into like parts.
        tokens: letters of the corpus to read, in all.
        batch_letters: letters of the corpus per step.
        optimiser: ``muon`` or ``adamw``.
        schedule: ``wsd`` or ``cosine``.
        masked: share of the letters that are asked for.
        held_out: sequences that are held out, with their relatives at ``identity``, to measure on.
        source, source_label, source_mask, source_weight: tables learned beside the corpus, their label columns, columns
            of residues that count ('' for all) and λ; as many of each.
        source_letters: letters of each source per step.
    """

    corpus: str = ""
    corpus_digest: str = ""
    sequence: str = "sequence"
    id: str | None = None
    alphabet: str = "auto"
    unknown: str | None = None
    architecture: str = "encoder"
    layers: int = 6
    width: int = 320
    heads: int = 5
    window: int = 512
    tokens: int = 50_000_000
    batch_letters: int = 16_384
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    optimiser: str = "muon"
    schedule: str = "wsd"
    masked: float = 0.15
    held_out: int = 200
    identity: float = 0.4
    source: tuple[str, ...] = ()
    source_label: tuple[str, ...] = ()
    source_mask: tuple[str, ...] = ()
    source_weight: tuple[float, ...] = ()
    source_letters: int = 4096
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "window", "tokens", "batch_letters", "held_out", "source_letters"):
            if getattr(self, name) < 1:
                raise BiograftError(
                    f"--{name.replace('_', '-')}: got {getattr(self, name)}, expected 1 or more. Mend it."
                )
        choices = (
            ("architecture", ("encoder", "bytenet")),
            ("optimiser", ("muon", "adamw")),
            ("schedule", ("wsd", "cosine")),
        )
        for name, allowed in choices:
            if getattr(self, name) not in allowed:
                found = getattr(self, name)
                raise BiograftError(f"Unknown value for --{name}: got '{found}', expected {' or '.join(allowed)}.")
        if not self.learning_rate > 0:
            raise BiograftError(f"--learning-rate: got {self.learning_rate:g}, expected above 0. 0.002 is usual.")
        self._check_sources()

    def _check_sources(self) -> None:
        sizes = {name: len(getattr(self, name)) for name in ("source_label", "source_mask", "source_weight")}
        for name, size in sizes.items():
            if size != len(self.source):
                raise BiograftError(
                    f"Every --source needs a label column and a λ: got {len(self.source)} sources and {size} times "
                    f"--{name.replace('_', '-')}. Give one for each source, in the same order."
                )
        if any(weight <= 0 or not math.isfinite(weight) for weight in self.source_weight):
            raise BiograftError(f"λ of a source: got {self.source_weight}, expected numbers above 0. 1 is usual.")

    @property
    def steps(self) -> int:
        """Steps of the loop."""
        return max(1, round(self.tokens / self.batch_letters))

    def names(self) -> list[str]:
        """A name for each source: its file and label."""
        parts = zip(self.source, self.source_label, strict=True)
        return [f"{Path(path).name.split('.')[0]} {label}".replace(".", " ") for path, label in parts]

    def as_dict(self) -> dict[str, Any]:
        """Fields as TOML holds them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
