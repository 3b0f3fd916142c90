"""A saved model held against labelled records: what is counted, what is left out, what is written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch

from biograft.backbones.baselines import OneHot
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.evaluate import evaluate
from biograft.flows.fit import Result, fit
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression

PROTEIN = named("protein")


@pytest.fixture(scope="module")
def records() -> Records:
    return World(seed=0, shortest=30, longest=40, span=4).target(40, 40, seed=0, valid=20)


@pytest.fixture(scope="module")
def run(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return fit(records, "label", out=tmp_path_factory.mktemp("run") / "run", backbone="composition", strategy="frozen")


def part(records: Records, name: str) -> Records:
    return records.take(np.flatnonzero(np.array(records.column("set")) == name))


def with_column(records: Records, name: str, values: list[str]) -> Records:
    return replace(records, columns={**records.columns, name: values})


def test_the_test_part_again_gives_the_same_numbers(records: Records, run: Result, tmp_path: Path) -> None:
    report = evaluate(run.folder, part(records, "test"), out=tmp_path / "out")
    for name, found in run.metrics.items():
        assert report["metrics"]["test"][name]["value"] == found["value"]
    assert report["per_class"] == run.report["per_class"]
    assert report["data"]["leaks"] == run.report["data"]["leaks"]
    assert report["recipe"] == json.loads(json.dumps(run.model.card["recipe"]))
    again = (tmp_path / "out" / "predictions.tsv").read_text()
    assert again == (run.folder / "predictions.tsv").read_text()


def test_it_leaves_what_it_returns(records: Records, run: Result, tmp_path: Path) -> None:
    table = tmp_path / "new.tsv"
    mine = part(records, "test")
    write_table(table, {"id": mine.ids, "sequence": mine.sequences, "place": mine.column("label")})
    report = evaluate(run.model, table, label="place", out=tmp_path / "deep" / "out")
    assert sorted(path.name for path in (tmp_path / "deep" / "out").iterdir()) == [
        "predictions.tsv", "report.html", "report.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "deep" / "out" / "report.json").read_text()) == report
    assert report["title"] == "place: saved model on new.tsv"
    assert "place: saved model on new.tsv" in (tmp_path / "deep" / "out" / "report.html").read_text()
    assert report["baselines"] == {}
    assert "verdict" not in report


def test_without_a_folder_nothing_is_written(
    records: Records, run: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluate(run.folder, part(records, "test"))
    assert list(tmp_path.iterdir()) == []


def test_records_without_a_label_are_left_out_and_counted(records: Records, run: Result, tmp_path: Path) -> None:
    mine = part(records, "test")
    labels = ["" if row in (0, 7) else label for row, label in enumerate(mine.column("label"))]
    report = evaluate(run.folder, with_column(mine, "label", labels), out=tmp_path)
    assert (report["data"]["n_records"], report["data"]["n_test"], report["data"]["n_unlabelled"]) == (40, 38, 2)
    shown = polars.read_csv(tmp_path / "predictions.tsv", separator="\t")
    assert shown["id"].to_list() == [name for row, name in enumerate(mine.ids) if row not in (0, 7)]
    right = (shown["truth"] == shown["prediction"]).mean()
    assert report["metrics"]["test"]["accuracy"]["value"] == pytest.approx(right)
    with pytest.raises(BiograftError, match="Column 'label' holds no label to compare with: all values are empty"):
        evaluate(run.folder, with_column(mine, "label", [""] * 40))


def test_a_class_that_training_never_had_counts_as_missed(records: Records, run: Result) -> None:
    mine = part(records, "test")
    report = evaluate(run.folder, with_column(mine, "label", ["elsewhere"] * 3 + list(mine.column("label"))[3:]))
    assert report["data"]["unseen_in_training"] == 3
    nothing = with_column(mine, "label", ["elsewhere"] * 40)
    with pytest.raises(BiograftError, match="holds no class that the model knows: got elsewhere"):
        evaluate(run.folder, nothing)


def test_copies_of_training_records_are_found(records: Records, run: Result) -> None:
    leaks = evaluate(run.folder, part(records, "train"))["data"]["leaks"]
    assert (leaks["exact_copies"], leaks["near_identical"]) == (40, 0)
    assert set(leaks["shares"].values()) == {1.0}


def constant(level: Any, kind: Any, outputs: list[float], training: Records) -> Bundle:
    """A model that gives the same outputs everywhere."""
    head = LinearHead(level, OneHot(PROTEIN).width, len(outputs))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.linear.bias.copy_(torch.tensor(outputs))
    return Bundle(Model(OneHot(PROTEIN), head, level, kind), "label", training)


def test_masks_say_which_residues_count() -> None:
    training = Records.of(["ACDEFGHIKL"], alphabet=PROTEIN)
    bundle = constant(Residue(), Classification(("E", "H")), [0.0, 1.0], training)
    columns = {"label": ["HEHE", "HHH", "EE"], "seen": ["1101", "111", "00"], "mine": ["0111", "011", "11"]}
    table = replace(Records.of(["ACDE", "FGH", "IK"], alphabet=PROTEIN), columns=columns)
    for masks, counted, right, records in (((), 9, 5, 3), (("seen",), 6, 4, 2), (("seen", "mine"), 4, 2, 2)):
        report = evaluate(bundle, table, masks=masks)
        assert report["data"]["n_units_counted_test"] == counted
        assert report["data"]["n_test"] == records
        assert report["metrics"]["test"]["accuracy"]["value"] == pytest.approx(right / counted)
    assert evaluate(bundle, table, masks=("seen",))["data"]["n_units_test"] == 7


def test_values_that_never_change_have_no_correlation(tmp_path: Path) -> None:
    training = Records.of(["ACDEFGHIKL"], alphabet=PROTEIN)
    bundle = constant(Sequence(), Regression(10.0, 2.0), [0.5], training)
    table = replace(Records.of(["ACDE", "FGHI", "IKLM"], alphabet=PROTEIN), columns={"label": ["11", "12", "NA"]})
    report = evaluate(bundle, table, out=tmp_path)
    metrics = report["metrics"]["test"]
    assert metrics["rmse"]["value"] == pytest.approx(0.5**0.5)
    assert metrics["mae"]["value"] == pytest.approx(0.5)
    assert metrics["spearman"] == {"value": None, "low": None, "high": None}
    assert any("spearman" in note and "undefined" in note for note in report["data"]["notes"])
    assert "–" in (tmp_path / "report.html").read_text()
    bad = replace(table, columns={"label": ["11", "high", "12"]})
    with pytest.raises(BiograftError, match="A target must be a number: got 'high'"):
        evaluate(bundle, bad)


def test_another_alphabet_is_refused(run: Result) -> None:
    table = replace(Records.of(["ACGT"], alphabet="dna"), columns={"label": ["A"]})
    with pytest.raises(BiograftError, match="The model reads protein: got dna"):
        evaluate(run.folder, table)
