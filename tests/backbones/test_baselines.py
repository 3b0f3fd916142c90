"""One-hot, k-mers, composition and the convolutional net: known values, and what every backbone promises."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biograft.backbones.backbone import Backbone
from biograft.backbones.baselines import CNNConfiguration, Composition, DilatedCNN, KMer, OneHot
from biograft.data.alphabet import DNA, PROTEIN, RNA, Alphabet
from biograft.data.packed import Packed
from biograft.errors import BiograftError

SMALL = CNNConfiguration(width=16, kernel=3, dilations=(1, 2), dropout=0.1)
LETTERS = st.text(alphabet=PROTEIN.letters, min_size=1, max_size=40)


def backbones() -> list[Backbone]:
    torch.manual_seed(0)
    small = [OneHot(PROTEIN), KMer(PROTEIN), Composition(DNA), DilatedCNN(PROTEIN, SMALL)]
    return [backbone.eval() for backbone in small]


def sequences(alphabet: Alphabet) -> list[str]:
    generator = np.random.default_rng(3)
    return ["".join(generator.choice(list(alphabet.letters), size)) for size in (1, 40, 7, 23)]


@pytest.mark.parametrize("backbone", backbones(), ids=lambda backbone: backbone.name)
def test_batch_equals_alone_in_any_order(backbone: Backbone) -> None:
    rows = [backbone.encode(sequence) for sequence in sequences(backbone.alphabet)]
    order = [2, 0, 3, 1]
    with torch.inference_mode():
        together = backbone.vectors(Packed.of(rows)).rows()
        shuffled = backbone.vectors(Packed.of([rows[row] for row in order])).rows()
        for place, row in enumerate(order):
            alone = backbone.vectors(Packed.of([rows[row]])).values
            assert alone.shape[1] == backbone.width
            assert torch.allclose(together[row], alone, atol=1e-5)
            assert torch.allclose(shuffled[place], alone, atol=1e-5)


@pytest.mark.parametrize("backbone", backbones(), ids=lambda backbone: backbone.name)
def test_a_configuration_rebuilds_the_architecture(backbone: Backbone) -> None:
    stored = json.loads(json.dumps(backbone.configuration()))
    again = type(backbone).from_configuration(stored)
    again.load_state_dict(backbone.state_dict())
    assert again.configuration() == backbone.configuration()
    assert again.fingerprint() == backbone.fingerprint()
    assert (again.alphabet, again.width) == (backbone.alphabet, backbone.width)


def test_one_hot_of_letters_and_of_ambiguity() -> None:
    backbone = OneHot(DNA)
    values = backbone(Packed.of([backbone.encode("ATN"), backbone.encode("GR")])).values
    expected = [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert values.tolist() == expected
    assert not list(backbone.parameters()) and not backbone.state_dict()
    assert backbone.positional and not backbone.standardise and not backbone.blocks()


@settings(max_examples=40, deadline=None)
@given(sequence=LETTERS, longest=st.integers(1, 3))
def test_k_mers_are_counted_as_by_hand(sequence: str, longest: int) -> None:
    vector = KMer(PROTEIN, longest).encode(sequence)
    core, start = PROTEIN.letters[:20], 0
    assert vector.dtype == np.float32
    for k in range(1, longest + 1):
        words = [sequence[place : place + k] for place in range(len(sequence) - k + 1)]
        words = [word for word in words if set(word) <= set(core)]
        block = vector[0, start : start + 20**k]
        start += 20**k
        assert np.isclose((block**2).sum(), 1.0 if words else 0.0, atol=1e-5)
        for word in set(words):
            place = sum(core.index(letter) * 20 ** (k - 1 - i) for i, letter in enumerate(word))
            assert np.isclose(block[place], np.sqrt(words.count(word) / len(words)), atol=1e-6)
        assert np.count_nonzero(block) == len(set(words))
    assert vector.shape == (1, start)


def test_k_mers_stand_in_alphabetical_order_and_skip_ambiguity() -> None:
    vector = KMer(DNA, 2).encode("ACNGT")[0]
    words = ["".join(word) for word in product("ACGT", repeat=2)]
    found = {words[place]: value for place, value in enumerate(vector[4:].tolist()) if value}
    assert found == pytest.approx({"AC": np.sqrt(0.5), "GT": np.sqrt(0.5)})


@pytest.mark.parametrize(
    ("backbone", "width"),
    [(KMer(PROTEIN), 420), (KMer(DNA), 1364), (KMer(RNA, 3), 84), (Composition(PROTEIN), 20)],
)
def test_k_mer_widths_and_traits(backbone: KMer, width: int) -> None:
    assert (backbone.width, backbone.resolution, backbone.max_length) == (width, 0, None)
    row = backbone.encode(backbone.alphabet.letters)
    assert row.shape == (1, width)
    assert torch.equal(backbone(Packed.of([row])).values, torch.from_numpy(row))


def test_the_cnn_sees_exactly_as_far_as_its_dilations() -> None:
    torch.manual_seed(0)
    backbone = DilatedCNN(DNA, CNNConfiguration(width=8, kernel=3, dilations=(1, 2), dropout=0.0)).eval()
    codes = torch.zeros(21, dtype=torch.uint8)
    other = codes.clone()
    other[10] = 1
    with torch.inference_mode():
        changed = (backbone(Packed.of([codes])).values != backbone(Packed.of([other])).values).any(1)
    assert changed.nonzero().flatten().tolist() == list(range(7, 14))


def test_gradients_reach_every_weight_of_the_cnn() -> None:
    backbone = DilatedCNN(PROTEIN, SMALL)
    rows = [backbone.encode(sequence) for sequence in (PROTEIN.letters, "MKV")]
    backbone.vectors(Packed.of(rows)).values[:, 0].square().sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cnn_drops_its_share_keeps_the_mean_and_repeats_from_a_seed(dtype: torch.dtype) -> None:
    shape = CNNConfiguration(width=16, kernel=3, dilations=(1,), dropout=0.25)
    drop, ones = DilatedCNN(PROTEIN, shape).layers[0].dropout.train(), torch.ones(5001, 3, dtype=dtype)
    torch.manual_seed(1)
    first, second = drop(ones), drop(ones)
    torch.manual_seed(1)
    again = drop(ones)
    assert again.dtype == dtype and torch.equal(first, again) and not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, torch.tensor(4 / 3, dtype=dtype).item()}
    assert abs((first == 0).float().mean().item() - 0.25) < 0.02
    assert drop.eval()(ones) is ones


def test_a_single_weight_changes_the_fingerprint() -> None:
    backbone = DilatedCNN(PROTEIN, SMALL)
    before = backbone.fingerprint()
    with torch.no_grad():
        backbone.embedding.weight[3, 5] += 1e-3
    assert backbone.fingerprint() != before
    assert KMer(DNA, 2).fingerprint() != KMer(DNA, 3).fingerprint() != KMer(RNA, 3).fingerprint()


def test_blocks_hold_every_parameter_once() -> None:
    backbone = DilatedCNN(PROTEIN, SMALL)
    in_blocks = [id(parameter) for block in backbone.blocks() for parameter in block.parameters()]
    assert len(backbone.blocks()) == 3
    assert sorted(in_blocks) == sorted(map(id, backbone.parameters()))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("width", 0, "a positive number"),
        ("kernel", 4, "an odd number"),
        ("dilations", (1, 0), "positive numbers"),
        ("dropout", 1.0, "0 up to, but not including, 1"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(field: str, value: object, expected: str) -> None:
    with pytest.raises(BiograftError) as caught:
        CNNConfiguration(**{field: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"Field '{field}' of a CNN does not fit: got {value}, expected {expected}. Change it."


def test_the_cnn_learns_what_needs_neighbours() -> None:
    """Is the letter three places to the left an A? Letters alone cannot tell."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    backbone = DilatedCNN(DNA, CNNConfiguration(width=16, kernel=3, dilations=(1, 2), dropout=0.0))
    head = torch.nn.Linear(16, 2)
    optimiser = torch.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=1e-2)
    rows = [generator.integers(0, 4, size).astype(np.uint8) for size in (30, 50, 80)]
    truth = torch.cat([torch.cat([torch.zeros(3), torch.from_numpy(row[:-3] == 0)]) for row in rows]).long()
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(head(backbone(Packed.of(rows)).values), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (head(backbone(Packed.of(rows)).values).argmax(1) == truth).float().mean() > 0.99
