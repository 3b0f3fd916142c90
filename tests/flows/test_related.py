"""`--relatives` in whole flows: better where relatives know the answer, refused where they can't have one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from biograft.bundle import load
from biograft.data.alphabet import PROTEIN
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.evaluate import evaluate
from biograft.flows.fit import Recipe, Result, fit_recipe

CORE = PROTEIN.letters[:20]


def table(test_label: str | None = None) -> Records:
    """Families of mutants whose class no letter tells; each part holds mutants of every family."""
    draws = np.random.default_rng(0)
    sequences, labels, parts = [], [], []
    for family in range(25):
        parent = draws.choice(list(CORE), 60)
        for part in ("train", "train", "train", "valid", "test"):
            changed = parent.copy()
            places = draws.choice(60, 15, replace=False)
            changed[places] = draws.choice(list(CORE), 15)
            sequences.append("".join(changed))
            labels.append(test_label if test_label and part == "test" else "abc"[family % 3])
            parts.append(part)
    return replace(Records.of(sequences, alphabet="protein"), columns={"label": labels, "set": parts})


def run(records: Records, out: Path, **choices: object) -> Result:
    recipe = Recipe.of({"table": "table.tsv", "label": "label", "backbone": "kmer", "strategy": "frozen", **choices})
    return fit_recipe(recipe, out, records=records)


def test_relatives_answer_where_letters_tell_nothing(tmp_path: Path) -> None:
    plain = run(table(), tmp_path / "plain")
    blended = run(table(), tmp_path / "blended", relatives=True)
    assert blended.metrics["accuracy"]["value"] > 0.9
    assert blended.metrics["accuracy"]["value"] >= plain.metrics["accuracy"]["value"]
    assert blended.report["metrics"]["valid"]["accuracy"]["value"] > 0.9
    assert any("25 of 25 test records have a relative" in note for note in blended.report["model"]["notes"])
    assert load(tmp_path / "plain").relatives is None


def test_the_saved_model_answers_and_is_evaluated_as_the_run_was(tmp_path: Path) -> None:
    records = table()
    result = run(records, tmp_path / "run", relatives=True)
    test = records.take([row for row, part in enumerate(records.column("set")) if part == "test"])
    told = load(tmp_path / "run").predict(test).table()
    kept = (tmp_path / "run" / "predictions.tsv").read_text().splitlines()
    assert [line.split("\t")[2] for line in kept[1:]] == told["prediction"]
    again = evaluate(tmp_path / "run", test)
    for name in ("accuracy", "mcc", "log_loss"):
        assert again["metrics"]["test"][name]["value"] == pytest.approx(result.metrics[name]["value"])


def test_test_labels_are_not_asked(tmp_path: Path) -> None:
    for name, records in (("true", table()), ("poisoned", table("a"))):
        run(records, tmp_path / name, relatives=True)
    one, other = (load(tmp_path / name).relatives for name in ("true", "poisoned"))
    assert one is not None and other is not None
    assert np.array_equal(one.codes, other.codes) and np.array_equal(one.trust, other.trust)


def test_values_are_refused(tmp_path: Path) -> None:
    records = table()
    numbers = [str(0.1 * row) for row in range(len(records))]
    records = replace(records, columns={**records.columns, "label": numbers})
    with pytest.raises(BiograftError, match=r"--relatives passes on the class .* got regression per sequence"):
        run(records, tmp_path / "run", relatives=True)


def test_too_few_relatives_are_refused_before_anything_is_learned(tmp_path: Path) -> None:
    records = table()
    lone = records.take([row for row in range(len(records)) if row % 5 != 1 and row % 5 != 2])
    with pytest.raises(BiograftError, match="Relatives can't be asked: got 0 training records with a relative"):
        run(lone, tmp_path / "run", relatives=True)
    assert run(lone, tmp_path / "run").metrics["accuracy"]["value"] >= 0  # the folder takes other choices


def test_a_damaged_or_foreign_file_is_named(tmp_path: Path) -> None:
    run(table(), tmp_path / "run", relatives=True)
    path = tmp_path / "run" / "model" / "relatives.npz"
    with path.open("wb") as stream:
        np.savez(stream, codes=np.array([0, 1]), identity=np.array([0.5]), trust=np.array([0.5]))
    with pytest.raises(BiograftError, match="does not belong to this model: got 2 classes"):
        load(tmp_path / "run")
    path.write_bytes(b"nothing")
    with pytest.raises(BiograftError, match="is missing or damaged"):
        load(tmp_path / "run")
    path.unlink()  # without it the model would answer otherwise
    with pytest.raises(BiograftError, match="is missing or damaged"):
        load(tmp_path / "run")
