"""Comparisons at several numbers of labels and several λ: who learned from what, and what is computed only once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.readers import table as read_table
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.evaluation.comparison_page import lines
from biograft.flows import baselines, fit
from biograft.flows import inputs as reading
from biograft.flows.answers import kept
from biograft.flows.comparison.compare import Comparison, compare
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence

WORLD = World(seed=0, shortest=30, longest=40, span=4)
NAMES = ["net, scratch", "net, frozen", "net, full learning_rate=1e-3", "net, joint λ=1", "net, joint λ=inf"]
USUAL = {
    "strategies": ("frozen", "full:learning_rate=1e-3"), "seeds": 2, "epochs": 1.0, "limits": (12, "all"),
    "source_label": "label", "lambdas": (1, float("inf")),
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A table, a source for it, and a very small net that counts as trained."""
    folder = tmp_path_factory.mktemp("inputs")
    made, source = WORLD.target(36, 24, seed=0, valid=12), WORLD.shifted(30, 0, "helpful")
    columns = {"label": made.column("label"), "set": made.column("set")}
    write_table(folder / "table.csv", {"id": made.ids, "sequence": made.sequences, **columns})
    source_columns = {"label": source.column("label"), "set": ["train"] * 24 + ["valid"] * 6}
    write_table(folder / "source.csv", {"id": source.ids, "sequence": source.sequences, **source_columns})
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder / "net")
    return {"table": folder / "table.csv", "source": folder / "source.csv", "backbones": (str(folder / "net"),)}


class Counted:
    """How often simple answers and vectors are computed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.simple = self.near = 0
        self.vectors: list[int] = []
        simple_answers, nearest, embed = baselines.simple_answers, baselines.nearest, reading.embed

        def simple(*arguments: object, **choices: object) -> object:
            self.simple += 1
            return simple_answers(*arguments, **choices)  # type: ignore[arg-type]

        def near(*arguments: object, **choices: object) -> object:
            self.near += 1
            return nearest(*arguments, **choices)  # type: ignore[arg-type]

        def embedded(*arguments: object, **choices: object) -> object:
            found = embed(*arguments, **choices)
            self.vectors.append(found.computed)
            return found

        patch.setattr(baselines, "simple_answers", simple)
        patch.setattr(baselines, "nearest", near)
        patch.setattr(reading, "embed", embedded)


@pytest.fixture(scope="module")
def made(inputs: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Counted]:
    """Five candidates, two numbers of labels, two seeds."""
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        found = compare(label="label", out=tmp_path_factory.mktemp("made") / "out", **inputs, **USUAL)  # type: ignore[arg-type]
    return found, counted


def train_ids(folder: Path) -> set[str]:
    columns = read_table(folder / "split.tsv").columns
    return {identity for identity, part in zip(columns["id"], columns["set"], strict=True) if part == "train"}


def test_all_candidates_learn_from_the_same_records(made: tuple[Comparison, Counted]) -> None:
    fits = made[0].folder / "fits"
    assert len(list(fits.iterdir())) == 5 * 2 * 2
    drawn = {}
    for seed in (0, 1):
        for limit, size in (("-n12", 12), ("", 36)):
            found = [
                train_ids(path) for path in fits.glob(f"net-*{limit}-seed{seed}") if limit or "-n" not in path.name
            ]
            assert len(found) == 5
            assert all(ids == found[0] for ids in found)
            assert len(found[0]) == size
            drawn[seed, size] = found[0]
        assert drawn[seed, 12] < drawn[seed, 36]
    assert drawn[0, 12] != drawn[1, 12], "another seed draws others"
    assert drawn[0, 36] == drawn[1, 36]


def test_simple_answers_are_computed_once_for_each_set_of_records(made: tuple[Comparison, Counted]) -> None:
    assert made[1].simple == 3, "a limit by two seeds, and all"
    assert made[1].near == 2 * 3, "validation and test part"
    assert sum(count > 0 for count in made[1].vectors) == 1, "one backbone that rests"
    assert len(made[1].vectors) == 4


def test_values_of_the_curve_are_those_of_the_reports(made: tuple[Comparison, Counted]) -> None:
    content = made[0].content
    curve = {row["name"]: row for row in content["learning_curve"]["candidates"]}
    assert list(curve) == NAMES
    assert content["learning_curve"]["labels"] == [12, 36]
    for limit, place in (("-n12", 0), ("", 1)):
        paths = [next((made[0].folder / "fits").glob(f"net-*-frozen{limit}-seed{seed}")) for seed in (0, 1)]
        values = [json.loads((path / "report.json").read_text())["metrics"]["test"]["mcc"]["value"] for path in paths]
        assert curve["net, frozen"]["points"][place]["value"] == pytest.approx(np.mean(values))
    table = {row["name"]: row["test"] for row in content["candidates"]}
    for name, row in curve.items():
        assert row["points"][1]["value"] == pytest.approx(table[name]["value"])
        assert row["transfer"] == (name != "net, scratch")
    simple = {row["name"]: row for row in content["learning_curve"]["baselines"]}
    assert [point["runs"] for point in simple["kmer linear"]["points"]] == [2, 1]


def test_rivals_and_growth_are_told_where_they_can_be(made: tuple[Comparison, Counted]) -> None:
    content = made[0].content
    curve = {row["name"]: row for row in content["learning_curve"]["candidates"]}
    assert curve["net, scratch"]["needed"] == []
    held = curve["net, frozen"]["needed"]
    assert [(need["against"], need["labels"]) for need in held] == [
        (rival, labels) for rival in ("net, scratch", content["best_baseline"]) for labels in (12, 36)
    ]
    assert all(need["text"] and 0 <= need["reached"] <= 1 for need in held)
    assert "2 points are too few" in curve["net, frozen"]["growth"]["sentence"]


def test_the_front_is_that_of_the_runs(made: tuple[Comparison, Counted]) -> None:
    found = made[0].content["front"]
    assert [point["name"] for point in found["points"]] == NAMES[3:]
    assert found["source"] == {"label": "label", "metric": "mcc", "part": "validation"}
    for point, weight in zip(found["points"], ("1", "inf"), strict=True):
        paths = [next((made[0].folder / "fits").glob(f"net-*-joint-{weight}-seed{seed}")) for seed in (0, 1)]
        assert point["target"]["value"] == pytest.approx(made[0].candidates[point["name"]]["test"]["value"])
        runs = [kept(path / "source.npz") for path in paths]
        assert (runs[0]["truth"] == runs[1]["truth"]).all(), (
            "the validation part of the source is the same for all runs"
        )
        assert 0 <= point["share"] <= 1
    assert any(point["non_dominated"] for point in found["points"])


def test_page_and_terminal_show_curve_and_front(made: tuple[Comparison, Counted]) -> None:
    page, told = (made[0].folder / "comparison.html").read_text(), "\n".join(lines(made[0].content))
    for title in ("Learning curve", "Source against target"):
        assert title in page
        assert title in told
    for row in made[0].content["learning_curve"]["candidates"]:
        assert row["growth"]["sentence"] in page
        assert row["growth"]["sentence"] in told
        for need in row["needed"]:
            assert need["text"] in told
    assert "<script" not in page
    assert "http" not in page


def test_more_limits_fit_what_is_new_and_read_the_rest(
    inputs: dict[str, object], made: tuple[Comparison, Counted], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(made[0].folder, tmp_path / "more")
    begun: list[str] = []
    run = fit._Fit.run
    monkeypatch.setattr(fit._Fit, "run", lambda self: begun.append(self.folder.path.name) or run(self))  # type: ignore[func-returns-value]
    more = USUAL | {"strategies": ("frozen",), "lambdas": (1,), "limits": (12, 20, "all")}
    again = compare(label="label", out=tmp_path / "more", **inputs, **more)  # type: ignore[arg-type]
    assert len(begun) == 3 * 2
    assert all("-n20-" in name for name in begun)
    assert again.content["learning_curve"]["labels"] == [12, 20, 36]
    assert again.content["front"] is None, "one λ is no front"
    for seed in (0, 1):
        few, many = (next((tmp_path / "more" / "fits").glob(f"net-*-frozen-n{size}-seed{seed}")) for size in (12, 20))
        assert train_ids(few) < train_ids(many)
    before = {row["name"]: row["points"] for row in made[0].content["learning_curve"]["candidates"]}
    for row in again.content["learning_curve"]["candidates"]:
        assert [row["points"][0], row["points"][2]] == before[row["name"]]


def test_a_table_of_a_limit_holds_its_rivals_at_that_limit(inputs: dict[str, object], tmp_path: Path) -> None:
    choices = USUAL | {"strategies": ("frozen",), "limits": (20,), "lambdas": (), "source_label": "", "jobs": 2}
    found = compare(label="label", out=tmp_path / "few", **(inputs | {"source": ""}), **choices)  # type: ignore[arg-type]
    assert found.content["limit"] == 20
    assert "The table is of 20 training records, which the seed of a run draws." in found.content["notes"]
    (best,) = [row for row in found.content["baselines"] if row["name"] == found.content["best_baseline"]]
    frozen = found.candidates["net, frozen"]
    assert frozen["against_baseline"]["difference"] == pytest.approx(frozen["test"]["value"] - best["test"]["value"])
    assert all("-n20-" in folder for folder in frozen["folders"])


def test_two_ways_to_choose_records_are_refused(inputs: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(BiograftError, match="--limits and --train-limit both choose training records"):
        compare(label="label", out=tmp_path / "two", train_limit=9, **inputs, **USUAL)  # type: ignore[arg-type]


def test_draws_that_nobody_can_learn_from_are_named_and_left_out(tmp_path: Path) -> None:
    records = WORLD.target(36, 24, seed=0, valid=12)
    found = compare(records, "label", out=tmp_path / "few", backbones=("kmer",), limits=(2, "all"), seeds=4)
    (note,) = [note for note in found.content["notes"] if "2 labels" in note]
    assert note.startswith("kmer, frozen, 2 labels: 3 of 4 runs failed. Nothing to tell apart:")
    curve = found.content["learning_curve"]
    for row in (*curve["candidates"], *curve["baselines"]):
        assert row["points"][0]["runs"] == 1, "one draw held two classes"
