"""Well-known proteins, and what shipped models say of them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from biograft.backbones import esm2
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.bundle import Bundle
from biograft.data.alphabet import PROTEIN
from biograft.data.sketch import Sketch
from biograft.files import write_json
from biograft.flows.first_answers import first_answers
from biograft.flows.proteins import WELL_KNOWN
from biograft.model import LinearHead, Model
from biograft.origins import load_backbone
from biograft.shipped import shelf
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence

MODELS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "secondary-structure": (Residue(), ("C", "E", "H")),
    "localization": (Sequence(), ("Cytoplasm", "Extracellular", "Mitochondrion")),
    "enzyme-class": (Sequence(), ("1", "3")),
}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty shelf of our own."""
    monkeypatch.setattr(shelf, "ROOT", tmp_path)
    return tmp_path


def put(shipped: Path) -> None:
    torch.manual_seed(0)
    esm2.save(Encoder(PROTEIN, EncoderConfiguration(layers=1, width=16, heads=2)), shipped / "tiny")
    write_json(shipped / "tiny" / "card.json", {"encoder": {"alphabet": "protein"}})
    sketch = Sketch.of(["known"], [WELL_KNOWN[0].sequence])
    for name, (level, classes) in MODELS.items():
        kind = Classification(classes)
        model = Model(load_backbone("tiny", "protein"), LinearHead(level, 16, kind.width), level, kind)
        card = {"question": f"about {name}", "classes": {"3": "hydrolases: split with water"}}
        Bundle(model.eval(), "y", sketch, card=card, encoder="tiny").save(shipped / name)


def test_nothing_is_said_where_nothing_is_shipped(shipped: Path) -> None:
    assert first_answers() == []


def test_each_model_is_asked_what_it_can_answer(shipped: Path) -> None:
    put(shipped)
    lines = first_answers()
    said = {name: lines.index(f"{name}: about {name}") for name in MODELS}
    enzymes, places, states = (
        lines[said[name] + 1 :] for name in ("enzyme-class", "localization", "secondary-structure")
    )
    named = ["lysozyme C", "superoxide dismutase", "triose isomerase", "carbonic anhydrase"]
    assert [line[2:24].strip() for line in enzymes[1:5]] == named
    assert enzymes[5] == ""
    insulin = next(line for line in places if line.startswith("  insulin"))
    assert insulin.endswith("known (100%)") and "Extracellular" in insulin
    assert next(line for line in places if line.startswith("  ubiquitin")).endswith("none found")
    row = next(line for line in states if line.startswith("  GFP"))
    assert set(row.split()[1][:60]) <= set("HEC") and " of 9)" in row


def test_the_proteins_are_proteins() -> None:
    lengths = {"insulin": 110, "ubiquitin": 76, "GFP": 238, "lysozyme C": 147, "cytochrome c": 105,
               "haemoglobin beta": 147, "superoxide dismutase": 154, "triose isomerase": 248,
               "carbonic anhydrase": 260}  # fmt: skip
    assert {one.name: len(one.sequence) for one in WELL_KNOWN} == lengths
    for one in WELL_KNOWN:
        assert one.sequence.startswith("M") and set(one.sequence) <= set(PROTEIN.letters[: PROTEIN.core])
