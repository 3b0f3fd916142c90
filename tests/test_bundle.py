"""The saved model: whole after reloading, and refused where a part of it is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.backbones import esm2
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.bundle import Bundle, load
from biograft.data.alphabet import PROTEIN
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model
from biograft.origins import load_backbone
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.tasks.regression import Regression

SEQUENCES = ["MKTAYIAKQRQISFVKSHFSRQ", "GSHMLEDPVDAFWKAGWWTRNE", "ACDEFGHIKLMNPQRSTVWY"]


def bundle(regression: bool = False) -> Bundle:
    torch.manual_seed(0)
    kind: Any = Regression(50.0, 5.0) if regression else Classification(("inside", "outside"))
    level = Sequence()
    backbone = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1,)))
    net = Model(backbone, LinearHead(level, 8, kind.width), level, kind)
    training = Records.of(SEQUENCES, ids=["one", "two", "three"], alphabet="protein")
    return Bundle(net.eval(), "where", training, 1.5 if regression else None, {"seed": 3})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    bundle().save(tmp_path / "run" / "model")
    return tmp_path / "run" / "model"


@pytest.mark.parametrize("regression", [False, True])
def test_reloaded_equals_in_memory(regression: bool, tmp_path: Path) -> None:
    made = bundle(regression)
    made.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.label, again.half_width, again.card) == (made.label, made.half_width, made.card)
    assert again.training.ids == made.training.ids and again.training.sequences == SEQUENCES
    assert again.model.kind == made.model.kind and again.model.level == made.model.level
    assert again.model.backbone.pretrained and not again.model.training
    assert not any(parameter.requires_grad for parameter in again.model.parameters())
    asked = [SEQUENCES[1], "WWWWW", SEQUENCES[0][:-1]]
    one, other = made.predict(asked).table(), again.predict(asked).table()
    assert {name: list(column) for name, column in one.items()} == {n: list(c) for n, c in other.items()}
    assert list(one["id"]) == ["row1", "row2", "row3"] and list(one["nearest"]) == ["two", "", "one"]
    assert np.array_equal(made.predict(asked).units, [1, 1, 1])


def test_a_run_is_a_model_and_so_a_backbone(saved: Path) -> None:
    assert load(saved.parent).label == "where"
    backbone = load_backbone(str(saved.parent), "protein")
    assert backbone.pretrained and backbone.fingerprint() == bundle().model.backbone.fingerprint()


def test_backbones_by_name_and_from_a_checkpoint(tmp_path: Path) -> None:
    assert load_backbone("onehot", "dna").alphabet.name == "dna"
    encoder = Encoder(PROTEIN, EncoderConfiguration(layers=1, width=16, heads=2))
    esm2.save(encoder, tmp_path / "checkpoint")
    assert load_backbone(str(tmp_path / "checkpoint"), "protein").fingerprint() == encoder.fingerprint()
    with pytest.raises(BiograftError, match=r"reads protein: the table holds dna\. Choose another --backbone"):
        load_backbone(str(tmp_path / "checkpoint"), "dna")
    with pytest.raises(BiograftError, match="Unknown backbone: got 'nothing'"):
        load_backbone("nothing", "protein")


def test_saving_again_replaces_the_folder(saved: Path) -> None:
    other = bundle(regression=True)
    other.save(saved)
    assert load(saved).model.kind == other.model.kind
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model"]


def test_records_of_another_alphabet_are_refused() -> None:
    dna = Records.of(["ACGT"], alphabet="dna", source="genes.fa")
    with pytest.raises(BiograftError, match=r"The model reads protein: got dna in 'genes\.fa'\. Check the input"):
        bundle().predict(dna)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BiograftError, match=r"Model not found: '.*nowhere'\. Give a run, or a model folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(BiograftError, match=r"is not a model: it holds no model\.json"):
        load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")  # a checkpoint without its config.json
    with pytest.raises(BiograftError, match=r"is no backbone: it holds neither config\.json.* nor model\.json"):
        load_backbone(str(tmp_path), "protein")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99, this version reads 1. Update biograft."),
        ({"head": {"name": "other", "configuration": {}}}, "is damaged .model.json: KeyError.'other'.*Fit it again"),
        ({"level": {"name": "sequence", "pools": 1}}, "is damaged .model.json: TypeError"),
        ({"label_kind": {"name": "other"}}, "Unknown label kind: got 'other'"),
        ({"label_kind": {"name": "regression", "mean": 0.0, "scale": 1.0}}, "The weights in .* are damaged"),
    ],
)
def test_a_damaged_description(saved: Path, change: dict[str, Any], message: str) -> None:
    path = saved / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BiograftError, match=message):
        load(saved)


def test_damaged_weights(saved: Path) -> None:
    path = saved / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BiograftError, match=r"The weights in '.*' are damaged .* Fit the model again\."):
        load(saved)
    path.unlink()
    with pytest.raises(BiograftError, match=r"The weights in '.*' are damaged"):
        load(saved)
    (saved / "model.json").write_text("{")
    with pytest.raises(BiograftError, match="is not valid JSON"):
        load(saved)
