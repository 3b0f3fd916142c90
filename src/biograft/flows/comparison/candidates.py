"""What is compared: backbones by strategies, and for each backbone that has weights the same net from scratch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from biograft import catalog
from biograft.errors import BiograftError
from biograft.files import digest
from biograft.flows.comparison.field import AUTO, Field, parted
from biograft.flows.recipe import Recipe
from biograft.flows.sources import SOURCE
from biograft.flows.unlabelled import UNLABELLED
from biograft.flows.usual import compared
from biograft.origins import load_backbone
from biograft.tasks.task import Level

__all__ = ["TWIN", "Candidate", "candidates"]

TWIN = "scratch"


@dataclass(frozen=True)
class Candidate:
    """One way to learn the task.

    Attributes:
        backbone: name, or folder.
        strategy: name.
        weight: λ as text, for strategies that draw from a source; '' for its default.
        options: choices of the strategy, ``NAME=VALUE``.
        transfer: whether it carries anything over: it is not the twin, and knows something or learns a source.
        twin: whether there is a twin to hold it against.
    """

    backbone: str
    strategy: str
    weight: str = ""
    options: tuple[str, ...] = ()
    transfer: bool = False
    twin: bool = False

    @property
    def name(self) -> str:
        """For people."""
        weight = [f"λ={self.weight}"] if self.weight else []
        return f"{Path(self.backbone).name}, {' '.join([self.strategy, *self.options, *weight])}"

    @property
    def chooses(self) -> bool:
        """Whether each of its runs takes one of several strategies."""
        return self.strategy == AUTO

    @property
    def draws_from_source(self) -> bool:
        """Whether it learns a source together with the target."""
        return not self.chooses and SOURCE in catalog.resolve("strategies", self.strategy).streams

    @property
    def draws_unlabelled(self) -> bool:
        """Whether it reads unlabelled records beside the training part."""
        return not self.chooses and UNLABELLED in catalog.resolve("strategies", self.strategy).streams

    @property
    def may_use_source(self) -> bool:
        """Whether it is given the source, if there is one."""
        return self.chooses or self.draws_from_source

    def folder(self, seed: int, limit: int | None = None) -> str:
        """Name of the run's folder: the same in every call, and no two alike."""
        parts = [Path(self.backbone).name.replace("@", "-"), self.strategy, *([self.weight] if self.weight else [])]
        if Path(self.backbone).name != self.backbone:
            parts.insert(1, digest(self.backbone)[:6])
        parts += [re.sub(r"[^\w.+-]", "-", option) for option in self.options]
        return "-".join([*parts, *([] if limit is None else [f"n{limit}"]), f"seed{seed}"])

    def recipe(self, shared: Recipe, seed: int, limit: int | None = None) -> Recipe:
        """The choices of one run, from the same labels as all. Raises BiograftError where they don't fit together."""
        own: dict[str, Any] = {"backbone": self.backbone, "strategy": self.strategy, "seed": seed, "refit": False}
        if self.chooses:
            own["minutes"] = float(self.options[0].partition("=")[2])
        else:
            own["strategy_option"] = self.options
        if limit is not None:
            own["train_limit"] = limit
        if self.may_use_source:
            own["lambda_"] = self.weight
        else:
            own |= {"source": "", "source_label": "", "source_mask": (), "source_task": None, "lambda_": ""}
        if not self.draws_unlabelled:
            own["unlabelled"] = None
        return replace(shared, **own)

    def twin_among(self, everyone: Sequence["Candidate"]) -> "Candidate | None":
        """The same net from scratch; None where there is nothing to hold it against."""
        found = [one for one in everyone if (one.backbone, one.strategy) == (self.backbone, TWIN)]
        return found[0] if self.twin and found else None


def candidates(shared: Recipe, entrants: Field, alphabet: str, level: Level) -> list[Candidate]:
    """All that is compared, each once; the twin of a backbone stands before what is held against it.

    Args:
        shared: whose source, if there is one, adds a strategy that draws from it.
        level: decides what the usual backbones are.

    Raises:
        BiograftError: a name that doesn't exist, a backbone of another alphabet, or what nobody would use.
    """
    found: list[Candidate] = []
    for name in entrants.backbones or compared(alphabet, level):
        backbone = load_backbone(name, alphabet)
        learns = any(True for _ in backbone.parameters())
        usual = [TWIN, "frozen", "full"] if backbone.pretrained else [TWIN] if learns else ["frozen"]
        chosen = list(entrants.strategies or usual)
        if shared.source and learns and not any(Candidate(name, parted(one)[0]).draws_from_source for one in chosen):
            chosen.append("joint")
        if learns:
            chosen.insert(0, TWIN)
        for text in chosen:
            strategy, own = parted(text)
            plain = Candidate(name, strategy, options=entrants.choices(strategy, own), twin=learns and strategy != TWIN)
            source = bool(shared.source) and plain.may_use_source and learns
            plain = replace(plain, transfer=strategy != TWIN and (backbone.pretrained or source))
            found += [replace(plain, weight=weight) for weight in entrants.weights if source] or [plain]
    _check_use(shared, entrants, found)
    return list(dict.fromkeys(found))


def _check_use(shared: Recipe, entrants: Field, found: Sequence[Candidate]) -> None:
    """Raise BiograftError for a source and for choices that no candidate would look at."""
    if shared.source and not any(one.draws_from_source or (one.chooses and one.twin) for one in found):
        raise BiograftError(
            f"No candidate could learn the source: got --source {shared.source}, and backbones without weights alone. "
            "Add a backbone such as cnn, or leave the source out."
        )
    unused = sorted(entrants.spoken_of - {one.strategy for one in found})
    if unused:
        raise BiograftError(
            f"--strategy-option speaks of a strategy that doesn't take part: got '{unused[0]}', expected one of "
            f"{', '.join(dict.fromkeys(one.strategy for one in found))}. Add it to --strategies, or leave it out."
        )
