"""The numbers of a report against what can be counted by hand, from what the run leaves."""

import json
from pathlib import Path

import numpy as np
import polars
import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.records import Records
from biograft.evaluation.intervals import Interval
from biograft.flows.fit import Result, fit
from biograft.flows.report import doubts, intervals, leaks
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.training import Training


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Result:
    records = World(seed=0, shortest=30, longest=40, span=4).target(40, 40, seed=0, valid=20)
    return fit(records, "label", out=tmp_path_factory.mktemp("run") / "run", backbone="composition", strategy="frozen")


def test_numbers_without_a_value_are_none() -> None:
    found = {"mcc": Interval(0.5, 0.4, 0.6, 1000, 30, 1000), "r2": Interval(np.nan, np.nan, np.nan, 0, 30, 0)}
    assert intervals(found) == {
        "mcc": {"value": 0.5, "low": 0.4, "high": 0.6},
        "r2": {"value": None, "low": None, "high": None},
    }


def test_doubts_are_gathered_by_reason() -> None:
    found = {
        "mcc": Interval(0.5, 0.4, 0.6, 1000, 30, 1000),
        "roc_auc": Interval(0.5, 0.4, 0.6, 1000, 30, 900, note="undefined in 100 of 1000 draws"),
        "average_precision": Interval(0.5, 0.4, 0.6, 1000, 30, 900, note="undefined in 100 of 1000 draws"),
        "ece": Interval(0.5, 0.4, 0.6, 1000, 30, 999, note="undefined in 1 of 1000 draws"),
        "r2": Interval(np.nan, np.nan, np.nan, 0, 30, 0, note="undefined for this set"),
    }
    assert doubts(found) == [
        "roc_auc, average_precision: undefined in 100 of 1000 draws.",
        "r2: undefined for this set.",
    ]


def test_leaks_are_counted_from_their_thresholds_on() -> None:
    found = leaks(np.array([0.0, 0.3, 0.45, 0.95, 0.999, 1.0, 1.0, 0.2]))
    assert (found["exact_copies"], found["near_identical"]) == (2, 2)
    assert found["shares"] == {"0.3": 6 / 8, "0.4": 5 / 8, "0.5": 4 / 8, "0.7": 4 / 8, "0.95": 4 / 8}


def test_the_report_agrees_with_the_predictions(run: Result) -> None:
    shown = polars.read_csv(run.folder / "predictions.tsv", separator="\t")
    names = run.report["task"]["classes"]
    columns = [f"p:{name}" for name in names]
    assert len(names) == 3
    assert shown.columns == ["id", "truth", "prediction", *columns, "nearest", "nearest_identity"]
    right = (shown["truth"] == shown["prediction"]).to_numpy()
    assert run.metrics["accuracy"]["value"] == pytest.approx(right.mean())
    for row in run.report["per_class"]:
        mine = (shown["truth"] == row["class"]).to_numpy()
        assert row["support"] == mine.sum()
        assert row["recall"] == pytest.approx(right[mine].mean())
    chosen = shown.select(columns).to_numpy().argmax(axis=1)
    assert [names[code] for code in chosen] == shown["prediction"].to_list()


def test_the_report_counts_the_parts(run: Result) -> None:
    split = polars.read_csv(run.folder / "split.tsv", separator="\t")
    data = run.report["data"]
    for part in ("train", "valid", "test"):
        mine = split.filter(polars.col("set") == part)
        assert (data[f"n_{part}"], data[f"families_{part}"]) == (len(mine), mine["family"].n_unique())
    assert data["families"] == split["family"].n_unique()
    assert data["n_records"] == len(split) == 100


def test_every_interval_holds_its_value(run: Result) -> None:
    answers = [*run.report["metrics"].values(), *run.report["baselines"].values()]
    assert [*run.report["baselines"]] == ["majority", "composition linear", "kmer linear", "nearest"]
    for answer in answers:
        assert list(answer) == run.report["task"]["metrics"]
        for found in answer.values():
            assert found["low"] - 1e-9 <= found["value"] <= found["high"] + 1e-9 or found["low"] < found["high"]


def test_the_verdict_is_against_the_best_baseline(run: Result) -> None:
    verdict, metric = run.report["verdict"], run.report["task"]["metrics"][0]
    rival = run.report["baselines"][verdict["against"]][metric]["value"]
    assert verdict["difference"] == pytest.approx(run.metrics[metric]["value"] - rival)
    assert run.report["model"]["transfer"] is False
    assert "the best simple baseline" in verdict["sentence"]


def test_a_baseline_that_is_beaten_says_nothing_of_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "biograft.flows.workshop.Training", lambda **choices: Training(**(choices | {"min_steps": 10, "epochs": 1.0}))
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(tmp_path / "source")
    target = World(seed=0, shortest=30, longest=40, span=4).target(30, 30, seed=0, valid=15)
    result = fit(target, "label", out=tmp_path / "run", backbone=str(tmp_path / "source"), strategy="full")
    assert result.report["model"]["transfer"] is True
    assert "ransfer" not in result.report["verdict"]["sentence"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "ransfer helped" not in page and "Learning curve" in page
    assert "weights kept" in page
    assert page.count("<polyline") == 2


def test_page_and_numbers_are_written(run: Result) -> None:
    assert json.loads((run.folder / "report.json").read_text()) == run.report
    page = (run.folder / "report.html").read_text()
    assert run.report["title"] in page
    assert run.report["verdict"]["against"] in page
