"""Convolution over packed rows: equal to one row at a time, and nothing leaks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from biograft.backbones.convolution import PackedConvolution, with_gaps
from biograft.data.packed import Packed


def rows_of(lengths: list[int], channels: int = 3) -> Packed:
    return Packed.of([torch.randn(length, channels) for length in lengths])


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    kernel=st.sampled_from([1, 3, 5, 9]),
    dilation=st.integers(1, 6),
)
def test_each_row_is_convolved_as_if_alone_with_zeros_around(lengths: list[int], kernel: int, dilation: int) -> None:
    torch.manual_seed(len(lengths))
    layer, batch = PackedConvolution(3, 4, kernel, dilation), rows_of(lengths)
    reach = (kernel - 1) // 2 * dilation
    weight, bias = layer.convolution.weight, layer.convolution.bias
    result = layer(batch)
    assert result.lengths.tolist() == lengths
    for got, row in zip(result.rows(), batch.rows(), strict=True):
        expected = F.conv1d(row.t()[None], weight, bias, padding=reach, dilation=dilation)[0].t()
        assert torch.allclose(got, expected, atol=1e-5)


def test_a_neighbour_changes_nothing() -> None:
    layer, batch = PackedConvolution(3, 4, 5, 2), rows_of([4, 7, 3])
    other = batch.values.clone()
    other[4:11] = 1e6
    before, after = layer(batch).rows(), layer(batch.with_values(other)).rows()
    assert torch.equal(before[0], after[0]) and torch.equal(before[2], after[2])
    assert not torch.allclose(before[1], after[1])


def test_gradients_reach_values_and_weights_but_not_the_neighbour() -> None:
    layer, batch = PackedConvolution(3, 4, 5), rows_of([4, 7])
    values = batch.values.clone().requires_grad_()
    layer(batch.with_values(values)).rows()[0].square().sum().backward()
    assert values.grad is not None and values.grad[:4].abs().sum() > 0
    assert not values.grad[4:].any()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in layer.parameters())


def test_a_stack_on_one_line_equals_layer_after_layer() -> None:
    torch.manual_seed(0)
    first, second = PackedConvolution(3, 3, 5, 1), PackedConvolution(3, 3, 3, 4)
    batch = rows_of([6, 1, 9])
    line = second.along(first.along(with_gaps(batch, 4)).cleared())
    assert torch.allclose(line.closed(), second(first(batch)).values, atol=1e-6)


def test_the_line_holds_gaps_between_rows_only() -> None:
    line = with_gaps(Packed.of([torch.ones(2, 1), torch.ones(3, 1)]), 2)
    assert line.values[:, 0].tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert line.letters[:, 0].tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert line.with_values(line.values + 5).cleared().values[:, 0].tolist() == [6, 6, 0, 0, 6, 6, 6]
    assert line.closed().tolist() == [[1.0]] * 5


def test_half_precision_on_request() -> None:
    layer, batch = PackedConvolution(8, 8, 5), rows_of([20, 3], channels=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = layer(batch).values
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), layer(batch).values, atol=0.03)


def test_an_even_kernel_and_a_narrow_gap_are_refused() -> None:
    with pytest.raises(ValueError, match="needs an odd kernel, got 4"):
        PackedConvolution(3, 3, 4)
    with pytest.raises(ValueError, match="got gaps of 1, expected at least 2"):
        PackedConvolution(3, 3, 5).along(with_gaps(rows_of([3, 3]), 1))
