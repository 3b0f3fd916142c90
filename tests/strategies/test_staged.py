"""First the head, then what is below it."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from biograft.errors import BiograftError
from biograft.strategies.frozen import Frozen
from biograft.strategies.staged import LPFT, Gradual
from biograft.strategies.strategy import FixedFeatures
from biograft.tasks.levels import Residue, Sequence


def features() -> FixedFeatures:
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 8)).astype(np.float32)
    return FixedFeatures(values, (values[:, 0] > 0.2).astype(np.int64), np.arange(60) // 2, 3)


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def moved(module: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


def test_fine_tuning_begins_at_the_head_that_frozen_would_end_with(net: Any) -> None:
    plan, probe = net(LPFT()), net(Frozen())
    notes = LPFT().start(plan, features())
    assert notes == Frozen().start(probe, features()) and "logistic" in notes[0]
    assert torch.equal(plan.head.linear.weight, probe.head.linear.weight)
    assert torch.equal(plan.head.linear.bias, probe.head.linear.bias)
    (phase,) = LPFT().phases(plan)
    rates = {parameter: group.learning_rate for group in phase.groups for parameter in group.parameters}
    assert rates == {p: 1e-4 if name.startswith("head") else 3e-5 for name, p in plan.named_parameters()}
    assert not phase.remembered
    assert LPFT().exact(Sequence()) and not LPFT().exact(Residue()) and not LPFT.cacheable


def test_without_a_solver_the_probe_is_a_phase_of_the_head_alone(net: Any, loop: Any) -> None:
    strategy = LPFT(probe_share=0.5)
    model = net(strategy)
    assert strategy.start(model, None) == []
    before, stands = weights(model), {}
    loop(strategy, model).run(after_step=lambda step: stands.update({step: weights(model)}))
    changed = {step: {name for name in before if not torch.equal(stand[name], before[name])}
               for step, stand in stands.items()}  # fmt: skip
    assert changed[1] == changed[10] == {"head.linear.weight", "head.linear.bias"}
    assert "backbone.embedding.weight" in changed[11]
    step = (stands[11]["head.linear.weight"] - stands[10]["head.linear.weight"]).abs().max()
    assert 0 < step < 1.1e-4  # it goes on from where the probe ended


def test_batch_norms_rest_so_that_the_probe_fits_what_fine_tuning_begins_with(net: Any) -> None:
    for strategy in (LPFT(), Gradual()):
        model = net(strategy)
        model.backbone.layers[0].extra = nn.BatchNorm1d(8)
        strategy.start(model, None)
        moving = {p for phase in strategy.phases(model) for group in phase.groups for p in group.parameters}
        assert set(model.parameters()) - moving == set(model.backbone.layers[0].extra.parameters())


def test_blocks_are_unfrozen_from_the_top(net: Any, loop: Any) -> None:
    strategy = Gradual(unfreezing=0.6)
    model = net(strategy)
    assert strategy.start(model, None) == []
    before, seen, modes = weights(model), {}, {}
    lower = model.backbone.layers[0]
    lower.register_forward_pre_hook(lambda module, _: modes.update({len(seen): module.training}))
    loop(strategy, model).run(after_step=lambda step: seen.update({step: moved(model, before)}))
    head = {name for name in before if name.startswith("head")}
    top = {name for name in before if name.startswith(("backbone.layers.1", "backbone.normalise"))}
    middle = {name for name in before if name.startswith("backbone.layers.0")}
    assert seen[4] == head
    assert seen[5] == seen[8] == head | top
    assert seen[9] == seen[12] == head | top | middle
    assert seen[13] == set(before)
    assert [modes[step] for step in (0, 7, 8, 19)] == [False, False, True, True]


def test_one_course_of_the_rates_and_one_optimiser(net: Any, loop: Any) -> None:
    strategy = Gradual()
    model = net(strategy)
    strategy.start(model, None)
    trainer = loop(strategy, model, steps=100)
    counts = {}
    step = trainer._step

    def counted(phase: Any, optimisers: Any) -> None:
        step(phase, optimisers)
        (adamw,) = optimisers._members.values()
        counts[trainer._standing.step] = int(adamw.state[model.head.linear.weight]["step"])

    trainer._step = counted
    trainer.run()
    assert all(count == made for made, count in counts.items())  # never begun anew
    rates = [entry["rate"] for entry in trainer.folder.history() if "rate" in entry]
    assert all(one > two for one, two in pairwise(rates[1:]))


def test_rates_fall_towards_the_letters(net: Any) -> None:
    strategy = Gradual(learning_rate=1e-3, layer_decay=0.5)
    model = net(strategy)
    *_, last = strategy.phases(model)
    assert [group.learning_rate for group in last.groups] == [1e-3, 1e-3, 5e-4, 2.5e-4]
    assert set(last.groups[-1].parameters) == set(model.backbone.embedding.parameters())
    assert sum(phase.share for phase in strategy.phases(model)) == pytest.approx(1)


def test_a_backbone_that_knows_nothing_is_told_of(net: Any) -> None:
    for strategy in (LPFT(), Gradual()):
        model = net(strategy)
        model.backbone.pretrained = False
        assert "training from scratch" in strategy.start(model, None)[-1]


@pytest.mark.parametrize(("kind", "choice"), [(LPFT, "probe_share"), (Gradual, "unfreezing")])
def test_a_share_is_a_share(kind: Any, choice: str) -> None:
    for value in (0, 1, 1.5):
        with pytest.raises(BiograftError, match=f"'{choice}' is a share of the steps: got {value:g}, expected between"):
            kind(**{choice: value})
