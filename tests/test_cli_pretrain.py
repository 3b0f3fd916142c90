"""The command line of pretraining: a run from the shell, its report again, a fit on what it made."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from biograft.cli import app
from biograft.data.generated import World
from biograft.data.readers import write_table

TINY = ["--layers", "1", "--width", "16", "--heads", "2", "--batch-letters", "512", "--held-out", "5", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, world = tmp_path_factory.mktemp("tables"), World()
    corpus, target = world.source(40, seed=1), world.target(12, 8, seed=1, valid=4)
    write_table(made / "corpus.tsv", {"id": corpus.ids, "sequence": corpus.sequences})
    columns = {"label": target.columns["label"], "set": target.columns["set"]}
    write_table(made / "target.tsv", {"id": target.ids, "sequence": target.sequences, **columns})
    return made


def run(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_encoder_from_the_shell_is_a_backbone(folder: Path) -> None:
    encoder = folder / "encoder"
    report = json.loads(run("pretrain", folder / "corpus.tsv", "--out", encoder, "--tokens", "2k", "--json", *TINY))
    assert report["recipe"]["tokens"] == 2000 and report["corpus"]["letters_read"] == 4 * 512
    assert "perplexity" in run("report", encoder)
    fitted = run("fit", folder / "target.tsv", "--label", "label", "--backbone", encoder, "--out", folder / "fit",
                 "--json", "--quiet")  # fmt: skip
    assert json.loads(fitted)["model"]["backbone"] == "encoder"


def test_what_makes_no_sense_is_refused(folder: Path) -> None:
    for words, says in (
        (["--tokens", "many"], "expected a number such as 20M"),
        (["--source", "x.tsv"], "Every --source needs a label column"),
        (["--optimiser", "sgd"], "expected muon or adamw"),
    ):
        done = CliRunner().invoke(app, ["pretrain", str(folder / "corpus.tsv"), "--out", str(folder / "no"), *words])
        assert done.exit_code == 2 and says in " ".join(done.output.split())
