"""First the head, then what is below it: probe and then fine-tune (``lpft``), or block after block (``gradual``)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model
from biograft.strategies.frozen import Frozen
from biograft.strategies.full import check_decay, layered, trainable, untrained
from biograft.strategies.strategy import FixedFeatures, Group, Phase, Strategy, but_batch_norms, parameters
from biograft.tasks.task import LabelKind, Level

__all__ = ["LPFT", "Gradual", "Probed"]


@dataclass(frozen=True)
class Probed(Strategy):
    """A linear probe on the resting backbone, then fine-tuning from there (arXiv:2202.10054): the part that is shared.

    Per sequence the probe is solved on vectors that are computed once, its scaler and penalty folded into the linear
    layer; where labels have no solver, it is a first phase in which the head moves alone.

    Attributes:
        learning_rate: of the backbone; small, for the head fits already.
        head_learning_rate: of the head in fine-tuning.
        probe_learning_rate: of the head in a probe that the loop learns.
        probe_share: of the steps, for such a probe.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    remembers: ClassVar[bool] = False
    learning_rate: float = 3e-5
    head_learning_rate: float = 1e-4
    probe_learning_rate: float = 2e-3
    probe_share: float = 0.4
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.probe_share < 1:
            raise BiograftError(
                f"Choice 'probe_share' is a share of the steps: got {self.probe_share:g}, expected between 0 and 1. "
                "Mend it."
            )

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def exact(self, level: Level) -> bool:
        """As with ``frozen``: for labels per sequence."""
        return level.resolution is None

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Solve the head as ``frozen`` does, where it can be."""
        trainable(model, self.name)
        return [*Frozen().start(model, features), *untrained(model.backbone, "fine-tuning")]

    def phases(self, learner: Model) -> list[Phase]:
        """Fine-tuning; before it the probe, unless it is solved."""
        head = parameters([learner.head])
        whole = Group(parameters([learner.backbone]), self.learning_rate, self.weight_decay)
        tuning = (but_batch_norms(whole, learner.backbone), Group(head, self.head_learning_rate, self.weight_decay))
        if not any(parameter.requires_grad for parameter in head):
            return [Phase(tuning, remembered=self.remembers)]
        probe = Phase((Group(head, self.probe_learning_rate, self.weight_decay),), self.probe_share)
        return [probe, Phase(tuning, 1 - self.probe_share, remembered=self.remembers)]


@dataclass(frozen=True)
class LPFT(Probed):
    """Fine-tuning that begins with a head which fits already, so that its first steps don't distort the backbone."""

    name: ClassVar[str] = "lpft"


@dataclass(frozen=True)
class Gradual(Strategy):
    """The head learns first, then one block more after the other, from the top down (arXiv:1801.06146).

    One optimiser and one course of the rates from beginning to end: what moves already keeps its moments.

    Attributes:
        learning_rate: of the highest block.
        head_learning_rate: of the head.
        layer_decay: rate of a block as a share of the rate of the block above it; 1 for one rate.
        unfreezing: share of the steps after which every block moves.
        weight_decay: decoupled (AdamW, arXiv:1711.05101).
        dropout: before the linear layer of the head.
    """

    name: ClassVar[str] = "gradual"
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 1.0
    unfreezing: float = 0.5
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_decay(self.layer_decay)
        if not 0 < self.unfreezing < 1:
            raise BiograftError(
                f"Choice 'unfreezing' is a share of the steps: got {self.unfreezing:g}, expected between 0 and 1. "
                "Mend it."
            )

    def head(self, backbone: Backbone, level: Level, kind: LabelKind) -> nn.Module:
        """A linear head behind dropout."""
        return LinearHead(level, backbone.width, kind.width, self.dropout)

    def start(self, model: Model, features: FixedFeatures | None) -> list[str]:
        """Nothing to prepare; says so where there is no knowledge to start from."""
        trainable(model, self.name)
        return untrained(model.backbone, "gradual fine-tuning")

    def phases(self, learner: Model) -> list[Phase]:
        """The head alone; it and the top block; it and the two top blocks; …; everything."""
        head = Group(parameters([learner.head]), self.head_learning_rate, self.weight_decay)
        layers = layered(learner.backbone, self.learning_rate, self.weight_decay, self.layer_decay)
        blocks = [but_batch_norms(block, learner.backbone) for block in layers]
        shares = [self.unfreezing / len(blocks)] * len(blocks) + [1 - self.unfreezing]
        return [
            Phase((head, *reversed(blocks[len(blocks) - moving :])), share, continues=moving > 0)
            for moving, share in enumerate(shares)
        ]
