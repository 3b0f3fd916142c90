"""What every backbone in the catalog promises."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from biograft.backbones.backbone import Backbone
from biograft.catalog import names
from biograft.data.alphabet import DNA, PROTEIN, RNA
from biograft.data.packed import Packed
from biograft.errors import BiograftError

Small = Callable[..., Backbone]

each = pytest.mark.parametrize("name", names("backbones"))


def sequences(letters: str, lengths: tuple[int, ...] = (1, 20, 7, 13, 7)) -> list[str]:
    generator = np.random.default_rng(3)
    return ["".join(generator.choice(list(letters), length)) for length in lengths]


def vectors(backbone: Backbone, texts: list[str]) -> list[torch.Tensor]:
    """Vectors of all rows in one batch."""
    with torch.inference_mode():
        return backbone.vectors(Packed.of([backbone.encode(text) for text in texts])).rows()


@each
def test_batch_equals_alone_in_any_order_and_size(name: str, small: Small) -> None:
    backbone = small(name)
    texts = sequences(PROTEIN.letters)
    order = [3, 1, 4, 0, 2]
    together, shuffled = vectors(backbone, texts), vectors(backbone, [texts[row] for row in order])
    pairs = [*vectors(backbone, texts[:2]), *vectors(backbone, texts[2:])]
    for place, row in enumerate(order):
        (alone,) = vectors(backbone, [texts[row]])
        for other in (together[row], shuffled[place], pairs[row]):
            torch.testing.assert_close(other, alone, atol=1e-5, rtol=1e-5)


@each
def test_a_row_does_not_see_its_neighbours(name: str, small: Small) -> None:
    backbone = small(name)
    texts = sequences(PROTEIN.letters)
    others = [text if place == 1 else "W" * len(text) for place, text in enumerate(texts)]
    torch.testing.assert_close(vectors(backbone, texts)[1], vectors(backbone, others)[1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(vectors(backbone, texts)[3], vectors(backbone, others)[3], atol=1e-3)


@each
@pytest.mark.parametrize("alphabet", [PROTEIN, DNA, RNA], ids=lambda alphabet: alphabet.name)
def test_shape_and_numbers_are_as_promised(name: str, alphabet: object, small: Small) -> None:
    try:
        backbone = small(name, alphabet.name)  # type: ignore[attr-defined]
    except BiograftError:
        pytest.skip("reads another alphabet, and says so")
    assert backbone.alphabet is alphabet and backbone.name == name and backbone.width > 0
    assert not backbone.pretrained
    for text in sequences(alphabet.letters):  # type: ignore[attr-defined]
        (found,) = vectors(backbone, [text])
        rows = -(-len(text) // backbone.resolution) if backbone.resolution else 1
        assert found.shape == (rows, backbone.width)
        assert found.is_floating_point() and found.isfinite().all()


@each
def test_long_rows_are_read_whole(name: str, small: Small) -> None:
    backbone = small(name)
    longest = backbone.max_length or 200
    long, short = sequences(PROTEIN.letters, (2 * longest + 7, 5))
    seen: list[int] = []
    backbone.register_forward_pre_hook(lambda _, given: seen.extend(given[0].lengths.tolist()))
    found = vectors(backbone, [short, long])
    assert len(found[1]) == len(backbone.encode(long))
    assert max(seen) <= (backbone.max_length or len(long))
    torch.testing.assert_close(found[0], vectors(backbone, [short])[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1], vectors(backbone, [long])[0], atol=1e-5, rtol=1e-5)
    changed = long[:-1] + ("A" if long[-1] != "A" else "C")
    assert not torch.allclose(vectors(backbone, [changed])[0][-1], found[1][-1], atol=1e-4)


@each
def test_in_eval_mode_nothing_is_random(name: str, small: Small) -> None:
    backbone, texts = small(name), sequences(PROTEIN.letters)
    before = torch.get_rng_state()
    first, second = vectors(backbone, texts), vectors(backbone, texts)
    assert all(map(torch.equal, first, second))
    assert torch.equal(torch.get_rng_state(), before)


@each
def test_configuration_and_weights_rebuild_it(name: str, small: Small) -> None:
    backbone = small(name)
    stored = json.loads(json.dumps(backbone.configuration()))
    again = type(backbone).from_configuration(stored).eval()
    assert again.configuration() == backbone.configuration() == stored
    for trait in ("alphabet", "width", "max_length", "resolution", "standardise", "positional"):
        assert getattr(again, trait) == getattr(backbone, trait), trait
    again.load_state_dict(backbone.state_dict())
    texts = sequences(PROTEIN.letters)
    assert all(map(torch.equal, vectors(again, texts), vectors(backbone, texts)))
    assert again.fingerprint() == backbone.fingerprint()


@each
def test_fresh_weights_differ_and_a_seed_repeats_them(name: str, small: Small) -> None:
    configuration, kind = small(name).configuration(), type(small(name))

    def made(seed: int) -> str:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            return kind.from_configuration(configuration).fingerprint()

    assert made(1) == made(1)
    assert (made(1) != made(2)) == any(True for _ in small(name).parameters())


@each
def test_the_fingerprint_follows_every_weight_and_nothing_else(name: str, small: Small) -> None:
    backbone, before = small(name), small(name).fingerprint()
    vectors(backbone, sequences(PROTEIN.letters))
    backbone.train()
    backbone.requires_grad_(False)
    backbone.pretrained = True
    assert backbone.fingerprint() == before
    seen = {before}
    for weights in backbone.state_dict().values():
        with torch.no_grad():
            weights.view(-1)[-1] += 1
        seen.add(backbone.fingerprint())
        with torch.no_grad():
            weights.view(-1)[-1] -= 1
    assert len(seen) == 1 + len(backbone.state_dict())
    assert seen.isdisjoint({small(other).fingerprint() for other in names("backbones") if other != name})


@each
def test_gradients_reach_every_weight_in_the_blocks_and_no_other_matters(name: str, small: Small) -> None:
    backbone, texts = small(name), sequences(PROTEIN.letters)
    inside = [parameter for block in backbone.blocks() for parameter in block.parameters()]
    assert len({id(parameter) for parameter in inside}) == len(inside)
    assert bool(inside) == any(True for _ in backbone.parameters())
    if not inside:
        return
    rows = [backbone.encode(text) for text in (*texts, "MKV" * (backbone.max_length or 10))]
    values = backbone.vectors(Packed.of(rows)).values
    (values * torch.randn_like(values)).sum().backward()
    for parameter in inside:
        assert parameter.grad is not None and parameter.grad.any()
    before = vectors(backbone, texts)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if not any(parameter is other for other in inside):
                parameter.add_(1.0)
    assert all(map(torch.equal, before, vectors(backbone, texts)))


@each
def test_a_row_is_a_function_of_the_letters(name: str, small: Small) -> None:
    backbone = small(name)
    row = backbone.encode("MKTAYW")
    assert isinstance(row, np.ndarray) and np.array_equal(row, backbone.encode("MKTAYW"))
    assert not np.array_equal(row, backbone.encode("MKTAYV"))
