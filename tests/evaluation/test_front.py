"""The front of two scores."""

import numpy as np

from biograft.evaluation.front import non_dominated


def test_points_that_another_one_beats_are_not_marked() -> None:
    scores = np.array([[0.1, 0.9], [0.5, 0.8], [0.5, 0.7], [0.4, 0.8], [0.9, 0.1]])
    assert non_dominated(scores).tolist() == [True, True, False, False, True]


def test_equal_points_do_not_beat_each_other_and_undefined_ones_are_not_marked() -> None:
    scores = np.array([[0.5, 0.5], [0.5, 0.5], [np.nan, 0.9]])
    assert non_dominated(scores).tolist() == [True, True, False]


def test_many_sets_at_once() -> None:
    scores = np.random.default_rng(0).normal(size=(20, 5, 2))
    found = non_dominated(scores)
    assert found.shape == (20, 5)
    for one, alone in zip(found, scores, strict=True):
        assert (one == non_dominated(alone)).all()
        assert one[alone[:, 0].argmax()] and one[alone[:, 1].argmax()]
