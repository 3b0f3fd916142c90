"""Heads by name: what they give, by hand, and that they come back as they were."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from biograft.data.packed import Packed
from biograft.heads import HEADS, AttentionHead, CentroidHead, MLPHead, NeighboursHead
from biograft.tasks.levels import Residue, Sequence

CHANGES: dict[str, dict[str, Any]] = {
    "linear": {"dropout": 0.3},
    "convolutional": {"channels": 5, "kernel": 3, "dropout": 0.2},
    "centroid": {},
    "neighbours": {"records": 6, "neighbours": 2, "temperature": 0.2, "shares": False},
    "attention": {"queries": 3, "dropout": 0.2},
    "mlp": {"hidden": 5, "dropout": 0.2},
}


def filled(name: str) -> torch.nn.Module:
    """A head with numbers in every parameter and buffer."""
    head: torch.nn.Module = HEADS[name](Sequence(), 8, 3, **CHANGES[name])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in head.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return head.eval()


def rows(*lengths: int) -> Packed:
    generator = torch.Generator().manual_seed(1)
    return Packed.of([torch.randn(length, 8, generator=generator) for length in lengths])


@pytest.mark.parametrize("name", HEADS)
def test_a_head_comes_back_from_its_configuration(name: str) -> None:
    head = filled(name)
    assert head.configuration() == CHANGES[name]
    again = HEADS[name](Sequence(), 8, 3, **head.configuration())
    again.load_state_dict(head.state_dict())
    assert torch.equal(again.eval()(rows(4, 9)), head(rows(4, 9))) and head(rows(4, 9)).shape == (2, 3)


@pytest.mark.parametrize("name", HEADS)
def test_a_row_alone_is_a_row_among_others(name: str) -> None:
    head, together = filled(name), rows(4, 1, 9)
    alone = torch.cat([head(together.take([place])) for place in range(3)])
    torch.testing.assert_close(head(together), alone)


@pytest.mark.parametrize("name", ["linear", "convolutional", "mlp"])
def test_heads_that_answer_per_residue(name: str) -> None:
    assert HEADS[name](Residue(), 8, 3)(rows(4, 9)).shape == (13, 3)


def test_centroids_by_hand() -> None:
    head = CentroidHead(Sequence(), 2, 2)
    head.set_centroids(np.array([1.0, 0.0]), np.array([1.0, 2.0]), np.array([[5.0, 0.0], [0.0, 5.0]]), np.zeros(2))
    outputs = head(Packed.of([torch.tensor([[3.0, 0.0]]), torch.tensor([[4.0, 2.0]]), torch.tensor([[1.0, 0.0]])]))
    torch.testing.assert_close(outputs, torch.tensor([[5.0, 0.0], [3.0, 4.0], [0.0, 0.0]]))


def test_neighbours_by_hand() -> None:
    head = NeighboursHead(Sequence(), 2, 1, temperature=0.5)
    known, answers = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), np.array([[10.0], [20.0], [90.0]])
    head.set_records(np.zeros(2), np.ones(2), known, answers, np.zeros(1), 2)
    outputs = head(Packed.of([torch.tensor([[2.0, 2.0]]), torch.tensor([[7.0, 0.0]])]))
    share = 1 / (1 + np.exp(-1 / 0.5))
    torch.testing.assert_close(outputs, torch.tensor([[15.0], [10 * share + 20 * (1 - share)]], dtype=torch.float32))
    assert head.configuration() == {"records": 3, "neighbours": 2, "temperature": 0.5, "shares": False}


def test_shares_come_out_as_logarithms() -> None:
    head = NeighboursHead(Sequence(), 2, 2, shares=True)
    prior = np.array([0.75, 0.25])
    head.set_records(np.zeros(2), np.ones(2), np.eye(2), np.arange(2), prior, 1)
    torch.testing.assert_close(head(Packed.of([torch.tensor([[0.0, 3.0]])])).exp(), torch.tensor([[0.375, 0.625]]))


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor had that was made meanwhile."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, (list, tuple)) else [made]:
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return made


@pytest.mark.parametrize("shares", [True, False])
def test_neighbours_of_many_units_are_sought_in_pieces(monkeypatch: pytest.MonkeyPatch, shares: bool) -> None:
    random, outputs = np.random.default_rng(0), 40 if shares else 1
    head = NeighboursHead(Sequence(), 4, outputs, shares=shares)
    known = random.normal(size=(500, 4))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    answers = random.integers(outputs, size=500) if shares else random.normal(size=(500, 1))
    head.set_records(np.zeros(4), np.ones(4), known, answers, np.full(outputs, 1 / outputs), 20)
    assert head.get_buffer("answers").numel() == 500
    asked = Packed.of([torch.tensor(row[None], dtype=torch.float32) for row in random.normal(size=(90, 4))])
    whole = head(asked)
    monkeypatch.setattr("biograft.heads.MOST_COSINES", 10 * 500)
    with Largest() as largest:
        torch.testing.assert_close(head(asked), whole)
    assert largest.numbers == 10 * 500


def test_attention_begins_as_the_mean_and_learns_where_to_look() -> None:
    torch.manual_seed(0)
    head = AttentionHead(Sequence(), 4, 1, queries=2, dropout=0.0)
    vectors = torch.randn(40, 6, 4)
    vectors[:, :, 0] = 0.0
    marked = torch.randint(6, (40,))
    vectors[torch.arange(40), marked, 0] = 3.0  # the answer is at the mark alone
    truth = vectors[torch.arange(40), marked, 1]
    batch = Packed.of(list(vectors))
    normal = batch.with_values(head.normalise(batch.values)).mean()
    torch.testing.assert_close(head(batch), head.linear(normal.repeat(1, 2)))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.03)
    losses = []
    for _ in range(150):
        loss = (head(batch)[:, 0] - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_a_hidden_layer_is_not_linear() -> None:
    torch.manual_seed(0)
    head = MLPHead(Sequence(), 3, 1, hidden=4).eval()
    one, other = torch.randn(2, 3)
    outputs = head(Packed.of([one[None], other[None], (one + other)[None] / 2]))[:, 0]
    assert abs((outputs[2] - outputs[:2].mean()).item()) > 1e-3
