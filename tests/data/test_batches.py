"""Batches cover every row once per pass, cost about the same, and follow from seed and step alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from biograft.data.batches import Batches, in_order

row_costs = some.lists(some.integers(1, 400), min_size=1, max_size=60).map(
    lambda costs: np.array(costs, dtype=np.int64)
)
budgets = some.integers(1, 2000)


def one_pass(batches: Batches, number: int = 0) -> list[np.ndarray]:
    first = number * batches.per_epoch
    return [batches.rows(step) for step in range(first, first + batches.per_epoch)]


@settings(deadline=None, max_examples=60)
@given(row_costs, budgets, some.integers(0, 3))
def test_a_pass_holds_every_row(costs: np.ndarray, budget: int, number: int) -> None:
    seen = np.concatenate(one_pass(Batches(costs, budget, 7), number))
    assert set(seen.tolist()) == set(range(len(costs)))


@settings(deadline=None, max_examples=60)
@given(row_costs, budgets)
def test_no_batch_is_empty_or_much_dearer_than_asked(costs: np.ndarray, budget: int) -> None:
    for rows in one_pass(Batches(costs, budget, 7)):
        assert len(rows) > 0
        asked = max(budget, costs.mean())  # there are never more batches than rows
        assert costs[rows].sum() <= asked + costs.max() or len(rows) == 1


def test_costs_are_near_equal() -> None:
    costs = np.random.default_rng(0).integers(30, 500, size=3000)
    sums = [costs[rows].sum() for rows in one_pass(Batches(costs, 8192, 0))]
    assert max(sums) / min(sums) < 1.15
    assert abs(np.mean(sums) / 8192 - 1) < 0.02


def test_order_follows_from_seed_and_step_alone() -> None:
    costs = np.random.default_rng(0).integers(30, 500, size=100)
    steps = [41, 3, 99, 3, 0]
    one = [Batches(costs, 1000, 5).rows(step).tolist() for step in steps]  # each from nothing
    batches = Batches(costs, 1000, 5)
    assert one == [batches.rows(step).tolist() for step in steps]
    assert one[1] != Batches(costs, 1000, 6).rows(3).tolist()


def test_each_pass_has_an_order_of_its_own() -> None:
    batches = Batches(np.full(64, 10), 160, 0)
    orders = [np.concatenate(one_pass(batches, number)).tolist() for number in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(64)) for order in orders)


def test_a_row_dearer_than_the_budget_is_alone() -> None:
    costs = np.array([10, 10, 5000, 10])
    assert [2] in [rows.tolist() for rows in one_pass(Batches(costs, 100, 0))]


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Batches(np.zeros(0, dtype=np.int64), 10, 0)
    assert in_order(np.zeros(0, dtype=np.int64), 10) == []


@settings(deadline=None, max_examples=60)
@given(row_costs, budgets)
def test_inference_takes_each_row_once_within_the_budget(costs: np.ndarray, budget: int) -> None:
    batches = in_order(costs, budget)
    order = np.concatenate(batches)
    assert sorted(order.tolist()) == list(range(len(costs)))
    assert (np.diff(costs[order]) <= 0).all()  # dearest first
    assert all(costs[rows].sum() <= budget or len(rows) == 1 for rows in batches)


@settings(max_examples=50)
@given(some.lists(some.integers(0, 3), min_size=1, max_size=60), some.integers(0, 5))
def test_strata_take_turns_and_each_is_drawn_as_often(strata: list[int], number: int) -> None:
    codes = np.array(strata)
    batches = Batches(np.ones(len(codes), dtype=np.int64), len(codes) * 4, 1, codes)
    rows = np.concatenate([batches.rows(number)])
    kinds, wanted = len(set(strata)), max(1, len(strata) // len(set(strata)))
    assert len(rows) == kinds * wanted
    assert all((codes[rows] == code).sum() == wanted for code in set(strata))
    turns = codes[rows].reshape(wanted, kinds)
    assert all(len(set(turn)) == kinds for turn in turns.tolist())
    often = np.bincount(rows, minlength=len(codes))
    for code in set(strata):
        times = often[codes == code]
        assert times.max() - times.min() <= 1  # as evenly as whole numbers allow


def test_over_many_passes_every_row_of_a_large_stratum_is_drawn() -> None:
    codes = np.repeat([0, 1], [40, 4])
    batches = Batches(np.ones(44, dtype=np.int64), 200, 1, codes)
    seen = np.concatenate([batches.rows(number) for number in range(12)])
    assert set(seen.tolist()) == set(range(44))
    assert not np.array_equal(batches.rows(0), batches.rows(1))
    assert np.array_equal(batches.rows(3), Batches(np.ones(44, dtype=np.int64), 200, 1, codes).rows(3))
