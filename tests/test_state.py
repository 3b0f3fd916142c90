"""A saved state is read back bit by bit, or refused; a failed saving leaves the one before."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from biograft.errors import BiograftError
from biograft.optimisers import Optimisers
from biograft.state import State, random_state, set_random_state
from biograft.strategies.strategy import Group


def sections() -> dict[str, dict[str, Tensor]]:
    grid = torch.arange(12.0).reshape(3, 4)
    return {
        "now": {"a.weight": grid, "a/odd name": grid.t(), "view": grid[1], "count": torch.tensor(3)},
        "best": {"half": torch.tensor([1.5, float("inf")], dtype=torch.bfloat16)},
        "none": {},
    }


def test_all_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "state.safetensors"
    assert State.load(path) is None
    standing = {"step": 7, "rank": [float("-inf"), 0.1], "metric": None}
    State(sections(), standing).save(path)
    state = State.load(path)
    assert state is not None
    assert state.standing == standing
    for name, part in sections().items():
        assert state.section(name).keys() == part.keys()
        assert all(torch.equal(state.section(name)[key], tensor) for key, tensor in part.items())
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_failed_saving_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.safetensors"
    State(sections(), {"step": 1}).save(path)

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BiograftError, match=r"could not be saved in .*No space left.*the same command continues"):
            State(sections(), {"step": 2}).save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    state = State.load(path)
    assert state is not None
    assert state.standing == {"step": 1}


def test_a_limit_on_sizes_leaves_the_state_before(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    State(sections(), {"step": 1}).save(path)
    program = (
        "import resource, sys, torch; from pathlib import Path; from biograft.state import State\n"
        "from biograft.errors import BiograftError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: State({'now': {'a': torch.zeros(100, 100)}}, {'step': 2}).save(Path(sys.argv[1]))\n"
        "except BiograftError as fault: print(fault)"
    )
    told = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert "could not be saved" in told.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    state = State.load(path)
    assert state is not None
    assert state.standing == {"step": 1}


@pytest.mark.parametrize("damage", ["empty", "cut in the head", "cut in the tensors", "no standing", "other file"])
def test_a_damaged_state_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.safetensors"
    State(sections(), {"step": 1}).save(path)
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "cut in the head": content[:40],
        "cut in the tensors": content[:-5],
        "no standing": content.replace(b"standing", b"standong"),
        "other file": b"PK\x03\x04" * 100,
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(BiograftError, match=r"state\.safetensors' is damaged .*Remove it to begin the run anew"):
        State.load(path)


def test_random_numbers_go_on_where_they_stood() -> None:
    with torch.random.fork_rng([]):
        torch.rand(5)
        state = random_state("cpu")
        expected = torch.rand(5)
        torch.rand(100)
        set_random_state(state, "cpu")
        assert torch.equal(torch.rand(5), expected)


def _net() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))


def _groups(net: nn.Sequential) -> list[Group]:
    matrices = tuple(p for p in net.parameters() if p.ndim == 2)
    vectors = tuple(p for p in net.parameters() if p.ndim == 1)
    return [Group(matrices, 1e-2, optimiser="muon"), Group(vectors[:1], 1e-2), Group(vectors[1:], 1e-3), Group((), 1.0)]


def _steps(net: nn.Sequential, optimisers: Optimisers, steps: range) -> None:
    for step in steps:
        optimisers.clear()
        net(torch.arange(8.0).reshape(2, 4) + step).square().sum().backward()
        optimisers.step(0.5)


def test_several_optimisers_continue_as_one() -> None:
    whole, part = _net(), _net()
    _steps(whole, Optimisers(_groups(whole)), range(6))
    first = Optimisers(_groups(part))
    _steps(part, first, range(3))
    state = {name: tensor.clone() for name, tensor in first.state().items()}
    assert {name.split("/")[0] for name in state} == {"muon", "adamw"}
    second = Optimisers(_groups(part))
    second.load(state)
    _steps(part, second, range(3, 6))
    start = _net()
    for one, two, three in zip(whole.parameters(), part.parameters(), start.parameters(), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


def test_muon_takes_matrices_and_names_are_known() -> None:
    net = _net()
    with pytest.raises(ValueError, match=r"matrices only: got a parameter of shape \(3,\)"):
        Optimisers([Group(tuple(net.parameters()), 1e-2, optimiser="muon")])
    with pytest.raises(ValueError, match="Unknown optimiser: got 'adam', expected one of adamw, muon"):
        Optimisers([Group(tuple(net.parameters()), 1e-2, optimiser="adam")])
