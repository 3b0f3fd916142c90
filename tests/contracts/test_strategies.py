"""What every strategy in the catalog promises, with any backbone, level and label kind."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.bundle import Bundle, load
from biograft.catalog import names, resolve
from biograft.errors import BiograftError

BACKBONES = [*names("backbones"), "noisy"]
COMBINATIONS = list(product(names("strategies"), BACKBONES, names("levels"), names("label_kinds")))
every = pytest.mark.parametrize(("strategy", "backbone", "level", "kind"), COMBINATIONS)
cached = [combination for combination in COMBINATIONS if resolve("strategies", combination[0]).cacheable]


def possible(trial: Any, *combination: str) -> Any:
    """A trial; skipped where model or strategy refuses the combination, which must be with advice."""
    try:
        made = trial.of(*combination)
        if not any(True for _ in made.model.backbone.parameters()) and not made.strategy.cacheable:
            with pytest.raises(BiograftError, match="has no weights that could learn"):
                made.strategy.start(made.model, None)
            pytest.skip("nothing to train in this backbone")
        if not made.strategy.cacheable:
            other = trial.of(*combination)
            other.strategy.start(other.model, None)
    except BiograftError as fault:
        assert "Choose" in str(fault)
        pytest.skip("refused, with advice")
    return made


def tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@every
def test_it_learns_and_leaves_a_model_at_rest(
    strategy: str, backbone: str, level: str, kind: str, trial: Any, tmp_path: Path
) -> None:
    made = possible(trial, strategy, backbone, level, kind)
    head = tensors(made.model.head)
    targets = made.train.targets
    constant = torch.from_numpy(np.tile(made.model.kind.constant(targets), (len(targets), 1)))
    flat = float(made.model.kind.loss(constant, torch.from_numpy(targets)).mean())
    made.carry(tmp_path, steps=40, judged=False)
    assert not same(tensors(made.model.head), head)
    if made.looped:  # under dropout a solved head may lose some of its fit, but not all
        assert made.loss() < max(made.began, flat)
    else:
        assert made.loss() <= flat + 1e-6
    assert not any(parameter.requires_grad for parameter in made.model.parameters())
    assert not any(module.training for module in made.model.modules())
    assert type(made.model.backbone).name == backbone


@every
def test_batch_equals_alone_afterwards(
    strategy: str, backbone: str, level: str, kind: str, trial: Any, tmp_path: Path
) -> None:
    made = possible(trial, strategy, backbone, level, kind).carry(tmp_path)
    rows, units = made.train.rows, made.train.units
    together = np.split(made.model.outputs(rows), np.cumsum(units)[:-1])
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = np.split(made.model.outputs([rows[i] for i in order], budget=20), np.cumsum(units[order])[:-1])
    for place, row in enumerate(order):
        np.testing.assert_allclose(shuffled[place], together[row], atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(made.model.outputs([rows[row]]), together[row], atol=1e-5, rtol=1e-5)


@every
def test_killed_and_continued_equals_never_stopped(
    strategy: str, backbone: str, level: str, kind: str, trial: Any, tmp_path: Path
) -> None:
    whole = possible(trial, strategy, backbone, level, kind).carry(tmp_path / "whole")
    try:
        trial.of(strategy, backbone, level, kind).carry(tmp_path / "killed", stop=7)
    except InterruptedError:
        continued = trial.of(strategy, backbone, level, kind).carry(tmp_path / "killed")
        assert same(tensors(continued.model), tensors(whole.model))
    else:
        assert not whole.looped


@pytest.mark.parametrize(("strategy", "backbone", "level", "kind"), cached)
def test_what_rests_is_bit_identical_afterwards(
    strategy: str, backbone: str, level: str, kind: str, trial: Any, tmp_path: Path
) -> None:
    made = possible(trial, strategy, backbone, level, kind)
    before, modes = tensors(made.model.backbone), []
    made.model.backbone.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    made.carry(tmp_path)
    assert same(tensors(made.model.backbone), before)
    assert not any(modes) or not before


@pytest.mark.parametrize(("strategy", "backbone", "level", "kind"), cached)
def test_cached_equals_live(strategy: str, backbone: str, level: str, kind: str, trial: Any, tmp_path: Path) -> None:
    live = possible(trial, strategy, backbone, level, kind)
    if not any(True for _ in live.model.backbone.parameters()):
        pytest.skip("nothing to cache: encoding is all it does")
    live.carry(tmp_path / "live")
    stored = trial.of(strategy, backbone, level, kind).carry(tmp_path / "cached", cached=True)
    outputs = live.model.outputs(live.train.rows)
    np.testing.assert_allclose(stored.model.outputs(stored.train.rows), outputs, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("strategy", "backbone", "level", "kind"), [c for c in COMBINATIONS if c[1] != "noisy"])
def test_reloaded_equals_in_memory(
    strategy: str, backbone: str, level: str, kind: str, trial: Any, tmp_path: Path
) -> None:
    made = possible(trial, strategy, backbone, level, kind).carry(tmp_path / "run")
    bundle = Bundle(made.model, "label", made.records)
    bundle.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert np.array_equal(again.model.outputs(made.train.rows), made.model.outputs(made.train.rows))
    asked = made.records.take([5, 0, 9])
    expected, found = bundle.predict(asked).table(), again.predict(asked).table()
    assert {name: list(column) for name, column in found.items()} == {n: list(c) for n, c in expected.items()}
    assert found["id"] == asked.ids == found["nearest"]


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name not in ("onehot", "kmer", "composition")])
def test_scratch_forgets_what_the_backbone_knew(backbone: str, trial: Any, tmp_path: Path) -> None:
    one, other = (trial.of("scratch", backbone, "sequence", "regression", weights=seed) for seed in (1, 2))
    assert not same(tensors(one.model.backbone), tensors(other.model.backbone))
    one.carry(tmp_path / "one")
    other.carry(tmp_path / "other")
    assert same(tensors(one.model), tensors(other.model))
    kept = [trial.of("full", backbone, "sequence", "regression", weights=seed) for seed in (1, 2)]
    kept[0].carry(tmp_path / "two"), kept[1].carry(tmp_path / "three")
    assert not same(tensors(kept[0].model), tensors(kept[1].model))


@pytest.mark.parametrize("strategy", names("strategies"))
def test_a_strategy_says_what_it_is(strategy: str) -> None:
    made = resolve("strategies", strategy)()
    assert made.name == strategy
    assert isinstance(made.cacheable, bool)
