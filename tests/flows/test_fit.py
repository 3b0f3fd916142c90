"""The main flow on small tables: what it leaves, what it reuses, and what it must never read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from biograft.backbones import store
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle, load
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.files import locked
from biograft.flows import fit as flow
from biograft.flows.fit import Recipe, Result, fit, fit_recipe
from biograft.model import LinearHead, Model
from biograft.run import read_recipe
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.trainer import Trainer
from biograft.training import Training


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few steps, one thread, no page."""
    monkeypatch.setattr("biograft.flows.report.render", lambda *content: "the page has tests of its own")
    monkeypatch.setattr(
        "biograft.flows.workshop.Training", lambda **choices: Training(**(choices | {"min_steps": 30, "patience": 99}))
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def table(values: bool = False) -> Records:
    """Sequences with columns ``label`` and ``set``; the labels are classes or numbers."""
    records = World(seed=0, shortest=30, longest=40, span=4).target(36, 15, seed=0, valid=15)
    if not values:
        return records
    return with_labels(records, [f"{ord(text[-1]) + 0.01 * row:.2f}" for row, text in enumerate(labels(records))])


def labels(records: Records) -> list[str]:
    return list(records.column("label"))


def with_labels(records: Records, changed: list[str]) -> Records:
    return replace(records, columns={**records.columns, "label": changed})


def source(folder: Path) -> Path:
    """A trained model's folder with a very small backbone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", table().take(np.arange(3))).save(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refuse(*arguments: Any, **choices: Any) -> NoReturn:
    raise AssertionError("this must not be done again")


def run(records: Records, out: Path, strategy: str, backbone: str, **choices: Any) -> Result:
    return fit(records, "label", out=out, strategy=strategy, backbone=backbone, epochs=2, **choices)


# What can be chosen


def test_every_choice_of_learning_is_an_argument_in_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Recipe] = []
    monkeypatch.setattr(flow, "fit_recipe", lambda recipe, *out, **more: heard.append(recipe))
    fit("t.csv", "y", strategy="joint", options=["project=true"], source="s.csv", source_label="z", weight=2.0,
        source_mask="seen", unlabelled=Path("u.fasta"), sampling="balanced", logit_adjustment=0.5, pool="mean",
        device="cpu", precision="fp32")  # fmt: skip
    fit("t.csv", "y", source="s.csv", source_label="z", weight=float("inf"))
    fit("t.csv", "y")
    usual = {"table": "t.csv", "label": "y"}
    assert heard == [
        Recipe(**usual, strategy="joint", strategy_option=("project=true",), source="s.csv", source_label="z",
               source_mask=("seen",), lambda_="2", unlabelled="u.fasta", sampling="balanced", logit_adjustment=0.5,
               pool="mean", device="cpu", precision="fp32"),
        Recipe(**usual, source="s.csv", source_label="z", lambda_="inf"),
        Recipe(**usual),
    ]  # fmt: skip


# What it leaves


def test_a_run_holds_all_that_was_promised(tmp_path: Path) -> None:
    result = run(table(), tmp_path / "run", "frozen", "kmer")
    names = {"recipe.toml", "split.tsv", "predictions.tsv", "report.json", "report.html", "model"}
    assert names <= {entry.name for entry in result.folder.iterdir()}
    answers = (tmp_path / "run" / "predictions.tsv").read_text().splitlines()
    test = [id for id, part in zip(table().ids, table().column("set"), strict=True) if part == "test"]
    assert [line.split("\t")[0] for line in answers[1:]] == test
    assert result.report["data"]["n_train"] == 36
    assert set(result.metrics) == set(result.report["task"]["metrics"])


def test_the_saved_model_gives_the_predictions_of_the_run(tmp_path: Path) -> None:
    records = table()
    result = run(records, tmp_path / "run", "full", str(source(tmp_path / "source")))
    test = records.take(np.flatnonzero(np.array(records.column("set")) == "test"))
    again = load(tmp_path / "run").predict(test).table()
    rows = [line.split("\t") for line in (result.folder / "predictions.tsv").read_text().splitlines()]
    written = {name: list(column) for name, *column in zip(*rows, strict=True)}
    assert written["id"] == again["id"]
    assert written["prediction"] == again["prediction"]


def test_a_solved_head_learns_from_the_validation_part_once_it_has_answered_for_it(tmp_path: Path) -> None:
    records = table()
    joined = ["train" if part == "valid" else part for part in records.column("set")]
    first = run(records, tmp_path / "first", "frozen", "kmer")
    both = run(replace(records, columns={**records.columns, "set": joined}), tmp_path / "both", "frozen", "kmer")
    train = run(records, tmp_path / "train", "frozen", "kmer", train_limit=36)  # few-shot: so many records, no more
    answers = {result: (result.folder / "predictions.tsv").read_text() for result in (first, both, train)}
    assert answers[first] == answers[both] != answers[train]
    assert first.report["baselines"] == both.report["baselines"] != train.report["baselines"]
    assert first.report["metrics"]["valid"] == train.report["metrics"]["valid"]
    assert "then on both together (51 records)" in json.dumps(first.report)
    assert "both together" not in json.dumps(train.report)


def test_a_frozen_backbone_is_handed_on_bit_by_bit(tmp_path: Path) -> None:
    before = load(source(tmp_path / "source")).model.backbone.state_dict()
    run(table(), tmp_path / "run", "frozen", str(tmp_path / "source"))
    after = load(tmp_path / "run").model.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_random_numbers_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run(table(), tmp_path / "run", "scratch", str(source(tmp_path / "source")))
    assert torch.equal(before, torch.get_rng_state())


# What it must never read


@pytest.mark.parametrize(("strategy", "values"), [("frozen", False), ("frozen", True), ("full", False), ("full", True)])
def test_poisoned_test_labels_change_nothing_in_the_model(tmp_path: Path, strategy: str, values: bool) -> None:
    records = table(values)
    backbone = "kmer" if strategy == "frozen" else str(source(tmp_path / "source"))
    poison = {"class A": "class B", "class B": "class D", "class C": "class A"}
    poisoned = [
        (text if part != "test" else str(1e6 - float(text)) if values else poison[text])
        for text, part in zip(labels(records), records.column("set"), strict=True)
    ]
    assert poisoned != labels(records)
    clean = run(records, tmp_path / "clean", strategy, backbone)
    changed = run(with_labels(records, poisoned), tmp_path / "changed", strategy, backbone)
    assert contents(clean.folder / "model") == contents(changed.folder / "model")
    assert (clean.folder / "split.tsv").read_bytes() == (changed.folder / "split.tsv").read_bytes()
    assert clean.metrics != changed.metrics


# What it reuses


def test_a_finished_run_is_read_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(table(), tmp_path / "run", "frozen", "kmer")
    before = contents(tmp_path / "run")
    monkeypatch.setattr(flow, "prepare", refuse)
    assert run(table(), tmp_path / "run", "frozen", "kmer").report == json.loads(json.dumps(first.report))
    assert contents(tmp_path / "run") == before


def test_vectors_are_computed_once_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = str(source(tmp_path / "source"))
    run(table(), tmp_path / "one", "frozen", backbone, seed=1)
    monkeypatch.setattr(store, "_vectors", refuse)
    run(table(), tmp_path / "two", "frozen", backbone, seed=2)


def test_a_fault_in_the_report_costs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = str(source(tmp_path / "source"))
    with monkeypatch.context() as patch:
        patch.setattr(flow, "write_report", refuse)
        with pytest.raises(AssertionError):
            run(table(), tmp_path / "run", "full", backbone)
    monkeypatch.setattr(Trainer, "_step", refuse)
    continued = run(table(), tmp_path / "run", "full", backbone)
    assert continued.folder.joinpath("report.json").exists()


def test_a_recipe_is_enough_to_repeat_a_run(tmp_path: Path) -> None:
    records = table()
    write_table(tmp_path / "table.csv", {"id": records.ids, "sequence": records.sequences, **records.columns})
    choices = {"table": str(tmp_path / "table.csv"), "label": "label", "backbone": "kmer", "strategy": "frozen"}
    fit_recipe(Recipe.of(choices), tmp_path / "one")
    recipe = tmp_path / "one" / "recipe.toml"
    fit_recipe(Recipe.of(read_recipe(recipe), str(recipe)), tmp_path / "two")
    assert contents(tmp_path / "one" / "model") == contents(tmp_path / "two" / "model")
    assert recipe.read_bytes() == (tmp_path / "two" / "recipe.toml").read_bytes()
    (tmp_path / "table.csv").write_text((tmp_path / "table.csv").read_text().replace("class A", "class B"))
    with pytest.raises(BiograftError, match=r"has changed since the recipe was made"):
        fit_recipe(Recipe.of(read_recipe(recipe), str(recipe)), tmp_path / "three")


# What it refuses


def test_a_run_of_other_choices_or_another_table_is_refused(tmp_path: Path) -> None:
    run(table(), tmp_path / "run", "frozen", "kmer")
    before = contents(tmp_path / "run")
    for records, choices in ((table(), {"seed": 1}), (table(), {"train_limit": 20}), (table(values=True), {})):
        with pytest.raises(BiograftError, match="holds a run with other choices"):
            run(records, tmp_path / "run", "frozen", "kmer", **choices)
    assert contents(tmp_path / "run") == before


def test_two_processes_never_share_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder), pytest.raises(BiograftError, match="Another process is at work"):
        run(table(), folder, "frozen", "kmer")
