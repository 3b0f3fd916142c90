"""Classes with known codes, losses, probabilities and shares."""

import math

import numpy as np
import pytest
import torch

from biograft.errors import BiograftError
from biograft.tasks.classification import Classification, some


def texts(*labels: str) -> np.ndarray:
    return np.array(labels, dtype=object)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("b", "a", "b", ""), ("a", "b")),
        (("10", "9", "-1", "10"), ("-1", "9", "10")),
        (("10", "9", "x"), ("10", "9", "x")),
        (("01", "1", "02"), ("01", "1", "02")),
        (("NA", "Na", "nan", "NaN"), ("NA", "Na")),
    ],
)
def test_classes_are_sorted_text(labels, classes):
    assert Classification.learn(texts(*labels), "y").classes == classes


@pytest.mark.parametrize(
    ("labels", "found"), [(("a", "a", ""), r"1 class in the training part \('a'\)"), (("",), "0 class")]
)
def test_one_class_cannot_be_learned(labels, found):
    with pytest.raises(BiograftError, match=rf"Nothing to tell apart: column 'y' has {found}.*expected two or more"):
        Classification.learn(texts(*labels), "y")


def test_codes_and_what_training_never_had():
    kind = Classification(("a", "b"))
    codes, given = kind.encode(texts("b", "c", "", "a", "nan"))
    assert codes.tolist() == [1, -1, -1, 0, -1]
    assert given.tolist() == [True, True, False, True, False]
    assert codes.dtype == np.int64
    assert kind.encode(texts())[0].shape == (0,)


def test_loss_by_hand():
    kind = Classification(("a", "b"))
    outputs = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0], [5.0, 1.0]])
    loss = kind.loss(outputs, torch.tensor([1, 0, -1]))
    assert loss.tolist() == pytest.approx([math.log(4 / 3), math.log(2), 0.0])


def test_decode_gives_probabilities_even_for_large_outputs():
    predicted = Classification(("a", "b", "c")).decode(np.array([[0.0, math.log(3.0), 0.0], [1000.0, 0.0, -1000.0]]))
    assert predicted.codes is not None and predicted.scores is not None
    assert predicted.codes.tolist() == [1, 0]
    np.testing.assert_allclose(predicted.scores, [[0.2, 0.6, 0.2], [1.0, 0.0, 0.0]], atol=1e-12)
    assert predicted.values is None


def test_the_constant_guess_is_the_share_of_the_classes():
    kind = Classification(("a", "b", "c"))
    shares = np.exp(kind.constant(np.array([0, 0, 0, 1, -1])))
    np.testing.assert_allclose(shares, [4 / 7, 2 / 7, 1 / 7])


@pytest.mark.parametrize(
    ("classes", "lead"),
    [("HEC", "q3"), ("HGIEBTSC", "q8"), ("HEX", "mcc"), ("ab", "mcc")],
)
def test_the_metric_that_selects(classes, lead):
    assert Classification(tuple(classes)).metrics[0] == lead


def test_ranking_metrics_are_left_out_for_many_classes():
    few, many = (Classification(tuple(map(str, range(number)))).metrics for number in (20, 21))
    assert "roc_auc" in few
    assert "roc_auc" not in many


def test_the_adjusted_loss_adds_the_log_of_the_shares_and_the_answer_does_not():
    kind = Classification(("a", "b")).adjusted(np.array([0, 0, 0, 1]), 2.0)
    assert kind.adjustment == pytest.approx((2 * math.log(0.75), 2 * math.log(0.25)))
    outputs = torch.tensor([[0.3, -0.2]])
    weights = np.array([math.exp(0.3) * 0.75**2, math.exp(-0.2) * 0.25**2])
    found = [float(kind.loss(outputs, torch.tensor([code]))) for code in (0, 1)]
    assert found == pytest.approx((-np.log(weights / weights.sum())).tolist(), rel=1e-5)
    plain = Classification(("a", "b"))
    np.testing.assert_array_equal(kind.decode(outputs.numpy()).scores, plain.decode(outputs.numpy()).scores)
    assert float(kind.loss(outputs, torch.tensor([-1]))) == 0.0
    assert kind.metrics[:2] == ("balanced_accuracy", "mcc") and set(kind.metrics) == set(plain.metrics)
    assert plain.configuration() == {"classes": ("a", "b")}
    assert Classification(**{name: list(value) for name, value in kind.configuration().items()}) == kind


def test_some_names_of_many_classes():
    assert some(["a", "b"]) == "a, b"
    assert some([str(number) for number in range(9)]) == "0, 1, 2, 3, 4, 5, 6, 7 …"
