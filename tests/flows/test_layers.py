"""A layer of the backbone is chosen inside the training part, and what is saved ends there."""

from dataclasses import replace
from pathlib import Path

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
from biograft.errors import BiograftError
from biograft.flows.fit import Recipe, fit_recipe
from biograft.flows.layers import Layers, at_layer
from biograft.flows.prepare import Prepared, prepare
from biograft.hardware import Hardware
from biograft.model import LinearHead, Model
from biograft.progress import Clock
from biograft.strategies.choices import strategy_of
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression
from biograft.tasks.task import Task


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOGRAFT_CACHE", str(tmp_path / "cache"))


class Spoiled(DilatedCNN):
    """Its first layer is as it was, the upper ones are drowned in one direction."""

    def tower(self, batch: Packed) -> Packed:
        found = super().tower(batch).values.clone()
        found[:, 1:] = 1.0
        return batch.with_values(found)


def net(kind: type[DilatedCNN] = DilatedCNN) -> DilatedCNN:
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        made = kind(PROTEIN, CNNConfiguration(24, 3, (1, 1, 1), 0.1))
    made.pretrained = True
    return made.eval()


def table(label: str = "y", level: str = "sequence") -> tuple[Records, Prepared]:
    """Tryptophans decide; parts are given."""
    random = np.random.default_rng(0)
    sequences = ["".join(random.choice(list("ACDEFGHIKLMNPQRSTVY"), 30)) for _ in range(80)]
    sequences = [text[:-6] + "W" * int(random.integers(7)) + "A" * 3 for text in sequences]
    texts = [f"{text.count('W') / len(text):.4f}" for text in sequences]
    if level == "residue":
        texts = ["".join("W" if letter in "WFY" else "o" for letter in text) for text in sequences]
    parts = (["train"] * 6 + ["valid", "test"]) * 10
    records = Records.of(sequences, columns={label: texts, "set": parts}, alphabet=PROTEIN)
    return records, prepare(records, Task(label))


def chosen(option: str, backbone: Backbone, prepared: Prepared) -> tuple[Backbone, list[str]]:
    plan = strategy_of("frozen", [f"layer={option}"])
    found, _, notes = at_layer(backbone, plan, prepared.level, prepared, Hardware(), Clock(), 0)
    return found, notes


def test_the_layer_that_knows_is_found() -> None:
    _, prepared = table()
    lower, (note,) = chosen("auto", net(Spoiled), prepared)
    assert lower.heights == 1 and "Layer 1 of 3 is read" in note and "head 'linear'" in note
    assert "inner folds of the training part (1: " in note


def test_labels_of_residues_are_asked_of_a_quick_head() -> None:
    _, prepared = table(level="residue")
    lower, (note,) = chosen("auto", net(Spoiled), prepared)
    assert lower.heights == 1 and "quick head 'lda'" in note


def test_the_other_parts_have_no_say() -> None:
    records, prepared = table()
    _, (note,) = chosen("auto", net(), prepared)
    column = [
        text if part == "train" else "7.5"
        for text, part in zip(records.columns["y"], records.columns["set"], strict=True)
    ]
    poisoned = prepare(replace(records, columns={**records.columns, "y": column}), Task("y"))
    assert chosen("auto", net(), poisoned)[1] == [note]


def test_features_of_a_layer_are_those_of_the_backbone_that_ends_there() -> None:
    _, prepared = table()
    layers = Layers.of(net(), Sequence(), prepared, Hardware(), Clock(), 0)
    cut, train = net().lower(2), prepared.part("train")[0]
    with torch.inference_mode():
        expected = cut.vectors(Packed.of([cut.encode(text) for text in train.sequences])).mean().numpy()
    np.testing.assert_allclose(layers.at(2).values, expected, atol=1e-3)
    assert layers.heights == 3 and len(layers.at(1).targets) == 60


def test_a_number_or_the_last() -> None:
    _, prepared = table()
    backbone = net()
    assert chosen("last", backbone, prepared) == (backbone, [])
    lower, notes = chosen("2", backbone, prepared)
    assert lower.heights == 2 and notes == ["Layer 2 of 3 is read."]
    with pytest.raises(BiograftError, match="got layer 4"):
        chosen("4", backbone, prepared)


def test_a_run_saves_the_lower_backbone_and_reloads_it(tmp_path: Path) -> None:
    records, _ = table()
    start = Model(net(), LinearHead(Residue(), 24, 1), Residue(), Regression(0.0, 1.0))
    Bundle(start, "none", records.take([0, 1])).save(tmp_path / "start")
    recipe = Recipe(
        label="y", backbone=str(tmp_path / "start"), strategy="frozen", strategy_option=("layer=auto",), epochs=1.0,
        precision="fp32",
    )  # fmt: skip
    result = fit_recipe(recipe, tmp_path / "run", records=records)
    notes = " ".join(result.report["model"]["notes"])
    read = int(notes.partition("Layer ")[2].split()[0])
    bundle = load(tmp_path / "run")
    assert bundle.model.backbone.heights == read
    answers = bundle.predict(records.take(np.flatnonzero(np.array(records.columns["set"]) == "test")))
    lines = (tmp_path / "run" / "predictions.tsv").read_text().splitlines()
    column = lines[0].split("\t").index("prediction")
    kept = [line.split("\t")[column] for line in lines[1:]]
    np.testing.assert_allclose([float(text) for text in kept], answers.predicted.values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", ["centroid", "knn", "attention"])
def test_other_heads_go_through_a_whole_run(head: str, tmp_path: Path) -> None:
    records = World(seed=1, motifs=3).target(36, 12, seed=0, valid=12)
    start = Model(net(), LinearHead(Residue(), 24, 1), Residue(), Regression(0.0, 1.0))
    Bundle(start, "none", records.take([0, 1])).save(tmp_path / "start")
    recipe = Recipe(
        label="label", backbone=str(tmp_path / "start"), strategy="frozen",
        strategy_option=(f"head={head}", "layer=2"), epochs=1.0, precision="fp32",
    )  # fmt: skip
    result = fit_recipe(recipe, tmp_path / "run", records=records)
    test = records.take(np.flatnonzero(np.array(records.columns["set"]) == "test"))
    answers = load(tmp_path / "run").predict(test).predicted.scores
    lines = [line.split("\t") for line in (tmp_path / "run" / "predictions.tsv").read_text().splitlines()]
    places = [lines[0].index(f"p:class {name}") for name in "ABC"]
    cached = [[float(line[place]) for place in places] for line in lines[1:]]
    np.testing.assert_allclose(answers, cached, atol=1e-4)
    notes = result.report["model"]["notes"]
    assert "Layer 2 of 3 is read." in notes
    assert any("both together" in note for note in notes) == (head != "attention")
