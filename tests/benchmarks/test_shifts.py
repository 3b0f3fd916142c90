"""The study on generated shifts: what it says follows from the answers, and one small world goes through."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from biograft.evaluation.comparison import Measured, difference, judged

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shifts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("shifts", ROOT / "benchmarks" / "shifts.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shifts", module)
    spec.loader.exec_module(module)
    return module


def world(shifts: ModuleType, random: np.random.Generator, helpful: float) -> object:
    """Three differences with errors of about .05, as if measured."""
    nothing = Measured(np.zeros(1), np.zeros((1, 200)), 40)
    found = {}
    for name, size in (("helpful", helpful), ("useless", 0.0), ("harmful", -0.5)):
        values = size + 0.05 * random.normal(size=4)
        found[name] = Measured(values, values[:, None] + 0.04 * random.normal(size=200), 40)
    differences = {name: difference(one, nothing, shifts.METRIC) for name, one in found.items()}
    answers = judged(differences, dict.fromkeys(found, "scratch"), shifts.METRIC)
    return shifts.Repetition({"scratch": 0.0, **{name: one.value for name, one in found.items()}}, differences, answers)


def test_a_claim_is_met_by_the_share_of_right_answers(shifts: ModuleType) -> None:
    random = np.random.default_rng(0)
    strong = [world(shifts, random, 0.5) for _ in range(20)]
    weak = [world(shifts, random, 0.1) for _ in range(20)]
    text, met = shifts.row(strong, "helpful")
    assert met and "| 20 / 0 / 0 | 100% [84%, 100%] | met |" in text
    assert shifts.power(strong, "helpful") > 0.99
    text, met = shifts.row(weak, "helpful")
    assert not met and "**missed**" in text
    assert shifts.power(weak, "helpful") < 0.9
    assert shifts.row(strong, "harmful")[1]


def test_shares_have_the_interval_of_wilson(shifts: ModuleType) -> None:
    assert shifts.wilson(45, 50) == "90% [79%, 96%]"
    assert shifts.wilson(0, 50) == "0% [0%, 7%]"


def test_one_small_world(shifts: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"RUNS": 2, "STEPS": 8, "TRAIN": 12, "VALID": 6, "TEST": 16, "SOURCES": 12}.items():
        monkeypatch.setattr(shifts, name, value)
    found = shifts.repetition(0, tmp_path)
    assert set(found.values) == {"scratch", "helpful", "useless", "harmful"}
    assert all(one.comparisons == 3 and one.runs == 2 for one in found.answers.values())
