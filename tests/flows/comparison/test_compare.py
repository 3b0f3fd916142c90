"""Comparisons of tiny nets: everything is in the table, on one split, and what is there is read or continued."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import biograft
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.readers import table as read_table
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.evaluation.comparison_page import lines
from biograft.flows import fit
from biograft.flows.comparison.compare import Comparison, compare, compare_recipe
from biograft.flows.comparison.field import Field
from biograft.flows.recipe import Recipe
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence

NAMES = ["net, scratch", "net, frozen", "net, full", "kmer, frozen", "kmer, full"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A table (the last record has no label), and a very small net that counts as trained."""
    folder = tmp_path_factory.mktemp("inputs")
    made = World(seed=0, shortest=30, longest=40, span=4).target(36, 25, seed=0, valid=15)
    labels = [*made.column("label")[:-1], ""]
    columns = {"label": labels, "set": made.column("set"), "family": made.column("family")}
    write_table(folder / "table.csv", {"id": made.ids, "sequence": made.sequences, **columns})
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder / "net")
    return folder / "table.csv", str(folder / "net")


def compared(inputs: tuple[Path, str], out: Path, **choices: object) -> Comparison:
    table, net = inputs
    usual = {"backbones": (net, "kmer"), "strategies": ("frozen", "full"), "seeds": 2, "epochs": 1.0}
    return compare(table, "label", out=out, **(usual | choices))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(inputs: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Two strategies on two backbones, twice each."""
    return compared(inputs, tmp_path_factory.mktemp("made") / "compared")


def lasting(content: dict) -> dict:
    """All but times, which no two calls share."""
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in content["candidates"]]
    return {key: value for key, value in content.items() if key not in ("created", "seconds")} | {"candidates": rows}


def report(made: Comparison, folder: str) -> dict:
    return json.loads((made.folder / folder / "report.json").read_text())


def test_everything_is_in_the_table(made: Comparison) -> None:
    assert set(made.candidates) == set(NAMES), "the twin from scratch is added"
    assert [row["name"] for row in made.content["baselines"]] == [
        "majority", "composition linear", "kmer linear", "nearest",
    ]  # fmt: skip
    assert json.loads((made.folder / "comparison.json").read_text()) == made.content
    columns = read_table(made.folder / "comparison.tsv").columns
    assert columns["name"] == [row["name"] for row in made.content["candidates"] + made.content["baselines"]]
    assert columns["kind"] == ["candidate"] * 5 + ["baseline"] * 4
    assert {"scratch_answer", "baseline_p_holm", "seconds"} <= set(columns)


def test_a_candidate_that_cannot_begin_is_a_row_with_its_message_and_has_no_runs(made: Comparison) -> None:
    row = made.candidates["kmer, full"]
    assert (row["runs"], row["failed"], row["test"]["value"], row["folders"]) == (0, 0, None, [])
    assert "Backbone 'kmer' has no weights that could learn" in row["fault"]
    assert "kmer, full: no run was tried, for each would have been refused." in made.content["notes"]
    assert not list((made.folder / "fits").glob("kmer-full-*"))
    assert "Failed: kmer, full: Backbone 'kmer'" in "\n".join(lines(made.content))


def test_a_run_that_fails_is_told_beside_those_that_succeed(
    inputs: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit._Fit.run

    def failing(run: fit._Fit) -> fit.Result:
        if run.recipe.seed == 1:
            raise BiograftError("The second run fails: got seed 1. Choose another.")
        return whole(run)

    monkeypatch.setattr(fit._Fit, "run", failing)
    choices = {"backbones": ("composition",), "strategies": ("frozen",)}
    found = compared(inputs, tmp_path / "half", **choices)
    row = found.candidates["composition, frozen"]
    assert (row["runs"], row["failed"], row["fault"]) == (1, 1, "The second run fails: got seed 1. Choose another.")
    assert "composition, frozen: 1 of 2 runs failed." in found.content["notes"]
    monkeypatch.setattr(fit._Fit, "run", lambda run: failing(replace(run, recipe=replace(run.recipe, seed=1))))
    with pytest.raises(BiograftError, match=r"None of the 2 fits succeeded\. The first one: The second run fails"):
        compared(inputs, tmp_path / "none", **choices)


def test_values_and_differences_are_those_of_the_reports(made: Comparison) -> None:
    rows = made.candidates
    values = {
        name: [report(made, folder)["metrics"]["test"]["mcc"]["value"] for folder in rows[name]["folders"]]
        for name in NAMES[:4]
    }
    for name in NAMES[:4]:
        assert rows[name]["test"]["values"] == pytest.approx(values[name])
        assert rows[name]["test"]["value"] == pytest.approx(np.mean(values[name]))
    for name in ("net, frozen", "net, full"):
        found = rows[name]["against_scratch"]
        assert found["difference"] == pytest.approx(np.mean(values[name]) - np.mean(values["net, scratch"]))
        assert (found["against"], found["comparisons"], found["runs"]) == ("net, scratch", 2, 2)
        assert found["low"] <= found["difference"] <= found["high"]
    assert rows["net, scratch"]["against_scratch"] is None
    assert rows["kmer, frozen"]["against_scratch"] is None
    assert {rows[name]["against_baseline"]["against"] for name in NAMES[:4]} == {made.content["best_baseline"]}
    assert rows["kmer, frozen"]["against_baseline"]["comparisons"] == 4


def test_the_validation_part_names_the_winner_and_the_best_baseline(made: Comparison) -> None:
    rows = made.content["candidates"]
    valid = {row["name"]: row["valid"]["value"] for row in rows if row["runs"]}
    assert valid[made.winner] == max(valid.values())
    for name, value in valid.items():
        found = [
            report(made, folder)["metrics"]["valid"]["mcc"]["value"] for folder in made.candidates[name]["folders"]
        ]
        assert value == pytest.approx(np.mean(found))
    simple = {row["name"]: row["valid"]["value"] for row in made.content["baselines"]}
    assert simple[made.content["best_baseline"]] == max(simple.values())


def test_one_split_for_all(made: Comparison) -> None:
    own = (made.folder / "split.tsv").read_text()
    fits = list((made.folder / "fits").glob("*/split.tsv"))
    assert len(fits) == 8
    assert {path.read_text() for path in fits} == {own}
    assert all("refit = false" in path.with_name("recipe.toml").read_text() for path in fits)  # as many labels for all
    assert (made.content["data"]["n_test"], made.content["data"]["n_unlabelled"]) == (24, 1)


def test_the_page_and_the_terminal_say_what_the_numbers_say(made: Comparison) -> None:
    page, told = (made.folder / "comparison.html").read_text(), "\n".join(lines(made.content))
    for row in made.content["candidates"]:
        assert row["name"] in page
        assert row["name"] in told
        for key in ("against_scratch", "against_baseline"):
            if row[key]:
                assert row[key]["sentence"] in page
                assert row[key]["sentence"] in told
    assert f"* Best on the validation part: {made.winner}." in told
    assert "<script" not in page
    assert "http" not in page


def test_a_second_call_reads(inputs: tuple[Path, str], made: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run: object) -> None:
        raise AssertionError("a finished run was fitted again")

    monkeypatch.setattr(fit._Fit, "run", refuse)
    again = compared(inputs, made.folder, strategies=("frozen",))
    assert {row["name"] for row in again.content["candidates"]} == set(NAMES[:2] + NAMES[3:4])
    for name, row in again.candidates.items():
        assert row["test"] == made.candidates[name]["test"]


def test_what_is_missing_is_fitted_and_ends_the_same(
    inputs: tuple[Path, str], made: Comparison, tmp_path: Path
) -> None:
    shutil.copytree(made.folder, tmp_path / "killed")
    (full,) = (tmp_path / "killed" / "fits").glob("net-*-full-seed1")
    for name in ("report.json", "predictions.tsv"):
        (full / name).unlink()
    shutil.rmtree(tmp_path / "killed" / "fits" / "kmer-frozen-seed0")
    again = compared(inputs, tmp_path / "killed")
    assert lasting(again.content) == lasting(made.content)


def test_other_choices_in_the_same_folder_are_refused(inputs: tuple[Path, str], made: Comparison) -> None:
    with pytest.raises(BiograftError, match=r"identity: 0\.4 there, 0\.5 now"):
        compared(inputs, made.folder, identity=0.5)


def test_records_in_memory_a_limit_and_a_single_run(inputs: tuple[Path, str], tmp_path: Path) -> None:
    records = biograft.read(inputs[0])
    parts = biograft.split(records, "column:set")
    made = biograft.compare(  # in two processes
        records,
        "label",
        split=parts,
        out=tmp_path / "few",
        backbones=("kmer", "composition"),
        seeds=1,
        train_limit=20,
        jobs=2,
    )
    folders = [folder for row in made.candidates.values() for folder in row["folders"]]
    assert [report(made, folder)["data"]["n_train"] for folder in folders] == [20, 20]
    assert made.content["notes"][0].startswith("One run of each: the luck of a training run is in no interval.")
    assert "against_scratch" in next(iter(made.candidates.values()))


def test_an_adjusted_loss_is_judged_by_what_it_aims_at(inputs: tuple[Path, str], tmp_path: Path) -> None:
    recipe = Recipe(table=inputs[0].as_posix(), label="label", logit_adjustment=1.0)
    made = compare_recipe(recipe, Field(("composition",), ("frozen",), seeds=1), tmp_path / "fair")
    row = made.candidates["composition, frozen"]
    assert made.content["metric"]["name"] == "balanced_accuracy"
    found = report(made, row["folders"][0])
    assert found["verdict"]["metric"] == "balanced_accuracy"
    assert found["metrics"]["test"]["balanced_accuracy"]["value"] == pytest.approx(row["test"]["value"])


@pytest.mark.slow
def test_ctrl_c_stops_all_processes_and_the_same_command_continues(inputs: tuple[Path, str], tmp_path: Path) -> None:
    table, net = inputs
    command = [
        sys.executable, "-m", "biograft", "compare", str(table), "--label", "label", "--backbones", net, "--strategies",
        "scratch,full", "--seeds", "1", "--epochs", "150", "--jobs", "2", "--precision", "fp32", "--json",
        "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=one_thread
    ) as process:
        while process.poll() is None and not [log for log in tmp_path.rglob("log.jsonl") if log.stat().st_size]:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 130
    assert "The same command continues where it was" in told
    assert "Traceback" not in told
    assert list(tmp_path.rglob("state.safetensors"))
    assert not (tmp_path / "out" / "comparison.json").exists()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=one_thread)
    content = json.loads(done.stdout.splitlines()[-1])
    assert content == json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [row["runs"] for row in content["candidates"]] == [1, 1]
