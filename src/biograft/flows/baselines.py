"""What simple answers say of the validation and the test part, and which record learned from is nearest to each asked.

Each part is answered from the records that the model learned from for it. Runs that learn from the same records share
them: the first one keeps them in a folder, the others read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biograft.data.nearest import Nearest, nearest
from biograft.data.records import Records
from biograft.files import digest, locked
from biograft.flows.answers import keep, kept
from biograft.flows.prepare import Prepared, learnable
from biograft.strategies.simple import Labelled, simple_answers

__all__ = ["Baselines", "Shared"]

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shared:
    """What the runs of a comparison have in common.

    Attributes:
        folder: where simple answers are kept, under a digest of all that they follow from.
        seed: of simple answers, and of the parts of a source; runs differ in their own seed.
    """

    folder: Path
    seed: int

    def once(self, about: str, compute: Callable[[], Arrays]) -> Arrays:
        """What was computed for this before, by whichever process came first; else compute and keep it."""
        place = self.folder / about
        place.mkdir(parents=True, exist_ok=True)
        path = place / "arrays.npz"
        with locked(place, wait=True):
            if path.exists():
                return kept(path)
            found = compute()
            keep(path, found)
            return found


@dataclass(frozen=True, eq=False)
class Baselines:
    """Simple answers to come.

    Attributes:
        prepared: the table and its parts.
        queries: records by part, ``valid`` and ``test``.
        learned: parts that the model learned from before it answered the test part.
        near: nearest record learned from, by part.
        shared: where they are kept for other runs; None: nowhere.
    """

    prepared: Prepared
    queries: Mapping[str, Records]
    learned: tuple[str, ...]
    near: Mapping[str, Nearest]
    shared: Shared | None = None

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        queries: Mapping[str, Records],
        learned: tuple[str, ...],
        shared: Shared | None = None,
    ) -> "Baselines":
        """Find the nearest records; what takes longest is done once, for predictions and for the simple answer."""
        near = {}
        for name, asked in queries.items():
            known = prepared.part(*_sources(name, learned))[0]

            def search(asked: Records = asked, known: Records = known) -> Arrays:
                found = nearest(asked.sequences, known.sequences, asked.alphabet)
                return {"index": found.index, "identity": found.identity}

            about = digest("nearest", asked.alphabet.name, *_told(asked), *_told(known))
            near[name] = Nearest(**(shared.once(about, search) if shared else search()))
        return cls(prepared, queries, learned, near, shared)

    def answers(self, seed: int) -> dict[str, dict[str, np.ndarray]]:
        """Outputs ``(units, kind.width)`` by baseline and part; ``seed`` counts where nothing is shared."""
        if self.shared is None:
            return self._computed(seed)
        shared = self.shared

        def flat() -> Arrays:
            return {f"{name}/{part}": outputs for name, parts in self._computed(shared.seed).items()
                    for part, outputs in parts.items()}  # fmt: skip

        found: dict[str, dict[str, np.ndarray]] = {}
        for name, outputs in shared.once(self._about(), flat).items():
            baseline, _, part = name.rpartition("/")
            found.setdefault(baseline, {})[part] = outputs
        return found

    def _about(self) -> str:
        """Digest of all that the answers follow from."""
        prepared = self.prepared
        parts: list[str | bytes] = []
        for name in dict.fromkeys(name for asked in self.queries for name in _sources(asked, self.learned)):
            records, units, families = prepared.part(name)
            parts += [name, *_told(records), *map(str, units.values.tolist())]
            parts += [units.counted.tobytes(), families.tobytes()]
        for name, asked in self.queries.items():
            parts += [name, *_sources(name, self.learned), *_told(asked)]
        kind = (prepared.level.name, prepared.kind.name, repr(prepared.kind.configuration()))
        return digest("answers", str(self.shared.seed if self.shared else ""), *kind, *parts)

    def _computed(self, seed: int) -> dict[str, dict[str, np.ndarray]]:
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


def _told(records: Records) -> tuple[str, ...]:
    return (str(len(records)), *records.ids, *records.sequences)


def _sources(name: str, learned: tuple[str, ...]) -> tuple[str, ...]:
    return learned if name == "test" else ("train",)
