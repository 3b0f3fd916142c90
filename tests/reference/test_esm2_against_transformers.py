"""Our packed encoder against the padded one of ``transformers``, on random weights at the published ESM-2 shapes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import AutoTokenizer, EsmConfig, EsmForMaskedLM, EsmModel, PreTrainedModel

from biograft.backbones import esm2
from biograft.backbones.encoder import ESM2_VOCABULARY, Encoder, EncoderConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.packed import Packed

SEQUENCES = ["M", "MKXBU", "MSTNPKPQRKTKRNTNRRPQDVKFPGGOZXX", "ACDEFGHIKLMNPQRSTVWY" * 9, "GX" * 61]
SHAPES = {"8M": (6, 320), "35M": (12, 480), "150M": (30, 640)}


def random_model(layers: int, width: int, heads: int = 20, language_head: bool = True) -> PreTrainedModel:
    """A ``transformers`` model with weights large enough that a slip in the arithmetic shows."""
    config = EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=1026,
        layer_norm_eps=1e-5,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
        attn_implementation="eager",
    )
    torch.manual_seed(layers)
    model = EsmForMaskedLM(config) if language_head else EsmModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 1:  # biases and norms start as zeros and ones, which would hide a mix-up
                value.add_(torch.randn_like(value) * 0.1)
            elif "contact_head" not in name:
                value.mul_(2.0)
    return model.eval()


def their_tokens(sequence: str) -> torch.Tensor:
    ids = [ESM2_VOCABULARY.index(letter) for letter in sequence]
    return torch.tensor([[0, *ids, 2]])


def packed(encoder: Encoder) -> Packed:
    return Packed.of([encoder.encode(sequence) for sequence in SEQUENCES])


def largest_difference(ours: Encoder, theirs: PreTrainedModel) -> float:
    """Over vectors of letters and, where both have a head, over the scores of all tokens."""
    batch = packed(ours)
    with torch.inference_mode():
        vectors = ours.vectors(batch)
        scores = vectors.with_values(ours.logits(vectors.values)) if ours.shape.language_head else None
        base = getattr(theirs, "esm", theirs)
        largest = 0.0
        for row, sequence in enumerate(SEQUENCES):
            tokens = their_tokens(sequence)
            expected = base(tokens).last_hidden_state[0, 1:-1]
            largest = max(largest, float((vectors.rows()[row] - expected).abs().max()))
            if scores is not None:
                expected = theirs(tokens).logits[0, 1:-1]
                largest = max(largest, float((scores.rows()[row] - expected).abs().max()))
    return largest


@pytest.mark.parametrize("size", ["8M", "35M", pytest.param("150M", marks=pytest.mark.slow)])
def test_equal_outputs_at_published_shapes(size: str, tmp_path: Path) -> None:
    theirs = random_model(*SHAPES[size])
    theirs.save_pretrained(tmp_path)
    ours = esm2.load(tmp_path)
    assert (ours.shape.layers, ours.width, ours.max_length) == (*SHAPES[size], 1022)
    assert ours.pretrained
    assert largest_difference(ours, theirs) <= 1e-4


def test_a_model_without_language_head(tmp_path: Path) -> None:
    theirs = random_model(2, 64, heads=4, language_head=False)
    theirs.save_pretrained(tmp_path)
    ours = esm2.load(tmp_path)
    assert not ours.shape.language_head
    assert largest_difference(ours, theirs) <= 1e-4


def test_masked_tokens_are_rescaled_alike(tmp_path: Path) -> None:
    theirs = random_model(2, 64, heads=4)
    theirs.save_pretrained(tmp_path)
    ours = esm2.load(tmp_path)
    codes, tokens = ours.encode(SEQUENCES[3]).copy(), their_tokens(SEQUENCES[3])
    for place in (0, 7, 50, 51, 179):
        codes[place], tokens[0, place + 1] = ours.mask_code, 32
    with torch.inference_mode():
        mine = ours(Packed.of([codes, ours.encode("MKV")])).rows()[0]
        assert torch.allclose(mine, theirs.esm(tokens).last_hidden_state[0, 1:-1], atol=1e-4)


def test_padded_batches_of_theirs_equal_packed_ones(tmp_path: Path) -> None:
    theirs = random_model(2, 64, heads=4)
    theirs.save_pretrained(tmp_path)
    ours = esm2.load(tmp_path)
    longest = max(map(len, SEQUENCES)) + 2
    tokens = torch.full((len(SEQUENCES), longest), 1)
    for row, sequence in enumerate(SEQUENCES):
        tokens[row, : len(sequence) + 2] = their_tokens(sequence)[0]
    with torch.inference_mode():
        padded = theirs.esm(tokens, attention_mask=(tokens != 1).long()).last_hidden_state
        for row, vectors in enumerate(ours(packed(ours)).rows()):
            assert torch.allclose(vectors, padded[row, 1 : len(vectors) + 1], atol=1e-4)


def test_hidden_layers_equal_theirs(tmp_path: Path) -> None:
    theirs = random_model(3, 64, heads=4)
    theirs.save_pretrained(tmp_path)
    ours = esm2.load(tmp_path)
    with torch.inference_mode():
        states = theirs.esm(their_tokens(SEQUENCES[2]), output_hidden_states=True).hidden_states
        mine = ours.hidden(Packed.of([ours.encode(SEQUENCES[2])]), [0, 1, 2, 3]).values
    for layer in (0, 1, 2):
        assert torch.allclose(mine[:, layer], states[layer][0, 1:-1], atol=1e-4)


@pytest.mark.parametrize("language_head", [True, False])
def test_theirs_opens_what_ours_saved(language_head: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    shape = EncoderConfiguration(layers=2, width=64, heads=4, language_head=language_head)
    ours = Encoder(PROTEIN, shape).eval()
    esm2.save(ours, tmp_path / "model")
    kind = EsmForMaskedLM if language_head else EsmModel
    theirs, report = kind.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    assert {name for name in report["missing_keys"] if "contact_head" not in name and "pooler" not in name} <= {
        "lm_head.decoder.weight"
    }
    assert largest_difference(ours, theirs.eval()) <= 1e-4
    again = esm2.load(tmp_path / "model")
    assert again.fingerprint() == ours.fingerprint()


def test_their_tokenizer_opens_the_folder_and_agrees(tmp_path: Path) -> None:
    ours = Encoder(PROTEIN, EncoderConfiguration(layers=1, width=16, heads=2))
    esm2.save(ours, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    theirs = np.array(tokenizer(SEQUENCES[2])["input_ids"][1:-1])
    mine = ours.token_ids(torch.as_tensor(ours.encode(SEQUENCES[2]))).numpy()
    assert (theirs == mine).all()


def test_a_checkpoint_of_theirs_survives_our_round_trip(tmp_path: Path) -> None:
    theirs = random_model(2, 64, heads=4)
    theirs.save_pretrained(tmp_path / "first")
    esm2.save(esm2.load(tmp_path / "first"), tmp_path / "second")
    again = EsmForMaskedLM.from_pretrained(tmp_path / "second").eval()
    assert largest_difference(esm2.load(tmp_path / "second"), theirs) <= 1e-4
    assert largest_difference(esm2.load(tmp_path / "first"), again) <= 1e-4


def test_gradients_equal_theirs(tmp_path: Path) -> None:
    """Learning is theirs too: the same loss pulls every weight the same way."""
    theirs = random_model(2, 64, heads=4)
    theirs.save_pretrained(tmp_path)
    ours = esm2.load(tmp_path)
    codes, tokens = ours.encode(SEQUENCES[3]).copy(), their_tokens(SEQUENCES[3])
    hidden = [3, 50, 51, 120]
    labels = tokens[0, 1:-1][hidden].clone()
    for place in hidden:
        codes[place], tokens[0, place + 1] = ours.mask_code, 32
    F.cross_entropy(ours.logits(ours(Packed.of([codes])).values)[hidden], labels).backward()
    F.cross_entropy(theirs(tokens).logits[0, 1:-1][hidden], labels).backward()
    expected = {name: value.grad for name, value in theirs.named_parameters() if value.grad is not None}
    pairs = {
        "embedding.weight": "esm.embeddings.word_embeddings.weight",
        "language_head.dense.weight": "lm_head.dense.weight",
        "normalise.bias": "esm.encoder.emb_layer_norm_after.bias",
    }
    for layer in range(2):
        place = f"esm.encoder.layer.{layer}"
        pairs[f"layers.{layer}.expand.weight"] = f"{place}.intermediate.dense.weight"
        pairs[f"layers.{layer}.attention_norm.weight"] = f"{place}.attention.LayerNorm.weight"
        own = ours.layers[layer].attention.project.weight.grad
        for part, name in zip(own.chunk(3), ("query", "key", "value"), strict=True):
            torch.testing.assert_close(part, expected[f"{place}.attention.self.{name}.weight"], atol=1e-5, rtol=1e-3)
    for mine, name in pairs.items():
        torch.testing.assert_close(ours.get_parameter(mine).grad, expected[name], atol=1e-5, rtol=1e-3)
