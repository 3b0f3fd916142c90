"""The loop: killed and continued equals never stopped, and whatever ends it leaves a model at rest.

Run as a program it trains the same model in children that kill themselves where they are told to.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.data.alphabet import named
from biograft.data.examples import Batch, Examples, ExampleStream
from biograft.errors import BiograftError
from biograft.hardware import Hardware
from biograft.judgement import Judgement, by_part
from biograft.model import LinearHead, Model
from biograft.run import RunFolder
from biograft.strategies.objective import Term, supervised
from biograft.strategies.strategy import Group, Phase
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.trainer import Outcome, Trainer
from biograft.training import Training

STEPS = 60
TRAINING = Training(steps=STEPS, every=7, save_seconds=0.0, patience=99)


def examples(seed: int, records: int = 48) -> Examples:
    """Short sequences whose class is the half of the alphabet that most of their letters come from."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(2, size=records)
    rows = [generator.integers(0, 14, size=generator.integers(5, 20)) + 6 * label for label in classes]
    ones = np.ones(records, dtype=np.int64)
    return Examples([row.astype(np.uint8) for row in rows], classes, ones.astype(bool), ones, np.arange(records))


def model(dropout: float = 0.2) -> Model:
    """The same small net at every call."""
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        backbone = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), dropout))
        level = Sequence()
        return Model(backbone, LinearHead(level, 8, 2, dropout), level, Classification(("a", "b")))


def plan(net: Model, rate: float = 5e-3) -> list[Phase]:
    """The head alone, then everything, the matrices with Muon, under two losses."""
    matrices = [p for p in net.backbone.parameters() if p.ndim == 2]
    others = [p for p in net.backbone.parameters() if p.ndim != 2]
    head = Group(tuple(net.head.parameters()), rate)
    everything = (Group(tuple(matrices), rate, optimiser="muon"), Group(tuple(others), rate / 2), head)
    terms = (Term("target", supervised), Term("source", supervised, "source", lambda share: 1 - share))
    return [Phase((head,), 0.3), Phase(everything, 0.7, terms)]


def trainer(folder: Path, net: Model | None = None, **changes: Any) -> Trainer:
    """A loop that begins, or continues, in a folder."""
    net = net or model()
    streams = {"target": ExampleStream(examples(0), 100, 1), "source": ExampleStream(examples(1), 60, 2)}
    fields: dict[str, Any] = {
        "model": net, "phases": plan(net), "streams": streams, "judge": by_part(examples(2), Hardware()),
        "training": TRAINING, "hardware": Hardware(), "folder": RunFolder.open(folder, {}), "seed": 3,
    }  # fmt: skip
    return Trainer(**(fields | changes))


def same(one: nn.Module, two: nn.Module) -> bool:
    """Bit by bit."""
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def at_rest(net: nn.Module) -> bool:
    """Nothing learns, nothing drops out."""
    return not any(p.requires_grad for p in net.parameters()) and not any(m.training for m in net.modules())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a net only loses time in waiting for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Kill and continue


@pytest.fixture
def saved_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biograft.trainer.SAVING_SHARE", 1e9)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _train(folder: Path, moment: str) -> None:
    """Train until done, or be killed: ``step 7``, ``judge 2`` (while judging) or ``save 3`` (before the renaming)."""
    what, _, number = moment.partition(" ")
    calls = {"judge": 0, "save": 0}

    def counted(name: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            calls[name] += 1
            if what == name and calls[name] == int(number):
                _die()
            return action(*arguments)

        return act

    loop = trainer(folder)
    assert loop.judge is not None
    loop.judge = counted("judge", loop.judge)
    os.fsync = counted("save", os.fsync)
    outcome = loop.run(after_step=lambda step: _die() if what == "step" and step == int(number) else None)
    save_file(dict(loop.model.state_dict()), folder / "weights")
    (folder / "outcome").write_text(repr(outcome))


def _children(folder: Path, moments: list[str]) -> None:
    """One process per moment, forked before torch has started threads; a last one is left alone."""
    torch.set_num_threads(1)
    import_module("torch._dynamo")  # optimisers load it, slowly: once here instead of in every child
    told = []
    for moment in [*moments, ""]:
        child = os.fork()
        if child == 0:
            _train(folder, moment)
            os._exit(0)
        told.append(os.waitpid(child, 0)[1])
    (folder / "ends").write_text(json.dumps(told))


def test_killed_and_continued_is_never_stopped(tmp_path: Path) -> None:
    steps = sorted(np.random.default_rng(0).choice(np.arange(1, STEPS), 10, replace=False).tolist())
    moments = [f"step {step}" for step in steps] + ["judge 1", "save 1", "save 3", "save 7"]
    for name, kills in (("whole", []), ("killed", moments)):
        RunFolder.open(tmp_path / name, {})
        subprocess.run([sys.executable, __file__, str(tmp_path / name), json.dumps(kills)], check=True)
    ends = json.loads((tmp_path / "killed" / "ends").read_text())
    assert ends[:10] == [signal.SIGKILL] * 10
    assert ends[-1] == 0
    for name in ("weights", "log.jsonl", "outcome"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name


@pytest.mark.usefixtures("saved_after_every_step")
def test_a_state_that_ends_a_phase_continues_with_the_next(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    expected = whole.run()

    def stop(step: int) -> None:
        if step == 18:  # the last step of the first phase
            raise RuntimeError("stopped")

    stopped = trainer(tmp_path / "part")
    with pytest.raises(RuntimeError, match="stopped"):
        stopped.run(after_step=stop)
    continued = trainer(tmp_path / "part")
    made: list[int] = []
    assert continued.run(after_step=made.append) == expected
    assert made[0] == 19
    assert same(continued.model, whole.model)


def test_a_kill_before_the_first_save_leaves_no_old_log(tmp_path: Path) -> None:
    loop = trainer(tmp_path / "run")
    loop.folder.log(step=1, loss={"target": 0.5})
    loop.run()
    assert [entry["step"] for entry in loop.folder.history() if "loss" in entry] == [1, *range(10, STEPS + 1, 10)]


def test_random_numbers_come_from_the_seed_alone(tmp_path: Path) -> None:
    one, two, three = (trainer(tmp_path / str(n), seed=seed) for n, seed in enumerate((3, 3, 4)))
    one.run()
    torch.rand(17)
    before = torch.get_rng_state()
    two.run()
    three.run()
    assert torch.equal(before, torch.get_rng_state())
    assert same(one.model, two.model)
    assert not same(one.model, three.model)


# Ctrl-C


def test_ctrl_c_saves_and_the_same_call_continues(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    expected = whole.run()
    before = signal.getsignal(signal.SIGINT)
    training = replace(TRAINING, save_seconds=1e9)

    def press(step: int) -> None:
        if step == 24:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = trainer(tmp_path / "part", training=training)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(after_step=press)
    assert signal.getsignal(signal.SIGINT) is before
    assert at_rest(stopped.model)
    made: list[int] = []
    continued = trainer(tmp_path / "part", training=training)
    assert continued.run(after_step=made.append) == expected
    assert made == list(range(26, STEPS + 1))
    assert same(continued.model, whole.model)


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    def press_twice(net: Model, batch: Batch) -> Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return supervised(net, batch)

    net = model()
    phase = Phase((Group(tuple(net.parameters()), 1e-3),), terms=(Term("target", press_twice),))
    loop = trainer(tmp_path, net, phases=[phase])
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert not loop.folder.state_path.exists()
    assert at_rest(net)


def test_an_ignored_ctrl_c_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        trainer(tmp_path).run(after_step=lambda step: os.kill(os.getpid(), signal.SIGINT))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# What else may end it


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    expected = first.run()

    def refuse(step: int) -> None:
        raise AssertionError(f"step {step} was made again")

    again = trainer(tmp_path)
    assert again.run(after_step=refuse) == expected
    assert same(first.model, again.model)


def _breaks_at(step: int) -> Callable[[Model, Batch], Tensor]:
    calls = iter(range(1, 10_000))
    return lambda net, batch: supervised(net, batch) * (float("nan") if next(calls) == step else 1.0)


@pytest.mark.usefixtures("saved_after_every_step")
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    net = model()
    phase = Phase((Group(tuple(net.parameters()), 1e-3),), terms=(Term("target", _breaks_at(31)),))
    loop = trainer(tmp_path, net, phases=[phase])
    with pytest.raises(BiograftError, match=r"step 31 of 60: got a gradient that is not finite \(loss of target nan\)"):
        loop.run()
    assert at_rest(net)
    assert all(bool(p.isfinite().all()) for p in net.parameters())
    made: list[int] = []
    mended = trainer(tmp_path, net, phases=[replace(phase, terms=(Term("target", supervised),))])
    mended.run(after_step=made.append)
    assert made[0] == 31


@pytest.mark.parametrize("judged", [False, True])
def test_a_machine_that_is_asked_later_names_the_same_step_and_keeps_nothing(tmp_path: Path, judged: bool) -> None:
    later = Hardware("cpu:0")  # not named as the processor is: treated like a GPU
    net = model()
    phase = Phase((Group(tuple(net.parameters()), 1e-3),), terms=(Term("target", _breaks_at(33)),))
    training = replace(TRAINING, every=35 if judged else STEPS, save_seconds=1e9)
    loop = trainer(tmp_path, net, phases=[phase], hardware=later, training=training)
    with pytest.raises(BiograftError, match=r"step 33 of 60: got a gradient that is not finite \(loss of target nan\)"):
        loop.run()
    assert not loop.folder.state_path.exists()
    assert not [entry for entry in loop.folder.history() if "valid" in entry]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": replace(TRAINING, steps=STEPS + 1)}, "got a plan of 60 steps, expected 61"),
        ({"phases": None}, "got other weights"),
    ],
)
def test_a_state_of_another_plan_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    trainer(tmp_path).run()
    net = model()
    if "phases" in changes:
        changes = {"phases": [Phase((Group(tuple(net.head.parameters()), 1e-3),))]}
    with pytest.raises(BiograftError, match=message):
        trainer(tmp_path, net, **changes).run()
    assert at_rest(net)


def test_without_a_target_the_steps_must_be_given(tmp_path: Path) -> None:
    net = model()
    streams = {"corpus": ExampleStream(examples(0), 100, 1)}
    phase = Phase((Group(tuple(net.parameters()), 1e-3),), terms=(Term("letters", supervised, "corpus"),))
    with pytest.raises(ValueError, match="number of steps must be given"):
        trainer(tmp_path, net, streams=streams, phases=[phase], training=Training())
    loop = trainer(tmp_path, net, streams=streams, phases=[phase], training=Training(steps=20), judge=None)
    assert loop.run() == Outcome(None, None, 20, 20)


def test_steps_follow_the_target(tmp_path: Path) -> None:
    per_epoch = trainer(tmp_path).streams["target"].per_epoch
    assert trainer(tmp_path, training=Training(epochs=2.5, min_steps=1)).steps == int(np.ceil(2.5 * per_epoch))
    assert trainer(tmp_path, training=Training(epochs=2.5, min_steps=500)).steps == 500


@pytest.mark.parametrize(("per_epoch", "steps"), [(10, 300), (100, 1500), (545, 3300), (5000, 5000)])
def test_large_sets_are_passed_less_often_but_once_at_least(per_epoch: int, steps: int) -> None:
    class Target(ExampleStream):
        per_epoch = property(lambda _: per_epoch)  # type: ignore[assignment]

    target = Target(examples(0), 100, 1)
    assert Training().count(target) == steps
    assert Training(epochs=7).count(target) == max(300, 7 * per_epoch)


# What moves


def test_what_no_group_holds_stays_bit_identical(tmp_path: Path) -> None:
    net = model()
    net.head = nn.Sequential(net.head, nn.BatchNorm1d(2), nn.Linear(2, 2))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    trainer(tmp_path, net, phases=[Phase((Group(tuple(net.head[2].parameters()), 1e-2),))]).run()
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"head.2.weight", "head.2.bias"}


def test_each_phase_moves_its_own(tmp_path: Path) -> None:
    net = model()
    start = model()
    moved: dict[int, set[str]] = {}

    def look(step: int) -> None:
        pairs = zip(net.named_parameters(), start.parameters(), strict=True)
        moved[step] = {name.split(".")[0] for (name, now), before in pairs if not torch.equal(now, before)}

    trainer(tmp_path, net).run(after_step=look)
    assert moved[18] == {"head"}
    assert moved[19] == {"head", "backbone"}


def test_losses_are_logged_by_name(tmp_path: Path) -> None:
    loop = trainer(tmp_path)
    loop.run()
    entries = loop.folder.history()
    losses = [set(entry["loss"]) for entry in entries if "loss" in entry]
    assert losses == [{"target"}, {"target"}, *[{"target", "source"}] * 5]
    assert [entry["step"] for entry in entries if "valid" in entry] == [*range(7, STEPS, 7), STEPS]
    assert all(set(entry["valid"]) == {"mcc", "loss"} for entry in entries if "valid" in entry)


class Point(nn.Module):
    """Two numbers; each loss is their product with a direction, which is its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(2))

    def along(self, *direction: float) -> Callable[[Any, Batch], Tensor]:
        return lambda net, batch: (net.place * torch.tensor(direction)).sum()


@pytest.mark.parametrize(("meeting", "moved"), [("sum", (1, 1)), ("compare", (1, 1)), ("project", (2, 1))])
def test_only_the_second_gradient_gives_way_to_the_first(
    tmp_path: Path, meeting: Literal["sum", "compare", "project"], moved: tuple[int, int]
) -> None:
    net = Point()
    terms = (Term("target", net.along(2, 0)), Term("source", net.along(-1, 1), "source"))
    phase = Phase((Group((net.place,), 0.1, 0.0, optimiser="sgd"),), terms=terms, meeting=meeting)
    training = Training(steps=1, schedule="constant", warm_up=0.0, clip=float("inf"))
    streams = {"target": ExampleStream(examples(0), 100, 1), "source": ExampleStream(examples(1), 60, 2)}
    loop = Trainer(net, [phase], streams, None, training, Hardware(), RunFolder.open(tmp_path, {}), 3)
    loop.run()
    torch.testing.assert_close(net.place.detach(), -0.1 * torch.tensor(moved))
    (entry,) = [entry for entry in loop.folder.history() if "loss" in entry]
    assert entry.get("cosine") == (None if meeting == "sum" else pytest.approx(-(0.5**0.5)))


def test_it_learns_and_tells_of_every_step(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    outcome = trainer(tmp_path).run(lambda done, total: told.append((done, total)))
    assert outcome.value is not None
    assert outcome.value > 0.4
    assert told == [*((step, STEPS) for step in range(1, STEPS + 1)), (STEPS, STEPS)]


# The best state


def _series(values: list[float], greater_is_better: bool = True) -> Callable[[Model], Judgement]:
    rest = iter(values)
    return lambda net: Judgement("made_up", next(rest), 1.0, greater_is_better)


@pytest.mark.parametrize("greater_is_better", [True, False])
def test_the_best_state_is_kept(tmp_path: Path, greater_is_better: bool) -> None:
    sign = 1 if greater_is_better else -1
    values = [float("nan"), *(sign * value for value in (1.0, 5.0, 5.0, 2.0, 4.0, 0.0, 1.0, 1.0))]
    loop = trainer(tmp_path, judge=_series(values, greater_is_better))
    kept: list[dict[str, Tensor]] = []

    def look(step: int) -> None:
        if step == 21:
            kept.append({name: tensor.clone() for name, tensor in loop.model.state_dict().items()})

    assert loop.run(after_step=look) == Outcome("made_up", sign * 5.0, 21, STEPS)
    assert all(torch.equal(kept[0][name], tensor) for name, tensor in loop.model.state_dict().items())
    assert loop.folder.history()[1]["valid"]["made_up"] is None


def test_patience_ends_the_last_phase_only(tmp_path: Path) -> None:
    training = Training(steps=100, min_steps=1, every=5, patience=3)
    loop = trainer(tmp_path, training=training, judge=_series([9.0] + [1.0] * 50))
    outcome = loop.run()
    assert outcome.step == 5
    assert outcome.steps == 45  # the first phase ends at 30, although nothing was gained from 5 on


def test_equal_values_are_decided_by_the_loss() -> None:
    assert Judgement("m", 0.5, 1.0).rank > Judgement("m", 0.5, 2.0).rank > Judgement("m", 0.4, 0.1).rank
    assert Judgement("m", float("nan"), 1.0).rank < Judgement("m", -1e9, float("inf")).rank
    assert Judgement("m", 2.0, 1.0, greater_is_better=False).rank < Judgement("m", 1.0, 1.0, False).rank


# Schedules


@pytest.mark.parametrize(("schedule", "end"), [("cosine", 0.05), ("wsd", 0.0)])
def test_rates_rise_and_fall(schedule: str, end: float) -> None:
    training = Training(schedule=schedule)
    rates = [training.rate(share) for share in np.linspace(0, 1, 101)]
    assert 0 < rates[0] < rates[2] < rates[4] < rates[5] == 1.0
    assert rates[-1] == pytest.approx(end)
    assert all(one >= two for one, two in pairwise(rates[5:]))
    assert (training.rate(0.79) == 1.0) == (schedule == "wsd")


def test_a_constant_rate_does_not_fall() -> None:
    training = Training(schedule="constant", warm_up=0.0)
    assert {training.rate(share) for share in (0.0, 0.5, 1.0)} == {1.0}


@pytest.mark.parametrize("fields", [{"schedule": "linear"}, {"steps": 0}])
def test_a_plan_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        Training(**fields)


if __name__ == "__main__":
    _children(Path(sys.argv[1]), json.loads(sys.argv[2]))
