"""Unlabelled records of another domain: no label of theirs is ever read, and what they share with the test is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.fit import Recipe, Result, fit_recipe
from biograft.model import LinearHead, Model
from biograft.run import read_recipe
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence

WORLD = World(seed=0, shortest=30, longest=40, span=4)
BOTH = ["adversarial", "coral"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, no page."""
    monkeypatch.setattr("biograft.flows.report.render", lambda *content: "the page has tests of its own")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    net(folder / "net")
    target = WORLD.target(24, 14, seed=0, valid=10)
    write(folder / "target.csv", target, target.columns)
    others = WORLD.target(0, 20, seed=3)
    write(folder / "others.csv", others, {"label": others.column("label")})
    write(folder / "plain.csv", others, {})
    test = [row for row, part in enumerate(target.column("set")) if part == "test"]
    copies = Records.of([*others.sequences[:6], *(target.sequences[row] for row in test[:4])], alphabet="protein")
    write(folder / "copies.csv", copies, {})
    return folder


def net(folder: Path) -> Path:
    """A trained model's folder with a very small backbone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        backbone = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(backbone, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder)
    return folder


def write(path: Path, records: Records, columns: dict[str, list[str]]) -> None:
    write_table(path, {"id": records.ids, "sequence": records.sequences, **columns})


def run(tables: Path, out: Path, **choices: Any) -> Result:
    usual = {"table": str(tables / "target.csv"), "label": "label", "backbone": str(tables / "net"), "epochs": 1.0,
             "device": "cpu", "precision": "fp32", "unlabelled": str(tables / "others.csv"),
             "strategy": "coral"}  # fmt: skip
    return fit_recipe(Recipe.of({**usual, **choices}), out)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("strategy", BOTH)
def test_poisoned_labels_of_unlabelled_records_change_nothing(tables: Path, tmp_path: Path, strategy: str) -> None:
    text = (tables / "others.csv").read_text()
    runs = {}
    for name, changed in (
        ("clean", text),
        ("poisoned", text.replace("class A", "class B").replace("class C", "nonsense")),
        ("none", (tables / "plain.csv").read_text()),
    ):
        (tmp_path / "unlabelled.csv").write_text(changed)  # the same name: the recipe tells it
        made = run(tables, tmp_path / name, strategy=strategy, unlabelled=str(tmp_path / "unlabelled.csv"))
        runs[name] = contents(made.folder / "model") | {"recipe": (made.folder / "recipe.toml").read_bytes()}
        runs[name]["predictions"] = (made.folder / "predictions.tsv").read_bytes()
    assert runs["clean"] == runs["poisoned"] == runs["none"]


def test_other_sequences_change_the_model(tables: Path, tmp_path: Path) -> None:
    one = run(tables, tmp_path / "one")
    other = run(tables, tmp_path / "other", unlabelled=str(tables / "copies.csv"))
    weights = "weights.safetensors"
    assert contents(one.folder / "model")[weights] != contents(other.folder / "model")[weights]


@pytest.mark.parametrize(("name", "told"), [
    ("others.csv", "0 of the 14 test records are 40 % or more alike to one of them, 0 are copies."),
    ("copies.csv", "4 are copies: the model has seen these sequences, but no label of theirs."),
])  # fmt: skip
def test_what_they_share_with_the_test_part_is_told(tables: Path, tmp_path: Path, name: str, told: str) -> None:
    result = run(tables, tmp_path / "run", unlabelled=str(tables / name))
    (note,) = [note for note in result.report["model"]["notes"] if "unlabelled" in note]
    count = 20 if name == "others.csv" else 10
    assert note.startswith(f"Beside the training part, {count} unlabelled sequences were read ({name}).")
    assert note.endswith(told)
    assert result.report["data"]["n_train"] == 24 and result.report["data"]["n_test"] == 14


@pytest.mark.parametrize("strategy", BOTH)
def test_both_losses_are_logged(tables: Path, tmp_path: Path, strategy: str) -> None:
    run(tables, tmp_path / "run", strategy=strategy, epochs=2.0)
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [set(entry["loss"]) for entry in entries if "loss" in entry]
    assert losses and all(found == {"target", "domain" if strategy == "adversarial" else "coral"} for found in losses)


def test_labels_per_residue_have_domains_too(tables: Path, tmp_path: Path) -> None:
    source = WORLD.source(16, seed=2)
    sets = ["train"] * 10 + ["test"] * 6
    write(tmp_path / "source.csv", source, {"label": source.column("label"), "set": sets})
    result = run(tables, tmp_path / "run", table=str(tmp_path / "source.csv"), strategy="adversarial")
    assert result.report["task"]["level"] == "residue"


def test_a_recipe_knows_the_sequences_it_was_made_with(tables: Path, tmp_path: Path) -> None:
    (tmp_path / "unlabelled.csv").write_text((tables / "others.csv").read_text())
    run(tables, tmp_path / "run", unlabelled=str(tmp_path / "unlabelled.csv"))
    recipe = read_recipe(tmp_path / "run" / "recipe.toml")
    assert len(recipe["unlabelled_digest"]) == 16
    (tmp_path / "unlabelled.csv").write_text((tables / "copies.csv").read_text())
    with pytest.raises(BiograftError, match="have changed since the recipe was made"):
        fit_recipe(Recipe.of(recipe, "recipe.toml"), tmp_path / "again")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"unlabelled": None}, "'coral' needs sequences of the domain .* got no --unlabelled FILE"),
        ({"strategy": "full"}, "'full' has no use for unlabelled records: .* Choose --strategy adversarial or coral"),
        ({"unlabelled": "missing.csv"}, "missing.csv"),
        ({"unlabelled": "dna.csv"}, "looks like DNA: the backbone reads protein"),
    ],
)
def test_what_does_not_fit_is_refused(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choices: dict[str, Any], message: str
) -> None:
    (tmp_path / "dna.csv").write_text("sequence\n" + "ACGTTGCAAGCTTACGATCGAT\n" * 3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BiograftError, match=message):
        run(tables, tmp_path / "run", **choices)


def test_sequences_of_another_length_are_refused_where_positions_are_read(tables: Path, tmp_path: Path) -> None:
    same = Records.of([text[:25] for text in WORLD.target(30, 0, seed=0).sequences], alphabet="protein")
    labels, sets = ["a", "b"] * 15, ["train"] * 15 + ["test"] * 15
    write(tmp_path / "same.csv", same, {"label": labels, "set": sets})
    with pytest.raises(
        BiograftError, match=r"read position by position: got lengths \[.*\] in 'others.csv', expected 25"
    ):
        run(tables, tmp_path / "run", table=str(tmp_path / "same.csv"), pool="positions")
