"""Tables drawn down from real files, and comparisons as tables of a page."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest


@pytest.fixture
def drawn(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = script("drawn")
    lines = [f"{'A' * (10 + number)}\t{number}\t{'train' if number < 30 else 'test'}" for number in range(40)]
    (tmp_path / "whole.tsv").write_text("\n".join(["sequence\tvalue\tset", *lines]))
    monkeypatch.setattr(module, "DATA", tmp_path)
    return module


def test_a_draw_is_always_the_same_and_keeps_to_its_sizes(drawn: ModuleType, tmp_path: Path) -> None:
    draw = drawn.Draw("whole.tsv", ("value",), {"train": 8, "test": 50}, longest=45)
    table = pl.read_csv(draw.to(tmp_path / "one" / "t.tsv"), separator="\t")
    assert table.columns == ["id", "sequence", "value", "set"] and table["id"].n_unique() == len(table)
    assert table["sequence"].str.len_chars().max() <= 45
    assert dict(table["set"].value_counts().rows()) == {
        "train": 8,
        "test": 6,
    }  # of ten test records six are short enough
    assert table.equals(pl.read_csv(draw.to(tmp_path / "two" / "t.tsv"), separator="\t"))
    assert draw.counted(tmp_path / "one" / "t.tsv")["test"] == drawn.Letters(6, sum(range(40, 46)))


def test_a_table_of_another_draw_is_drawn_anew(drawn: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "tables" / "t.tsv"
    assert len(pl.read_csv(drawn.Draw("whole.tsv", ("value",), {"train": 8}).to(path), separator="\t")) == 8
    assert len(pl.read_csv(drawn.Draw("whole.tsv", ("value",), {"train": 9}).to(path), separator="\t")) == 9


def test_only_the_most_frequent_classes_of_the_training_part_are_kept(drawn: ModuleType, tmp_path: Path) -> None:
    rows = [("a", "train"), ("b", "train"), ("b", "train"), ("a", "test"), ("a", "test"), ("b", "test")]
    lines = [f"MK\t{name}\t{part}" for name, part in rows]
    (tmp_path / "classes.tsv").write_text("\n".join(["sequence\tfold\tset", *lines]))
    draw = drawn.Draw("classes.tsv", ("fold",), {"train": 9, "test": 9}, classes=1)
    assert pl.read_csv(draw.to(tmp_path / "t.tsv"), separator="\t")["fold"].to_list() == ["b", "b", "b"]


def verdict(answer: str) -> dict[str, Any]:
    return {"answer": answer, "difference": 0.2, "low": -0.1, "high": 0.5, "detectable": 0.3}


def candidate(strategy: str, runs: int = 3, **more: Any) -> dict[str, Any]:
    usual = {"options": [], "lambda": None, "seconds": 4.0, "fault": None, "name": f"net, {strategy}"}
    test = {"value": 0.5, "low": 0.4, "high": 0.6}
    return {"strategy": strategy, "runs": runs, "test": test, "against_scratch": None, "against_baseline": None,
            **usual, **more}  # fmt: skip


def test_the_table_of_a_comparison_begins_with_scratch_and_tells_who_failed(drawn: ModuleType) -> None:
    full = candidate("full", against_scratch=verdict("cannot tell"), against_baseline=verdict("helped"))
    failed = candidate("ia3", runs=0, fault="No layers.")
    content = {"metric": {"name": "mcc"}, "winner": "net, full", "candidates": [full, failed, candidate("scratch")]}
    _, _, first, second, _, last = drawn.rows(content).splitlines()
    assert first.startswith("| scratch | 3 | 0.500 [0.400, 0.600] |  |  |")
    assert second.startswith("| full * | 3 |") and "cannot tell (could see 0.30)" in second and "| better |" in second
    assert last == "`ia3` took no part: No layers."


def test_of_simple_answers_the_best_is_set_off_and_those_without_a_value_are_left_out(drawn: ModuleType) -> None:
    values = {"mean": None, "nearest": 0.1, "kmer linear": 0.3}
    baselines = [{"name": name, "test": {"value": value, "low": None, "high": None}} for name, value in values.items()]
    told = drawn.simple({"best_baseline": "kmer linear", "baselines": baselines})
    assert told == "Simple answers: nearest 0.100, **kmer linear** 0.300."
