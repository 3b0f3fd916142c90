"""Folders of backbones of our own: the same vectors after a round trip, and every way in which one can be broken."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors import torch as tensors
from safetensors.torch import save_file

from biograft import state
from biograft.backbones import esm2, native
from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.origins import load_backbone

SMALL = ByteNetConfiguration(layers=3, width=16, kernel=3, dilations=(1, 2))


def load_whole(path: Path) -> dict[str, torch.Tensor]:
    """Not mapped: the tests write over the file."""
    return tensors.load(path.read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    native.save(ByteNet(PROTEIN, SMALL), tmp_path / "backbone")
    return tmp_path / "backbone"


def test_a_saved_backbone_gives_the_same_vectors(folder: Path) -> None:
    torch.manual_seed(0)
    made = ByteNet(PROTEIN, SMALL).eval()
    batch = Packed.of([np.arange(20, dtype=np.uint8), np.array([3], dtype=np.uint8)])
    loaded = load_backbone(str(folder), "protein")
    assert loaded.pretrained and not loaded.training
    assert torch.equal(made(batch).values, loaded(batch).values)
    assert made.fingerprint() == loaded.fingerprint()


def test_weights_in_half_precision_are_read_in_float32(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({name: value.bfloat16() for name, value in load_whole(path).items()}, path)
    assert {value.dtype for value in native.load(folder).state_dict().values()} == {torch.float32}


def test_a_broken_folder_says_what_is_broken(folder: Path) -> None:
    path, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    whole = path.read_bytes()
    weights = load_whole(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BiograftError, match=r"damaged or cut off .* Copy it again"):
        native.load(folder)
    save_file({**weights, "normalise.bias": weights["normalise.bias"] * float("nan")}, path)
    with pytest.raises(BiograftError, match=r"'normalise.bias' .* not finite"):
        native.load(folder)
    save_file({name: value for name, value in weights.items() if name != "normalise.bias"}, path)
    with pytest.raises(BiograftError, match=r"don't fit its config.json \(Missing key.*normalise.bias"):
        native.load(folder)
    path.unlink()
    with pytest.raises(BiograftError, match="holds no weights"):
        native.load(folder)
    path.write_bytes(whole)
    (folder / "config.json").write_text(json.dumps({**config, "backbone": "bytenett"}))
    with pytest.raises(BiograftError, match="bytenet"):
        native.load(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "biograft"}))
    with pytest.raises(BiograftError, match="lacks what a backbone needs"):
        native.load(folder)
    shape = {**config["configuration"], "kernel": 4}
    (folder / "config.json").write_text(json.dumps({**config, "configuration": shape}))
    with pytest.raises(BiograftError, match="'kernel' of a ByteNet does not fit: got 4, expected an odd number"):
        native.load(folder)


@pytest.mark.parametrize("kind", ["native", "esm2"])
def test_a_full_disk_is_no_fault_of_ours_and_the_folder_before_stays(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors has an error of its own for it, which no command would take for one of the disk."""
    backbone = load_backbone(str(folder), "protein")
    whole = (folder / "model.safetensors").read_bytes()

    def full(*arguments: object, **options: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(OSError, match="No space left on device"):
        if kind == "native":
            native.save(backbone, folder)
        else:
            esm2.save(Encoder(PROTEIN, EncoderConfiguration(layers=1, width=16, heads=2)), folder)
    assert (folder / "model.safetensors").read_bytes() == whole
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]


def test_another_alphabet_is_refused(folder: Path) -> None:
    with pytest.raises(BiograftError, match="reads protein: the table holds dna"):
        load_backbone(str(folder), "dna")
