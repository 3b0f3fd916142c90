"""What moves a phase's groups: decay to an anchor, and moments that outlive a phase."""

import pytest
import torch
from torch import nn

from biograft.optimisers import Optimisers
from biograft.strategies.strategy import Group


def matrices(count: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(2)
    return [nn.Parameter(torch.randn(3, 2, generator=generator)) for _ in range(count)]


def steps(optimisers: Optimisers, first: int, last: int, factor: float = 1.0) -> None:
    for number in range(first, last):
        generator = torch.Generator().manual_seed(number)
        for parameter in optimisers.parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimisers.step(factor)


def test_an_anchor_at_zero_is_weight_decay() -> None:
    (one,), (two,) = matrices(1), matrices(1)
    steps(Optimisers([Group((one,), 1e-2, 0.5)]), 0, 20, 0.7)
    steps(Optimisers([Group((two,), 1e-2, 0.5, anchor=(torch.zeros(3, 2),))]), 0, 20, 0.7)
    torch.testing.assert_close(one, two)


def test_the_way_back_is_the_rate_times_the_decay_and_only_where_there_is_a_gradient() -> None:
    moving, resting = matrices(2)
    goal = torch.full((3, 2), 5.0)
    optimisers = Optimisers([Group((moving, resting), 1e-2, 10.0, anchor=(goal, goal))])
    before = [moving.detach().clone(), resting.detach().clone()]
    moving.grad = torch.zeros(3, 2)
    optimisers.step(0.5)
    torch.testing.assert_close(moving.detach(), before[0] + 0.05 * (goal - before[0]))
    assert torch.equal(resting, before[1])


@pytest.mark.parametrize("optimiser", ["adamw", "muon", "sgd"])
def test_what_moved_before_goes_on_as_if_nothing_had_changed(optimiser: str) -> None:
    (one, _), (two, late), (three, other) = matrices(2), matrices(2), matrices(2)
    steps(Optimisers([Group((one,), 1e-2, optimiser=optimiser)]), 0, 8)
    for kept, (early, new) in ((True, (two, late)), (False, (three, other))):
        first = Optimisers([Group((early,), 1e-2, optimiser=optimiser)])
        steps(first, 0, 4)
        second = Optimisers([Group((early,), 1e-2, optimiser=optimiser), Group((new,), 1e-3, optimiser=optimiser)])
        if kept:
            second.take_over(first)
        steps(second, 4, 8)
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    assert torch.equal(late, other)  # it has nothing to take over


def test_another_kind_of_optimiser_takes_nothing_over() -> None:
    (weight,) = matrices(1)
    first = Optimisers([Group((weight,), 1e-2)])
    steps(first, 0, 2)
    second = Optimisers([Group((weight,), 1e-2, optimiser="muon")])
    second.take_over(first)
    assert first.state() and not second.state()
