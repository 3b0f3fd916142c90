"""Fine-tuning that stays near where it began."""

from typing import Any

import numpy as np
import pytest
import torch

from biograft.errors import BiograftError
from biograft.judgement import Judgement
from biograft.model import Model
from biograft.strategies.anchored import L2SP, Wise


def way(model: Model, before: dict[str, torch.Tensor]) -> float:
    """How far the weight that went furthest has gone."""
    return max(float((p - before[name]).abs().max()) for name, p in model.backbone.named_parameters())


def test_the_stronger_the_pull_the_nearer_it_stays(net: Any, loop: Any) -> None:
    ways = []
    for strength in (0.0, 30.0, 100.0):
        strategy = L2SP(learning_rate=5e-3, strength=strength)
        model = net(strategy)
        assert strategy.start(model, None) == []
        before = {name: p.detach().clone() for name, p in model.backbone.named_parameters()}
        loop(strategy, model, steps=60).run()
        ways.append(way(model, before))
    assert ways[0] > 2 * ways[1] > 2 * ways[2] > 0
    assert ways[1] < 1.1 / 30 and ways[2] < 1.1 / 100  # Adam's steps are about as long as the rate


def test_the_anchor_is_what_the_backbone_knew_and_the_head_has_none(net: Any) -> None:
    model = net(L2SP())
    (phase,) = L2SP().phases(model)
    backbone, head = phase.groups
    assert set(backbone.parameters) == set(model.backbone.parameters())
    assert set(head.parameters) == set(model.head.parameters()) and head.anchor is None
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert backbone.anchor is not None
    assert all(bool((p > a).all()) for p, a in zip(backbone.parameters, backbone.anchor, strict=True))


def test_a_pull_beyond_the_anchor_is_refused() -> None:
    with pytest.raises(BiograftError, match=r"'strength' times 'learning_rate' .* got 3, expected 0 to 1"):
        L2SP(learning_rate=3e-2, strength=100)


def ended(net: Any) -> tuple[Model, dict[str, torch.Tensor]]:
    """A model whose head has moved from 0 to 1, and what it began with."""
    model = net(Wise())
    model.head.register_buffer("count", torch.tensor(7))
    began = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items() if "head" in name}
    with torch.no_grad():
        model.head.linear.weight.fill_(1), model.head.linear.bias.fill_(1)
    return model, began


def test_the_best_point_of_the_line_is_taken(net: Any) -> None:
    model, began = ended(net)
    before = model.backbone.fingerprint()
    tried = []

    def judge(judged: Model) -> Judgement:
        tried.append(float(judged.head.linear.bias.detach()[0]))
        return Judgement("made_up", 1 - abs(tried[-1] - 0.3), 1.0)

    (note,) = Wise().finish(model, judge, began)
    np.testing.assert_allclose(tried, np.linspace(0, 1, 11), atol=1e-7)
    assert (tried[0], tried[-1]) == (0.0, 1.0)
    assert torch.equal(model.head.linear.weight, torch.full((2, 8), tried[3]))
    assert note == (
        "30% of the way from the probe to the fine-tuned weights, the best of 11 points on the validation part: "
        "made_up 1.000 (the probe 0.700, fine-tuned 0.300)"
    )
    assert model.backbone.fingerprint() == before  # what did not move stays
    assert model.head.count == 7


@pytest.mark.parametrize("best", [0, 4])
def test_its_ends_are_those_of_the_loop_exactly(net: Any, loop: Any, best: int) -> None:
    strategy, calls = Wise(points=5), iter(range(5))
    model = net(strategy)
    strategy.start(model, None)
    trainer = loop(strategy, model)
    stands = {}
    trainer.run(after_step=lambda step: stands.update({step: {n: t.clone() for n, t in model.state_dict().items()}}))
    assert trainer.began.keys() == stands[20].keys()
    strategy.finish(model, lambda _: Judgement("made_up", float(next(calls) == best), 1.0), trainer.began)
    expected = stands[8 if best == 0 else 20]  # two fifths of 20 steps are the probe's
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_nobody_to_judge_means_the_middle_and_no_line_means_nothing(net: Any) -> None:
    model, began = ended(net)
    assert Wise().finish(model, None, {}) == []
    assert torch.equal(model.head.linear.bias, torch.ones(2))
    assert Wise().finish(model, None, began)[0].startswith("Half way")
    assert torch.equal(model.head.linear.bias, torch.full((2,), 0.5))


def test_a_line_has_two_ends() -> None:
    with pytest.raises(BiograftError, match=r"'points' counts both ends: got 1, expected 2 or more"):
        Wise(points=1)
