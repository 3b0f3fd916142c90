"""Every choice of a run, checked as soon as it is made: nobody should wait for hours to learn of a misspelt name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from biograft import catalog
from biograft.data.alphabet import named
from biograft.errors import BiograftError
from biograft.origins import check_backbone

__all__ = ["POOLS", "SAMPLINGS", "SCHEDULES", "Recipe", "check_weight", "several"]

POOLS = ("auto", "mean", "positions")
SAMPLINGS = ("natural", "balanced")
SCHEDULES = ("rising", "learned")  # of λ, in place of a number
LARGEST_SEED = 2**63 - 1  # what torch takes
_WORDS = {bool: "true or false", str: "text", int: "a whole number", float: "a number", tuple: "a list of texts"}


def several(names: str | Sequence[str]) -> tuple[str, ...]:
    """One name is taken as a sequence of one."""
    return (names,) if isinstance(names, str) else tuple(names)


@dataclass(frozen=True)
class Recipe:
    """Every choice of a run, enough to repeat it; the fields are the options of the command line.

    Attributes:
        table: file of the records; '' if they came from memory.
        table_digest: of its content.
        pool: ``mean``, ``positions`` or ``auto``: positions for one-hot letters of
            records of one length, and for the vectors of a pretrained backbone where these are variants of one parent.
        refit: heads that are solved learn from the validation part too before they answer the test part; never with
            ``train_limit``. What is learned step by step needs that part to know when to stop.
        epochs: None takes the default of the loop.
        minutes: for the strategy ``auto`` to try what costs more than a probe; None: no trials.
        strategy_option: NAME=VALUE for fields of the strategy.
        source: table that is learned together with this one; '' for none. ``source_label`` and ``source_mask`` as here.
        source_task: kind of its labels; None: seen from them.
        lambda_: weight of the target against the source's 1: a number above 0, ``inf``, ``rising`` or ``learned``.
        unlabelled: file of sequences of the domain in which the model will be used; None for none.
        sampling: ``balanced`` draws every class equally often; ``natural``, or None, every record once per pass.
        relatives: the nearest training record has a say in the class of a sequence; None: only the model answers.
        backbone_fingerprint: of weights that were read, found when the run begins; None for random ones.
        logit_adjustment: strength of the correction for class shares in the loss (arXiv:2007.07314); None for none.

    Raises:
        BiograftError: a value of another type, a name that doesn't exist, a number outside its range.
    """

    table: str = ""
    label: str = ""
    sequence: str = "sequence"
    id: str | None = None
    level: str = "auto"
    task: str = "auto"
    alphabet: str = "auto"
    unknown: str | None = None
    split: str = "auto"
    identity: float = 0.4
    mask: tuple[str, ...] = ()
    backbone: str = "auto"
    strategy: str = "auto"
    pool: str = "auto"
    train_limit: int | None = None
    refit: bool = True
    epochs: float | None = None
    minutes: float | None = None
    strategy_option: tuple[str, ...] = ()
    source: str = ""
    source_label: str = ""
    source_mask: tuple[str, ...] = ()
    source_task: str | None = None
    lambda_: str = ""
    unlabelled: str | None = None
    sampling: str | None = None
    logit_adjustment: float | None = None
    relatives: bool | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    table_digest: str = ""
    source_digest: str = ""
    unlabelled_digest: str | None = None
    backbone_fingerprint: str | None = None

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            _check_type(name, getattr(self, name), kind)
        self._check_names()
        self._check_numbers()
        self._check_minutes()
        self._check_source()

    def _check_names(self) -> None:
        for option, column in (("--sequence", self.sequence), ("--id", self.id or "id")):
            if self.label == column and self.table:
                raise BiograftError(
                    f"--label and {option} name the same column: got '{column}' for both. Name the column of the "
                    f"labels with --label, or another one with {option}."
                )
        named_here = (("levels", self.level), ("label_kinds", self.task), ("strategies", self.strategy))
        for kind, name in (*named_here, ("label_kinds", self.source_task or "auto")):
            if name != "auto":
                catalog.resolve(kind, name)
        if self.backbone != "auto":
            check_backbone(self.backbone)
        if self.alphabet != "auto":
            named(self.alphabet)
        if self.pool not in POOLS:
            raise BiograftError(
                f"Unknown value for --pool: got '{self.pool}', expected one of {', '.join(POOLS)}. Choose one."
            )
        if self.sampling not in (None, *SAMPLINGS):
            raise BiograftError(
                f"Unknown value for --sampling: got '{self.sampling}', expected one of {', '.join(SAMPLINGS)}. "
                "Choose one."
            )

    def _check_numbers(self) -> None:
        if not 0 < self.identity <= 1:
            raise BiograftError(
                f"--identity is a share: got {self.identity:g}, expected above 0 and at most 1. "
                "Give 40 % as --identity 0.4."
            )
        if self.train_limit is not None and self.train_limit < 2:
            raise BiograftError(
                f"--train-limit is a number of records: got {self.train_limit}, expected 2 or more. "
                "Leave it out to learn from all."
            )
        if self.epochs is not None and not (self.epochs > 0 and math.isfinite(self.epochs)):
            raise BiograftError(
                f"--epochs is a number of passes: got {self.epochs:g}, expected above 0. Leave it out for the default."
            )
        if self.logit_adjustment is not None and not (0 <= self.logit_adjustment < math.inf):
            raise BiograftError(
                f"--logit-adjustment is a strength: got {self.logit_adjustment:g}, expected 0 or more. 1 is usual."
            )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise BiograftError(f"--seed is a whole number: got {self.seed}, expected 0 or more. Choose another.")

    def _check_minutes(self) -> None:
        if self.minutes is None:
            return
        if not (self.minutes > 0 and math.isfinite(self.minutes)):
            raise BiograftError(
                f"--minutes is the time that a run may take: got {self.minutes:g}, expected above 0. Give 10, say."
            )
        others = {
            f"--strategy {self.strategy}": self.strategy != "auto",
            "--strategy-option": bool(self.strategy_option),
            f"--unlabelled {self.unlabelled}": bool(self.unlabelled),
            "--sampling balanced": self.sampling == "balanced",
        }
        given = next((option for option, there in others.items() if there), None)
        if given:
            raise BiograftError(
                f"--minutes is for --strategy auto, which chooses among strategies with their usual choices, a solved "
                f"head first: got {given} too. Leave one of them out."
            )

    def _check_source(self) -> None:
        if bool(self.source) != bool(self.source_label):
            given, missing = ("--source", "--source-label COL") if self.source else ("--source-label", "--source TABLE")
            raise BiograftError(f"A source is a table and its label column: got {given} alone. Add {missing}.")
        if self.source_task is not None and not self.source:
            raise BiograftError(f"--source-task is about a source: got {self.source_task} and no --source. Add one.")
        if self.lambda_ and not self.source:
            raise BiograftError(
                f"--lambda weighs the target against a source: got {self.lambda_} and no --source. Add one."
            )
        if self.lambda_:
            check_weight(self.lambda_)

    def as_dict(self) -> dict[str, Any]:
        """Fields as TOML holds them."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        values["relatives"] = self.relatives or None  # said or left out, it is the same run
        return {name.rstrip("_"): value for name, value in values.items()}

    @property
    def options(self) -> tuple[str, ...]:
        """Choices of the strategy, λ among them."""
        if not self.lambda_:
            return self.strategy_option
        own = "schedule" if self.lambda_ in SCHEDULES else "weight"
        return (f"{own}={self.lambda_}", *self.strategy_option)

    @classmethod
    def of(cls, choices: Mapping[str, Any], source: str = "") -> "Recipe":
        """From TOML or from options. Raises BiograftError for a choice that doesn't exist or isn't possible.

        Args:
            source: file that the choices stand in, for messages; '' for none.
        """
        known = [field.name.rstrip("_") for field in fields(cls)]
        wrong = sorted({name.rstrip("_") for name in choices} - set(known))
        if wrong:
            raise BiograftError(f"Unknown choice '{wrong[0]}' in '{source}'. A recipe may hold: {', '.join(known)}.")
        for name, what in (("table", "the sequences"), ("label", "the labels")):
            if not choices.get(name) and source:
                raise BiograftError(f"'{source}' doesn't say what holds {what}: got no '{name}'. Add {name} = \"...\".")
            if not choices.get(name):
                raise BiograftError(f"Which column holds {what}? Got no --{name}. Name it with --{name} COL.")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in choices.items()}
        try:
            return cls(**{_field(name): value for name, value in values.items()})
        except BiograftError as fault:
            raise BiograftError(f"{fault} ('{source}')") if source else fault from None


def check_weight(text: str) -> None:
    """Raise BiograftError for what is no λ."""
    try:
        fits = text in SCHEDULES or float(text) > 0
    except ValueError:
        fits = False
    if not fits:
        raise BiograftError(f"--lambda: got '{text}', expected a number above 0, inf, rising or learned. 1 is usual.")


def _field(name: str) -> str:
    """``lambda`` is a word of Python's own; the field has a line behind it."""
    return "lambda_" if name == "lambda" else name


def _check_type(name: str, value: Any, kind: Any) -> None:
    """Recipes are written by hand: text where a number belongs would only break much later."""
    allowed = get_args(kind) if isinstance(kind, UnionType) else (get_origin(kind) or kind,)
    accepted = (*allowed, int) if float in allowed else allowed
    fits = isinstance(value, accepted) and (bool in allowed or not isinstance(value, bool))
    if fits and isinstance(value, tuple):
        fits = all(isinstance(part, str) for part in value)
    if not fits:
        words = next(_WORDS[part] for part in allowed if part in _WORDS)
        raise BiograftError(f"--{name.replace('_', '-')} is {words}: got {value!r}. Mend it.")
