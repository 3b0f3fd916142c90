"""Joint learning: λ = ∞ is full fine-tuning to the bit, λ weighs tasks and not steps, heads are shared if alike."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from biograft.data.generated import World
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.fit import fit_recipe
from biograft.flows.recipe import Recipe
from biograft.strategies.joint import Joint


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, world = tmp_path_factory.mktemp("tables"), World()
    _write(folder / "target.tsv", world.target(24, 16, seed=1, valid=8))
    _write(folder / "source.tsv", world.source(24, seed=2))
    _write(folder / "more.tsv", world.target(24, 4, seed=3, valid=4))
    target = world.target(24, 16, seed=1, valid=8)
    copies = Records.of(target.sequences, columns={"label": target.columns["label"]}, alphabet="protein")
    _write(folder / "copies.tsv", copies)
    return folder


def _write(path: Path, records: Records) -> None:
    columns = {name: values for name, values in records.columns.items() if name in ("label", "set")}
    write_table(path, {"id": records.ids, "sequence": records.sequences, **columns})


def recipe(tables: Path, **choices: object) -> Recipe:
    usual = {"table": str(tables / "target.tsv"), "label": "label", "backbone": "cnn", "epochs": 1.0,
             "device": "cpu", "precision": "fp32"}  # fmt: skip
    return Recipe.of({**usual, **choices})


def joint(tables: Path, weight: str, **choices: object) -> Recipe:
    source = {"strategy": "joint", "source": str(tables / "source.tsv"), "source_label": "label", "lambda": weight}
    return recipe(tables, **{**source, **choices})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "weights.safetensors")


def test_infinite_weight_is_full_fine_tuning(tables: Path, tmp_path: Path) -> None:
    fit_recipe(recipe(tables, strategy="full"), tmp_path / "full")
    fit_recipe(joint(tables, "inf"), tmp_path / "joint")
    full, together = weights(tmp_path / "full"), weights(tmp_path / "joint")
    assert full.keys() == together.keys()
    assert all(torch.equal(full[name], together[name]) for name in full)


def test_the_source_is_learned_and_told_of(tables: Path, tmp_path: Path) -> None:
    result = fit_recipe(joint(tables, "1", epochs=6.0), tmp_path / "run")
    notes = " ".join(result.report["model"]["notes"])
    assert "Learned together with the source 'label' (" in notes and "of its validation part is" in notes
    assert "0 of the 16 test records are 40 % or more alike to a record of the source, 0 are copies." in notes
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps = [entry for entry in entries if "loss" in entry]
    assert all({"target", "source"} <= entry["loss"].keys() for entry in steps)
    assert all(-1 <= entry["cosine"] <= 1 for entry in steps)
    assert steps[-1]["loss"]["source"] < steps[0]["loss"]["source"]
    assert (tmp_path / "run" / "recipe.toml").read_text().count('lambda = "1"') == 1


def test_the_head_is_shared_where_both_ask_for_the_same_classes(tables: Path, tmp_path: Path) -> None:
    result = fit_recipe(joint(tables, "1", source=str(tables / "more.tsv")), tmp_path / "run")
    assert result.report["data"]["n_train"] == 24


def test_copies_of_test_records_in_the_source_are_told_of(tables: Path, tmp_path: Path) -> None:
    result = fit_recipe(joint(tables, "1", source=str(tables / "copies.tsv")), tmp_path / "run")
    notes = " ".join(result.report["model"]["notes"])
    assert "12 of the 16 test records are 40 % or more alike to a record of the source, 12 are copies." in notes


def test_shares_add_up_and_change_no_step_size(tables: Path) -> None:
    for weight in (0.1, 1.0, 9.0):
        plan = Joint(weight=weight)
        target, source = (plan._share(name) for name in ("target", "source"))
        assert target + source == pytest.approx(1.0) and target / source == pytest.approx(weight)
    rising = Joint(schedule="rising")
    first, last = ([rising._share(name)(done) for name in ("target", "source")] for done in (0.0, 1.0))
    assert first == [0.5, 0.5] and last == [1.0, 0.0]


@pytest.mark.parametrize("choice", [{"lambda": "learned"}, {"lambda": "rising"}, {"strategy_option": ["project=true"]}])
def test_other_weights_and_projection_carry_through(tables: Path, tmp_path: Path, choice: dict[str, object]) -> None:
    result = fit_recipe(joint(tables, "1", **choice), tmp_path / "run")
    assert result.report["metrics"]["test"]["mcc"]["value"] is not None


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"source": "x.tsv"}, "got --source alone. Add --source-label COL"),
        ({"source_label": "label"}, "got --source-label alone. Add --source TABLE"),
        ({"lambda": "1"}, "got 1 and no --source"),
        ({"strategy": "joint"}, "learns from target and source: got no --source"),
    ],
)
def test_half_a_source_is_refused(tables: Path, tmp_path: Path, choices: dict[str, object], message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        fit_recipe(recipe(tables, **choices), tmp_path / "run")


def test_a_weight_that_is_none_is_refused(tables: Path) -> None:
    with pytest.raises(BiograftError, match="--lambda: got '-1', expected a number above 0, inf, rising or learned"):
        joint(tables, "-1")


def test_another_strategy_takes_no_source(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(BiograftError, match="Choose --strategy joint, or leave the source out"):
        fit_recipe(joint(tables, "", strategy="full"), tmp_path / "run")
    assert read(tables / "target.tsv").columns.keys() == {"label", "set"}
