"""Transfer in two steps: a test part is held against what the backbone learned from before."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import biograft
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.data.sketch import Sketch
from biograft.flows.baselines import Shared
from biograft.flows.taught import taught
from biograft.model import LinearHead, Model
from biograft.origins import training_of
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence


def trained(folder: Path, training: Records | Sketch) -> Path:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1,)))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "before", training).save(folder / "model")
    return folder


def test_relatives_and_copies_among_what_was_learned_before_are_counted(tmp_path: Path) -> None:
    records = World(seed=0, shortest=60, longest=80).target(30, 20, seed=0, valid=10)
    test = records.take([row for row, part in enumerate(records.column("set")) if part == "test"])
    strangers = World(seed=9, shortest=60, longest=80).target(20, 4, seed=3).sequences
    known = Records.of([*test.sequences[:3], *strangers], alphabet="protein")
    backbone = trained(tmp_path / "before", known)
    result = biograft.fit(records, "label", out=tmp_path / "run", backbone=str(backbone), strategy="frozen")
    told = [note for note in result.report["model"]["notes"] if note.startswith("The backbone learned from")]
    assert len(told) == 1 and f"from {len(known)} records before" in told[0] and "3 are copies" in told[0]
    shared = Shared(tmp_path / "shared", 0)
    once, again = (taught(str(backbone), test, 0.4, shared) for _ in range(2))
    assert once == again == result.report["taught"] and once is not None and [once["sentence"]] == told
    assert once["copies"] == 3 <= once["alike"]
    assert any((tmp_path / "shared").iterdir())
    compared = biograft.compare(
        records, "label", out=tmp_path / "compared", backbones=(str(backbone),), strategies=("frozen",), seeds=1,
        epochs=0.1,
    )  # fmt: skip
    assert f"before: {told[0]}" in compared.content["notes"]


def test_a_sketch_and_backbones_that_learned_no_task(tmp_path: Path) -> None:
    asked = Records.of(["MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"], alphabet="protein")
    sketched = trained(tmp_path / "sketched", Sketch.of(["it"], asked.sequences))
    found = taught(str(sketched), asked, 0.4)
    assert found is not None and found["copies"] == 1
    assert taught("cnn", asked, 0.4) is None and taught("auto", asked, 0.4) is None
    assert training_of(str(tmp_path), "protein") is None


def test_what_is_left_of_a_source_has_an_interval(tmp_path: Path) -> None:
    records = World(seed=0, shortest=30, longest=40, span=4).target(36, 18, seed=0, valid=12)
    made = World(seed=0, shortest=30, longest=40, span=4).source(200, seed=1)
    source = replace(made, columns={"label": made.column("label")})
    table = tmp_path / "source.tsv"
    write_table(table, {"id": source.ids, "sequence": source.sequences, "label": source.column("label")})
    result = biograft.fit(
        records, "label", out=tmp_path / "run", backbone="cnn", strategy="joint", source=table, source_label="label",
        epochs=0.1,
    )  # fmt: skip
    found = result.report["source"]
    assert (found["label"], found["part"]) == ("label", "validation") and found["metric"]
    assert found["low"] <= found["value"] <= found["high"]
    assert "source" not in biograft.fit(records, "label", out=tmp_path / "plain", backbone="kmer").report


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
