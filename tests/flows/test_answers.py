"""What a run wrote is what it answered: read back for every level and kind, in the order that is asked for."""

from pathlib import Path

import numpy as np
import pytest

from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.evaluation.predictions import Predictions
from biograft.flows.answers import read_answers
from biograft.flows.assess import Examination, examine
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression
from biograft.tasks.task import LabelKind, Level

SEQUENCES = ["ACDEFG", "MKV", "WWYYHH"]
LABELS = {
    ("sequence", "words"): ["up", "down", "up"],
    ("sequence", "numbers"): ["1.5", "-2", "40.25"],
    ("residue", "letters"): ["HHHECC", "EEH", "CCHHEE"],
    ("residue", "words"): ["a a b b a a", "b b a", "a a a b b b"],
    ("residue", "numbers"): ["1 2 3 4 5 6", "0.5 nan 7", "1 1 2 2 3 3"],
}


def example(level_name: str, form: str) -> tuple[Level, LabelKind, Examination]:
    level: Level = Sequence() if level_name == "sequence" else Residue()
    records = Records.of(SEQUENCES, ["p", "q", "r"], {"y": LABELS[level_name, form]}, alphabet="protein")
    units = level.read(records, "y")
    learn = Regression.learn if form == "numbers" else Classification.learn
    kind = learn(units.values[units.known], "y")
    return level, kind, examine(records, units, kind, level, 0.4, 0, np.arange(3))


def write(path: Path, part: Examination, outputs: np.ndarray, per_residue: bool, order: list[int]) -> None:
    """As a run does, its records in another order."""
    records = part.records.take(np.array(order))
    sizes = part.records.lengths if per_residue else np.ones(3, dtype=int)
    starts = np.cumsum(sizes) - sizes
    rows = np.concatenate([np.arange(starts[row], starts[row] + sizes[row]) for row in order])
    predicted = part.kind.decode(outputs[rows])
    classes = tuple(getattr(part.kind, "classes", ()))
    found = Predictions(records.ids, sizes[order], predicted, classes, [""] * 3, np.zeros(3), None, per_residue)
    write_table(path, found.table(["?"] * 3))


@pytest.mark.parametrize(("level_name", "form"), LABELS)
def test_answers_come_back_in_the_order_of_the_part(level_name: str, form: str, tmp_path: Path) -> None:
    level, kind, part = example(level_name, form)
    outputs = np.random.default_rng(0).normal(size=(len(part.counted), kind.width)).astype(np.float32)
    write(tmp_path / "p.tsv", part, outputs, level_name == "residue", [2, 0, 1])
    found, wanted = read_answers(tmp_path / "p.tsv", part, level), part.predicted(outputs)
    if form == "numbers":
        assert found.values == pytest.approx(wanted.values, rel=1e-5)
    else:
        assert (found.codes == wanted.codes).all()
        assert len(np.unique(found.codes)) > 1


def test_predictions_of_other_records_are_refused(tmp_path: Path) -> None:
    level, _, part = example("residue", "letters")
    write_table(tmp_path / "p.tsv", {"id": ["p", "x"], "prediction": ["HHHECC", "H"]})
    with pytest.raises(BiograftError, match="got no prediction for 'q' and 1 others"):
        read_answers(tmp_path / "p.tsv", part, level)
    write_table(tmp_path / "p.tsv", {"id": ["p", "q", "r"], "prediction": ["HHHECC", "EE", "CCHHEE"]})
    with pytest.raises(BiograftError, match="got 14 predictions, expected 15"):
        read_answers(tmp_path / "p.tsv", part, level)
