"""Checkpoint folders in the Hugging Face layout: round trip, old names, and every way in which one can be broken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from biograft.backbones import esm2
from biograft.backbones.encoder import ESM2_VOCABULARY, Encoder, EncoderConfiguration
from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.origins import load_backbone

SMALL = EncoderConfiguration(layers=2, width=16, heads=2, max_length=50)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    esm2.save(Encoder(PROTEIN, SMALL), tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value != "absent"}))


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def test_what_was_saved_comes_back(saved: Path) -> None:
    encoder = esm2.load(saved)
    assert encoder.shape == EncoderConfiguration(**{**SMALL.__dict__, "inner": 64})
    assert encoder.pretrained and not encoder.training
    torch.manual_seed(0)
    original = Encoder(PROTEIN, SMALL)
    assert encoder.fingerprint() == original.fingerprint()
    batch = Packed.of([encoder.encode("MKXBU"), encoder.encode("A")])
    with torch.inference_mode():
        assert torch.equal(encoder(batch).values, original.eval()(batch).values)


def test_saving_over_a_folder_replaces_it(saved: Path) -> None:
    other = Encoder(PROTEIN, EncoderConfiguration(layers=1, width=16, heads=2, language_head=False))
    esm2.save(other, saved)
    assert esm2.load(saved).fingerprint() == other.fingerprint()


def test_half_precision_weights_are_read_in_single(saved: Path) -> None:
    esm2.save(esm2.load(saved).to(torch.bfloat16), saved)
    assert load_file(saved / "model.safetensors")["esm.embeddings.word_embeddings.weight"].dtype == torch.bfloat16
    assert json.loads((saved / "config.json").read_text())["dtype"] == "bfloat16"
    assert {parameter.dtype for parameter in esm2.load(saved).parameters()} == {torch.float32}


def test_older_names_and_parts_without_use_are_understood(saved: Path) -> None:
    expected = esm2.load(saved).fingerprint()

    def as_published(weights: dict[str, Tensor]) -> None:
        for name in list(weights):
            if "LayerNorm" in name:
                older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
                weights[older] = weights.pop(name)
        weights["esm.embeddings.position_ids"] = torch.arange(54)[None]
        weights["esm.contact_head.regression.weight"] = torch.zeros(1, 4)
        weights["esm.pooler.dense.bias"] = torch.zeros(16)
        weights["lm_head.decoder.weight"] = weights["esm.embeddings.word_embeddings.weight"].clone()

    edit_weights(saved, as_published)
    assert esm2.load(saved).fingerprint() == expected


def test_rotary_angles_that_were_rounded_when_saved_are_kept(saved: Path) -> None:
    def rounded(weights: dict[str, Tensor]) -> None:
        for name in weights:
            if name.endswith("inv_freq"):
                weights[name] = weights[name].half()

    edit_weights(saved, rounded)
    encoder = esm2.load(saved)
    assert encoder.shape.rotary_frequencies == tuple(SMALL.angles.half().float().tolist())
    esm2.save(encoder, saved)
    assert esm2.load(saved).fingerprint() == encoder.fingerprint()


def test_weights_in_several_files(saved: Path) -> None:
    expected, weights = esm2.load(saved).fingerprint(), load_file(saved / "model.safetensors")
    (saved / "model.safetensors").unlink()
    names = sorted(weights)
    save_file({name: weights[name] for name in names[:9]}, saved / "model-00001-of-00002.safetensors")
    save_file({name: weights[name] for name in names[9:]}, saved / "model-00002-of-00002.safetensors")
    assert esm2.load(saved).fingerprint() == expected


def test_the_vocabulary_may_be_left_out_or_differ(saved: Path, tmp_path: Path) -> None:
    expected = esm2.load(saved).fingerprint()
    (saved / "vocab.txt").unlink()
    assert esm2.load(saved).fingerprint() == expected
    shape = EncoderConfiguration(layers=1, width=16, heads=2, vocabulary=("<cls>", "<eos>", "<unk>", "<mask>", *"TGCA"))
    esm2.save(Encoder(DNA, shape), tmp_path / "dna")
    loaded = esm2.load(tmp_path / "dna")
    assert loaded.alphabet is DNA and loaded.shape.vocabulary == shape.vocabulary


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "field 'model_type' is 'bert', expected 'esm'"),
        (
            {"position_embedding_type": "absolute"},
            "field 'position_embedding_type' is 'absolute', expected 'rotary'",
        ),
        (
            {"position_embedding_type": "absent"},
            "field 'position_embedding_type' is nothing, expected 'rotary'",
        ),
        ({"emb_layer_norm_before": True}, "field 'emb_layer_norm_before' is True, expected False"),
        ({"is_folding_model": True}, "field 'is_folding_model' is True, expected False"),
        ({"is_decoder": True}, "field 'is_decoder' is True, expected False"),
        ({"tie_word_embeddings": False}, "field 'tie_word_embeddings' is False, expected True"),
        (
            {"hidden_size": "absent"},
            "Field 'hidden_size' of '.*config.json' is unusable: got None, expected a whole",
        ),
        ({"num_hidden_layers": "two"}, "Field 'num_hidden_layers' .* got 'two', expected a whole number"),
        ({"layer_norm_eps": "small"}, "Field 'layer_norm_eps' .* got 'small', expected a number"),
        (
            {"num_attention_heads": 3},
            "cannot be built. Field 'width' of an encoder does not fit: got 16, expected a multiple",
        ),
        ({"num_attention_heads": 0}, "cannot be built. Field 'heads' of an encoder does not fit: got 0"),
        ({"max_position_embeddings": 3}, "Field 'max_length' of an encoder does not fit: got -1"),
        (
            {"vocab_size": 40},
            "Field 'vocab_size' .* does not fit the vocabulary of vocab.txt: got 40, expected 33",
        ),
        ({"mask_token_id": 31}, "Field 'mask_token_id' .* does not fit .*: got 31, expected 32"),
        (
            {"num_hidden_layers": 3},
            r"lack 'encoder.layer.2.attention.LayerNorm.weight', which its config.json asks",
        ),
        ({"num_hidden_layers": 1}, r"hold 'encoder.layer.1.* such\), which its config.json has no place for"),
        (
            {"intermediate_size": 32},
            r"intermediate.dense.weight' in .* wrong shape: got \(64, 16\), expected \(32, 16\)",
        ),
    ],
)
def test_a_config_that_does_not_fit(saved: Path, changes: dict[str, Any], message: str) -> None:
    edit_config(saved, **changes)
    with pytest.raises(BiograftError, match=message):
        esm2.load(saved)


def break_nothing_but(name: str, change: Callable[[Tensor], Tensor] | None) -> Callable[[dict[str, Tensor]], None]:
    def apply(weights: dict[str, Tensor]) -> None:
        if change is None:
            del weights[name]
        else:
            weights[name] = change(weights[name])

    return apply


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("lm_head.dense.weight", None, "The weights in '.*' lack 'lm_head.dense.weight'"),
        ("esm.encoder.layer.1.attention.self.key.bias", None, "lack 'encoder.layer.1.attention.self.key.bias'"),
        ("esm.encoder.layer.0.attention.self.query.weight", lambda w: w[:8].clone(),
         r"got \(8, 16\), expected \(16, 16\)"),
        ("esm.embeddings.word_embeddings.weight", lambda w: w * torch.nan, "holds values that are not finite"),
        ("esm.encoder.layer.0.attention.self.rotary_embeddings.inv_freq", lambda w: w[:2].clone(),
         "expected 4 numbers"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(
    saved: Path, name: str, change: Callable[[Tensor], Tensor] | None, message: str
) -> None:
    edit_weights(saved, break_nothing_but(name, change))
    with pytest.raises(BiograftError, match=message):
        esm2.load(saved)


def test_an_untied_decoder_is_refused(saved: Path) -> None:
    edit_weights(saved, lambda weights: weights.update({"lm_head.decoder.weight": torch.zeros(33, 16)}))
    with pytest.raises(BiograftError, match=r"'lm_head.decoder.weight' in .* is not the token embedding"):
        esm2.load(saved)


def test_a_file_cut_off_is_named(saved: Path) -> None:
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BiograftError, match=r"model.safetensors' is damaged or cut off .* Copy or download it again"):
        esm2.load(saved)
    path.write_bytes(b"")
    with pytest.raises(BiograftError, match="is damaged or cut off"):
        esm2.load(saved)


def test_weights_that_could_run_code_are_refused_with_the_way_out(saved: Path) -> None:
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
    with pytest.raises(BiograftError, match=r"only 'pytorch_model.bin', which could run code .* convert it: transf"):
        esm2.load(saved)
    (saved / "pytorch_model.bin").unlink()
    with pytest.raises(BiograftError, match=r"holds no weights; expected model.safetensors"):
        esm2.load(saved)


def test_a_letter_that_lacks_is_named_and_makes_no_dna_of_proteins(saved: Path) -> None:
    tokens = ["w" if token == "W" else token for token in ESM2_VOCABULARY]
    (saved / "vocab.txt").write_text("\n".join(tokens))
    for alphabet in ("protein", "dna"):
        with pytest.raises(BiograftError, match="model': The vocabulary lacks the protein letters W: got"):
            load_backbone(str(saved), alphabet)


def test_folders_and_vocabularies_that_are_something_else(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(BiograftError, match=r"'.*nowhere' is not a folder. A checkpoint is a folder with config.json"):
        esm2.load(tmp_path / "nowhere")
    words = tuple(f"{a}{b}G" if len(a) == 1 else a for a, b in zip(ESM2_VOCABULARY, ESM2_VOCABULARY, strict=True))
    (saved / "vocab.txt").write_text("\n".join(words))
    with pytest.raises(BiograftError, match=r"has no full set of letters: .* Choose one that reads single letters"):
        esm2.load(saved)
    (saved / "config.json").write_text("[]")
    with pytest.raises(BiograftError, match="does not hold a configuration: got a list, expected an object"):
        esm2.load(saved)
    (saved / "config.json").unlink()
    with pytest.raises(BiograftError, match=r"File not found: '.*config.json'"):
        esm2.load(saved)
