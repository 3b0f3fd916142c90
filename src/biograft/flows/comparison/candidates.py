"""What is compared: backbones by strategies, and for each backbone that has weights the same net from scratch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from biograft import catalog
from biograft.bundle import load_backbone
from biograft.errors import BiograftError
from biograft.files import digest
from biograft.flows.recipe import Recipe, check_weight
from biograft.flows.sources import SOURCE
from biograft.flows.unlabelled import UNLABELLED
from biograft.strategies.choices import strategy_of
from biograft.tasks.task import Level

__all__ = ["ALL", "TWIN", "Candidate", "Field", "candidates"]

TWIN = "scratch"
ALL = "all"  # training records, as a limit


@dataclass(frozen=True)
class Field:
    """Who takes part.

    Attributes:
        backbones: names or folders; none: k-mers and the convolutional net, or it alone for labels per residue.
        strategies: names; none: those that make sense for each backbone. From scratch is always added. Choices of a
            strategy stand behind its name: ``full:learning_rate=1e-4:weight_decay=0``.
        weights: λ as text, for strategies that draw from a source.
        seeds: runs of each, with one seed after the other.
        jobs: processes; 0: as many as there are processors, or one for a GPU.
        options: ``STRATEGY:NAME=VALUE``, for every candidate of a strategy whose own choices don't say otherwise.
        limits: numbers of training records, and ``all``; none: all.
    """

    backbones: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    seeds: int = 3
    jobs: int = 1
    options: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise BiograftError(f"--seeds is a number of runs: got {self.seeds}, expected 1 or more. 3 is usual.")
        if self.jobs < 0:
            raise BiograftError(f"--jobs is a number of processes: got {self.jobs}, expected 1 or more. Mend it.")
        for text in self.weights:
            check_weight(text)
        for text in self.strategies:
            strategy, options = _parted(text)
            if strategy == catalog.AUTO.name:
                raise BiograftError(
                    "A comparison names its strategies: got auto, expected names from 'biograft list strategies'. Name "
                    "them, or let biograft fit --strategy auto --minutes 10 choose."
                )
            strategy_of(strategy, options)
        for text in self.limits:
            if text != ALL and not (text.isdecimal() and int(text) >= 2):
                raise BiograftError(
                    f"--limits are numbers of training records: got '{text}', expected 2 or more each, or {ALL}. "
                    "Write 25,50,100,all."
                )

    def steps(self, records: int) -> tuple[int | None, ...]:
        """Limits from small to large, each once; None stands for all of so many training records."""
        small = sorted({int(text) for text in self.limits if text != ALL and int(text) < records})
        return (*small, *([None] if len(small) < len(set(self.limits)) or not small else []))


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
    def draws_from_source(self) -> bool:
        """Whether it learns a source together with the target."""
        return SOURCE in catalog.resolve("strategies", self.strategy).streams

    @property
    def draws_unlabelled(self) -> bool:
        """Whether it reads unlabelled records beside the training part."""
        return UNLABELLED in catalog.resolve("strategies", self.strategy).streams

    def folder(self, seed: int, limit: int | None = None) -> str:
        """Name of the run's folder: the same in every call, and no two alike."""
        parts = [Path(self.backbone).name.replace("@", "-"), self.strategy, *([self.weight] if self.weight else [])]
        if Path(self.backbone).name != self.backbone:
            parts.insert(1, digest(self.backbone)[:6])
        parts += [re.sub(r"[^\w.+-]", "-", option) for option in self.options]
        return "-".join([*parts, *([] if limit is None else [f"n{limit}"]), f"seed{seed}"])

    def recipe(self, shared: Recipe, seed: int, limit: int | None = None) -> Recipe:
        """The choices of one run, from the same labels as all. Raises BiograftError where they don't fit together."""
        own = replace(
            shared, backbone=self.backbone, strategy=self.strategy, strategy_option=self.options, lambda_=self.weight,
            seed=seed, refit=False, train_limit=shared.train_limit if limit is None else limit,
        )  # fmt: skip
        own = own if self.draws_unlabelled else replace(own, unlabelled=None)
        return own if self.draws_from_source else replace(own, source="", source_label="", source_mask=(), lambda_="")

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
        BiograftError: a name that doesn't exist, or a backbone of another alphabet.
    """
    weights, strategies = entrants.weights, entrants.strategies
    if weights and not shared.source:
        raise BiograftError(
            f"--lambda weighs the target against a source: got {', '.join(weights)} and no --source. Add one."
        )
    usual_options = _by_strategy(entrants.options)
    found: list[Candidate] = []
    for name in entrants.backbones or (("cnn",) if level.resolution == 1 else ("kmer", "cnn")):
        backbone = load_backbone(name, alphabet)
        learns = any(True for _ in backbone.parameters())
        usual = [TWIN, "frozen", "full"] if backbone.pretrained else [TWIN] if learns else ["frozen"]
        chosen = list(strategies or usual)
        if shared.source and learns and not any(Candidate(name, _parted(one)[0]).draws_from_source for one in chosen):
            chosen.append("joint")
        if learns:
            chosen.insert(0, TWIN)
        for text in chosen:
            strategy, own = _parted(text)
            options = _options(strategy, (*usual_options.get(strategy, ()), *own))
            plain = Candidate(name, strategy, options=options, twin=learns and strategy != TWIN)
            source = plain.draws_from_source
            plain = replace(plain, transfer=strategy != TWIN and (backbone.pretrained or source))
            found += [replace(plain, weight=weight) for weight in weights] if source and weights else [plain]
    if shared.unlabelled and not any(one.draws_unlabelled for one in found):
        raise BiograftError(
            f"No strategy of the comparison reads unlabelled records: got --unlabelled {shared.unlabelled}. Add "
            "adversarial or coral to --strategies, or leave the file out."
        )
    unused = sorted(usual_options.keys() - {one.strategy for one in found})
    if unused:
        raise BiograftError(
            f"--strategy-option speaks of a strategy that doesn't take part: got '{unused[0]}', expected one of "
            f"{', '.join(dict.fromkeys(one.strategy for one in found))}. Add it to --strategies, or leave it out."
        )
    return list(dict.fromkeys(found))


def _parted(text: str) -> tuple[str, tuple[str, ...]]:
    """``full:learning_rate=1e-4`` -> the strategy and its choices."""
    strategy, *options = text.split(":")
    return strategy, tuple(options)


def _by_strategy(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        strategy, options = _parted(text)
        if not options or "=" in strategy:
            raise BiograftError(
                f"--strategy-option of a comparison names the strategy: got '{text}', expected STRATEGY:NAME=VALUE. "
                "Write full:learning_rate=1e-4, say."
            )
        found[strategy] = (*found.get(strategy, ()), *options)
    return found


def _options(strategy: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Each choice once, the last one counts, by name. Raises BiograftError for one that the strategy doesn't have."""
    strategy_of(strategy, texts)
    last = {text.partition("=")[0]: text for text in texts}
    return tuple(last[name] for name in sorted(last))
