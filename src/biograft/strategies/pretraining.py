"""A new encoder from unlabelled letters, and from labelled sources that are learned together with them.

The design's equation at scale: every loss is divided by what an answer that knows nothing would cost, so that λ weighs
tasks and not their units.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torch.nn import functional as F

from biograft.backbones.language import LanguageBackbone
from biograft.data.examples import Batch
from biograft.model import SharedBackbone
from biograft.strategies.objective import Term, supervised, worth
from biograft.strategies.strategy import Group, Phase

__all__ = ["CORPUS", "Pretraining", "masked_scores"]

CORPUS = "corpus"  # name of the stream of unlabelled sequences; sources have names of their own


def masked_scores(backbone: LanguageBackbone, batch: Batch) -> tuple[Tensor, Tensor]:
    """``(asked, vocabulary)`` float32 scores of the letters that a masked batch asks for, ``(asked,)`` their tokens."""
    vectors = backbone.vectors(batch.inputs).values[batch.counted]
    return backbone.logits(vectors).float(), backbone.token_ids(batch.targets[batch.counted])


def _masked_loss(model: SharedBackbone[LanguageBackbone], batch: Batch) -> Tensor:
    return F.cross_entropy(*masked_scores(model.backbone, batch))


def _source_loss(name: str) -> Callable[[SharedBackbone[LanguageBackbone], Batch], Tensor]:
    return lambda model, batch: supervised(model.models[name], batch)


@dataclass(frozen=True)
class Pretraining:
    """Masked-language modelling from random weights, with any number of supervised sources beside it.

    Attributes:
        learning_rate: of all weights; Muon's steps are scaled to the size of AdamW's.
        optimiser: ``muon`` (arXiv:2502.16982) for the matrices of the blocks and AdamW (arXiv:1711.05101) for the rest,
            or ``adamw`` for everything.
        weight_decay: decoupled; embeddings, biases and normalisations have none.
        weights: λ of each source against the 1 of masked-language modelling, by name.
    """

    learning_rate: float = 2e-3
    optimiser: str = "muon"
    weight_decay: float = 0.05
    weights: Mapping[str, float] = field(default_factory=dict)

    def phases(self, model: SharedBackbone[LanguageBackbone]) -> list[Phase]:
        """One phase: everything moves, under all losses at once."""
        matrices = [p for p in model.backbone.layers.parameters() if p.ndim == 2]
        chosen = {id(parameter) for parameter in matrices}
        others = [p for p in model.parameters() if id(p) not in chosen]
        groups = (
            Group(tuple(matrices), self.learning_rate, self.weight_decay, self.optimiser),
            Group(tuple(others), self.learning_rate, 0.0),
        )
        letters = model.backbone.alphabet.core
        terms = [Term("masked", _masked_loss, CORPUS, 1 / math.log(letters))]
        for name, source in model.models.items():
            terms.append(Term(name, _source_loss(name), name, self.weights[name] / worth(source.kind)))
        return [Phase(groups, terms=tuple(terms))]
