"""What is compared: backbones by strategies, and for each backbone that has weights the same net from scratch."""

from dataclasses import dataclass, replace
from pathlib import Path

from biograft import catalog
from biograft.bundle import load_backbone
from biograft.errors import BiograftError
from biograft.files import digest
from biograft.flows.recipe import Recipe
from biograft.flows.sources import SOURCE
from biograft.tasks.task import Level

__all__ = ["TWIN", "Candidate", "Field", "candidates"]

TWIN = "scratch"


@dataclass(frozen=True)
class Field:
    """Who takes part.

    Attributes:
        backbones: names or folders; none: k-mers and the convolutional net, or it alone for labels per residue.
        strategies: names; none: those that make sense for each backbone. From scratch is always added.
        weights: λ as text, for strategies that draw from a source.
        seeds: runs of each, with one seed after the other.
        jobs: processes; 0: as many as there are processors, or one for a GPU.
    """

    backbones: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    seeds: int = 3
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise BiograftError(f"--seeds is a number of runs: got {self.seeds}, expected 1 or more. 3 is usual.")
        if self.jobs < 0:
            raise BiograftError(f"--jobs is a number of processes: got {self.jobs}, expected 1 or more. Mend it.")


@dataclass(frozen=True)
class Candidate:
    """One way to learn the task.

    Attributes:
        backbone: name, or folder.
        strategy: name.
        weight: λ as text, for strategies that draw from a source; '' for its default.
        transfer: whether it carries anything over: it is not the twin, and knows something or learns a source.
        twin: whether there is a twin to hold it against.
    """

    backbone: str
    strategy: str
    weight: str = ""
    transfer: bool = False
    twin: bool = False

    @property
    def name(self) -> str:
        """For people."""
        weight = f" λ={self.weight}" if self.weight else ""
        return f"{Path(self.backbone).name}, {self.strategy}{weight}"

    @property
    def draws_from_source(self) -> bool:
        """Whether it learns a source together with the target."""
        return SOURCE in catalog.resolve("strategies", self.strategy).streams

    def folder(self, seed: int) -> str:
        """Name of the run's folder: the same in every call, and no two alike."""
        parts = [Path(self.backbone).name.replace("@", "-"), self.strategy, *([self.weight] if self.weight else [])]
        if Path(self.backbone).name != self.backbone:
            parts.insert(1, digest(self.backbone)[:6])
        return "-".join([*parts, f"seed{seed}"])

    def recipe(self, shared: Recipe, seed: int) -> Recipe:
        """The choices of one run, from the same labels as all. Raises BiograftError where they don't fit together."""
        own = replace(
            shared, backbone=self.backbone, strategy=self.strategy, lambda_=self.weight, seed=seed, refit=False
        )
        return own if self.draws_from_source else replace(own, source="", source_label="", source_mask=(), lambda_="")


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
    found: list[Candidate] = []
    for name in entrants.backbones or (("cnn",) if level.resolution == 1 else ("kmer", "cnn")):
        backbone = load_backbone(name, alphabet)
        learns = any(True for _ in backbone.parameters())
        usual = [TWIN, "frozen", "full"] if backbone.pretrained else [TWIN] if learns else ["frozen"]
        chosen = list(strategies or usual)
        if shared.source and learns and not any(Candidate(name, one).draws_from_source for one in chosen):
            chosen.append("joint")
        if learns:
            chosen.insert(0, TWIN)
        for strategy in chosen:
            plain = Candidate(name, strategy, twin=learns and strategy != TWIN)
            source = plain.draws_from_source
            plain = replace(plain, transfer=strategy != TWIN and (backbone.pretrained or source))
            found += [replace(plain, weight=weight) for weight in weights] if source and weights else [plain]
    return list(dict.fromkeys(found))
