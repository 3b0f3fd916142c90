"""Nearest centroid and nearest neighbours as heads."""

import numpy as np
import pytest
import torch

from biograft.data.packed import Packed
from biograft.heads import CentroidHead, NeighboursHead
from biograft.model import LinearHead
from biograft.strategies.directions import centroids, neighbours
from biograft.tasks.levels import Sequence


def outputs(head: torch.nn.Module, values: np.ndarray) -> np.ndarray:
    return head(Packed.of([row[None] for row in np.asarray(values, dtype=np.float32)])).detach().numpy()


def fans(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three directions, lengths that say nothing, far from the origin."""
    random = np.random.default_rng(seed)
    codes = np.arange(rows) % 3
    values = np.eye(3)[codes] * random.uniform(1, 50, (rows, 1)) + 0.1 * random.normal(size=(rows, 3)) + 100
    return values.astype(np.float32), codes


def test_one_record_per_class_is_enough_for_centroids() -> None:
    values, codes = np.eye(4, dtype=np.float32) * 3, np.arange(4)
    fit = centroids(values, codes, 4, np.arange(4), standardise=None, seed=0)
    head = CentroidHead(Sequence(), 4, 4)
    fit.put(head)
    assert outputs(head, values + 0.3).argmax(1).tolist() == [0, 1, 2, 3]
    assert fit.scores == {} and "too few rows" in fit.how


def test_centroids_compare_directions_about_the_mean() -> None:
    values, codes = fans(60)
    fit = centroids(values, codes, 3, np.arange(60), standardise=False, seed=0)
    head = CentroidHead(Sequence(), 3, 3)
    fit.put(head)
    new, truth = fans(300, 1)
    assert (outputs(head, new).argmax(1) == truth).mean() > 0.85
    assert list(fit.scores) == ["raw features"] and fit.scores["raw features"] < np.log(3) / 2


def test_a_class_without_rows_is_never_the_nearest() -> None:
    fit = centroids(np.eye(2, dtype=np.float32), np.array([0, 2]), 3, np.arange(2), standardise=False, seed=0)
    head = CentroidHead(Sequence(), 2, 3)
    fit.put(head)
    assert not (outputs(head, np.random.default_rng(0).normal(size=(200, 2))).argmax(1) == 1).any()


def test_neighbours_answer_for_classes_with_probabilities() -> None:
    values, codes = fans(90)
    fit = neighbours(values, codes, 4, np.arange(90), standardise=None, seed=0)
    head = NeighboursHead(Sequence(), 3, 4, shares=True)
    fit.put(head)
    new, truth = fans(60, 1)
    found = outputs(head, new)
    assert (found.argmax(1) == truth).mean() > 0.85
    np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-5)
    best = min(fit.scores.values())
    assert f"{best:.3g}" in fit.how and fit.scores[f"{fit.scaled.name} features, {fit.number} neighbours"] == best


def test_neighbours_answer_with_values() -> None:
    random = np.random.default_rng(0)
    angles = random.uniform(0, 2 * np.pi, 400)
    values = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    fit = neighbours(values, np.sin(angles), None, np.arange(400), standardise=False, seed=0)
    head = NeighboursHead(Sequence(), 2, 1)
    fit.put(head)
    asked = np.array([[0.0, 4.0], [0.0, -0.5], [2.0, 0.0]])
    np.testing.assert_allclose(outputs(head, asked)[:, 0], [1, -1, 0], atol=0.1)


def test_two_rows_give_one_neighbour() -> None:
    fit = neighbours(np.eye(2, dtype=np.float32), np.array([1.0, 2.0]), None, np.arange(2), standardise=None, seed=0)
    assert fit.number == 1


def test_families_stay_together_when_the_number_is_chosen() -> None:
    """Labels are noise: only near copies on both sides of a fold make them look easy."""
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(size=(60, 20)), 2, axis=0).astype(np.float32)
    values += 0.01 * random.normal(size=values.shape).astype(np.float32)
    codes, families = np.repeat(random.integers(2, size=60), 2), np.repeat(np.arange(60), 2)
    alone = neighbours(values, codes, 2, np.arange(120), standardise=False, seed=0)
    together = neighbours(values, codes, 2, families, standardise=False, seed=0)
    assert min(alone.scores.values()) < 0.4 < 0.6 < min(together.scores.values())


@pytest.mark.parametrize("solve", [centroids, neighbours])
def test_they_are_put_into_heads_of_their_own(solve) -> None:
    fit = solve(np.eye(3, dtype=np.float32), np.arange(3), 3, np.arange(3), standardise=False, seed=0)
    with pytest.raises(TypeError, match="got LinearHead"):
        fit.put(LinearHead(Sequence(), 3, 3))
