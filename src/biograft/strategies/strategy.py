"""The contract of every strategy: a plan that the one loop carries out, never a loop of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.judgement import Judge
from biograft.model import LinearHead, Model
from biograft.strategies.objective import Term, supervised
from biograft.tasks.task import LabelKind, Level

__all__ = ["FixedFeatures", "Group", "Phase", "Refusal", "Strategy", "but_batch_norms", "by_height", "parameters"]


class Refusal(BiograftError):
    """A strategy can't be carried out on this backbone, level or label kind, where another one may be."""


@dataclass(frozen=True, eq=False)
class FixedFeatures:
    """Features of the training part's units from a backbone that doesn't move.

    Attributes:
        values: ``(units, features)`` float32, of units that count; ``(units, layers, features)`` for a mix of layers.
        targets: ``(units,)`` as the label kind encodes them.
        families: ``(units,)`` int, so that choices inside the training part keep families together.
        seed: of the random choices.
    """

    values: np.ndarray
    targets: np.ndarray
    families: np.ndarray
    seed: int


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that learn at one rate.

    Attributes:
        weight_decay: decoupled.
        optimiser: ``adamw``, ``sgd`` with momentum, or ``muon`` for matrices.
        anchor: what the decay pulls to, a tensor per parameter; None for zero.
    """

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float
    weight_decay: float = 0.01
    optimiser: str = "adamw"
    anchor: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, eq=False)
class Phase:
    """Which parameters move, at what rate, for what share of the steps, under which terms.

    Attributes:
        meeting: what happens where the gradients of two terms meet: ``sum`` (of any number of terms), ``compare``
            (the sum, and their cosine is logged), ``project`` (also, the part of the second against the first is
            taken out).
        continues: the optimisers and the course of the rates go on from the phase before, instead of beginning anew.
        remembered: the weights with which it begins are kept for :meth:`Strategy.finish`.
    """

    groups: tuple[Group, ...]
    share: float = 1.0
    terms: tuple[Term, ...] = (Term("target", supervised),)
    meeting: Literal["sum", "compare", "project"] = "sum"
    continues: bool = False
    remembered: bool = False


_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Strategy(ABC):
    """How knowledge is carried over.

    Attributes:
        name: in the catalog.
        cacheable: True if no phase moves the backbone, so that its vectors can be computed once.
        streams: what its terms draw from; ``source`` beside ``target`` needs a labelled source.
    """

    name: ClassVar[str]
    cacheable: ClassVar[bool] = False
    streams: ClassVar[tuple[str, ...]] = ("target",)

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A fresh head."""
        return LinearHead(level, backbone.width, kind.width)

    def exact(self, level: Level) -> bool:
        """True if :meth:`start` wants the features of the training part, to solve the head without the loop."""
        return False

    @abstractmethod
    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Prepare the model before the first step. Returns sentences for the report."""

    def learner(self, model: Model, source: Model | None = None) -> nn.Module:
        """What the loop trains: the model itself, or more of which it is a part. Called after :meth:`start`.

        Args:
            source: a model of the source task on the same backbone, for strategies that draw from it.
        """
        return model

    def target(self, learner: nn.Module) -> Model:
        """The model within what the loop trains."""
        assert isinstance(learner, Model)
        return learner

    @abstractmethod
    def phases(self, learner: Any) -> list[Phase]:
        """What to learn, in order; empty where :meth:`start` has answered."""

    def finish(self, model: Model, judge: Judge | None = None, began: Mapping[str, Tensor] | None = None) -> list[str]:
        """Leave a plain model (adapters merged). Returns sentences for the report.

        Args:
            judge: of models on the validation part; None where there is none.
            began: weights by name with which the remembered phase began; None or empty where none did.
        """
        return []


def parameters(modules: Iterable[nn.Module]) -> tuple[nn.Parameter, ...]:
    """All parameters of the modules, in order."""
    return tuple(parameter for module in modules for parameter in module.parameters())


def by_height(backbone: Backbone) -> list[tuple[nn.Parameter, ...]]:
    """Parameters block by block, bottom to top, each once; those outside all blocks go with the lowest."""
    found: list[tuple[nn.Parameter, ...]] = []
    taken: set[nn.Parameter] = set()
    for block in backbone.blocks():
        own = tuple(parameter for parameter in block.parameters() if parameter not in taken)
        taken.update(own)
        if own:
            found.append(own)
    outside = tuple(parameter for parameter in backbone.parameters() if parameter not in taken)
    if not found:
        return [outside] if outside else []
    return [found[0] + outside, *found[1:]]


def but_batch_norms(group: Group, backbone: Backbone) -> Group:
    """The group without batch norms, which then rest, and their statistics with them.

    For plans in which a head first learns on a resting backbone, or most of it rests throughout: other statistics
    would change every vector at once.
    """
    resting = set(parameters(module for module in backbone.modules() if isinstance(module, _BATCH_NORMS)))
    return replace(group, parameters=tuple(parameter for parameter in group.parameters if parameter not in resting))
