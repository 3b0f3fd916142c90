"""Choices for all candidates or some: balanced draws, an adjusted loss, unlabelled records, the strategy auto."""

import json
from pathlib import Path

import pytest
import torch

import biograft
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.readers import table as read_table
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.evaluation.comparison_page import lines
from biograft.flows.comparison import compare as flow
from biograft.flows.comparison.compare import Comparison
from biograft.flows.recipe import Recipe
from biograft.model import LinearHead, Model
from biograft.run import read_recipe
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, the same with wrong test labels, unlabelled sequences, and a very small net."""
    folder = tmp_path_factory.mktemp("there")
    made = World(seed=0, shortest=30, longest=40, span=4).target(36, 18, seed=0, valid=12)
    columns = {"id": made.ids, "sequence": made.sequences, "set": made.column("set")}
    labels = made.column("label")
    write_table(folder / "table.csv", columns | {"label": labels})
    classes = sorted(set(labels))
    following = dict(zip(classes, [*classes[1:], classes[0]], strict=True))
    wrong = [following[one] if part == "test" else one for one, part in zip(labels, columns["set"], strict=True)]
    write_table(folder / "poisoned.csv", columns | {"label": wrong})
    (folder / "others.fasta").write_text("".join(f">u{place}\n{made.sequences[place]}\n" for place in range(20)))
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder / "net")
    return folder


def compared(there: Path, out: Path, table: str = "table.csv", **choices: object) -> Comparison:
    usual = {"backbones": (str(there / "net"),), "seeds": 1, "epochs": 1.0}
    return biograft.compare(there / table, "label", out=out, **(usual | choices))  # type: ignore[arg-type]


def test_every_choice_of_learning_is_an_argument_in_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Recipe] = []
    monkeypatch.setattr(flow, "compare_recipe", lambda recipe, *rest, **more: heard.append(recipe))
    for mask in ("seen", ["seen"]):
        flow.compare("t.csv", "y", source="s.csv", source_label="z", source_mask=mask, pool="mean", device="cpu",
                     precision="fp32", epochs=2)  # fmt: skip
    wanted = Recipe(table="t.csv", label="y", source="s.csv", source_label="z", source_mask=("seen",), pool="mean",
                    device="cpu", precision="fp32", epochs=2)  # fmt: skip
    assert heard == [wanted, wanted]


def recipes(made: Comparison) -> dict[str, dict]:
    return {name: read_recipe(made.folder / folder / "recipe.toml")
            for name, row in made.candidates.items() for folder in row["folders"][:1]}  # fmt: skip


def test_balanced_draws_are_those_of_all_runs_and_heads_solved_without_draws_are_left_out(
    there: Path, tmp_path: Path
) -> None:
    made = compared(there, tmp_path / "out", sampling="balanced")
    assert {name: recipe["sampling"] for name, recipe in recipes(made).items()} == {
        "net, scratch": "balanced", "net, full": "balanced",
    }  # fmt: skip
    assert (read_recipe(made.folder / "recipe.toml")["sampling"], made.content["recipe"]["sampling"]) == (
        "balanced",
        "balanced",
    )
    row = made.candidates["net, frozen"]
    assert row["runs"] == 0
    assert "--sampling balanced draws the batches of a loop: got strategy 'frozen'" in row["fault"]


def test_an_adjusted_loss_and_unlabelled_records_are_choices_in_python_too(there: Path, tmp_path: Path) -> None:
    made = compared(
        there, tmp_path / "out", strategies=("coral",), unlabelled=there / "others.fasta", logit_adjustment=1.0
    )
    found = recipes(made)
    assert {name: (recipe["logit_adjustment"], "unlabelled" in recipe) for name, recipe in found.items()} == {
        "net, scratch": (1.0, False), "net, coral": (1.0, True),
    }  # fmt: skip
    assert found["net, coral"]["unlabelled_digest"]
    assert made.content["metric"]["name"] == "balanced_accuracy"


@pytest.fixture(scope="module")
def chosen(there: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """``auto`` on a net and on k-mers, twice each, with more time than it needs."""
    backbones = (str(there / "net"), "kmer")
    return compared(there, tmp_path_factory.mktemp("auto") / "out", backbones=backbones, strategies=("auto",), seeds=2,
                    minutes=20)  # fmt: skip


def test_auto_is_a_row_that_says_what_each_run_took(chosen: Comparison) -> None:
    rows = chosen.candidates
    assert set(rows) == {"net, scratch", "net, auto minutes=20", "kmer, auto minutes=20"}
    row = rows["net, auto minutes=20"]
    for (seed, taken), folder in zip(row["took"].items(), row["folders"], strict=True):
        report = json.loads((chosen.folder / folder / "report.json").read_text())
        assert (report["auto"]["chosen"], report["auto"]["minutes"]) == (taken, 20)
        assert [one["strategy"] for one in report["auto"]["candidates"]] == ["frozen", "wise", "full"]
        assert folder.endswith(f"seed{seed}")
    assert rows["kmer, auto minutes=20"]["took"] == {"0": "frozen", "1": "frozen"}
    assert rows["net, scratch"]["took"] is None
    assert row["against_scratch"]["against"] == "net, scratch"
    assert rows["kmer, auto minutes=20"]["against_scratch"] is None


def test_table_page_and_terminal_say_it_too(chosen: Comparison) -> None:
    said = "took frozen (seeds 0, 1)"
    assert f"kmer, auto minutes=20 {said}." in lines(chosen.content)
    assert f"<small>{said}</small>" in (chosen.folder / "comparison.html").read_text()
    columns = read_table(chosen.folder / "comparison.tsv").columns
    took = dict(zip(columns["name"], columns["took"], strict=True))
    assert took["kmer, auto minutes=20"] == "0=frozen;1=frozen"
    assert not took["net, scratch"]


def test_what_auto_takes_is_chosen_without_the_test_labels(chosen: Comparison, there: Path, tmp_path: Path) -> None:
    poisoned = compared(there, tmp_path / "out", "poisoned.csv", strategies=("auto",), minutes=20)
    name = "net, auto minutes=20"
    true, wrong = chosen.candidates[name], poisoned.candidates[name]
    assert wrong["took"] == {"0": true["took"]["0"]}
    assert wrong["valid"]["values"] == true["valid"]["values"][:1]
    rows = [read_table(made.folder / row["folders"][0] / "predictions.tsv").columns
            for made, row in ((chosen, true), (poisoned, wrong))]  # fmt: skip
    assert rows[0]["prediction"] == rows[1]["prediction"]
    assert not [pair for pair in zip(rows[0]["truth"], rows[1]["truth"], strict=True) if pair[0] == pair[1]]
