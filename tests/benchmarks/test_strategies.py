"""The benchmark of all strategies: what it asks for, how much work it expects, and what its page says."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from biograft.data.readers import write_table


@pytest.fixture
def strategies(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("strategies")


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(work=tmp_path, backbone="bytenet", only=["avgfp"], most=300, longer=1.0, seeds=3, jobs=1)


def test_letters_are_counted_for_everything_that_moves(strategies: ModuleType, options: argparse.Namespace) -> None:
    letters = strategies.Letters
    parts = {"train": letters(100, 1000), "valid": letters(10, 100), "test": letters(10, 100)}
    target = strategies.Target("t", None, "regression", 50, 4.0, ("frozen",), (50, 100))
    found = strategies.work(target, parts, options)
    table = (1 + len(strategies.MOVING) - 1) * 4 * 500  # scratch, and all but ia3
    assert found.trained == 3 * (table + 4 * 1000)  # the curve adds scratch with 100 labels: those with 50 are there
    options.longer = 2.0
    assert strategies.work(target, parts, options).trained == 2 * found.trained
    again = strategies.Target("t", None, "regression", 50, 4.0, ("frozen",), (50, 100), beside=("coral",))
    assert strategies.work(again, parts, options).trained > 2 * found.trained + 3 * 3 * 4 * 500


def test_a_backbone_that_a_strategy_has_no_layers_for_is_found_out(strategies: ModuleType) -> None:
    assert "got backbone 'bytenet'" in strategies.refused("ia3", "bytenet")
    assert strategies.refused("ia3", "encoder") == "" and strategies.refused("lora", "bytenet") == ""


def test_both_comparisons_share_a_folder_unless_something_else_is_learned_from(
    strategies: ModuleType, options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], str]] = []
    monkeypatch.setattr(strategies.Draw, "to", lambda draw, path: path)
    monkeypatch.setattr(
        strategies,
        "compared",
        lambda path, words, out, kept=None: asked.append(([str(one) for one in words], out.name)),
    )
    strategies.measure("avgfp", options)
    strategies.measure("gb1", options)
    assert [folder for _, folder in asked] == ["avgfp", "avgfp", "gb1", "gb1-curve"]
    table, curve = asked[2][0], asked[3][0]
    named = table[table.index("--strategies") + 1].split(",")
    assert {"full", "wise", "coral", "lora"} <= set(named) and "ia3" not in named
    assert "--unlabelled" in table and "--unlabelled" not in curve
    assert curve[curve.index("--limits") + 1] == "50,100,300"


def test_what_is_not_there_is_named_and_misses_the_claim(strategies: ModuleType, options: argparse.Namespace) -> None:
    text, met = strategies.page(options)
    assert not met and "Not measured: avgfp." in text and "`ia3` takes no part" in text


def test_a_strategy_without_a_verdict_misses_the_claim(strategies: ModuleType, options: argparse.Namespace) -> None:
    test = {"value": 0.5, "low": None, "high": None}
    row = {"options": [], "lambda": None, "runs": 3, "test": test, "against_scratch": None, "against_baseline": None,
           "seconds": 1.0, "fault": None}  # fmt: skip
    content = {
        "data": {"n_train": 9, "n_valid": 5, "n_test": 7}, "metric": {"name": "spearman"}, "winner": None,
        "best_baseline": "mean", "baselines": [{"name": "mean", "test": test}],
        "candidates": [row | {"strategy": name, "name": f"net, {name}"} for name in ("scratch", "full")],
    }  # fmt: skip
    (options.work / "avgfp.json").write_text(json.dumps(content))
    text, met = strategies.page(options)
    assert not met and "Missed: avgfp: no verdict on net, full." in text and "Not measured" not in text


def run_of(folder: Path, name: str, texts: list[str], truth: list[str]) -> str:
    columns = {"id": [f"r{row}" for row in range(len(truth))], "truth": truth, "prediction": texts}
    write_table(folder / "fits" / name / "predictions.tsv", columns)
    return f"fits/{name}"


@pytest.mark.parametrize("worse", [False, True])
def test_auto_may_be_worse_than_frozen_by_one_standard_error_of_families_and_runs(
    strategies: ModuleType, tmp_path: Path, worse: bool
) -> None:
    truth = list("abab" * 20)
    write_table(
        tmp_path / "split.tsv", {"id": [f"r{row}" for row in range(80)], "family": [str(row // 2) for row in range(80)]}
    )
    right, wrong = truth, ["b" if text == "a" else "a" for text in truth]
    auto = wrong if worse else [*right[:-1], wrong[-1]]
    shared = {"options": [], "runs": 2, "took": None}
    folders = {name: [run_of(tmp_path, f"{name}{seed}", texts, truth) for seed in range(2)]
               for name, texts in (("auto", auto), ("frozen", right))}  # fmt: skip
    content = {
        "metric": {"name": "mcc"},
        "candidates": [
            shared | {"strategy": "auto", "options": ["minutes=1"], "folders": folders["auto"],
                      "took": {"0": "wise", "1": "frozen"}},
            shared | {"strategy": "frozen", "folders": folders["frozen"]},
        ],
    }  # fmt: skip
    text, met = strategies.harmless(content, tmp_path)
    assert met == (not worse) and "took wise (1), frozen (1)" in text and ("worse by more" in text) == worse
    assert strategies.harmless({"metric": {"name": "mcc"}, "candidates": []}, tmp_path) == ("", True)
