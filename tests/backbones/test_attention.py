"""Packed rotary attention against the textbook formula, row by row."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from biograft.backbones import attention
from biograft.backbones.attention import Positions, RotaryAttention, attend, frequencies, rotate

CPU = torch.device("cpu")


def positions_of(lengths: list[int], head_width: int = 8) -> Positions:
    return Positions.of(torch.tensor(lengths), frequencies(head_width), CPU)


def textbook(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = torch.einsum("ihd,jhd->hij", query, key) / math.sqrt(query.shape[-1])
    return torch.einsum("hij,jhd->ihd", scores.softmax(-1), value)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_each_row_attends_to_itself_alone(lengths: list[int]) -> None:
    torch.manual_seed(0)
    parts = [torch.randn(sum(lengths), 2, 8) for _ in range(3)]
    result = attend(*parts, positions_of(lengths))
    rows = [part.split(lengths) for part in parts]
    expected = torch.cat([textbook(*row) for row in zip(*rows, strict=True)])
    assert torch.allclose(result, expected, atol=1e-5)


def test_angles_restart_in_every_row_and_turn_pairs() -> None:
    positions = positions_of([3, 2], head_width=4)
    assert frequencies(4).tolist() == pytest.approx([1.0, 0.01])
    vectors = torch.tensor([1.0, 0.0, 0.0, 1.0]).expand(5, 1, 4)
    turned = rotate(vectors, positions)[:, 0]
    for token, place in enumerate([0, 1, 2, 0, 1]):
        slow = 0.01 * place  # the pairs are (0, 2) and (1, 3), and come back side by side
        expected = [math.cos(place), math.sin(place), -math.sin(slow), math.cos(slow)]
        assert turned[token].tolist() == pytest.approx(expected, abs=1e-6)


def test_scores_depend_on_distance_only() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(8), torch.randn(8)
    positions = positions_of([50])
    turned_query = rotate(query.expand(50, 1, 8), positions)[:, 0]
    turned_key = rotate(key.expand(50, 1, 8), positions)[:, 0]
    scores = turned_query @ turned_key.t()
    for distance in (-5, 0, 12):
        diagonal = scores.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4)


def test_half_precision_is_turned_in_single() -> None:
    vectors, positions = torch.randn(900, 1, 8), positions_of([900])
    half = rotate(vectors.bfloat16(), positions)
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), rotate(vectors.bfloat16().float(), positions), atol=0.02)


def test_dropout_only_in_training() -> None:
    torch.manual_seed(0)
    layer, values, positions = RotaryAttention(16, 2, dropout=0.5), torch.randn(9, 16), positions_of([9])
    assert not torch.equal(layer(values, positions), layer(values, positions))
    layer.eval()
    assert torch.equal(layer(values, positions), layer(values, positions))


def test_gradients_stay_in_their_row() -> None:
    layer, values, positions = RotaryAttention(16, 2), torch.randn(9, 16), positions_of([5, 4])
    values.requires_grad_()
    layer(values, positions)[:5].square().sum().backward()
    assert values.grad is not None and values.grad[:5].any() and not values.grad[5:].any()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_the_kernel_for_a_gpu_gets_what_its_contract_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU needed: a stand-in with the kernel's contract takes the call."""
    varlen = pytest.importorskip("torch.nn.attention.varlen")

    def stand_in(q: Tensor, k: Tensor, v: Tensor, starts: Tensor, also: Tensor, longest: int, most: int) -> Tensor:
        assert starts.dtype == also.dtype == torch.int32
        assert longest == most == 7
        spans = list(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
        return torch.cat([textbook(q[a:b], k[a:b], v[a:b]) for a, b in spans])

    parts, positions = [torch.randn(12, 2, 8) for _ in range(3)], positions_of([4, 7, 1])
    by_row = attend(*parts, positions)
    monkeypatch.setattr(varlen, "varlen_attn", stand_in)
    monkeypatch.setattr(attention, "_one_kernel_serves", lambda query, dropout: True)
    assert torch.allclose(attend(*parts, positions), by_row, atol=1e-5)


def test_that_kernel_is_left_alone_without_a_gpu() -> None:
    assert not attention._one_kernel_serves(torch.zeros(1, 1, 8, dtype=torch.bfloat16), 0.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_kernel_on_a_gpu_equals_rows_one_by_one() -> None:
    parts = [torch.randn(120, 4, 32) for _ in range(3)]
    expected = attend(*parts, positions_of([50, 1, 69], 32))
    there = Positions.of(torch.tensor([50, 1, 69]), frequencies(32), torch.device("cuda"))
    result = attend(*(part.to("cuda", torch.bfloat16) for part in parts), there)
    assert torch.allclose(result.float().cpu(), expected, atol=0.03)


def test_with_matrix_tiles_half_precision_stays_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, values, positions = (
        RotaryAttention(32, 2).eval().bfloat16(),
        torch.randn(40, 32).bfloat16(),
        positions_of([25, 15], 16),
    )
    seen: list[torch.dtype] = []
    whole = attention.attend
    monkeypatch.setattr(attention, "attend", lambda *parts: seen.append(parts[0].dtype) or whole(*parts))
    found = []
    for tiles in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda there=tiles: there)
        found.append(layer(values, positions))
    assert seen == [torch.float32, torch.bfloat16] and found[0].dtype == found[1].dtype == torch.bfloat16
    assert torch.allclose(found[0].float(), found[1].float(), atol=0.02)
