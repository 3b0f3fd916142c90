"""The table of predictions: its columns are fixed, because scripts read them."""

from pathlib import Path

import numpy as np
import pytest

from biograft.evaluation.predictions import Predictions
from biograft.tasks.metrics import Predicted


def classes(scores: np.ndarray, names: tuple[str, ...], units: list[int] | None = None) -> Predictions:
    records = len(scores) if units is None else len(units)
    return Predictions(
        ids=[f"r{row}" for row in range(records)],
        units=np.array([1] * records if units is None else units, dtype=np.int64),
        predicted=Predicted(codes=scores.argmax(axis=1), scores=scores),
        classes=names,
        nearest=[f"t{row}" for row in range(records)],
        identity=np.full(records, 0.5),
        per_residue=units is not None,
    )


def values(numbers: list[float], half_width: float | None = None, units: list[int] | None = None) -> Predictions:
    records = len(numbers) if units is None else len(units)
    return Predictions(
        ids=[f"r{row}" for row in range(records)],
        units=np.array([1] * records if units is None else units, dtype=np.int64),
        predicted=Predicted(values=np.array(numbers)),
        classes=(),
        nearest=[""] * records,
        identity=np.zeros(records),
        half_width=half_width,
        per_residue=units is not None,
    )


def test_classes_have_a_column_of_probabilities_each() -> None:
    answers = classes(np.array([[0.25, 0.75], [0.9, 0.1]]), ("in", "out of"))
    assert len(answers) == 2
    assert answers.table(["in", "in"]) == {
        "id": ["r0", "r1"],
        "truth": ["in", "in"],
        "prediction": ["out of", "in"],
        "p:in": ["0.2500", "0.9000"],
        "p:out of": ["0.7500", "0.1000"],
        "nearest": ["t0", "t1"],
        "nearest_identity": ["0.500", "0.500"],
    }
    assert "truth" not in answers.table()


def test_beyond_fifty_classes_only_the_probability_of_the_answer() -> None:
    for count, expected in ((50, [f"p:c{code}" for code in range(50)]), (51, ["probability"])):
        scores = np.full((1, count), 0.5 / (count - 1))
        scores[0, 7] = 0.5
        table = classes(scores, tuple(f"c{code}" for code in range(count))).table()
        assert list(table) == ["id", "prediction", *expected, "nearest", "nearest_identity"]
        assert table["prediction"] == ["c7"]
    assert table["probability"] == ["0.5000"]


def test_values_have_an_interval_where_one_is_known() -> None:
    assert values([1.5, -20.0], half_width=2.25).table() == {
        "id": ["r0", "r1"],
        "prediction": ["1.5", "-20"],
        "low": ["-0.75", "-22.25"],
        "high": ["3.75", "-17.75"],
        "nearest": ["", ""],
        "nearest_identity": ["", ""],
    }
    table = values([1.5]).table()
    assert (table["low"], table["high"]) == ([""], [""])


def test_residues_have_a_letter_and_a_digit_each() -> None:
    scores = np.array([[0.999, 0.001], [0.35, 0.65], [0.5, 0.5], [0.0, 1.0]])
    table = classes(scores, ("H", "E"), units=[3, 1]).table(["HHE", "E"])
    assert table == {
        "id": ["r0", "r1"],
        "truth": ["HHE", "E"],
        "prediction": ["HEH", "E"],
        "confidence": ["965", "9"],
        "nearest": ["t0", "t1"],
        "nearest_identity": ["0.500", "0.500"],
    }


def test_longer_labels_and_values_of_residues_stand_apart() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    assert classes(scores, ("in", "out"), units=[2, 1]).table()["prediction"] == ["in out", "out"]
    table = values([0.5, 1.0, 2.0], half_width=1.0, units=[1, 2]).table()
    assert table["prediction"] == ["0.5", "1 2"]
    assert list(table) == ["id", "prediction", "nearest", "nearest_identity"]


def test_no_records_make_an_empty_table() -> None:
    for answers in (classes(np.zeros((0, 2)), ("H", "E"), units=[]), values([])):
        table = answers.table([])
        assert table["prediction"] == []
        assert {len(column) for column in table.values()} == {0}


def test_only_a_copy_is_identical() -> None:
    answers = values([1.0, 1.0, 1.0, 1.0])
    answers.identity[:] = [1.0, 0.99999, 0.3, 0.0]
    assert answers.table()["nearest_identity"] == ["1.000", "0.999", "0.300", ""]


@pytest.mark.parametrize("units", [[3, 1], []])
def test_all_probabilities_in_one_file(tmp_path: Path, units: list[int]) -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.5, 0.5]])[: sum(units)]
    classes(scores, ("H", "E"), units).save_probabilities(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz", allow_pickle=False) as found:
        assert found["ids"].tolist() == ["r0", "r1"][: len(units)]
        assert found["classes"].tolist() == ["H", "E"]
        assert found["starts"].tolist() == [0, 3][: len(units)]
        np.testing.assert_array_equal(found["probabilities"], scores)
