"""The command compare: what its options become, and that it says what is wrong before it begins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from biograft.cli import app
from biograft.evaluation import comparison_page
from biograft.flows.comparison import compare as flow
from biograft.flows.comparison.field import Field
from biograft.flows.recipe import Recipe


def test_options_become_a_recipe_and_a_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []

    def hear(recipe: Recipe, entrants: Field, out: Path, progress: object) -> SimpleNamespace:
        heard.extend([recipe, entrants, out])
        return SimpleNamespace(content={}, folder=out)

    monkeypatch.setattr(flow, "compare_recipe", hear)
    monkeypatch.setattr(comparison_page, "lines", lambda content: ["told"])
    told = CliRunner().invoke(
        app,
        "compare t.csv --label y --backbones net,kmer --strategies full,auto --minutes 3 --strategy-option "
        "full:dropout=0 --limits 25,all --seeds 2 --jobs 4 --lambdas 1,inf --source s.csv --source-label z "
        "--source-mask seen --mask m --mask n --unlabelled u.fasta --sampling balanced --logit-adjustment 0.5 "
        f"--epochs 2 --seed 7 --out {tmp_path / 'out'}".split(),
    )
    assert told.exit_code == 0, told.output
    assert "told" in told.output
    assert heard[0] == Recipe(
        table="t.csv", label="y", source="s.csv", source_label="z", source_mask=("seen",), mask=("m", "n"),
        unlabelled="u.fasta", sampling="balanced", logit_adjustment=0.5, epochs=2.0, seed=7,
    )  # fmt: skip
    assert heard[1] == Field(
        ("net", "kmer"), ("full", "auto"), ("1", "inf"), 2, 4, ("full:dropout=0",), ("25", "all"), 3.0
    )
    assert heard[2] == tmp_path / "out"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--strategies adversarial", "got no --unlabelled FILE"),
        ("--strategies coral,full", "got no --unlabelled FILE"),
        ("--strategies joint", "got no --source"),
        ("--strategies auto --sampling balanced", "got --sampling balanced too"),
        ("--strategies full --minutes 5", "auto doesn't take part"),
        ("--strategies auto:rank=4", "expected minutes=NUMBER"),
    ],
)
def test_what_no_run_could_do_is_refused_before_the_table_is_looked_for(options: str, says: str) -> None:
    done = CliRunner().invoke(app, ["compare", "missing.csv", "--label", "y", *options.split()])
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert "Traceback" not in done.output
