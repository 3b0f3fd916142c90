"""Who takes part in a comparison, as users say it: names, choices behind them, numbers of runs and of labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from biograft import catalog
from biograft.errors import BiograftError
from biograft.flows.recipe import Recipe, check_weight
from biograft.strategies.choices import strategy_of

__all__ = ["ALL", "AUTO", "MINUTES", "Field", "parted"]

ALL = "all"  # training records, as a limit
AUTO = catalog.AUTO.name
MINUTES = 2.0  # for a run of ``auto``
USUAL_RUNS = 3


@dataclass(frozen=True)
class Field:
    """Who takes part.

    Attributes:
        backbones: names or folders; none: for proteins the shipped encoder and k-mers, else k-mers and the
            convolutional net; for labels per residue without the k-mers.
        strategies: names; none: those that make sense for each backbone. From scratch is always added. Choices of a
            strategy stand behind its name: ``full:learning_rate=1e-4:weight_decay=0``. The one choice of ``auto`` is
            its time: ``auto:minutes=5``.
        weights: λ as text, for strategies that draw from a source.
        seeds: runs of each, with one seed after the other; None: :attr:`runs`.
        jobs: processes; 0: as many as there are processors, or one for a GPU.
        options: ``STRATEGY:NAME=VALUE``, for every candidate of a strategy whose own choices don't say otherwise.
        limits: numbers of training records, and ``all``; none: all.
        minutes: for a run of ``auto`` whose own choices don't say otherwise; None: :data:`MINUTES`.
        splits: random splits, on each of which all take part; None: one split.
    """

    backbones: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    seeds: int | None = None
    jobs: int = 1
    options: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    minutes: float | None = None
    splits: int | None = None

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise BiograftError(f"--seeds is a number of runs: got {self.seeds}, expected 1 or more. 3 is usual.")
        if self.jobs < 0:
            raise BiograftError(f"--jobs is a number of processes: got {self.jobs}, expected 1 or more. Mend it.")
        if self.splits is not None and self.splits < 2:
            raise BiograftError(
                f"--splits is a number of random splits: got {self.splits}, expected 2 or more. Leave it out for one."
            )
        for text in self.weights:
            check_weight(text)
        for text in self.limits:
            if text != ALL and not (text.isdecimal() and int(text) >= 2):
                raise BiograftError(
                    f"--limits are numbers of training records: got '{text}', expected 2 or more each, or {ALL}. "
                    "Write 25,50,100,all."
                )
        Recipe(minutes=self.minutes)  # refuses what is no time
        for strategy, options in self.named:
            _check(strategy, options)
        if self.minutes is not None and AUTO not in [strategy for strategy, _ in self.named]:
            raise BiograftError(
                f"--minutes is the time for a run of the strategy auto: got {self.minutes:g}, and auto doesn't take "
                "part. Add it to --strategies, or leave the time out."
            )

    @property
    def runs(self) -> int:
        """Of each candidate on a split."""
        if self.seeds is not None:
            return self.seeds
        return USUAL_RUNS if self.splits is None else 1

    @property
    def named(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Strategies that were asked for by name, each with its choices."""
        found = [parted(text) for text in self.strategies]
        return tuple((strategy, self.choices(strategy, own)) for strategy, own in found)

    @property
    def spoken_of(self) -> set[str]:
        """Strategies for all whose candidates a choice is made."""
        return set(_by_strategy(self.options))

    def choices(self, strategy: str, own: Sequence[str] = ()) -> tuple[str, ...]:
        """What a candidate goes by, each choice once, by name; its ``own`` ones count more than those for all.

        Raises BiograftError for a choice that the strategy doesn't have.
        """
        usual = _by_strategy(self.options).get(strategy, ())
        if strategy == AUTO:
            usual = (f"minutes={MINUTES if self.minutes is None else self.minutes:g}", *usual)
        _check(strategy, (*usual, *own))
        last = {text.partition("=")[0]: text for text in (*usual, *own)}
        return tuple(last[name] for name in sorted(last))

    def steps(self, records: int) -> tuple[int | None, ...]:
        """Limits from small to large, each once; None stands for all of so many training records."""
        small = sorted({int(text) for text in self.limits if text != ALL and int(text) < records})
        return (*small, *([None] if len(small) < len(set(self.limits)) or not small else []))


def parted(text: str) -> tuple[str, tuple[str, ...]]:
    """``full:learning_rate=1e-4`` -> the strategy and its choices."""
    strategy, *options = text.split(":")
    return strategy, tuple(options)


def _by_strategy(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        strategy, options = parted(text)
        if not options or "=" in strategy:
            raise BiograftError(
                f"--strategy-option of a comparison names the strategy: got '{text}', expected STRATEGY:NAME=VALUE. "
                "Write full:learning_rate=1e-4, say."
            )
        found[strategy] = (*found.get(strategy, ()), *options)
    return found


def _check(strategy: str, texts: Sequence[str]) -> None:
    """Raise BiograftError for a strategy or a choice that doesn't exist."""
    if strategy != AUTO:
        strategy_of(strategy, texts)
        return
    for text in texts:
        name, _, value = text.partition("=")
        try:
            minutes = float(value) if name == "minutes" else None
        except ValueError:
            minutes = None
        if minutes is None:
            raise BiograftError(
                f"The one choice of strategy auto is its time: got '{text}', expected minutes=NUMBER. "
                f"Write {AUTO}:minutes=5, say."
            )
        Recipe(minutes=minutes)
