"""Encoders of others: tiny random checkpoints of each family, against ``transformers`` row by row, and broken ones."""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

pytest.importorskip("transformers")

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from biograft import catalog
from biograft.backbones import checkpoint, huggingface
from biograft.backbones.backbone import Backbone
from biograft.backbones.encoder import ESM2_VOCABULARY, Encoder
from biograft.backbones.huggingface import HuggingFace
from biograft.backbones.store import embed
from biograft.bundle import Bundle, load
from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.model import LinearHead, Model
from biograft.origins import load_backbone
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression

AMINO = "LAGVSERTIDPKQNFYMHWCXBUZO"
SHAPE = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PROTEINS = ["MKTAYIAKQRUZX", "MK", "W", "ACDEFGHIKLMNPQRSTVWY" * 3]
LABELS = np.array(["0", "1", "3"], dtype=object)
GENES = ["ACGTACGTTGA", "GC", "TTTNACGAACCCGG", "G" * 41]


def words(size: int) -> list[str]:
    return ["".join(letters) for letters in itertools.product("ACGT", repeat=size)]


def quietly(save: Callable[[], Any]) -> None:
    with huggingface.quiet():
        save()


def bert_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    (folder / "vocab.txt").write_text("\n".join([*MARKS, *vocabulary]))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')


def esm_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "EsmTokenizer"}')


def t5_tokenizer(folder: Path, mark: str) -> None:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((mark + letter, -1.0) for letter in AMINO)]
    inner = Tokenizer(models.Unigram(pieces, unk_id=2))
    if mark:
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    saved = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    quietly(lambda: saved.save_pretrained(folder))


def bpe_tokenizer(folder: Path) -> None:
    merges = [("A", "C"), ("G", "T"), ("AC", "GT")]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *"ACGTN", "AC", "GT", "ACGT"]
    inner = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, merges, unk_token="<unk>"))
    inner.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    saved = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>"
    )
    quietly(lambda: saved.save_pretrained(folder))


def model_of(family: str) -> Any:
    """With random weights large enough that a slip shows."""
    marked = {"vocab_size": 30, "pad_token_id": 0}
    dna = {"max_position_embeddings": 40, "vocab_size": 5 + 64, "pad_token_id": 0}
    t5 = transformers.T5Config(d_model=16, d_ff=24, d_kv=8, num_layers=2, num_heads=2, vocab_size=28, pad_token_id=0)
    esm = {"mask_token_id": 4, "pad_token_id": 1, "position_embedding_type": "absolute", "layer_norm_eps": 1e-5}
    ends = ("cls_token_id", "sep_token_id", "bos_token_id", "eos_token_id")
    made: dict[str, Callable[[], Any]] = {
        "esmc": lambda: transformers.EsmcForMaskedLM(transformers.EsmcConfig(**SHAPE)),
        "prott5": lambda: transformers.T5ForConditionalGeneration(t5),
        "ankh": lambda: transformers.T5EncoderModel(t5),
        "protbert": lambda: transformers.BertForMaskedLM(transformers.BertConfig(**SHAPE, **marked)),
        "protelectra": lambda: transformers.ElectraModel(
            transformers.ElectraConfig(**SHAPE, **marked, embedding_size=8)
        ),
        "protalbert": lambda: transformers.AlbertModel(
            transformers.AlbertConfig(**SHAPE, **marked, embedding_size=8), add_pooling_layer=True
        ),
        "modern": lambda: transformers.ModernBertModel(
            transformers.ModernBertConfig(**SHAPE, **marked, **dict.fromkeys(ends, 2))
        ),
        "distil": lambda: transformers.DistilBertModel(
            transformers.DistilBertConfig(**marked, dim=16, hidden_dim=24, n_layers=2, n_heads=2)
        ),
        "dnabert": lambda: transformers.BertModel(transformers.BertConfig(**SHAPE, **dna)),
        "nucleotide": lambda: transformers.EsmForMaskedLM(
            transformers.EsmConfig(**SHAPE, **esm, vocab_size=26, max_position_embeddings=24)
        ),
        "bpe": lambda: transformers.RobertaModel(
            transformers.RobertaConfig(**SHAPE, vocab_size=12, max_position_embeddings=34, pad_token_id=1)
        ),
    }  # fmt: skip
    torch.manual_seed(0)
    model = made[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def build(family: str, folder: Path) -> Path:
    """A checkpoint as its makers would publish it."""
    folder.mkdir()
    quietly(lambda: model_of(family).save_pretrained(folder))
    if family == "esmc":
        quietly(lambda: transformers.EsmcTokenizer().save_pretrained(folder))
    elif family in ("prott5", "ankh"):
        t5_tokenizer(folder, "▁" if family == "prott5" else "")
    elif family == "dnabert":
        bert_tokenizer(folder, words(3))
    elif family == "nucleotide":
        esm_tokenizer(folder, ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", *words(2), *"ATCGN"])
    elif family == "bpe":
        bpe_tokenizer(folder)
    elif family == "modern":
        bert_tokenizer(folder, list(AMINO))
        inner = transformers.BertTokenizer.from_pretrained(folder).backend_tokenizer
        saved = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]")
        quietly(lambda: saved.save_pretrained(folder))
    else:
        bert_tokenizer(folder, list(AMINO))
    return folder


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each family's checkpoint, made once."""
    root, made = tmp_path_factory.mktemp("checkpoints"), {}

    def of(family: str) -> Path:
        if family not in made:
            made[family] = build(family, root / family)
        return made[family]

    return of


@pytest.fixture
def copied(library: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy that may be broken."""
    return lambda family: Path(shutil.copytree(library(family), tmp_path / family))


def edit(folder: Path, name: str = "config.json", **changes: Any) -> None:
    content = {**json.loads((folder / name).read_text()), **changes}
    (folder / name).write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))


def vectors(backbone: Backbone, texts: list[str]) -> list[Tensor]:
    with torch.inference_mode():
        return backbone.vectors(Packed.of([backbone.encode(text) for text in texts])).rows()


def spaced(text: str) -> str:
    return " ".join("X" if letter in "UZOB" else letter for letter in text)


def by_transformers(folder: Path, kind: str, text: str, marks: tuple[int, int], **options: Any) -> Tensor:
    """Vectors of one row as the makers of the checkpoint take them, without the marks at both ends."""
    with huggingface.quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = getattr(transformers, kind).from_pretrained(folder, **options).eval()
    ids = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        found = model(input_ids=ids.input_ids, attention_mask=ids.attention_mask).last_hidden_state[0]
    before, after = marks
    return found[before : len(found) - after]


@pytest.mark.parametrize(
    ("family", "kind", "written", "marks"),
    [
        ("esmc", "EsmcModel", str, (1, 1)),
        ("prott5", "T5EncoderModel", spaced, (0, 1)),
        ("ankh", "T5EncoderModel", str, (0, 1)),
        ("protbert", "BertModel", spaced, (1, 1)),
        ("protelectra", "ElectraModel", spaced, (1, 1)),
        ("protalbert", "AlbertModel", spaced, (1, 1)),
        ("modern", "ModernBertModel", " ".join, (1, 1)),
        ("distil", "DistilBertModel", " ".join, (1, 1)),
    ],
)
def test_proteins_get_the_vectors_of_their_letters(
    library: Callable[[str], Path], family: str, kind: str, written: Callable[[str], str], marks: tuple[int, int]
) -> None:
    backbone = load_backbone(str(library(family)), "protein")
    assert isinstance(backbone, HuggingFace) and backbone.pretrained and not backbone.training
    assert (backbone.resolution, backbone.width, backbone.alphabet.name) == (1, 16, "protein")
    for text, found in zip(PROTEINS, vectors(backbone, PROTEINS), strict=True):
        expected = by_transformers(library(family), kind, written(text), marks)
        assert found.shape == (len(text), 16)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_overlapping_words_stand_at_their_middle_letter(library: Callable[[str], Path]) -> None:
    backbone = load_backbone(str(library("dnabert")), "dna")
    assert backbone.resolution == 1 and backbone.max_length == 38
    text = "ACGTACGNTGA"
    row = backbone.encode(text)
    unknown, first = MARKS.index("[UNK]"), len(MARKS)
    assert row.tolist()[1:6] == [first + words(3).index(text[i : i + 3]) for i in range(5)]
    assert row.tolist()[6:9] == [unknown] * 3 and row[0] == row[-1] == -1
    (found,) = vectors(backbone, [text])
    kmers = " ".join(text[place : place + 3] for place in range(len(text) - 2))
    expected = by_transformers(library("dnabert"), "BertModel", kmers, (1, 1))
    torch.testing.assert_close(found[1:-1], expected, atol=2e-5, rtol=1e-4)
    assert torch.equal(found[0], found[1]) and torch.equal(found[-1], found[-2])
    (short,) = vectors(backbone, ["AC"])
    assert backbone.encode("AC").tolist() == [unknown, -1] and torch.equal(short[0], short[1])


def test_words_side_by_side_give_a_vector_each_and_one_for_what_is_left(library: Callable[[str], Path]) -> None:
    backbone = load_backbone(str(library("nucleotide")), "dna")
    assert backbone.resolution == 2 and backbone.name == "huggingface"
    expected = by_transformers(library("nucleotide"), "EsmModel", "ACGTTGA", (1, 1), add_pooling_layer=False)
    (found,) = vectors(backbone, ["ACGTTGA"])
    assert found.shape == (4, 16)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
    spelled_out = by_transformers(library("nucleotide"), "EsmModel", "ACGNTTA", (1, 1), add_pooling_layer=False)
    (found,) = vectors(backbone, ["ACGNTTA"])  # AC G N TT A; letters 2-3 are G N, 4-5 are TT
    assert len(spelled_out) == 5
    expected = torch.stack([spelled_out[0], spelled_out[1:3].mean(0), spelled_out[3], spelled_out[4]])
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_pieces_of_varying_length_give_one_vector_per_sequence(library: Callable[[str], Path]) -> None:
    backbone = load_backbone(str(library("bpe")), "dna")
    assert backbone.resolution == 0
    assert backbone.encode("ACGTACA").tolist() == [11, 9, 4]
    for text, found in zip(GENES, vectors(backbone, GENES), strict=True):
        assert found.shape == (1, 16)
        if len(text) < 30:
            tokens = by_transformers(library("bpe"), "RobertaModel", text, (1, 1), add_pooling_layer=False)
            torch.testing.assert_close(found[0], tokens.mean(0), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["prott5", "dnabert", "nucleotide", "bpe"])
def test_batch_equals_alone_also_in_tiles(library: Callable[[str], Path], family: str) -> None:
    alphabet = "protein" if family == "prott5" else "dna"
    backbone = load_backbone(str(library(family)), alphabet)
    texts = PROTEINS if alphabet == "protein" else [*GENES, "ACGTTGCA" * 30]
    seen: list[int] = []
    backbone.register_forward_pre_hook(lambda _, given: seen.extend(given[0].lengths.tolist()))
    together = vectors(backbone, texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = vectors(backbone, [text])
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
    assert backbone.max_length is None or max(seen) == backbone.max_length


@pytest.mark.parametrize("family", ["esmc", "prott5", "protbert", "protalbert", "nucleotide", "bpe"])
def test_configuration_and_weights_rebuild_it(library: Callable[[str], Path], family: str) -> None:
    alphabet = "dna" if family in ("nucleotide", "bpe") else "protein"
    backbone, texts = load_backbone(str(library(family)), alphabet), GENES if alphabet == "dna" else PROTEINS
    stored = json.loads(json.dumps(backbone.configuration()))
    again = HuggingFace.from_configuration(stored)
    assert again.configuration() == stored and str(library(family).parent) not in json.dumps(stored)
    assert again.fingerprint() != backbone.fingerprint()
    again.load_state_dict(backbone.state_dict())
    assert again.fingerprint() == backbone.fingerprint()
    assert all(map(torch.equal, vectors(again, texts), vectors(backbone, texts)))


@pytest.mark.parametrize("family", ["esmc", "prott5", "protbert", "protalbert", "distil", "modern", "nucleotide"])
def test_blocks_hold_what_gives_the_vectors(library: Callable[[str], Path], family: str) -> None:
    backbone = load_backbone(str(library(family)), "dna" if family == "nucleotide" else "protein")
    inside = [id(parameter) for block in backbone.blocks() for parameter in block.parameters()]
    assert sorted(inside) == sorted(id(parameter) for parameter in backbone.parameters())
    assert len(backbone.blocks()) == (2 if family == "protalbert" else 3)
    backbone.vectors(Packed.of([backbone.encode("ACGTGCAACA")])).values.square().sum().backward()
    assert all(any(p.grad is not None for p in block.parameters()) for block in backbone.blocks())


def test_vectors_are_kept_at_their_resolution(library: Callable[[str], Path], tmp_path: Path) -> None:
    backbone = load_backbone(str(library("nucleotide")), "dna")
    stored = embed(backbone, GENES, tmp_path / "vectors")
    assert stored.lengths.tolist() == [6, 1, 7, 21]
    for found, expected in zip(stored.rows(), vectors(backbone, GENES), strict=True):
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("family", "said"), [("nucleotide", "one vector per 2 letters"), ("bpe", "per sequence")])
def test_a_residue_task_refuses_another_resolution(library: Callable[[str], Path], family: str, said: str) -> None:
    backbone, level = load_backbone(str(library(family)), "dna"), Residue()
    kind = Regression.learn(LABELS, "y")
    with pytest.raises(BiograftError, match=f"A residue task needs one vector per letter: got .*huggingface.*{said}"):
        Model(backbone, LinearHead(level, 16, 1), level, kind)


@pytest.mark.parametrize("family", ["esmc", "bpe"])
def test_a_saved_model_needs_no_checkpoint(copied: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    folder = copied(family)
    alphabet, texts = ("dna", GENES) if family == "bpe" else ("protein", PROTEINS)
    backbone, level = load_backbone(str(folder), alphabet), Sequence()
    model = Model(backbone, LinearHead(level, 16, 1), level, Regression.learn(LABELS, "y"))
    training = Records.of(texts, columns={"y": [str(n) for n in range(len(texts))]}, alphabet=alphabet)
    Bundle(model, "y", training).save(tmp_path / "model")
    expected = Bundle(model, "y", training).predict(training).predicted.values
    shutil.rmtree(folder)
    again = load(tmp_path / "model")
    assert again.model.backbone.fingerprint() == backbone.fingerprint() and again.model.backbone.pretrained
    np.testing.assert_allclose(again.predict(training).predicted.values, expected, atol=1e-6)
    assert load_backbone(str(tmp_path / "model"), alphabet).fingerprint() == backbone.fingerprint()


def test_code_that_transformers_took_over_is_not_needed(copied: Callable[[str], Path]) -> None:
    folder = copied("esmc")
    before = load_backbone(str(folder), "protein").fingerprint()
    edit(folder, auto_map={"AutoModel": "modeling_esmc.EsmcModel"})
    assert load_backbone(str(folder), "protein").fingerprint() == before


def test_the_layout_of_esm2_goes_through_our_own_encoder(tmp_path: Path) -> None:
    config = transformers.EsmConfig(
        **SHAPE, vocab_size=33, pad_token_id=1, mask_token_id=32, position_embedding_type="rotary", token_dropout=True
    )
    quietly(lambda: transformers.EsmForMaskedLM(config).save_pretrained(tmp_path / "esm2"))
    esm_tokenizer(tmp_path / "esm2", list(ESM2_VOCABULARY))
    assert isinstance(load_backbone(str(tmp_path / "esm2"), "protein"), Encoder)


@pytest.fixture
def hub(copied: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds ``someone/tiny`` at one commit, and no network."""
    commit, there = "0123456789abcdef0123456789abcdef01234567", tmp_path / "hub" / "models--someone--tiny"
    (there / "snapshots").mkdir(parents=True)
    copied("esmc").rename(there / "snapshots" / commit)
    (there / "refs").mkdir()
    (there / "refs" / "main").write_text(commit)
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return there


def test_a_name_is_found_in_the_cache_without_a_network(hub: Path, library: Callable[[str], Path]) -> None:
    backbone = load_backbone("someone/tiny", "protein")
    assert isinstance(backbone, HuggingFace)
    assert backbone.origin == f"someone/tiny@{(hub / 'refs' / 'main').read_text()}"
    local = load_backbone(str(library("esmc")), "protein")
    assert all(map(torch.equal, vectors(backbone, PROTEINS), vectors(local, PROTEINS)))
    assert backbone.fingerprint() != local.fingerprint()
    pinned = load_backbone(backbone.origin, "protein")
    assert pinned.fingerprint() == backbone.fingerprint()


def test_a_short_name_stands_for_a_published_one(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = catalog.Checkpoint("tiny", "someone/tiny", 16, "1 MB", "MIT")
    monkeypatch.setattr(catalog, "CHECKPOINTS", (short,))
    assert load_backbone("tiny", "protein").fingerprint() == load_backbone("someone/tiny", "protein").fingerprint()


@pytest.mark.parametrize("name", ["someone/else", "someone/tiny@v2"])
def test_a_name_that_is_nowhere(hub: Path, name: str) -> None:
    with pytest.raises(BiograftError, match=f"Checkpoint '{name}' is no folder here, not in the local cache, .* Check"):
        load_backbone(name, "protein")


def test_a_name_whose_weights_could_run_code(hub: Path) -> None:
    (folder,) = (hub / "snapshots").iterdir()
    (folder / "model.safetensors").unlink()  # as for a pytorch_model.bin alone, which is not fetched
    with pytest.raises(BiograftError, match=r"'someone/tiny' has no weights as safetensors: .* could run code .* conv"):
        load_backbone("someone/tiny", "protein")
    edit(folder, model_type="bert", auto_map={"AutoModel": "modeling.Model"})
    with pytest.raises(BiograftError, match="'someone/tiny' needs code of its own"):
        load_backbone("someone/tiny", "protein")


def test_code_is_refused_also_without_the_package(
    copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied("protbert")
    edit(folder, auto_map={"AutoModel": "modeling.Model"})
    monkeypatch.setattr(huggingface.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BiograftError, match="needs code of its own"):
        load_backbone(str(folder), "protein")


def test_without_the_package_the_command_is_named(
    library: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BiograftError, match=r"package transformers, which is not installed. .*biograft\[huggingface\]"):
        load_backbone(str(library("esmc")), "protein")
    with pytest.raises(BiograftError, match="not installed"):
        load_backbone("someone/tiny", "protein")


def test_the_family_itself_is_no_backbone() -> None:
    with pytest.raises(BiograftError, match="got no checkpoint"):
        load_backbone("huggingface", "protein")


def test_a_version_that_does_not_know_the_architecture(
    library: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = {**huggingface.FAMILIES, "esmc": huggingface.Family("EsmFutureModel")}
    monkeypatch.setattr(huggingface, "FAMILIES", strange)
    with pytest.raises(BiograftError, match=r"is of type 'esmc': transformers .* has no EsmFutureModel.* Update it"):
        load_backbone(str(library("esmc")), "protein")


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("protbert", {"auto_map": {"AutoModel": "modeling.Model"}}, "needs code of its own .*, which is never run"),
        ("esmc", {"model_type": "gpt2"}, "'model_type' of its config.json is 'gpt2', expected one of albert, bert"),
        ("esmc", {"model_type": "absent"}, "'model_type' of its config.json is None"),
        ("protbert", {"num_hidden_layers": 3}, r"lack 'encoder.layer.2.* \(16 such\).* Take all files of one"),
        ("protbert", {"num_hidden_layers": 1}, r"hold '.*encoder.layer.1.* \(16 such\)"),
        ("protbert", {"hidden_size": 20}, "don't fit its config.json"),
        ("protbert", {"num_attention_heads": 3}, "don't fit its config.json.*3"),
        (
            "protbert",
            {"hidden_size": "wide"},
            "has a config.json that doesn't fit .*'hidden_size' expected int, got str",
        ),
        ("nucleotide", {"max_position_embeddings": 4}, "leaves no room for letters: got 2 pos|don't fit"),
    ],
)
def test_a_config_that_does_not_fit(
    copied: Callable[[str], Path], family: str, changes: dict[str, Any], message: str
) -> None:
    folder = copied(family)
    edit(folder, **changes)
    with pytest.raises(BiograftError, match=message):
        load_backbone(str(folder), "dna" if family == "nucleotide" else "protein")


def test_weights_that_are_damaged_missing_or_could_run_code(copied: Callable[[str], Path]) -> None:
    folder = copied("protbert")
    path = folder / "model.safetensors"
    whole = load_file(path)
    broken = {**whole, "bert.embeddings.LayerNorm.weight": torch.full((16,), torch.nan)}
    save_file(broken, path, metadata={"format": "pt"})
    with pytest.raises(BiograftError, match=r"'embeddings.LayerNorm.weight' in .* holds values that are not finite"):
        load_backbone(str(folder), "protein")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BiograftError, match=r"model.safetensors' is damaged or cut off .* Copy or download it again"):
        load_backbone(str(folder), "protein")
    path.rename(folder / "pytorch_model.bin")
    with pytest.raises(BiograftError, match=r"only 'pytorch_model.bin', which could run code .* convert it: transf"):
        load_backbone(str(folder), "protein")
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(BiograftError, match="holds no weights; expected"):
        load_backbone(str(folder), "protein")


def test_a_tokenizer_without_a_letter_absent_or_of_another_checkpoint(copied: Callable[[str], Path]) -> None:
    folder = copied("protbert")
    bert_tokenizer(folder, [letter for letter in AMINO if letter not in "WK"])
    with pytest.raises(BiograftError, match="protbert': The tokenizer lacks the protein letters KW: got 28 tokens"):
        load_backbone(str(folder), "protein")
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(BiograftError, match="The tokenizer lacks the protein letters ACDEF"):
        load_backbone(str(folder), "protein")


def test_a_tokenizer_larger_than_the_embedding(copied: Callable[[str], Path]) -> None:
    folder = copied("dnabert")
    (folder / "vocab.txt").write_text("\n".join([*MARKS, "[1]", "[2]", *words(3)]))
    with pytest.raises(BiograftError, match="does not fit its weights: got token 70, expected below 69"):
        load_backbone(str(folder), "dna")


@pytest.mark.parametrize(("family", "reads", "wanted"), [("esmc", "protein", "dna"), ("dnabert", "dna", "rna")])
def test_a_checkpoint_for_another_alphabet(
    library: Callable[[str], Path], family: str, reads: str, wanted: str
) -> None:
    with pytest.raises(BiograftError, match=f"reads {reads}: the table holds {wanted}. Choose another --backbone"):
        load_backbone(str(library(family)), wanted)


def test_configs_that_are_none(copied: Callable[[str], Path]) -> None:
    folder = copied("esmc")
    (folder / "config.json").write_text("[]")
    with pytest.raises(BiograftError, match="does not hold a configuration: got a list, expected an object"):
        load_backbone(str(folder), "protein")
    with pytest.raises(BiograftError, match="that doesn't fit"):
        HuggingFace.from_configuration(
            {
                **checkpoint.load(copied("protbert"), "protein").configuration(),
                "config": {"model_type": "bert", "hidden_size": "x"},
            }
        )
