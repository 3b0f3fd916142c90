"""What simple answers say of the validation and the test part, and which record learned from is nearest to each asked.

Each part is answered from the records that the model learned from for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from biograft.data.nearest import Nearest, nearest
from biograft.data.records import Records
from biograft.flows.prepare import Prepared, learnable
from biograft.strategies.simple import Labelled, simple_answers

__all__ = ["Baselines"]


@dataclass(frozen=True, eq=False)
class Baselines:
    """Simple answers to come.

    Attributes:
        prepared: the table and its parts.
        queries: records by part, ``valid`` and ``test``.
        learned: parts that the model learned from before it answered the test part.
        near: nearest record learned from, by part.
    """

    prepared: Prepared
    queries: Mapping[str, Records]
    learned: tuple[str, ...]
    near: Mapping[str, Nearest]

    @classmethod
    def of(cls, prepared: Prepared, queries: Mapping[str, Records], learned: tuple[str, ...]) -> "Baselines":
        """Find the nearest records; what takes longest is done once, for predictions and for the simple answer."""
        near = {}
        for name, asked in queries.items():
            known = prepared.part(*_sources(name, learned))[0]
            near[name] = nearest(asked.sequences, known.sequences, asked.alphabet)
        return cls(prepared, queries, learned, near)

    def answers(self, seed: int) -> dict[str, dict[str, np.ndarray]]:
        """Outputs ``(units, kind.width)`` by baseline and part."""
        found: dict[str, dict[str, np.ndarray]] = {}
        sources = {name: _sources(name, self.learned) for name in self.queries}
        for source in dict.fromkeys(sources.values()):
            names = [name for name in self.queries if sources[name] == source]
            asked, near = [self.queries[name] for name in names], [self.near[name] for name in names]
            rows = simple_answers(self._labelled(source), self.prepared.kind, self.prepared.level, asked, seed, near)
            for baseline, outputs in rows.items():
                found.setdefault(baseline, {}).update(zip(names, outputs, strict=True))
        return found

    def _labelled(self, parts: tuple[str, ...]) -> Labelled:
        records, units, families = self.prepared.part(*parts)
        targets, known = self.prepared.kind.encode(units.values)
        counted = learnable(self.prepared.kind, targets, known & units.counted)
        return Labelled(records, targets, counted, units.lengths, families)


def _sources(name: str, learned: tuple[str, ...]) -> tuple[str, ...]:
    return learned if name == "test" else ("train",)
