"""Scaled features and the way back; inner folds that keep families together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biograft.errors import BiograftError
from biograft.strategies.inner import Folds, check, scalings, subsample, threads_for


def features(rows: int = 50, width: int = 6) -> np.ndarray:
    random = np.random.default_rng(0)
    values = random.normal(size=(rows, width)) * [1, 100, 0.01, 1, 1, 1][:width] + 30
    values[:, 4] = 7.0  # does not vary
    return values.astype(np.float32)


def test_a_scaled_row_has_a_mean_squared_norm_of_one() -> None:
    values = features()
    found = {scaled.name: scaled for scaled in scalings(values, None)}
    assert list(found) == ["raw", "standardised"]
    for scaled in found.values():
        numbers = scaled.values.numpy()
        np.testing.assert_allclose(numbers.mean(0), 0, atol=1e-5)
        assert (numbers**2).sum(1).mean() == pytest.approx(1.0, rel=1e-3)
        assert not numbers[:, 4].any()
    spread = found["standardised"].values.numpy().std(0)
    np.testing.assert_allclose(spread, [5**-0.5] * 4 + [0, 5**-0.5], rtol=1e-3)
    assert [scaled.name for scaled in scalings(values, True)] == ["standardised"]
    assert [scaled.name for scaled in scalings(values, False)] == ["raw"]


@pytest.mark.parametrize("standardise", [False, True])
def test_folding_back_gives_the_same_answers(standardise: bool) -> None:
    values = features()
    (scaled,) = scalings(values, standardise)
    weight, bias = np.random.default_rng(1).normal(size=(2, 6)), np.array([1.0, -2.0])
    back, shift = scaled.fold_back(weight, bias)
    assert back.dtype == shift.dtype == np.float32 and not back[:, 4].any()
    expected = scaled.values.numpy() @ weight.T + bias
    np.testing.assert_allclose(values.astype(np.float64) @ back.T + shift, expected, atol=1e-3)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), families=st.integers(3, 30), classes=st.integers(1, 4))
def test_no_family_is_in_two_folds_and_every_row_is_held_out_once(seed: int, families: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    groups = np.append(np.arange(families), random.integers(families, size=40))
    strata = random.integers(classes, size=len(groups))
    folds = Folds.draw(groups, strata, False, seed)
    out = np.concatenate([held for _, held in folds.parts()])
    assert sorted(out) == list(range(len(groups)))
    together = np.bincount(groups).max() <= len(groups) / 2
    assert ("families kept together" in folds.how) == together
    for learn, held in folds.parts():
        assert len(learn) + len(held) == len(groups) and len(learn) and len(held)
        if together:
            assert not set(groups[learn]) & set(groups[held])


def test_folds_are_even_and_balanced() -> None:
    strata = np.repeat([0, 1], [80, 20])
    folds = Folds.draw(np.arange(100), strata, False, 0)
    assert np.bincount(folds.of).tolist() == [20] * 5
    assert np.bincount(folds.of[strata == 1]).tolist() == [4] * 5


def test_one_fold_only_where_it_is_dear_and_none_where_there_are_too_few_rows() -> None:
    assert len(list(Folds.draw(np.arange(50), np.zeros(50, int), True, 0).parts())) == 1
    assert "hold-out of a fifth" in Folds.draw(np.arange(50), np.zeros(50, int), True, 0).how
    alone = Folds.draw(np.zeros(1), np.zeros(1, int), False, 0)
    assert not list(alone.parts()) and "too few rows" in alone.how


def test_a_family_of_more_than_half_the_rows_is_parted_by_rows() -> None:
    groups = np.array([0] * 12 + [1, 2, 3])
    folds = Folds.draw(groups, np.zeros(15, int), False, 0)
    assert "(rows)" in folds.how and len(list(folds.parts())) == 5


def test_the_seed_decides() -> None:
    draws = [Folds.draw(np.arange(40), np.zeros(40, int), False, seed).of.tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_a_subsample_is_sorted_distinct_and_repeatable() -> None:
    assert subsample(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    chosen = subsample(100, 10, 3)
    assert len(set(chosen.tolist())) == 10 and (np.diff(chosen) > 0).all()
    assert chosen.tolist() == subsample(100, 10, 3).tolist() != subsample(100, 10, 4).tolist()


def test_what_cannot_be_solved_is_refused() -> None:
    values = features()
    with pytest.raises(BiograftError, match=r"needs labelled training records: got none\. Look at the label column"):
        check(values[:0], np.zeros(0))
    values[3, 2] = np.inf
    with pytest.raises(BiograftError, match=r"got inf in training row 3, feature 2\. .* try --precision fp32"):
        check(values, np.zeros(50))
    with pytest.raises(BiograftError, match=r"Targets must be finite: got nan in training row 1\. Mend that label"):
        check(features(), np.array([0.0, np.nan] + [0.0] * 48))


def test_light_work_takes_one_thread_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    with threads_for(1e3):
        assert torch.get_num_threads() == 1
    with threads_for(1e12):
        assert torch.get_num_threads() == before
    with pytest.raises(KeyError), threads_for(1e3):
        raise KeyError
    assert torch.get_num_threads() == before
