"""Every choice of a pretraining run, checked as soon as it is made."""

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from biograft.errors import BiograftError

__all__ = ["PretrainRecipe"]

SHAPE = ("architecture", "layers", "width", "heads")


@dataclass(frozen=True)
class PretrainRecipe:
    """Every choice of a pretraining run; the fields are the options of the command line.

    Attributes:
        corpus: file of the sequences; ``corpus_digest`` of its content.
        backbone: pretrained encoder to go on from, as ``--backbone`` of a fit names it; '' for random weights.
        backbone_fingerprint: of its weights, found when the run begins.
        architecture: ``encoder`` (transformer) or ``bytenet`` (dilated convolutions).
        layers, width, heads: shape; a head has ``width / heads`` numbers, and only the transformer has heads. With a
            ``backbone`` its own shape counts, and these are left as they are.
        window: letters per row in training; longer sequences are cut into like parts.
        tokens: letters of the corpus to read, in all.
        batch_letters: letters of the corpus per step.
        optimiser: ``muon`` or ``adamw``.
        schedule: ``wsd`` or ``cosine``.
        masked: share of the letters that are asked for.
        held_out: sequences that are held out, with their relatives at ``identity``, to measure on.
        source, source_label, source_mask, source_weight: tables learned beside the corpus, their label columns, columns
            of residues that count ('' for all) and λ; as many of each. ``source_digest`` of the tables' content.
        source_letters: letters of a source per step: one number for all of them, or one for each.
    """

    corpus: str = ""
    corpus_digest: str = ""
    sequence: str = "sequence"
    id: str | None = None
    alphabet: str = "auto"
    unknown: str | None = None
    backbone: str = ""
    backbone_fingerprint: str = ""
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
    source_digest: tuple[str, ...] = ()
    source_label: tuple[str, ...] = ()
    source_mask: tuple[str, ...] = ()
    source_weight: tuple[float, ...] = ()
    source_letters: tuple[int, ...] = (4096,)
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "window", "tokens", "batch_letters", "held_out"):
            if getattr(self, name) < 1:
                raise BiograftError(
                    f"--{name.replace('_', '-')}: got {getattr(self, name)}, expected 1 or more. Mend it."
                )
        if self.backbone and (given := self._given()):
            raise BiograftError(
                f"An encoder that goes on from '{self.backbone}' keeps its shape: got --{given} "
                f"{getattr(self, given)}, expected no such option. Leave it out, or leave out --backbone."
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
        if not 0 < self.learning_rate < math.inf:
            raise BiograftError(f"--learning-rate: got {self.learning_rate:g}, expected above 0. 0.002 is usual.")
        if not 0 <= self.weight_decay < math.inf:
            raise BiograftError(f"--weight-decay: got {self.weight_decay:g}, expected 0 or more. 0.05 is usual.")
        if not 0 < self.masked < 1:
            raise BiograftError(f"--masked: got {self.masked:g}, expected between 0 and 1. 0.15 is usual.")
        self._check_sources()

    def _check_sources(self) -> None:
        sizes = {name: len(getattr(self, name)) for name in ("source_label", "source_mask", "source_weight")}
        for name, size in sizes.items():
            if size != len(self.source):
                raise BiograftError(
                    f"Every --source needs a label column and a λ: got {len(self.source)} sources and {size} times "
                    f"--{name.replace('_', '-')}. Give one for each source, in the same order."
                )
        if len(self.source_letters) not in {1, len(self.source)} or min(self.source_letters) < 1:
            raise BiograftError(
                f"--source-letters: got {', '.join(map(str, self.source_letters))}, expected a number of 1 or more for "
                f"all sources, or one for each of the {len(self.source)}, in the same order."
            )
        if any(weight <= 0 or not math.isfinite(weight) for weight in self.source_weight):
            raise BiograftError(f"λ of a source: got {self.source_weight}, expected numbers above 0. 1 is usual.")

    def _given(self) -> str | None:
        """A choice of shape that is not the usual one."""
        usual = {field.name: field.default for field in fields(self)}
        return next((name for name in SHAPE if getattr(self, name) != usual[name]), None)

    @property
    def steps(self) -> int:
        """Steps of the loop."""
        return max(1, round(self.tokens / self.batch_letters))

    def names(self) -> list[str]:
        """A name for each source: its file and label."""
        parts = zip(self.source, self.source_label, strict=True)
        return [f"{Path(path).name.split('.')[0]} {label}".replace(".", " ") for path, label in parts]

    def letters(self) -> dict[str, int]:
        """Letters per step of each source, by its name."""
        each = self.source_letters if len(self.source_letters) > 1 else self.source_letters * len(self.source)
        return dict(zip(self.names(), each, strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Fields as TOML holds them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
