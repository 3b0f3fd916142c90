"""A mix of layers: through whole runs, for solved and for learned heads, per sequence and per residue."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from biograft.backbones.backbone import Backbone
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle, load
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.flows import fit as flow
from biograft.flows.fit import Recipe, Result, fit_recipe
from biograft.model import LinearHead, Model
from biograft.origins import load_backbone
from biograft.tasks.levels import Residue
from biograft.tasks.regression import Regression
from biograft.tasks.task import LabelKind, Level
from biograft.trainer import Trainer

LEARNED = {"sequence": ("mlp", "attention", "conv"), "residue": ("linear", "mlp", "conv")}
SOLVED = ("linear", "lda", "centroid", "knn")
EACH = [
    *(("sequence", head) for head in SOLVED),
    *((level, head) for level, heads in LEARNED.items() for head in heads),
]


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOGRAFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("biograft.flows.report.render", lambda *content: "")
    monkeypatch.setattr("biograft.flows.baselines.simple_answers", nothing)


def nothing(labelled: Any, kind: LabelKind, level: Level, asked: list[Records], *more: Any) -> dict[str, list[Any]]:
    """Simple answers of no worth: they would take longer than the rest."""
    return {"zero": [np.zeros((int(level.count(one.lengths).sum()), kind.width), np.float32) for one in asked]}


def table(level: str = "sequence", values: bool = False) -> Records:
    records = World(seed=1, motifs=3, shortest=30, longest=40, span=4).target(36, 12, seed=0, valid=12)
    column = list(records.column("label"))
    if level == "residue":
        column = ["".join("W" if letter in "WFY" else "o" for letter in text) for text in records.sequences]
    if values:
        column = [f"{text.count('W') + text.count('A') / 10:.2f}" for text in records.sequences]
    return replace(records, columns={**records.columns, "label": column})


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A model's folder with three small layers."""
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        net = DilatedCNN(PROTEIN, CNNConfiguration(24, 3, (1, 1, 1), 0.1))
        model = Model(net, LinearHead(Residue(), 24, 1), Residue(), Regression(0.0, 1.0))
    Bundle(model, "none", table().take([0, 1])).save(tmp_path / "source")
    return str(tmp_path / "source")


def recipe(source: str, head: str = "auto", epochs: float = 2.0, **choices: Any) -> Recipe:
    given = {"strategy": "frozen", "strategy_option": (f"head={head}", "layer=mix"), "precision": "fp32"} | choices
    return Recipe(label="label", backbone=source, epochs=epochs, **given)


def of_test(records: Records) -> Records:
    return records.take(np.flatnonzero(np.array(records.columns["set"]) == "test"))


def said(result: Result) -> str:
    return next(note for note in result.report["model"]["notes"] if "All layers are read" in note)


@pytest.mark.parametrize(("level", "head"), EACH)
def test_what_is_saved_answers_as_the_run_did(
    level: str, head: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reloaded = in memory, cached = live, batch = alone."""
    records, kept = table(level), {}
    save = flow._Fit._report

    def listen(self: Any, bundle: Bundle, made: Any, outputs: dict[str, np.ndarray], *more: Any) -> Result:
        kept["cached"] = outputs["test"]
        return save(self, bundle, made, outputs, *more)

    monkeypatch.setattr(flow._Fit, "_report", listen)
    result = fit_recipe(recipe(source, head), tmp_path / "run", records=records)
    model = load(tmp_path / "run").model
    rows = [model.backbone.encode(text) for text in of_test(records).sequences]
    together = model.outputs(rows)
    np.testing.assert_allclose(together, kept["cached"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.concatenate([model.outputs([row]) for row in rows]), together, rtol=1e-4, atol=1e-5)
    assert model.mix is not None and len(model.mix.shares) == 3
    assert f"({model.mix.told()})" in said(result)
    assert result.report["model"]["backbone"] == "cnn"


def test_the_backbone_rests_bit_by_bit_and_may_be_grafted_again(source: str, tmp_path: Path) -> None:
    fit_recipe(recipe(source, "mlp"), tmp_path / "run", records=table())
    before, after = load_backbone(source, "protein"), load_backbone(str(tmp_path / "run"), "protein")
    assert isinstance(after, DilatedCNN) and after.width == 24 and after.heights == 3
    assert before.fingerprint() == after.fingerprint()


@pytest.mark.parametrize("level", ["sequence", "residue"])
def test_a_run_that_was_killed_ends_the_same(
    level: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = table(level)
    whole = fit_recipe(recipe(source, "mlp", epochs=6.0), tmp_path / "whole", records=records)
    step, done = Trainer._step, [0]

    def dying(self: Trainer, *given: Any, **more: Any) -> Any:
        done[0] += 1
        if done[0] == 4:
            raise KeyboardInterrupt
        return step(self, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", dying)
        with pytest.raises(KeyboardInterrupt):
            fit_recipe(recipe(source, "mlp", epochs=6.0), tmp_path / "run", records=records)
    again = fit_recipe(recipe(source, "mlp", epochs=6.0), tmp_path / "run", records=records)
    files = [(folder / "model" / "weights.safetensors").read_bytes() for folder in (whole.folder, again.folder)]
    assert files[0] == files[1]


def test_neither_validation_nor_test_labels_choose_the_shares_of_a_solved_head(source: str, tmp_path: Path) -> None:
    records = table(values=True)
    column = [
        text if part == "train" else "7.5"
        for text, part in zip(records.columns["label"], records.columns["set"], strict=True)
    ]
    poisoned = replace(records, columns={**records.columns, "label": column})
    found = [
        fit_recipe(recipe(source, refit=False), tmp_path / name, records=given)
        for name, given in (("one", records), ("two", poisoned))
    ]
    assert said(found[0]) == said(found[1])


class Spoiled(DilatedCNN):
    """Its first layer is as it was, the upper ones are noise that doesn't depend on the letters."""

    def tower(self, batch: Packed) -> Packed:
        found = super().tower(batch).values.clone()
        generator = torch.Generator().manual_seed(len(found))
        found[:, 1:] = torch.randn(found[:, 1:].shape, generator=generator)
        return batch.with_values(found)


@pytest.mark.parametrize(("level", "head"), [("sequence", "linear"), ("residue", "linear")])
def test_the_layer_that_knows_gets_the_largest_share(
    level: str, head: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_backbone(source, "protein")
    assert isinstance(whole, DilatedCNN)

    def spoiled(*given: Any) -> Backbone:
        with torch.random.fork_rng([]):
            made = Spoiled(PROTEIN, whole.shape)
        made.load_state_dict(whole.state_dict())
        made.pretrained = True
        return made.eval()

    monkeypatch.setattr("biograft.flows.workshop.load_backbone", spoiled)
    result = fit_recipe(recipe(source, head, 40.0), tmp_path / "run", records=table(level, level == "sequence"))
    mix = load(tmp_path / "run").model.mix
    assert mix is not None and mix.shares[0] == max(mix.shares) > 0.5, said(result)


def test_one_layer_is_nothing_to_mix(tmp_path: Path) -> None:
    result = fit_recipe(recipe("kmer"), tmp_path / "run", records=table())
    assert any("gives vectors of one layer alone: none was mixed" in note for note in result.report["model"]["notes"])
    assert load(tmp_path / "run").model.mix is None


def test_vectors_of_all_layers_are_computed_once_for_all_heads(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_recipe(recipe(source, "mlp"), tmp_path / "one", records=table())

    def refuse(*given: Any, **more: Any) -> NoReturn:
        raise AssertionError("this must not be done again")

    monkeypatch.setattr("biograft.backbones.store._vectors", refuse)
    fit_recipe(recipe(source, "linear"), tmp_path / "two", records=table())
