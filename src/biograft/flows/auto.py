"""The strategy ``auto`` within a time: a probe first, then what costs more, where the validation part supports it.

What fits is planned once, from a few timed steps, and kept with the run's state: a run that was killed and continued
takes the same decisions as one that never was. The test part has no say.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from biograft.backbones.backbone import Backbone
from biograft.errors import BiograftError
from biograft.evaluation.intervals import Interval, finite
from biograft.files import read_json, write_json
from biograft.flows.assess import Examination
from biograft.flows.workshop import Attempt, Workshop
from biograft.run import RunFolder
from biograft.strategies.strategy import Refusal
from biograft.tasks.metrics import METRICS, Metric
from biograft.trainer import Breakdown

__all__ = ["PROBE", "Choice", "Plan", "Planned", "choose", "costlier"]

PROBE = "frozen"
LARGE = 100_000_000  # weights, from which on adapters spare what matters
RESERVED = 0.1  # of the time, for what comes after learning


@dataclass(frozen=True)
class Planned:
    """What becomes of a candidate.

    Attributes:
        steps: that it makes; 0: it is not tried.
        usual: number of steps.
        seconds: that the usual number would take.
        left: seconds that were left for it.
        fault: why it can't be carried out; '' where it can.
    """

    strategy: str
    steps: int = 0
    usual: int = 0
    seconds: float = 0.0
    left: float = 0.0
    fault: str = ""

    @property
    def why_not(self) -> str:
        """Why it is not tried."""
        if self.fault:
            return self.fault
        return f"its {self.usual:,} steps would take {_minutes(self.seconds)}, and {_minutes(self.left)} were left."


@dataclass(frozen=True)
class Plan:
    """What is tried after the probe, the cheaper one first."""

    candidates: tuple[Planned, ...]

    @classmethod
    def made(cls, workshop: Workshop, strategies: Sequence[str], seconds: float) -> "Plan":
        """Time all strategies, then give each in turn as much as it takes of what is left.

        A strategy that refuses this backbone or task, or whose numbers break down at once, is no candidate. What else
        is wrong, such as a source that can't be read, is the user's to mend.
        """
        began, paces = time.monotonic(), {}
        faults: dict[str, str] = {}
        for name in strategies:
            try:
                paces[name] = workshop.pace(name)
            except (Refusal, Breakdown) as fault:
                faults[name] = str(fault)
        left, candidates = seconds - (time.monotonic() - began), []
        for name in strategies:
            if name in faults:
                candidates.append(Planned(name, fault=faults[name]))
                continue
            pace = paces[name]
            steps, usual = pace.within(left), pace.seconds(pace.steps)
            candidates.append(Planned(name, steps, pace.steps, round(usual, 1), round(max(0.0, left), 1)))
            left -= pace.seconds(steps) if steps else 0.0
        return cls(tuple(candidates))

    @classmethod
    def load(cls, path: Path) -> "Plan | None":
        """None where there is none yet. Raises BiograftError if it is damaged."""
        if not path.exists():
            return None
        try:
            return cls(tuple(Planned(**one) for one in read_json(path)["candidates"]))
        except (KeyError, TypeError) as fault:
            raise BiograftError(f"The plan '{path}' is damaged ({fault!r}). Remove it to plan anew.") from None


@dataclass
class Choice:
    """What was tried and what was taken.

    Attributes:
        minutes: that were given.
        metric: of the validation part, by which it was chosen.
        chosen: strategy.
        steps: that it made.
        candidates: in the order in which they were tried.
        notes: what was chosen and why, in sentences.
    """

    minutes: float
    metric: str
    chosen: str = PROBE
    steps: int = 0
    candidates: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """What was chosen."""
        steps = f" in {self.steps:,} steps" if self.steps else ""
        return f"Chosen by auto within {self.minutes:g} minutes: {self.chosen}{steps}."


def costlier(backbone: Backbone, source: bool) -> list[str]:
    """Strategies that are worth a try after the probe, the cheaper one first; none for a backbone without weights."""
    size = sum(parameter.numel() for parameter in backbone.parameters())
    if not size:
        return []
    first = "wise" if backbone.pretrained else "scratch"
    if source:
        return [first, "joint"]
    return [first, "lora" if size >= LARGE else "full"] if backbone.pretrained else [first]


def choose(
    workshop: Workshop, part: Examination | None, folder: RunFolder, *, minutes: float, spent: float, source: bool
) -> tuple[Attempt, Choice]:
    """Carry out the probe, then each candidate that fits; a costlier one must earn its place.

    It is taken only if its gain on the validation part over what stands is larger than one standard error of that gain,
    from the same draws of families for both (the rule of Breiman et al. 1984, Classification and Regression Trees).

    Args:
        part: the validation part; None where there is none, and the probe stays.
        minutes: for all that is done in the run.
        spent: seconds that are gone already.
        source: whether a source may be learned too.
    """
    began = time.monotonic()
    probe = _attempt(workshop, PROBE, folder)
    metric, offered = METRICS[probe.model.kind.metrics[0]], costlier(probe.model.backbone, source)
    choice = Choice(minutes, metric.name)
    if part is None or not offered:
        why = "there is no validation part to choose on" if part is None else "its backbone has no weights to move"
        choice.notes = [choice.sentence, f"Nothing else was tried: {why}."]
        return probe, choice
    path = folder.state_path.parent / "plan.json"
    plan = Plan.load(path)
    if plan is None:
        plan = Plan.made(workshop, offered, (1 - RESERVED) * 60 * minutes - spent - (time.monotonic() - began))
        write_json(path, asdict(plan))
    contest = _Contest(part, metric, probe, choice)
    for planned in plan.candidates:
        contest.hear(planned, workshop, folder)
    choice.steps = contest.standing.outcome.steps if contest.standing.outcome else 0
    choice.notes.insert(0, choice.sentence)
    return contest.standing, choice


class _Contest:
    """Candidates against what stands, one after the other."""

    def __init__(self, part: Examination, metric: Metric, probe: Attempt, choice: Choice) -> None:
        self.standing = probe
        self._part, self._metric, self._choice = part, metric, choice
        value = self._value(probe)
        choice.candidates.append(finite({"strategy": PROBE, "valid": value, "taken": True}))
        choice.notes.append(f"{PROBE}: {metric.name} {value:.3f} on the validation part.")

    def hear(self, planned: Planned, workshop: Workshop, folder: RunFolder) -> None:
        """Carry a candidate out and let it take the place of what stands, if it has earned it."""
        name, choice = planned.strategy, self._choice
        if not planned.steps:
            self._leave(name, f"was not tried: {planned.why_not}")
            return
        try:
            found = _attempt(workshop, name, folder, planned.steps)
        except Breakdown as fault:  # a full disk is no reason to choose another strategy for good
            self._leave(name, f"could not be carried out: {fault}")
            return
        value, gain = self._value(found), self._gain(found)
        taken = gain.value > gain.half_width
        choice.candidates.append(finite({
            "strategy": name, "valid": value, "taken": taken, "against": choice.chosen, "gain": gain.value,
            "standard_error": gain.half_width, "steps": planned.steps, "usual_steps": planned.usual,
        }))  # fmt: skip
        choice.notes.append(f"{name}: {self._told(planned, value, gain)}: {'taken' if taken else 'not taken'}.")
        if taken:
            self.standing, choice.chosen = found, name

    def _leave(self, name: str, why: str) -> None:
        self._choice.candidates.append({"strategy": name, "valid": None, "taken": False, "why": why})
        self._choice.notes.append(f"{name} {why}")

    def _told(self, planned: Planned, value: float, gain: Interval) -> str:
        cut = f" after {planned.steps:,} of {planned.usual:,} steps" if planned.steps < planned.usual else ""
        error = f"standard error {gain.half_width:.3f}, {gain.families} {self._part.resampled} resampled"
        return (
            f"{self._metric.name} {value:.3f} on the validation part{cut}, {gain.value:+.3f} against "
            f"{self._choice.chosen} ({error if np.isfinite(gain.half_width) else gain.note})"
        )

    def _value(self, attempt: Attempt) -> float:
        return float(self._metric(self._part.truth, self._part.predicted(attempt.valid)))

    def _gain(self, attempt: Attempt) -> Interval:
        """Over what stands; half the interval's width is one standard error."""
        return self._part.gain(attempt.valid, self.standing.valid)


def _attempt(workshop: Workshop, strategy: str, folder: RunFolder, steps: int | None = None) -> Attempt:
    """With a state of its own below that of the run."""
    own = RunFolder.open(folder.state_path.parent / strategy, {"strategy": strategy, "steps": steps})
    with own.held():
        return workshop.attempt(strategy, own, steps)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"
