"""The strategy auto: what earns its place, what fits into the time, and that a killed run decides as a whole one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN, KMer
from biograft.bundle import Bundle
from biograft.cli import app
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.assess import Examination, examine
from biograft.flows.auto import Plan, Planned, choose, costlier
from biograft.flows.fit import Recipe, Result, fit
from biograft.flows.pace import Pace
from biograft.flows.workshop import Attempt, Workshop
from biograft.model import LinearHead, Model
from biograft.run import RunFolder, read_recipe
from biograft.strategies.strategy import Refusal
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.tasks.task import Units
from biograft.trainer import Breakdown, Trainer
from biograft.training import Training

KIND = Classification(("a", "b"))
RECORDS = 120
FAST = Pace(step=0.01, validation=0.0, around=1.0, steps=100, every=10)


def net(pretrained: bool = True, width: int = 8) -> DilatedCNN:
    backbone = DilatedCNN(PROTEIN, CNNConfiguration(width, 3, (1,), 0.1))
    backbone.pretrained = pretrained
    return backbone


def part() -> Examination:
    """Sixty families of two records each, half of them of either class."""
    values = np.array([KIND.classes[row // 2 % 2] for row in range(RECORDS)], dtype=object)
    units = Units(values, np.ones(RECORDS, dtype=bool), np.ones(RECORDS, dtype=np.int64))
    records = Records.of(["ACDEF"] * RECORDS, alphabet="protein")
    return examine(records, units, KIND, Sequence(), 0.4, 0, np.arange(RECORDS) // 2)


def answers(wrong: int, first: int = 0) -> np.ndarray:
    """Outputs that miss so many records, from a place on."""
    codes = np.arange(RECORDS) // 2 % 2
    codes[first : first + wrong] = 1 - codes[first : first + wrong]
    return np.eye(2, dtype=np.float32)[codes] * 4


@dataclass
class Bench:
    """Answers known beforehand, and strategies that take known times; keeps what it was asked for."""

    valid: dict[str, np.ndarray | BiograftError]
    paces: dict[str, Pace | BiograftError] = field(default_factory=dict)
    backbone: Any = field(default_factory=net)
    tried: list[tuple[str, int | None]] = field(default_factory=list)
    timed: list[str] = field(default_factory=list)

    def pace(self, strategy: str) -> Pace:
        self.timed.append(strategy)
        return self._or_fault(self.paces.get(strategy, FAST))

    def attempt(self, strategy: str, folder: RunFolder, steps: int | None = None) -> Attempt:
        self.tried.append((strategy, steps))
        outcome = None if steps is None else SimpleNamespace(steps=steps)
        model: Any = SimpleNamespace(kind=KIND, backbone=self.backbone)
        nothing: Any = None
        return Attempt(model, nothing, nothing, outcome, [], self._or_fault(self.valid[strategy]))  # type: ignore[arg-type]

    @staticmethod
    def _or_fault(found: Any) -> Any:
        if isinstance(found, BiograftError):
            raise found
        return found


def chosen(bench: Bench, folder: Path, minutes: float = 10.0, spent: float = 0.0, **more: Any) -> Any:
    """The choice; a part of None is a run without validation part."""
    given = {"part": part(), "source": False} | more
    lent: Any = bench
    run = RunFolder.open(folder / "run", {})
    return choose(lent, given["part"], run, minutes=minutes, spent=spent, source=given["source"])[1]


# What earns its place


def test_a_clear_gain_is_taken_and_the_next_one_must_beat_it(tmp_path: Path) -> None:
    found = chosen(Bench({"frozen": answers(40), "wise": answers(20), "full": answers(20, first=20)}), tmp_path)
    assert found.chosen == "wise"
    assert [one["taken"] for one in found.candidates] == [True, True, False]
    assert [one.get("against") for one in found.candidates] == [None, "frozen", "wise"]
    gain, error = found.candidates[1]["gain"], found.candidates[1]["standard_error"]
    assert gain > error > 0


@pytest.mark.parametrize("wrong", [40, 41, 60])
def test_what_is_not_better_by_more_than_a_standard_error_is_not_taken(tmp_path: Path, wrong: int) -> None:
    found = chosen(Bench({"frozen": answers(40), "wise": answers(wrong), "full": answers(wrong, 1)}), tmp_path)
    assert found.chosen == "frozen"
    assert all(one["gain"] <= one["standard_error"] for one in found.candidates[1:])


def test_a_gain_within_the_noise_of_families_is_not_taken(tmp_path: Path) -> None:
    """Better on ten families, worse on nine: a gain, and a smaller one than its standard error."""
    mixed = answers(0)
    mixed[40:78] = answers(38, first=40)[40:78]
    found = chosen(Bench({"frozen": answers(40), "wise": mixed, "full": answers(40)}), tmp_path)
    assert 0 < found.candidates[1]["gain"] < found.candidates[1]["standard_error"]
    assert found.chosen == "frozen"


def test_the_standard_error_is_that_of_families_drawn_anew(tmp_path: Path) -> None:
    found = chosen(Bench({"frozen": answers(40), "wise": answers(20), "full": answers(40)}), tmp_path)
    generator, gains = np.random.default_rng(1), []
    rows = np.arange(RECORDS).reshape(-1, 2)
    truth, one, other = (part().truth, answers(20).argmax(1), answers(40).argmax(1))
    for _ in range(2000):
        drawn = rows[generator.integers(len(rows), size=len(rows))].ravel()
        mcc = [np.corrcoef(truth[drawn], codes[drawn])[0, 1] for codes in (one, other)]
        gains.append(mcc[0] - mcc[1])
    assert found.candidates[1]["standard_error"] == pytest.approx(np.std(gains), rel=0.1)


def test_without_a_validation_part_or_weights_the_probe_stays_and_says_why(tmp_path: Path) -> None:
    alone = chosen(Bench({"frozen": answers(40)}), tmp_path / "one", part=None)
    resting = Bench({"frozen": answers(40)}, backbone=KMer(PROTEIN))
    bare = chosen(resting, tmp_path / "two")
    assert [alone.chosen, bare.chosen] == ["frozen", "frozen"]
    assert "no validation part" in alone.notes[1]
    assert "no weights to move" in bare.notes[1]
    assert resting.timed == []


@pytest.mark.parametrize(
    ("backbone", "source", "expected"),
    [
        (net(), False, ["wise", "full"]),
        (net(), True, ["wise", "joint"]),
        (net(pretrained=False), False, ["scratch"]),
        (net(pretrained=False), True, ["scratch", "joint"]),
        (KMer(PROTEIN), False, []),
    ],
)
def test_what_is_tried_depends_on_what_the_backbone_knows(backbone: Any, source: bool, expected: list[str]) -> None:
    assert costlier(backbone, source) == expected


@pytest.mark.parametrize(("weights", "expected"), [(99_999_999, "full"), (100_000_000, "lora")])
def test_a_large_backbone_is_adapted_instead_of_moved(weights: int, expected: str) -> None:
    large: Any = SimpleNamespace(pretrained=True, parameters=lambda: [SimpleNamespace(numel=lambda: weights)])
    assert costlier(large, False) == ["wise", expected]


# What fits into the time


def test_steps_are_cut_to_the_time_but_not_below_a_third() -> None:
    pace = Pace(step=0.9, validation=1.0, around=50.0, steps=100, every=10)
    assert pace.seconds(100) == pytest.approx(150.0)
    assert [pace.within(seconds) for seconds in (151.0, 1e9, 110.5, 84.5, 82.0, 0.0, -5.0)] == [
        100,
        100,
        60,
        34,
        0,
        0,
        0,
    ]


def test_each_candidate_gets_as_much_as_it_takes_of_what_is_left(tmp_path: Path) -> None:
    slow = Pace(step=3.0, validation=0.0, around=0.0, steps=100, every=10)
    bench = Bench({"frozen": answers(40), "wise": answers(40), "full": answers(40)}, {"wise": slow, "full": slow})
    found = chosen(bench, tmp_path, minutes=10, spent=60.0)  # 480 seconds are left of 540
    assert [name for name, _ in bench.tried] == ["frozen", "wise", "full"]
    assert bench.tried[1][1] == 100
    assert bench.tried[2][1] in (59, 60)
    assert "full: mcc" in found.notes[3]
    assert "of 100 steps" in found.notes[3]


def test_what_does_not_fit_is_not_tried_and_the_report_says_how_long_it_would_take(tmp_path: Path) -> None:
    slow = Pace(step=60.0, validation=0.0, around=0.0, steps=100, every=10)
    bench = Bench({"frozen": answers(40), "wise": answers(0), "full": answers(0)}, {"wise": slow})
    found = chosen(bench, tmp_path)
    assert [name for name, _ in bench.tried] == ["frozen", "full"]
    assert found.chosen == "full"
    assert found.steps == 100
    assert "wise was not tried: its 100 steps would take 100.0 minutes, and 9.0 minutes were left." in found.notes
    assert found.notes[0] == "Chosen by auto within 10 minutes: full in 100 steps."


def test_a_candidate_that_cannot_be_carried_out_is_left_with_its_message(tmp_path: Path) -> None:
    bench = Bench(
        {"frozen": answers(40), "wise": Breakdown("It broke down. Mend it."), "full": answers(40)},
        {"full": Refusal("No. Mend.")},
    )
    found = chosen(bench, tmp_path)
    assert found.chosen == "frozen"
    assert "wise could not be carried out: It broke down. Mend it." in found.notes
    assert "full was not tried: No. Mend." in found.notes


def test_what_breaks_down_while_it_is_timed_is_no_candidate(tmp_path: Path) -> None:
    bench = Bench({"frozen": answers(40), "wise": answers(0)}, {"full": Breakdown("It broke down. Mend it.")})
    assert "full was not tried: It broke down. Mend it." in chosen(bench, tmp_path).notes


def test_what_a_user_can_mend_ends_the_run_while_strategies_are_timed(tmp_path: Path) -> None:
    bench = Bench({"frozen": answers(40), "wise": answers(0)}, {"joint": BiograftError("No column 'q3'. Name one.")})
    with pytest.raises(BiograftError, match=r"No column 'q3'\. Name one\."):
        chosen(bench, tmp_path, source=True)
    assert bench.tried == [("frozen", None)]
    bench.paces.clear()
    bench.valid["joint"] = answers(0)
    assert [one["strategy"] for one in chosen(bench, tmp_path, source=True).candidates] == ["frozen", "wise", "joint"]


def test_what_may_be_mended_ends_the_run_instead_of_the_candidate(tmp_path: Path) -> None:
    bench = Bench({"frozen": answers(40), "wise": BiograftError("The disk is full."), "full": answers(40)})
    with pytest.raises(BiograftError, match=r"The disk is full\."):
        chosen(bench, tmp_path)
    assert ("full", 100) not in bench.tried


def test_a_continued_run_follows_the_plan_of_the_first(tmp_path: Path) -> None:
    valid: dict[str, np.ndarray | BiograftError] = {"frozen": answers(40), "wise": answers(0), "full": answers(0)}
    first = Bench(valid)
    one = chosen(first, tmp_path)
    slower = Bench(valid, {"wise": Pace(60.0, 0.0, 0.0, 100, 10), "full": Pace(60.0, 0.0, 0.0, 100, 10)})
    again = chosen(slower, tmp_path, spent=9999.0)
    assert slower.timed == []
    assert first.tried == slower.tried
    assert (one.as_dict(), one.notes) == (again.as_dict(), again.notes)


def test_a_damaged_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"candidates": [{"name": "wise"}]}')
    with pytest.raises(BiograftError, match=r"is damaged .* Remove it to plan anew"):
        Plan.load(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "none.json") is None
    assert "would take 2.0 minutes, and 0.5 minutes" in Planned("full", 0, 1200, 120.0, 30.0).why_not


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"minutes": 0.0}, "--minutes is the time that a run may take: got 0"),
        ({"minutes": 5.0, "strategy": "full"}, "--minutes is for --strategy auto.* got --strategy full too"),
        ({"minutes": 5.0, "strategy_option": ("dropout=0",)}, "got --strategy-option too"),
        ({"minutes": 5.0, "unlabelled": "more.fasta"}, "got --unlabelled more.fasta too"),
        ({"minutes": 5.0, "sampling": "balanced"}, "got --sampling balanced too"),
    ],
)
def test_choices_that_do_not_fit_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        Recipe(label="y", **choices)


# Whole runs


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few steps, a steady clock, no page."""
    monkeypatch.setattr("biograft.flows.report.render", lambda *content: "the page has tests of its own")
    monkeypatch.setattr(
        "biograft.flows.workshop.Training",
        lambda **choices: Training(**(choices | {"min_steps": 24, "patience": 99, "save_seconds": 0.0})),
    )
    yield


def table() -> Records:
    return World(seed=0, shortest=30, longest=40, span=4).target(36, 15, seed=0, valid=24)


def source(folder: Path) -> str:
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        model = Model(net(), LinearHead(Sequence(), 8, 2), Sequence(), KIND)
    Bundle(model, "label", table().take(np.arange(3))).save(folder)
    return str(folder)


def run(out: Path, records: Records | None = None, **choices: Any) -> Result:
    given = {"minutes": 10.0, "strategy": "auto", "epochs": 2} | choices
    return fit(records or table(), "label", out=out, backbone=source(out.parent / "source"), **given)


def contents(folder: Path) -> dict[str, Any]:
    """All that must be equal, without times."""
    names = ("recipe.toml", "predictions.tsv", "log.jsonl", "model/model.json", "model/weights.safetensors")
    report = json.loads((folder / "report.json").read_text())
    for name in ("created", "seconds"):
        del report[name]
    return {name: (folder / name).read_bytes() for name in names} | {"report": report}


def clock(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """The true measurement, and then a known time."""
    true = Workshop.pace
    monkeypatch.setattr(Workshop, "pace", lambda self, name: replace(true(self, name), step=step, validation=0.0))


@pytest.mark.usefixtures("quick")
def test_report_log_and_recipe_say_what_was_chosen_and_why(tmp_path: Path) -> None:
    made, folder = table(), tmp_path / "run"
    write_table(tmp_path / "t.csv", {"id": made.ids, "sequence": made.sequences, **made.columns})
    words = ["fit", str(tmp_path / "t.csv"), "--label", "label", "--backbone", source(tmp_path / "source"), "--out",
             str(folder), "--strategy", "auto", "--minutes", "10", "--epochs", "2"]  # fmt: skip
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    report = json.loads((folder / "report.json").read_text())
    found = report["auto"]
    assert [one["strategy"] for one in found["candidates"]] == ["frozen", "wise", "full"]
    assert report["model"]["strategy"] == found["chosen"]
    assert found["notes"][0].startswith(f"Chosen by auto within 10 minutes: {found['chosen']}")
    assert report["model"]["notes"][: len(found["notes"])] == found["notes"]
    assert "\n".join(found["notes"]) in shown.stdout
    assert (folder / "recipe.toml").read_text().endswith(f"# {found['notes'][0]}\n")
    assert read_recipe(folder / "recipe.toml")["strategy"] == "auto"
    assert json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["auto"] == found
    assert CliRunner().invoke(app, words).stdout == shown.stdout  # it is read


@pytest.mark.usefixtures("quick")
def test_the_chosen_model_is_the_one_that_its_strategy_makes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biograft.flows.auto._Contest._gain", lambda self, other: SimpleNamespace(
        value=2.0, half_width=1.0, families=9, note=""))  # fmt: skip
    made = run(tmp_path / "run")
    assert made.report["auto"]["chosen"] == "full"
    alone = run(tmp_path / "alone", minutes=None, strategy="full")
    weights = [(folder / "model" / "weights.safetensors").read_bytes() for folder in (made.folder, alone.folder)]
    assert weights[0] == weights[1]
    assert made.metrics == alone.metrics


@pytest.mark.usefixtures("quick")
def test_test_labels_choose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, 0.1)
    records = table()
    changed = [
        "class A" if part == "test" else text
        for text, part in zip(records.column("label"), records.column("set"), strict=True)
    ]
    clean = run(tmp_path / "clean")
    poisoned = run(tmp_path / "poisoned", replace(records, columns={**records.columns, "label": changed}))
    assert clean.report["auto"] == poisoned.report["auto"]
    assert clean.metrics != poisoned.metrics
    one, two = (contents(made.folder)["model/weights.safetensors"] for made in (clean, poisoned))
    assert one == two


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("stop", [3, 20, 56])
def test_a_killed_run_decides_and_ends_as_one_that_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Killed while it is timed, in the first candidate, and in the second; then continued on a much slower machine."""
    clock(monkeypatch, 0.1)
    whole = run(tmp_path / "whole")
    step, made = Trainer._step, []

    def dying(self: Trainer, *arguments: Any) -> None:
        made.append(1)
        if len(made) == stop:
            raise InterruptedError
        step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", dying)
        with pytest.raises(InterruptedError):
            run(tmp_path / "killed")
    planned = (tmp_path / "killed" / "state" / "plan.json").exists()
    assert planned == (stop > 12)
    if planned:
        clock(monkeypatch, 1e6)
    killed = run(tmp_path / "killed")
    assert contents(killed.folder) == contents(whole.folder)
