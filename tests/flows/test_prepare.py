"""From labels to parts: who is left out and counted, and constants from the training part alone."""

import random

import numpy as np
import pytest

from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.flows.prepare import part_records, prepare
from biograft.flows.split import split
from biograft.tasks.classification import Classification
from biograft.tasks.regression import Regression
from biograft.tasks.task import Task

PARTS = ["train"] * 6 + ["valid"] * 2 + ["test"] * 4


def table(labels: list[str], parts: list[str] | None = None, **columns: list[str]) -> Records:
    letters = random.Random(0)
    sequences = ["".join(letters.choices("ACDEFGHIKLMNPQRSTVWY", k=30)) for _ in labels]
    if parts is not None:
        columns["set"] = parts
    lines = list(range(2, len(labels) + 2))
    return Records.of(sequences, columns={"y": labels, **columns}, alphabet="protein", source="t.tsv", lines=lines)


def test_the_parts_of_a_column():
    made = prepare(table(["a", "b"] * 6, PARTS), Task("y"))
    assert [len(made.part(name)[0]) for name in ("train", "valid", "test")] == [6, 2, 4]
    assert made.counts == {"unlabelled": 0, "unused": 0}
    assert made.kind == Classification(("a", "b"))
    assert made.split.how == "column:set"


def test_classes_come_from_training_alone():
    made = prepare(table([*["a", "b"] * 4, "c", "c", "a", "b"], PARTS), Task("y"))
    assert made.kind == Classification(("a", "b"))
    _, units, _ = made.part("test")
    assert made.kind.encode(units.values)[0].tolist() == [-1, -1, 0, 1]


def test_mean_and_scale_come_from_training_alone():
    """Poisoned test labels change nothing that is learned."""
    honest = ["1.5", "2.5"] * 6
    poisoned = [*honest[:8], "1e9", "-1e9", "0.1", "7"]
    first, second = (prepare(table(labels, PARTS), Task("y")).kind for labels in (honest, poisoned))
    assert first == second == Regression(mean=2.0, scale=0.5)


def test_unlabelled_records_are_left_out_and_counted_whatever_marks_them():
    labels = ["", "NA", "nan", "1.5", "2.5", "3.5", "4.5", "5.5", "6.5", "NA", "", "7.5"]
    made = prepare(table(labels, PARTS), Task("y"))
    assert made.counts == {"unlabelled": 5, "unused": 0}
    assert made.records.column("y") == ["1.5", "2.5", "3.5", "4.5", "5.5", "6.5", "7.5"]
    assert made.units.values.tolist() == made.records.column("y")
    assert made.split.parts.tolist() == ["train"] * 3 + ["valid"] * 2 + ["test"] * 2


def test_a_mark_that_could_be_a_class_is_one_and_noted():
    made = prepare(table([*["a", "NA"] * 6], PARTS), Task("y"))
    assert made.kind == Classification(("NA", "a"))
    assert "Taken as a class: 'NA'" in " ".join(made.notes)


def test_rare_classes_and_those_of_one_family_are_advised_on():
    parts = [*["train"] * 20, *["test"] * 4]
    records = table([*["a"] * 8, *["b"] * 8, *["c"] * 4, *["a", "b"] * 2], parts)
    families = np.array([*range(8), *[8] * 8, *range(9, 17)])
    made = prepare(records, Task("y"), how=Split(np.array(parts), families, "made", ""))
    assert made.notes == [
        "Classes with fewer than 5 training labels: 1 (c), too few for one in each inner fold. Their numbers mean "
        "little: add labels, or join them to other classes.",
        "Classes whose training labels are all of one family: 1 (b). The model may learn the family instead of the "
        "class: add records of other families.",
    ]
    alone = Split(np.array(parts), np.zeros(24, dtype=np.int64), "made", "")
    assert "one family" not in " ".join(prepare(records, Task("y"), how=alone).notes)


def test_rows_without_part_and_beyond_the_limit_are_counted():
    parts = ["", "train", "train", "train", "train", "train", *PARTS[6:]]
    made = prepare(table(["a", "b"] * 6, parts), Task("y"), train_limit=3)
    assert made.counts == {"unlabelled": 0, "unused": 1, "beyond_limit": 2}
    assert len(made.part("train")[0]) == 3
    assert made.part("test")[0].ids == [f"row{row}" for row in (9, 10, 11, 12)]


def test_the_limit_does_not_change_what_kind_of_label_it_is():
    """Three whole numbers alone would look like classes."""
    labels = [str(number * 31) for number in range(40)]
    made = prepare(table(labels, ["train"] * 30 + ["valid"] * 4 + ["test"] * 6), Task("y"), train_limit=3)
    assert made.kind.name == "regression"


def test_a_split_that_was_made_before():
    records = table(["", *["a", "b"] * 20])
    made = split(records, "random", seed=3)
    settled = prepare(records, Task("y"), how=made)
    assert settled.counts["unlabelled"] == 1
    assert settled.split.parts.tolist() == made.parts[1:].tolist()
    assert settled.split.families.tolist() == made.families[1:].tolist()


def test_masked_out_records_are_left_out():
    sequences = ["MKV", "MLL", "WWF", "HHH"]
    columns = {
        "y": ["HEC", "HHE", "EEE", "HEC"],
        "m": ["111", "000", "110", "101"],
        "set": ["train", "train", "test", "train"],
    }
    made = prepare(Records.of(sequences, columns=columns, alphabet="protein"), Task("y", masks=("m",)))
    assert made.counts["unlabelled"] == 1
    assert "row2" not in made.records.ids
    assert made.units.counted.sum() == 3 + 2 + 2


@pytest.mark.parametrize(
    ("labels", "parts", "options", "message"),
    [
        ([""] * 12, PARTS, {}, "'y' holds no label: all 12 values are empty. Check --label."),
        (["a"] * 12, PARTS, {}, "Nothing to tell apart: column 'y' has 1 class in the training part"),
        (["2.5"] * 12, PARTS, {}, "has only the value 2.5 in the training part"),
        (["a", "b"] * 6, PARTS, {"train_limit": 1}, "--train-limit is a number of records: got 1, expected 2 or more"),
        ([*["a", "b"] * 4, *[""] * 4], PARTS, {}, "no row of column 'set' says 'test'"),
        ([*["1.5", "2.5"] * 4, *["NA"] * 4], PARTS, {}, "The test part is empty: no labelled record is in it"),
        ([*["1.5", "2.5"] * 5, "1.5", "x"], PARTS, {}, "must be a number: got 'x'"),
        (["a", "b"] * 6, None, {"how": "families"}, "Unknown split: got 'families', expected homology, random"),
        (["a", "b"] * 6, None, {"how": "column:fold"}, "There is no column 'fold'"),
        (["a", "b"] * 6, None, {"identity": 40.0}, "--identity is a share: got 40"),
    ],
)  # fmt: skip
def test_refused(labels, parts, options, message):
    with pytest.raises(BiograftError) as caught:
        prepare(table(labels, parts), Task("y"), **options)
    assert message in str(caught.value)


def test_the_place_of_a_label_that_is_no_number():
    with pytest.raises(BiograftError, match=r"got 'x'.*\(column 'y', t\.tsv, line 13, id 'row12'\)"):
        prepare(table([*["1.5", "2.5"] * 5, "1.5", "x"], PARTS), Task("y"))


def test_parts_by_default():
    assert part_records(table(["a", "b"] * 6, PARTS)).how == "column:set"
    assert part_records(table(["a", "b"] * 6)).how == "homology"


def test_classes_are_kept_in_balance():
    records = table(["a"] * 50 + ["b"] * 10)
    made: Split = split(records, "random", label="y")
    labels = np.array(records.column("y"))
    assert (labels[made.rows("test")] == "b").sum() == 2
    assert (labels[made.rows("train")] == "b").sum() == 7


def test_parts_that_were_made_before_a_run_cannot_be_repeated_from_their_fingerprint():
    records = Records.of(["ACDEFGHIKL", "MNPQRSTVWY"], columns={"y": ["a", "b"]}, alphabet="protein")
    with pytest.raises(BiograftError, match=r"fingerprint 1c7e197bcd13305e.*--split column:set"):
        part_records(records, "1c7e197bcd13305e")
