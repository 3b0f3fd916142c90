"""Ranking: the layer and the backbone that know come first, and nothing but the training part is looked at."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import biograft
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.cli import app
from biograft.data.alphabet import PROTEIN
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.rank import lines, rank
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression
from biograft.tasks.task import LabelKind, Level, Task

LETTERS = list("ADEGHIKLNPQRSTVY")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOGRAFT_CACHE", str(tmp_path / "cache"))


def table(seed: int = 0) -> Records:
    """The class is which of two letters stands last; the number says how many there are."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 9, 72)
    marks = random.choice(list("WC"), 72)
    texts = ["".join(random.choice(LETTERS, 30)) + mark * int(count) for mark, count in zip(marks, counts, strict=True)]
    columns = {
        "place": ["inside" if mark == "W" else "outside" for mark in marks],
        "number": [f"{len(text) / 10:.2f}" for text in texts],
        "letters": ["".join("s" if letter in "STWC" else "o" for letter in text) for text in texts],
        "set": (["train"] * 10 + ["valid", "test"]) * 6,
    }
    return Records.of(texts, columns=columns, alphabet=PROTEIN)


def source(folder: Path, level: Level, kind: LabelKind, *, knows: bool = True) -> str:
    """A model of two layers; it tells W from C by the letters alone, if it knows."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        backbone = DilatedCNN(PROTEIN, CNNConfiguration(16, 3, (1, 1), 0.0))
        model = Model(backbone, LinearHead(level, 16, kind.width), level, kind)
        with torch.no_grad():
            vectors = backbone.embedding.weight
            for layer in backbone.layers:
                layer.mix.weight.zero_(), layer.mix.bias.zero_()
            normal = backbone.normalise(vectors)
            letters = [PROTEIN.letters.index(letter) for letter in "WC"]
            direction = normal[letters[0]] - normal[letters[1]]
            model.head.linear.weight.zero_(), model.head.linear.bias.zero_()
            if knows:
                model.head.linear.weight.copy_(torch.stack([direction, -direction])[: kind.width])
    Bundle(model, "source", table().take([0, 1])).save(folder)
    return str(folder)


def test_every_layer_has_a_row_and_the_best_comes_first() -> None:
    found = rank(table(), "place", backbones=["cnn", "kmer"])
    best = found.rows[0]
    assert best["lda"]["low"] <= best["lda"]["value"] <= best["lda"]["high"]
    assert best["lda"]["value"] > 0.7 and found.content["metric"] == "mcc" and 0 < best["h_score"] < 1
    assert {(row["backbone"], row["layer"]) for row in found.rows} == {("kmer", 1), *(("cnn", n) for n in range(1, 7))}
    values = [max(row["knn"]["value"], row["lda"]["value"]) for row in found.rows]
    assert values == sorted(values, reverse=True)
    notes = " ".join(found.content["notes"])
    assert "weights of 'cnn' are random" in notes and "Advice, not a decision" in notes


def test_values_are_ranked_by_ridge_and_neighbours() -> None:
    found = rank(table(), "number", backbones=["composition"])
    (row,) = found.rows
    assert found.content["probes"] == ["knn", "ridge"] and found.content["metric"] == "spearman"
    assert row["ridge"]["value"] > 0.5 and row["h_score"] is None and np.isfinite(row["logme"])


def test_residues_are_ranked_too() -> None:
    found = rank(table(), "letters", backbones=["onehot"])
    (row,) = found.rows
    assert row["lda"]["value"] > 0.99 and found.content["units"] > found.content["records"] == 60
    assert f"({found.content['units']:,} labels)" in lines(found.content)[0]


@pytest.mark.parametrize(("level", "classes"), [(Sequence(), 2), (Residue(), 2)])
def test_a_source_that_knows_the_classes_has_the_better_leep_and_nce(
    level: Level, classes: int, tmp_path: Path
) -> None:
    kind = Classification(("w", "c"))
    names = [source(tmp_path / str(knows), level, kind, knows=knows) for knows in (True, False)]
    found = rank(table(), "place", backbones=names)
    tops = {row["backbone"]: row for row in found.rows if row["layer"] == row["layers"]}
    knowing, empty = (tops[name] for name in names)
    shares = np.bincount([text == "inside" for text, part in zip(table().columns["place"], table().columns["set"],
                                                                  strict=True) if part == "train"]) / 60  # fmt: skip
    entropy = float(-(shares * np.log(shares)).sum())
    assert empty["leep"] == pytest.approx(-entropy, abs=1e-4) and empty["nce"] == pytest.approx(-entropy, abs=1e-4)
    assert knowing["leep"] > empty["leep"] and knowing["nce"] > -entropy + 0.1
    assert all(row["leep"] is None for row in found.rows if row["layer"] < row["layers"])


def test_sources_that_have_no_classes_for_the_labels(tmp_path: Path) -> None:
    values = source(tmp_path / "values", Sequence(), Regression(0.0, 1.0))
    assert rank(table(), "place", backbones=[values]).rows[0]["nce"] is None
    classes = source(tmp_path / "classes", Sequence(), Classification(("w", "c")))
    found = rank(table(), "letters", backbones=[classes])
    assert any("no LEEP or NCE for labels of residues" in note for note in found.content["notes"])
    short = source(tmp_path / "short", Sequence("positions", 5), Classification(("w", "c")), knows=False)
    found = rank(table(), "place", backbones=[short])
    assert any("could not be asked for its classes: This model reads" in note for note in found.content["notes"])


def test_only_the_training_part_is_looked_at() -> None:
    records, poisoned = table(), table()
    for name, wrong in (("place", "inside"), ("number", "99")):
        column = [text if part == "train" else wrong
                  for text, part in zip(records.columns[name], records.columns["set"], strict=True)]  # fmt: skip
        poisoned = Records.of(poisoned.sequences, columns={**poisoned.columns, name: column}, alphabet=PROTEIN)
        assert rank(poisoned, name, backbones=["kmer"]).rows == rank(records, name, backbones=["kmer"]).rows


def test_where_families_can_not_be_kept_apart_it_says_so() -> None:
    made = table().take(np.arange(30))
    alike = Records.of(["ACDEFGHIKL" * 4] * 30, columns=made.columns, alphabet=PROTEIN)
    assert "on families they" in lines(rank(made, "place", backbones=["composition"]).content)[0]
    told = lines(rank(alike, "place", split="column:set", backbones=["composition"]).content)
    assert "on labels they didn't learn from" in told[0]
    assert "fewer than three families" in " ".join(told)


def test_it_needs_a_backbone() -> None:
    with pytest.raises(BiograftError, match=r"Got none, expected one or more.*--backbones kmer,cnn"):
        rank(table(), "place", backbones=[])


def test_by_the_command_line_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records = table()
    write_table("t.tsv", {"sequence": records.sequences, **records.columns})
    words = ["rank", "t.tsv", "--label", "place", "--backbones", "kmer, composition", "--out", "found", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert content["rows"] == biograft.rank("t.tsv", "place", backbones=["kmer", "composition"]).rows
    assert "backbone     layer  knn" in done.stdout and "Table: found.tsv" in done.stdout
    header, first, *_ = Path("found.tsv").read_text().splitlines()
    assert header.split("\t")[:4] == ["backbone", "layer", "knn", "knn_low"]
    assert first.split("\t")[:2] == [content["rows"][0]["backbone"], "1"]


def test_probes_on_means_of_variants_say_so(tmp_path: Path) -> None:
    generator, parent = np.random.default_rng(0), np.array(list("MKTAYIAKQRQISFVKSHFSRQ"))
    sequences = []
    for _ in range(60):
        changed = parent.copy()
        changed[generator.choice(len(parent), 2, replace=False)] = generator.choice(LETTERS, 2)
        sequences.append("".join(changed))
    columns = {"value": [f"{row % 7}" for row in range(60)], "set": ["train"] * 50 + ["test"] * 10}
    told = rank(Records.of(sequences, columns=columns, alphabet=PROTEIN), Task("value", kind="regression"),
                backbones=[source(tmp_path, Sequence(), Regression(0.0, 1.0)), "kmer"])  # fmt: skip
    assert sum("variants of one parent" in note for note in told.content["notes"]) == 1
