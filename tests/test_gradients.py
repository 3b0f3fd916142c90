"""Gradients of two losses: agreement and projection with answers known from geometry."""

import pytest
import torch
from torch import nn

from biograft import gradients

EAST, NORTH_WEST = [torch.tensor([2.0, 0.0])], [torch.tensor([-1.0, 1.0])]


def test_the_cosine_is_that_of_the_angle() -> None:
    assert gradients.cosine(EAST, EAST) == pytest.approx(1.0)
    assert gradients.cosine(EAST, NORTH_WEST) == pytest.approx(-(0.5**0.5))
    assert gradients.cosine(EAST, [torch.zeros(2)]) == 0.0
    assert gradients.cosine(EAST, [None]) == 0.0


def test_parameters_of_one_loss_alone_do_not_count_for_the_angle() -> None:
    first, second = [*EAST, torch.tensor([9.0]), None], [*NORTH_WEST, None, torch.tensor([9.0])]
    assert gradients.cosine(first, second) == pytest.approx(-(0.5**0.5))


def test_what_is_against_the_target_is_taken_out_of_the_source() -> None:
    source = [*NORTH_WEST, torch.tensor([7.0]), None]
    target = [*EAST, None, torch.tensor([1.0])]
    shared, own, missing = gradients.harmless(source, target)
    assert shared is not None and torch.allclose(shared, torch.tensor([0.0, 1.0]))
    assert own is not None and own.item() == 7.0 and missing is None
    agreeing = gradients.harmless(EAST, EAST)
    assert agreeing[0] is EAST[0]


def test_none_is_zero_in_a_sum() -> None:
    both = gradients.summed([*EAST, None, None], [*NORTH_WEST, torch.tensor([3.0]), None])
    assert both[0] is not None and both[0].tolist() == [1.0, 1.0]
    assert both[1] is not None and both[1].item() == 3.0 and both[2] is None


def test_taken_gradients_are_gone() -> None:
    weight = nn.Parameter(torch.ones(2))
    (weight * torch.tensor([1.0, 3.0])).sum().backward()
    (found,) = gradients.taken([weight])
    assert found is not None and found.tolist() == [1.0, 3.0] and weight.grad is None
