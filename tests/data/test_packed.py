"""Packed rows are rows: whatever is done to them all together equals what is done to each alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from biograft.data.packed import Packed

lengths_of_rows = some.lists(some.integers(0, 6), min_size=1, max_size=8)


def packed(lengths: list[int], width: int = 3) -> Packed:
    values = torch.arange(sum(lengths) * width, dtype=torch.float32).reshape(-1, width)
    return Packed(values, torch.tensor(lengths))


@settings(deadline=None, max_examples=60)
@given(lengths_of_rows)
def test_rows_come_back(lengths: list[int]) -> None:
    batch = packed(lengths)
    rows = batch.rows()
    assert [len(row) for row in rows] == lengths
    again = Packed.of(rows)
    assert torch.equal(again.values, batch.values)
    assert torch.equal(again.lengths, batch.lengths)
    for number, row in enumerate(rows):
        assert torch.equal(batch.values[batch.offsets[number] : batch.offsets[number + 1]], row)
        assert torch.equal(batch.values[batch.owner == number], row)


@settings(deadline=None, max_examples=60)
@given(lengths_of_rows, some.data())
def test_chosen_rows_in_the_given_order(lengths: list[int], data: some.DataObject) -> None:
    chosen = data.draw(some.lists(some.integers(0, len(lengths) - 1), min_size=1, max_size=5))
    batch = packed(lengths)
    taken = batch.take(chosen).rows()
    assert all(torch.equal(taken[place], batch.rows()[row]) for place, row in enumerate(chosen))


@settings(deadline=None, max_examples=60)
@given(lengths_of_rows)
def test_means_are_those_of_each_row(lengths: list[int]) -> None:
    batch = packed(lengths)
    for mean, row in zip(batch.mean(), batch.rows(), strict=True):
        expected = row.mean(0) if len(row) else torch.zeros(3)
        torch.testing.assert_close(mean, expected)


def test_means_of_flat_values() -> None:
    assert Packed(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([2, 1])).mean().tolist() == [2.0, 5.0]


def test_values_that_do_not_fill_the_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="got 4 tokens, lengths sum to 5"):
        Packed(torch.zeros(4, 2), torch.tensor([2, 3]))
    with pytest.raises(ValueError, match="got 3 tokens"):
        packed([2, 2]).with_values(torch.zeros(3, 1))


def test_rows_of_a_read_only_memory_map(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.arange(12, dtype=np.float16).reshape(6, 2))
    values = np.load(tmp_path / "rows.npy", mmap_mode="r")
    batch = Packed.of([values[:2], values[5:]])
    assert batch.values.tolist() == [[0, 1], [2, 3], [10, 11]]
    batch.values.add_(1)
    assert values[0, 0] == 0


def test_lengths_stay_on_the_processor() -> None:
    batch = packed([2, 1]).to("meta")
    assert batch.values.device.type == "meta"
    assert batch.lengths.device.type == "cpu"
