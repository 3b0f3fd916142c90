"""The reversed gradient: what the backbone gets of it, what the domain head gets, and that nothing of it stays."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from biograft.data.examples import Examples, ExampleStream
from biograft.errors import BiograftError
from biograft.hardware import Hardware
from biograft.model import Model
from biograft.run import RunFolder
from biograft.strategies.adversarial import Adversarial, reverse
from biograft.strategies.full import Full
from biograft.strategies.objective import features
from biograft.strategies.strategy import Strategy
from biograft.trainer import Trainer
from biograft.training import Training


def examples(rows: list[np.ndarray], targets: np.ndarray) -> Examples:
    ones = np.ones(len(rows), dtype=np.int64)
    return Examples(rows, targets.astype(np.int64), ones.astype(bool), ones, np.arange(len(rows)))


def labelled(seed: int = 0) -> Examples:
    """Class b has letters that class a lacks; all of them from the first eight."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(2, size=48)
    rows = [(generator.integers(0, 6, size=12) + 2 * label).astype(np.uint8) for label in classes]
    return examples(rows, classes)


def domains() -> Examples:
    """The labelled records, and others in which a third of the letters are of another kind."""
    generator = np.random.default_rng(7)
    rows = labelled().rows
    others = [np.where(generator.random(12) < 0.4, 15, row).astype(np.uint8) for row in labelled(1).rows]
    return examples([*rows, *others], np.repeat([0, 1], [len(rows), len(others)]))


def trained(strategy: Strategy, model: Model, folder: Path, steps: int = 60) -> nn.Module:
    """What the loop leaves of the learner."""
    strategy.start(model, None)
    with torch.random.fork_rng([]):
        torch.manual_seed(2)
        learner, both = strategy.learner(model), domains()
    streams = {
        "target": ExampleStream(labelled(), 200, 1), "unlabelled": ExampleStream(both, 400, 1, both.targets)
    }  # fmt: skip
    training, run = Training(steps=steps, every=steps), RunFolder.open(folder, {})
    Trainer(learner, strategy.phases(learner), streams, None, training, Hardware(), run, 3).run()
    return learner


def gradients(learner: Any, share: float, strategy: Adversarial) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Of the domain term, by backbone and domain head."""
    learner.eval().zero_grad()
    term = strategy.phases(learner)[0].terms[1]
    term.value(learner, domains().batch(np.arange(40, 60)), share).backward()
    parts = (learner.models["target"].backbone, learner.domain)
    return tuple([p.grad.clone() for p in part.parameters() if p.grad is not None] for part in parts)  # type: ignore[return-value]


def test_a_reversed_value_is_the_value_and_its_gradient_is_turned() -> None:
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    found = reverse(values, 0.25)
    assert torch.equal(found, values)
    (found * torch.tensor([4.0, 8.0])).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [-1.0, -2.0]


def test_the_strength_rises_as_in_the_paper() -> None:
    plan = Adversarial(weight=0.5)
    assert plan.strength(0.0) == 0.0
    assert plan.strength(0.3) == pytest.approx(0.5 * (2 / (1 + math.exp(-3)) - 1))
    assert plan.strength(1.0) == pytest.approx(0.5, rel=1e-3)


def test_the_backbone_gets_the_gradient_reversed_and_the_domain_head_gets_it_whole(net: Any) -> None:
    strategy = Adversarial()
    learner = strategy.learner(net(strategy))
    none, head = gradients(learner, 0.0, strategy)
    some, same = gradients(learner, 0.1, strategy)
    more, _ = gradients(learner, 0.5, strategy)
    assert not any(bool(part.any()) for part in none)
    assert all(torch.equal(one, other) for one, other in zip(head, same, strict=True)) and bool(head[0].any())
    ratio = strategy.strength(0.5) / strategy.strength(0.1)
    for one, other in zip(some, more, strict=True):
        torch.testing.assert_close(other, ratio * one, rtol=1e-4, atol=1e-7)
    # One step along the backbone's gradient makes the domains harder to tell, not easier.
    batch, term = domains().batch(np.arange(40, 60)), strategy.phases(learner)[0].terms[1]
    before = float(term.value(learner, batch, 0.5).detach())
    with torch.no_grad():
        moving = [p for p in learner.models["target"].backbone.parameters() if p.grad is not None]
        for parameter, gradient in zip(moving, more, strict=True):
            parameter -= 0.01 * gradient
    assert float(term.value(learner, batch, 0.5).detach()) > before


def test_both_domains_have_the_same_say_and_a_blind_head_loses_log_two(net: Any) -> None:
    strategy = Adversarial()
    learner: Any = strategy.learner(net(strategy))
    term, both = strategy.phases(learner)[0].terms[1], domains()
    with torch.no_grad():
        learner.domain.layers[2].weight.zero_()
        learner.domain.layers[2].bias.fill_(1.0)
        few = float(term.value(learner, both.batch(np.arange(47, 60)), 0.5))
        even = float(term.value(learner, both.batch(np.arange(30, 66)), 0.5))
        learner.domain.layers[2].bias.zero_()
        blind = float(term.value(learner, both.batch(np.arange(40, 50)), 0.5))
        alone = float(term.value(learner, both.batch(np.arange(5)), 0.5))
    assert few == pytest.approx(even) and blind == alone == pytest.approx(math.log(2))


def test_domains_are_told_less_well_than_after_full_fine_tuning(net: Any, tmp_path: Path) -> None:
    """The distance between the means of the features, in units of their spread, falls from 0.78 to between 0.44 and
    0.64, whatever the seed of the domain head."""
    apart = {}
    for strategy in (Full(learning_rate=3e-3), Adversarial(weight=1.0, learning_rate=3e-3, domain_learning_rate=1e-2)):
        learner, both = trained(strategy, net(strategy), tmp_path / strategy.name, 150), domains().batch(np.arange(96))
        with torch.no_grad():
            values = features(strategy.target(learner), both)
        one, other = (values[both.targets == domain] for domain in (0, 1))
        spread = torch.cat([one - one.mean(0), other - other.mean(0)]).square().mean()
        apart[strategy.name] = float((one.mean(0) - other.mean(0)).square().mean() / spread)
    assert apart["adversarial"] < 0.9 * apart["full"]


def test_the_task_is_learned_while_the_domain_head_learns_too(net: Any, tmp_path: Path) -> None:
    strategy = Adversarial(learning_rate=3e-3, domain_learning_rate=3e-3)
    model = net(strategy)
    learner: Any = trained(strategy, model, tmp_path / "run", 150)
    with torch.random.fork_rng([]):
        torch.manual_seed(2)
        fresh: Any = strategy.learner(net(strategy))
    assert not any(
        torch.equal(a, b) for a, b in zip(learner.domain.parameters(), fresh.domain.parameters(), strict=True)
    )
    assert (model.outputs(labelled(2).rows).argmax(axis=1) == labelled(2).targets).mean() > 0.8


def test_what_is_left_is_the_plain_model(net: Any, tmp_path: Path) -> None:
    strategy = Adversarial()
    model = net(strategy)
    names = model.state_dict().keys()
    learner: Any = trained(strategy, model, tmp_path / "run", 5)
    assert strategy.target(learner) is model and model.state_dict().keys() == names
    assert not any(p.requires_grad for p in learner.parameters())


@pytest.mark.parametrize("choices", [{"weight": -1.0}, {"weight": math.inf}, {"hidden": 0}])
def test_choices_that_cannot_be_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(BiograftError, match=r"Choice .(weight|hidden). is .* is usual"):
        Adversarial(**choices)
