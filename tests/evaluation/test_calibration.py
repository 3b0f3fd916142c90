"""A temperature that is known, found again; and the diagram by hand."""

import numpy as np
import pytest

from biograft.errors import BiograftError
from biograft.evaluation.calibration import fit_temperature, reliability, with_temperature
from biograft.tasks.metrics import METRICS, Predicted


def overconfident(temperature: float, units: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from honest probabilities, and these sharpened by a known temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(units, 4))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (honest.cumsum(axis=1) > rng.random((units, 1))).argmax(axis=1)
    return with_temperature(honest, 1 / temperature), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    scores, truth = overconfident(temperature)
    found = fit_temperature(scores, truth)
    assert found == pytest.approx(temperature, rel=0.05)
    mended = Predicted(scores=with_temperature(scores, found))
    assert METRICS["ece"](truth, mended) < 0.02
    if temperature != 1.0:
        assert METRICS["ece"](truth, Predicted(scores=scores)) > 0.1


def test_it_is_the_minimum_of_the_log_loss() -> None:
    scores, truth = overconfident(2.0, units=500)
    found = fit_temperature(scores, truth)
    losses = [
        METRICS["log_loss"](truth, Predicted(scores=with_temperature(scores, found * step)))
        for step in (1.0, 0.97, 1.03)
    ]
    assert losses[0] == min(losses)


def test_a_temperature_of_one_changes_nothing_and_none_changes_the_largest() -> None:
    scores, _ = overconfident(1.0, units=100)
    np.testing.assert_allclose(with_temperature(scores, 1.0), scores)
    hot = with_temperature(scores, 7.0)
    np.testing.assert_allclose(hot.sum(axis=1), 1.0)
    np.testing.assert_array_equal(hot.argmax(axis=1), scores.argmax(axis=1))


def test_unseen_classes_are_left_out() -> None:
    scores, truth = overconfident(2.0, units=500)
    unseen = np.arange(500) % 5 == 0
    assert fit_temperature(scores, np.where(unseen, -1, truth)) == fit_temperature(scores[~unseen], truth[~unseen])
    with pytest.raises(BiograftError, match="got 2 labels, none of a class that training had"):
        fit_temperature(scores[:2], np.array([-1, -1]))


def test_certainty_that_errs_stays_finite() -> None:
    sure = np.array([[1.0, 0.0]] * 10)
    assert 1 < fit_temperature(sure, np.array([0] * 9 + [1])) <= 20.0
    assert fit_temperature(sure, np.zeros(10, int)) == pytest.approx(0.05, rel=1e-3)


def test_the_diagram_by_hand_and_its_agreement_with_the_metric() -> None:
    scores = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.6, 0.4]])
    truth = np.array([0, 1, 0, 0])
    found = reliability(scores, truth)
    assert found.units.tolist() == [0] * 8 + [2] + [0] * 5 + [2]
    np.testing.assert_allclose(found.confidence[[8, 14]], [0.6, 0.95])
    np.testing.assert_allclose(found.accuracy[[8, 14]], [1.0, 0.5])
    assert np.isnan(found.confidence[0])
    gaps = np.nansum(found.units * np.abs(found.accuracy - found.confidence)) / 4
    assert METRICS["ece"](truth, Predicted(scores=scores)) == pytest.approx(gaps)
