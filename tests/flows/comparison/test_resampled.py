"""Comparisons on several splits: parts drawn anew, families never parted, answers over all of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import biograft
from biograft.cli import app
from biograft.data.generated import World
from biograft.data.readers import table as read_table
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.evaluation.verdict import corrected_t
from biograft.flows.comparison import compare as flow
from biograft.flows.comparison.compare import Comparison


@pytest.fixture(scope="module")
def records() -> Records:
    made = World(seed=0, shortest=30, longest=40, span=4).target(60, 40, seed=0)
    return Records.of(made.sequences, ids=made.ids, columns={"label": made.column("label")}, alphabet="protein")


@pytest.fixture(scope="module")
def made(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    out = tmp_path_factory.mktemp("splits") / "out"
    return biograft.compare(records, "label", out=out, backbones=("kmer", "composition"), splits=3, seed=5)


def inner(made: Comparison) -> list[dict]:
    return [json.loads((made.folder / "splits" / str(n) / "comparison.json").read_text()) for n in range(3)]


def test_each_split_is_a_comparison_of_its_own_with_other_parts_and_whole_families(made: Comparison) -> None:
    parts = []
    for number in range(3):
        columns = read_table(made.folder / "splits" / str(number) / "split.tsv").columns
        of_family: dict[str, set[str]] = {}
        for family, part in zip(columns["family"], columns["set"], strict=True):
            of_family.setdefault(family, set()).add(part)
        assert all(len(found) == 1 for found in of_family.values())
        parts.append(tuple(columns["set"]))
    assert len(set(parts)) == 3
    assert [content["seeds"] for content in inner(made)] == [[5], [1005], [2005]]


def test_values_and_differences_are_means_over_splits_judged_by_the_corrected_t(made: Comparison) -> None:
    contents, row = inner(made), made.candidates["composition, frozen"]
    values = [next(one for one in content["candidates"] if one["name"] == row["name"])["test"]["value"]
              for content in contents]  # fmt: skip
    assert row["test"]["value"] == pytest.approx(np.mean(values)) and row["test"]["values"] == values
    best = made.content["best_baseline"]
    rivals = [next(one for one in content["baselines"] if one["name"] == best)["test"]["value"] for content in contents]
    found = row["against_baseline"]
    assert (found["against"], found["runs"]) == (best, 3)
    apart = np.array(values) - np.array(rivals)
    ratio = np.mean([content["data"]["n_test"] / content["data"]["n_train"] for content in contents])
    assert found["difference"] == pytest.approx(apart.mean())
    assert made.content["splits"] == {"count": 3, "test_to_train": pytest.approx(ratio)}
    if np.ptp(apart) > 0:
        assert found["p"] == pytest.approx(corrected_t(apart, ratio)[1])
    valid = [np.mean([next(one for one in content["candidates"] if one["name"] == name)["valid"]["value"]
                      for content in contents]) for name in made.candidates]  # fmt: skip
    assert made.winner == list(made.candidates)[int(np.argmax(valid))]


def test_page_and_notes_tell_of_the_splits(made: Comparison) -> None:
    page = (made.folder / "comparison.html").read_text()
    assert "compared on 3 splits" in page and "Dots are means over the splits" in page and "corrected t" in page
    notes = made.content["notes"]
    assert notes[0].startswith("3 splits, each with families of its own") and not any("One run" in n for n in notes)
    assert read_table(made.folder / "comparison.tsv").columns["name"][0] == made.winner


def test_finished_splits_are_read_and_more_are_added(
    made: Comparison, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.folder.glob("splits/*/fits/*/report.json")}
    searched = []
    whole = flow.prepare

    def watched(*arguments: object, **choices: object) -> object:
        searched.append(choices["how"])
        return whole(*arguments, **choices)  # type: ignore[arg-type]

    monkeypatch.setattr(flow, "prepare", watched)
    again = biograft.compare(records, "label", out=made.folder, backbones=("kmer", "composition"), splits=4, seed=5)
    after = {path: path.stat().st_mtime_ns for path in made.folder.glob("splits/*/fits/*/report.json")}
    assert {path: after[path] for path in before} == before and len(after) > len(before)
    assert again.content["splits"]["count"] == 4
    assert [how for how in searched if isinstance(how, str)] == ["auto"]  # families were searched for once


def test_the_command_line_offers_it_and_refuses_what_has_one_split(records: Records, tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    columns = {"id": records.ids, "sequence": records.sequences, "label": records.column("label")}
    write_table(table, columns)
    words = ["compare", str(table), "--label", "label", "--backbones", "kmer", "--quiet", "--json", "--jobs", "1"]
    done = CliRunner().invoke(
        app, [*words, "--splits", "2", "--split", "random", "--train-limit", "30", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["splits"]["count"] == 2 and told["data"]["n_train"] == 30
    whole = told["data"]["n_train"] + told["data"]["n_beyond_limit"]
    assert told["splits"]["test_to_train"] == pytest.approx(told["data"]["n_test"] / whole)
    write_table(table, columns | {"set": ["train", "valid", "test", "train"] * (len(records) // 4)})
    for more, said in (
        (["--splits", "2"], "--splits draws parts anew: got column:set, which is one split"),
        (["--splits", "2", "--split", "column:auto"], "got column:auto, which is one split"),
        (["--splits", "2", "--split", "random", "--limits", "20,40"], "A learning curve is drawn on one split"),
        (["--splits", "1"], "--splits is a number of random splits: got 1, expected 2 or more"),
    ):
        refused = CliRunner().invoke(app, [*words, *more, "--out", str(tmp_path / "other")])
        assert refused.exit_code == 2 and said in " ".join(refused.stderr.split()), refused.output


def test_parts_that_were_given_are_one_split(records: Records) -> None:
    parts = biograft.split(records)
    with pytest.raises(BiograftError, match="got the parts that were given, which is one split"):
        biograft.compare(records, "label", split=parts, splits=2, backbones=("kmer",))


def test_a_candidate_that_no_split_can_begin_stays_with_its_message(records: Records, tmp_path: Path) -> None:
    found = biograft.compare(
        records, "label", out=tmp_path / "out", backbones=("kmer", "cnn"), strategies=("frozen:head=attention",),
        splits=2, epochs=0.1,
    )  # fmt: skip
    row = found.candidates["kmer, frozen head=attention"]
    assert row["runs"] == 0 and "reads a vector per letter" in row["fault"]
    assert found.candidates["cnn, frozen head=attention"]["runs"] == 2
