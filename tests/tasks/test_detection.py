"""What labels are when nobody says: levels and kinds seen from the labels."""

import numpy as np
import pytest

from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.tasks.classification import Classification
from biograft.tasks.detection import find_kind, find_level
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression
from biograft.tasks.task import Task, Units


def units(labels: list[str]) -> Units:
    return Units(np.array(labels, dtype=object), np.ones(len(labels), dtype=bool), np.ones(len(labels), dtype=np.int64))


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["a", "b", "a"], Classification),
        (["0", "1", "1"], Classification),
        (["-1", "+1"], Classification),
        (["01", "02", "10"], Classification),
        (["1", "2", "X", "Y", "3"], Classification),
        ([str(number) for number in range(25)] * 4, Classification),
        ([str(number) for number in range(25)], Regression),
        ([str(number * 37) for number in range(40)] * 4, Regression),
        (["0.0", "1.0", "1.0"], Regression),
        (["1e-3", "-2.5", "+4", ".5", "3."], Regression),
        (["1.5", "", "nan", "NA", "2.5", "3.5"], Regression),
        (["1.5", "2.5", ">80"], Regression),
        (["1,5", "2,5", "0,1"], Regression),
        (["H", "E", "C"] * 50, Classification),
        ([f"family {number}" for number in range(30)] * 3, Classification),
        (["1a", "2b", "3.5"], Classification),
        (["a;b", *["c", "d"] * 20, *"efghijklmn"], Classification),
    ],
)
def test_kind(labels, kind):
    assert find_kind(Task("y"), units(labels)) is kind


def test_kind_as_asked():
    assert find_kind(Task("y", kind="regression"), units(["a", "b"])) is Regression
    assert find_kind(Task("y", kind="classification"), units(["a;b", "c;d"])) is Classification
    with pytest.raises(BiograftError, match="Unknown label kind: got 'classes', expected one of classification"):
        find_kind(Task("y", kind="classes"), units(["a", "b"]))


def test_texts_that_hardly_repeat_are_no_classes():
    names = [f"protein {number}" for number in range(30)]
    with pytest.raises(BiograftError, match=r"'y' holds 30 different texts for 40 labels, such as 'protein 0'"):
        find_kind(Task("y"), units([*names, *names[:10]]))
    assert find_kind(Task("y", kind="classification"), units(names)) is Classification


def test_several_labels_per_unit_are_refused():
    with pytest.raises(BiograftError, match=r"several labels per unit, separated by ';': got 'GO:1;GO:2'"):
        find_kind(Task("y"), units(["GO:1;GO:2", "GO:1"]))


def test_level():
    residues = Records.of(["MKV", "MLLL"], columns={"y": ["HEC", "HHHH"], "z": ["a", "b"], "m": ["101", "1111"]})
    assert find_level(Task("y"), residues) == Residue()
    assert find_level(Task("z"), residues) == Sequence()
    assert find_level(Task("z", masks=("m",)), residues) == Residue()
    assert find_level(Task("y", level="sequence"), residues) == Sequence()
    with pytest.raises(
        BiograftError, match=r"Unknown level: got 'residues', expected one of .* Did you mean 'residue'"
    ):
        find_level(Task("y", level="residues"), residues)
