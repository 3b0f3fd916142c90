"""Numbers with known scale, loss and answers in the user's units."""

import numpy as np
import pytest
import torch

from biograft.errors import BiograftError
from biograft.tasks.regression import Regression, numbers


def texts(*labels: str) -> np.ndarray:
    return np.array(labels, dtype=object)


def test_numbers_and_marks_of_missing_ones():
    values, given = numbers(texts("1.5", " -2e3 ", "", "NA", "nan", "None", "n/a", "NULL", "+4"))
    assert given.tolist() == [True, True, False, False, False, False, False, False, True]
    assert values[given].tolist() == [1.5, -2000.0, 4.0]
    assert np.isnan(values[~given]).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("1", "1,5"), r"must be a number: got '1,5'\. Write numbers with a decimal point"),
        (("1", ">80"), "must be a number: got '>80'"),
        (("1", "inf"), "must be finite: got 'inf'"),
        (("-Infinity",), "must be finite: got '-Infinity'"),
    ],
)
def test_what_is_no_number(labels, message):
    with pytest.raises(BiograftError, match=message):
        numbers(texts(*labels))


def test_constants_come_from_what_is_given():
    kind = Regression.learn(texts("1", "3", "", "NA"), "y")
    assert (kind.mean, kind.scale) == (2.0, 1.0)
    targets, given = kind.encode(texts("5", "", "2"))
    assert (targets.tolist(), given.tolist()) == ([3.0, 0.0, 0.0], [True, False, True])
    assert kind.truth(targets).tolist() == [5.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("labels", "found"),
    [(("2", "2.0", ""), "only the value 2"), (("", "NA"), "no number"), (("7",), "only the value 7")],
)
def test_a_constant_cannot_be_learned(labels, found):
    with pytest.raises(BiograftError, match=f"never changes can't be learned: column 'y' has {found} in the training"):
        Regression.learn(texts(*labels), "y")


def test_loss_and_answers_by_hand():
    kind = Regression(mean=50.0, scale=5.0)
    outputs = torch.tensor([[1.0], [0.0]])
    assert kind.loss(outputs, torch.tensor([3.0, -0.5], dtype=torch.float64)).tolist() == [4.0, 0.25]
    predicted = kind.decode(outputs.numpy())
    assert predicted.values is not None
    assert predicted.values.tolist() == [55.0, 50.0]
    assert (predicted.codes, predicted.scores) == (None, None)
    assert kind.constant(np.array([1.0, 2.0])).tolist() == [1.5]


def test_strata_are_fifths_by_rank():
    kind = Regression(0.0, 1.0)
    assert kind.strata(np.array([9.0, 1.0, 100.0, 3.0, 2.0])).tolist() == [3, 0, 4, 2, 1]
    assert np.bincount(kind.strata(np.arange(100.0))).tolist() == [20] * 5
    assert kind.strata(np.array([])).shape == (0,)
