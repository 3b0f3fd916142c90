"""The packed encoder: what every backbone promises, precision, masking, and learning."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from biograft.backbones.encoder import ESM2_VOCABULARY, Encoder, EncoderConfiguration
from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.packed import Packed
from biograft.errors import BiograftError

SMALL = EncoderConfiguration(layers=2, width=32, heads=4, max_length=64)


def encoder(**changes: Any) -> Encoder:
    torch.manual_seed(0)
    fields = {**SMALL.__dict__, **changes}
    made = Encoder(PROTEIN, EncoderConfiguration(**fields)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3.0) if parameter.ndim > 1 else parameter.add_(torch.randn_like(parameter) * 0.2)
    return made


def rows(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 25, length).astype(np.uint8) for length in lengths]


def test_batch_equals_alone_in_any_order() -> None:
    backbone, inputs = encoder(), rows(1, 60, 7, 33, 7)
    with torch.inference_mode():
        together = backbone.vectors(Packed.of(inputs)).rows()
        order = [3, 1, 4, 0, 2]
        shuffled = backbone.vectors(Packed.of([inputs[row] for row in order])).rows()
        for place, row in enumerate(order):
            alone = backbone.vectors(Packed.of([inputs[row]])).values
            assert alone.shape == (len(inputs[row]), 32)
            assert torch.allclose(together[row], alone, atol=1e-5)
            assert torch.allclose(shuffled[place], alone, atol=1e-5)


def test_long_rows_are_read_in_tiles_and_none_is_cut() -> None:
    backbone, inputs = encoder(), rows(20, 200, 65)
    seen: list[int] = []
    backbone.register_forward_pre_hook(lambda _, arguments: seen.extend(arguments[0].lengths.tolist()))
    with torch.inference_mode():
        result = backbone.vectors(Packed.of(inputs))
        assert result.lengths.tolist() == [20, 200, 65]
        assert max(seen) <= 64 and sum(seen) > 285
        first = backbone(Packed.of([inputs[1][:64]])).values
        assert torch.allclose(result.rows()[1][:40], first[:40], atol=1e-5)
        last = backbone(Packed.of([inputs[1][-64:]])).values
        assert torch.allclose(result.rows()[1][-40:], last[-40:], atol=1e-5)


def test_a_letter_sees_its_whole_row() -> None:
    backbone, (row,) = encoder(), rows(30)
    changed = row.copy()
    changed[29] = (changed[29] + 1) % 20
    with torch.inference_mode():
        difference = backbone(Packed.of([row])).values - backbone(Packed.of([changed])).values
    assert (difference.abs().amax(1) > 0).all()


@pytest.mark.parametrize("way", ["autocast", "weights"])
def test_bf16_keeps_the_direction_of_every_vector(way: str) -> None:
    backbone, batch = encoder(layers=4), Packed.of(rows(1, 50, 64, 17))
    with torch.inference_mode():
        expected = backbone(batch).values
        if way == "autocast":
            with torch.autocast("cpu", dtype=torch.bfloat16):
                result = backbone(batch).values
        else:
            result = backbone.to(torch.bfloat16)(batch).values
            assert result.dtype == torch.bfloat16
    assert F.cosine_similarity(result.float(), expected).min() >= 0.999


def test_gradients_reach_every_weight_in_both_modes_of_use() -> None:
    backbone = encoder(dropout=0.1, attention_dropout=0.1).train()
    vectors = backbone.vectors(Packed.of(rows(70, 5))).values  # 70 letters: through tiles too
    backbone.logits(vectors)[:, 5].square().sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_masked_language_modelling_learns_a_repeated_motif() -> None:
    """Which letter is hidden follows from the same place in the other repeats; letter frequencies give 6 of 30.

    Weights start larger than usual: attention is close to uniform at first, and to leave that takes a small net
    hundreds of steps.
    """
    torch.manual_seed(0)
    backbone = Encoder(PROTEIN, EncoderConfiguration(layers=1, width=32, heads=2)).train()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(5.0 if parameter.ndim > 1 else 1.0)
    optimiser = torch.optim.AdamW(backbone.parameters(), lr=5e-3)
    codes = torch.as_tensor(backbone.encode("MKTAYIAKQR" * 3)).long()
    truth, letters = backbone.token_ids(codes), torch.arange(len(codes))
    generator = torch.Generator().manual_seed(0)
    copies = torch.full((8,), len(codes))
    for _ in range(130):
        hidden = torch.rand(8 * len(codes), generator=generator) < 0.15
        batch = Packed(torch.where(hidden, backbone.mask_code, codes.repeat(8)), copies)
        loss = F.cross_entropy(backbone.logits(backbone(batch).values)[hidden], truth.repeat(8)[hidden])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    each = codes.repeat(len(codes), 1)
    each[letters, letters] = backbone.mask_code  # row i hides letter i
    with torch.inference_mode():
        vectors = backbone.eval()(Packed(each.flatten(), torch.full((len(codes),), len(codes)))).values
        answers = backbone.logits(vectors).view(len(codes), len(codes), -1)[letters, letters].argmax(1)
    assert (answers == truth).sum() >= 24


def test_a_mask_hides_the_letter_and_rescales_the_others() -> None:
    backbone, (row,) = encoder(), rows(20)
    one, other, masked = row.astype(np.int64), row.astype(np.int64), row.astype(np.int64)
    one[4], other[4], masked[4] = 3, 8, backbone.mask_code
    with torch.inference_mode():
        embedded = [backbone.hidden(Packed.of([codes]), [0]).values[:, 0] for codes in (one, other, masked)]
    weights = backbone.embedding.weight[backbone.token_ids(torch.from_numpy(row))]
    assert torch.allclose(embedded[0][5], weights[5] * 0.88, atol=1e-6)
    assert not embedded[2][4].any()
    assert torch.allclose(embedded[2][5], weights[5] * 0.88 / (1 - 1 / 22), atol=1e-6)
    plain = encoder(token_dropout=False)
    with torch.inference_mode():
        kept = plain.hidden(Packed.of([masked]), [0]).values[:, 0]
    assert torch.equal(kept[4], plain.embedding.weight[ESM2_VOCABULARY.index("<mask>")])


def test_hidden_layers_end_in_what_forward_gives() -> None:
    backbone, batch = encoder(), Packed.of(rows(9, 4))
    with torch.inference_mode():
        layers = backbone.hidden(batch, [2, 0, -1])
        assert layers.values.shape == (13, 3, 32)
        assert torch.equal(layers.values[:, 0], backbone(batch).values)
        assert torch.equal(layers.values[:, 2], backbone(batch).values)
        assert not torch.allclose(layers.values[:, 1], backbone(batch).values)
        with pytest.raises(BiograftError, match="There is no layer 3: got an encoder of 2 blocks"):
            backbone.hidden(batch, [0, 3])


def test_configuration_and_weights_rebuild_it_and_a_weight_changes_the_fingerprint() -> None:
    backbone = encoder(rotary_frequencies=(1.0, 0.1, 0.01, 0.001), inner=48)
    again = Encoder.from_configuration(json.loads(json.dumps(backbone.configuration())))
    assert again.shape == backbone.shape and not again.pretrained
    assert again.fingerprint() != backbone.fingerprint()
    again.load_state_dict(backbone.state_dict())
    assert again.fingerprint() == backbone.fingerprint()
    with torch.no_grad():
        again.layers[1].contract.bias[3] += 1e-3
    assert again.fingerprint() != backbone.fingerprint()


def test_stored_rotary_angles_are_used() -> None:
    batch = Packed.of(rows(30))
    with torch.inference_mode():
        usual = encoder()(batch).values
        same = encoder(rotary_frequencies=tuple(SMALL.angles.tolist()))(batch).values
        other = encoder(rotary_frequencies=(0.9, 0.1, 0.01, 0.001))(batch).values
    assert torch.equal(usual, same)
    assert not torch.allclose(usual, other, atol=1e-4)


def test_blocks_hold_all_but_the_language_head() -> None:
    backbone = encoder()
    assert len(backbone.blocks()) == 3
    in_blocks = [id(parameter) for block in backbone.blocks() for parameter in block.parameters()]
    rest = [p for name, p in backbone.named_parameters() if not name.startswith("language_head")]
    assert sorted(in_blocks) == sorted(map(id, rest))


def test_letters_without_a_token_are_unknown_and_a_foreign_vocabulary_is_refused() -> None:
    shorter = tuple(token for token in ESM2_VOCABULARY if token not in ("U", "O"))
    backbone = encoder(vocabulary=shorter)
    unknown = shorter.index("<unk>")
    ids = backbone.token_ids(torch.as_tensor(backbone.encode("MUOX"))).tolist()
    assert ids == [shorter.index("M"), unknown, unknown, shorter.index("X")]
    without = tuple(token for token in ESM2_VOCABULARY if token not in ("W", "K"))
    with pytest.raises(BiograftError, match="The vocabulary lacks the protein letters KW: got <cls>"):
        encoder(vocabulary=without)
    assert Encoder(DNA, SMALL).alphabet is DNA


def test_without_a_language_head_there_are_no_scores() -> None:
    backbone = encoder(language_head=False)
    with pytest.raises(BiograftError, match="This encoder has no head that predicts tokens"):
        backbone.logits(torch.zeros(1, 32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"width": 36},
            "Field 'width' of an encoder does not fit: got 36, expected a multiple of twice the 4 heads.",
        ),
        ({"layers": 0}, "Field 'layers' of an encoder does not fit: got 0, expected a number above 0."),
        ({"inner": -1}, "Field 'inner' of an encoder does not fit: got -1, expected a number above 0."),
        ({"dropout": 1.5}, "Field 'dropout' of an encoder does not fit: got 1.5, expected 0 up to"),
        (
            {"rotary_frequencies": (1.0,)},
            r"Field 'rotary_frequencies' of an encoder does not fit: got \(1.0,\), expected 4 n",
        ),
        ({"vocabulary": ("<cls>", "A")}, "expected tokens with <eos> <unk> <mask> among them"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        EncoderConfiguration(**{**SMALL.__dict__, **changes})
