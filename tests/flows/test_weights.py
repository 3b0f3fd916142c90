"""A run goes on with the weights it began with, and says so where the folder holds others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows import fit as flow
from biograft.flows.fit import Recipe, Result, fit_recipe
from biograft.model import LinearHead, Model
from biograft.origins import load_backbone
from biograft.run import RunFolder, read_recipe, toml
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOGRAFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("biograft.flows.report.render", lambda *content: "")


def table() -> Records:
    return World(seed=0, shortest=30, longest=40, span=4).target(36, 15, seed=0, valid=15)


def source(folder: Path, seed: int) -> str:
    """A model's folder, with other weights for another seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", table().take(np.arange(3))).save(folder)
    return str(folder)


def run(folder: Path, **choices: Any) -> Result:
    given = {"label": "label", "strategy": "full", "epochs": 1.0, "backbone": str(folder / "source")} | choices
    return fit_recipe(Recipe(**given), folder / "run", records=table())


def stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that ended after learning and before its report."""

    def stop(*arguments: Any) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(flow, "write_report", stop)
        with pytest.raises(InterruptedError):
            run(folder)
    return RunFolder(folder / "run")


def test_other_weights_under_the_same_name_do_not_continue_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = load_backbone(source(tmp_path / "source", 1), "protein").fingerprint()
    left = stopped(tmp_path, monkeypatch)
    assert read_recipe(left.recipe_path)["backbone_fingerprint"] == began
    now = load_backbone(source(tmp_path / "source", 2), "protein").fingerprint()
    with pytest.raises(BiograftError, match=f"began with other weights .*: got {now}, expected {began}. Put the form"):
        run(tmp_path)
    source(tmp_path / "source", 1)
    assert run(tmp_path).report["recipe"]["backbone_fingerprint"] == began
    source(tmp_path / "source", 2)
    assert run(tmp_path).report["recipe"]["backbone_fingerprint"] == began  # finished: read, not repeated


def test_a_recipe_holds_to_its_weights(tmp_path: Path) -> None:
    source(tmp_path / "source", 1)
    with pytest.raises(BiograftError, match=r"have changed since the recipe was made: got .*, expected 0123\. Put"):
        run(tmp_path, backbone_fingerprint="0123")
    assert not (tmp_path / "run").exists()


def test_before_anything_was_learned_the_weights_may_change(tmp_path: Path) -> None:
    source(tmp_path / "source", 1)
    folder = RunFolder.open(tmp_path / "run", {"backbone": str(tmp_path / "source"), "backbone_fingerprint": "old"})
    assert not folder.is_begun
    assert run(tmp_path).report["recipe"]["backbone_fingerprint"] != "old"


def test_random_weights_have_no_fingerprint_and_a_run_without_one_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(tmp_path / "source", 1)
    left = stopped(tmp_path, monkeypatch)
    there = read_recipe(left.recipe_path)
    del there["backbone_fingerprint"]
    left.recipe_path.write_text(toml(there))
    assert "backbone_fingerprint" not in run(tmp_path).report["recipe"]
    (tmp_path / "other").mkdir()
    found = run(tmp_path / "other", backbone="composition", strategy="frozen")
    assert "backbone_fingerprint" not in found.report["recipe"]


def test_another_backbone_is_told_as_another_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source(tmp_path / "source", 1)
    stopped(tmp_path, monkeypatch)
    with pytest.raises(BiograftError, match=r"holds a run with other choices \(backbone: "):
        run(tmp_path, backbone=source(tmp_path / "another", 2))
