"""The choice experiments: equal letters for every recipe, no row of a test part, sources in brackets, reading again."""

import importlib
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
import torch

from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.readers import read
from biograft.tasks.task import Task

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "pretraining"


@pytest.fixture
def choices() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("choices")
        sys.modules.pop("choices")


def options(out: Path) -> Namespace:
    return Namespace(out=out, letters=20_000, seeds=2, layers=2, width=32, learning_rate=1e-3)


def table(path: Path, counts: dict[str, int]) -> None:
    """Records of each part, labelled by their share of one letter; a test record has a label that no other has."""
    sequences = World(seed=0).source(sum(counts.values()), seed=0).sequences
    parts = [name for name, count in counts.items() for _ in range(count)]
    shares = [f"{sequence.count('A') / len(sequence):.4f}" for sequence in sequences]
    labels = ["poison" if part == "test" else share for share, part in zip(shares, parts, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"id": [f"r{n}" for n in range(len(parts))], "sequence": sequences, "share": labels, "set": parts}
    pl.DataFrame(columns).write_csv(
        path, separator="\t", compression="gzip" if path.suffix == ".gz" else "uncompressed"
    )


def test_every_recipe_reads_as_many_letters(choices: ModuleType, tmp_path: Path) -> None:
    for name, choice in choices.CHOICES.items():
        recipe = choice.recipe(tmp_path, options(tmp_path), seed=1)
        assert recipe.steps == max(1, round(20_000 / (choice.step or choices.STEP))), name
        assert recipe.batch_letters + sum(recipe.letters().values()) == (choice.step or choices.STEP), name
        assert all(getattr(recipe, field) == value for field, value in choice.own.items()), name
        assert [Path(path).name for path in recipe.source] == [f"{source}.tsv" for source, _ in choice.sources]


def test_probes_are_drawn_without_the_test_part(
    choices: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choices, "DATA", tmp_path)
    table(tmp_path / "one.tsv", {"train": 60, "valid": 30, "test": 30})
    probe = choices.Probe("one.tsv", Task("share", "sequence", "regression"), "spearman", 40, 20)
    path = choices.draw_probe(probe, tmp_path / "drawn.tsv")
    assert pl.read_csv(path, separator="\t")["set"].value_counts().sort("set").rows() == [("train", 40), ("valid", 20)]
    assert "poison" not in path.read_text()
    torch.manual_seed(0)
    value = choices.probed(ByteNet(PROTEIN, ByteNetConfiguration(2, 32)), probe, path)
    assert 0.2 < value <= 1, "the mean vector knows the share of a letter"


def test_sources_are_drawn_from_their_training_part(
    choices: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choices, "SOURCES", {"one": choices.Source("share", "", 1.0)})
    monkeypatch.setattr(choices, "DRAWN", 10)
    sequences = World(seed=0).source(20, seed=0).sequences
    (tmp_path / "corpus.fasta").write_text("".join(f">s{n}\n{text}\n" for n, text in enumerate(sequences)))
    table(tmp_path / "one.tsv.gz", {"train": 15, "valid": 5, "test": 5})
    choices.draw_sources(tmp_path, tmp_path / "drawn")
    assert read(tmp_path / "drawn" / "corpus.fasta").sequences == sequences[:10]
    assert pl.read_csv(tmp_path / "drawn" / "one.tsv", separator="\t")["set"].to_list() == ["train"] * 10


def test_what_was_a_source_is_in_brackets(choices: ModuleType) -> None:
    found = [{"letters": 1000, "seconds": 4.0, **dict.fromkeys(choices.PROBES, value)} for value in (0.5, 0.25)]
    probes = "0.375 [0.250, 0.500]"
    assert choices.row("homologues", found)[:4] == ["homologues", "1,000", "4", probes]
    assert choices.row("all sources, cosine", found)[3:5] == [f"({probes})", probes]
    assert choices.row(choices.RANDOM, found[:1])[3] == "0.500"


def test_a_run_is_pretrained_once_and_then_read(
    choices: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choices, "PROBES", {})
    monkeypatch.setattr(choices, "STEP", 256)
    chosen = options(tmp_path)
    chosen.letters = 512
    (tmp_path / "sources").mkdir()
    sequences = World(seed=0).source(60, seed=0).sequences
    (tmp_path / "sources" / "corpus.fasta").write_text("".join(f">s{n}\n{s}\n" for n, s in enumerate(sequences)))
    found = choices.outcome("masked letters", 0, chosen)
    assert found["letters"] == 512 and found["seconds"] > 0
    (path,) = tmp_path.glob("512-*/masked-letters-0.json")
    path.write_text(json.dumps({"letters": 7}))
    assert choices.outcome("masked letters", 0, chosen) == {"letters": 7}
