"""ESM-2 checkpoints in the Hugging Face layout: ``config.json``, ``model.safetensors``, ``vocab.txt``.

Both saved forms are read: with a language head (``EsmForMaskedLM``, names start with ``esm.``) and without
(``EsmModel``). Only safetensors are opened: other weight files can run code. Contact head and pooler are left
out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from biograft.backbones.attention import frequencies
from biograft.backbones.encoder import ESM2_VOCABULARY, Encoder, EncoderConfiguration
from biograft.data.alphabet import DNA, PROTEIN, RNA, Alphabet
from biograft.errors import BiograftError
from biograft.files import atomic_folder, read_json, write_json, write_text
from biograft.state import save_tensors

__all__ = ["load", "reads", "save"]

SPARE_POSITIONS = 4  # max_position_embeddings counts start, end and two ids before the first position (1026 -> 1022)
UNUSED = re.compile(r"contact_head\.|pooler\.|embeddings\.position_|.*rotary_embeddings\.inv_freq$|lm_head\.decoder\.")
FIELDS = {  # ours -> config.json
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "norm_epsilon": "layer_norm_eps",
}
BLOCK = {  # ours -> theirs, within one block
    "attention_norm": "attention.LayerNorm",
    "attention.combine": "attention.output.dense",
    "feed_norm": "LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
}
WHOLE = {"normalise": "encoder.emb_layer_norm_after"}
HEAD = {"language_head.dense": "lm_head.dense", "language_head.normalise": "lm_head.layer_norm"}
MEND = "Take config.json and weights of one and the same checkpoint."


def reads(folder: Path | str) -> bool:
    """Whether a folder's ``config.json`` and vocabulary describe ESM-2: rotary positions, single letters, no own code.

    Anything else of the type ``esm`` (ESM-1, words of DNA) is for ``transformers``.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or config.get("model_type") != "esm" or config.get("auto_map"):
        return False
    path = folder / "vocab.txt"
    words = path.read_text(encoding="utf-8").split() if path.is_file() else []
    plain = config.get("position_embedding_type") == "rotary" and not config.get("emb_layer_norm_before")
    return plain and not any(len(word) > 1 and word.isalpha() for word in words)


def load(folder: Path | str) -> Encoder:
    """Read a checkpoint into an :class:`Encoder` with float32 weights, in eval mode.

    Raises:
        BiograftError: a file is missing, damaged or of another architecture, or config and weights don't fit.
    """
    folder = Path(folder)
    config = _config(folder)
    weights = _weights(folder)
    shape = _shape(folder, config, weights)
    alphabet = _alphabet(folder, shape.vocabulary)
    try:
        encoder = Encoder(alphabet, shape)
    except BiograftError as fault:
        raise BiograftError(f"'{folder}': {fault}") from None
    _fill(encoder, weights, folder)
    encoder.pretrained = True
    return encoder.eval()


def save(encoder: Encoder, folder: Path | str) -> None:
    """Write the folder (an existing one is replaced) so that ``transformers`` opens it with equal outputs."""
    shape, state = encoder.shape, encoder.state_dict()
    tensors = {theirs: state[ours].detach().cpu() for ours, theirs in _single_names(shape)}
    for layer in range(shape.layers):
        for kind in ("weight", "bias"):
            parts = state[f"layers.{layer}.attention.project.{kind}"].detach().cpu().chunk(3)
            for part, name in zip(parts, ("query", "key", "value"), strict=True):
                tensors[f"encoder.layer.{layer}.attention.self.{name}.{kind}"] = part
        tensors[f"encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"] = shape.angles
    prefix = "esm." if shape.language_head else ""
    apart = {
        name if name.startswith("lm_head.") else prefix + name: value.clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    with atomic_folder(folder) as part:
        save_tensors(apart, part / "model.safetensors", {"format": "pt"})
        write_json(part / "config.json", _description(shape, str(encoder.embedding.weight.dtype)))
        write_text(part / "vocab.txt", "\n".join(shape.vocabulary) + "\n")
        tokenizer = {"tokenizer_class": "EsmTokenizer", "model_max_length": shape.max_length + 2}
        write_json(part / "tokenizer_config.json", tokenizer)


def _description(shape: EncoderConfiguration, dtype: str) -> dict[str, Any]:
    """What ``config.json`` says."""
    vocabulary = shape.vocabulary
    return {
        "architectures": ["EsmForMaskedLM" if shape.language_head else "EsmModel"],
        "model_type": "esm",
        **{theirs: getattr(shape, ours) for ours, theirs in FIELDS.items()},
        "intermediate_size": shape.inner or 4 * shape.width,
        "max_position_embeddings": shape.max_length + SPARE_POSITIONS,
        "position_embedding_type": "rotary",
        "rope_theta": shape.rotary_base,
        "token_dropout": shape.token_dropout,
        "emb_layer_norm_before": False,
        "tie_word_embeddings": True,
        "hidden_act": "gelu",
        "initializer_range": 0.02,
        "vocab_size": len(vocabulary),
        "pad_token_id": vocabulary.index("<pad>" if "<pad>" in vocabulary else "<unk>"),
        "eos_token_id": vocabulary.index("<eos>"),
        "mask_token_id": vocabulary.index("<mask>"),
        "dtype": dtype.removeprefix("torch."),
    }


def _single_names(shape: EncoderConfiguration) -> Iterator[tuple[str, str]]:
    """Our name and theirs (without ``esm.``) of every tensor but queries, keys and values."""
    yield "embedding.weight", "embeddings.word_embeddings.weight"
    modules = dict(WHOLE)
    for layer in range(shape.layers):
        modules |= {f"layers.{layer}.{ours}": f"encoder.layer.{layer}.{theirs}" for ours, theirs in BLOCK.items()}
    if shape.language_head:
        yield "language_head.bias", "lm_head.bias"
        modules |= HEAD
    for ours, theirs in modules.items():
        for kind in ("weight", "bias"):
            yield f"{ours}.{kind}", f"{theirs}.{kind}"


def _config(folder: Path) -> dict[str, Any]:
    """``config.json``, refused where it describes something other than an ESM-2 encoder."""
    path = folder / "config.json"
    if not folder.is_dir():
        raise BiograftError(
            f"'{folder}' is not a folder. A checkpoint is a folder with config.json and model.safetensors."
        )
    config = read_json(path)
    if not isinstance(config, dict):
        raise BiograftError(
            f"'{path}' does not hold a configuration: got a {type(config).__name__}, expected an object. {MEND}"
        )
    expected: dict[str, tuple[Any, ...]] = {
        "model_type": ("esm",),
        "position_embedding_type": ("rotary",),
        "emb_layer_norm_before": (False, None),
        "is_decoder": (False, None),
        "add_cross_attention": (False, None),
        "is_folding_model": (False, None),
        "tie_word_embeddings": (True, None),
    }
    for field, allowed in expected.items():
        if config.get(field) not in allowed:
            got = repr(config[field]) if field in config else "nothing"
            raise BiograftError(
                f"'{path}' is not an ESM-2 encoder: field '{field}' is {got}, expected {allowed[0]!r}. "
                "Choose a checkpoint of the ESM-2 family."
            )
    return config


def _shape(folder: Path, config: dict[str, Any], weights: dict[str, Tensor]) -> EncoderConfiguration:
    path = folder / "config.json"
    usual = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "layer_norm_eps": 1e-12}
    fields = {ours: _number(path, {**usual, **config}, theirs) for ours, theirs in FIELDS.items()}
    rotary = config.get("rope_parameters") or {}
    base = float(config.get("rope_theta") or rotary.get("rope_theta") or 10_000.0)
    longest = _number(path, {"max_position_embeddings": 1026, **config}, "max_position_embeddings")
    try:
        shape = EncoderConfiguration(
            **fields,
            vocabulary=_vocabulary(folder, config),
            max_length=int(longest) - SPARE_POSITIONS,
            token_dropout=bool(config.get("token_dropout", False)),
            rotary_base=base,
            rotary_frequencies=_stored_angles(weights, fields["width"] // max(1, fields["heads"]), base),
            language_head=any(name.startswith("lm_head.") for name in weights),
        )
    except BiograftError as fault:
        raise BiograftError(f"'{path}' describes an encoder that cannot be built. {fault} {MEND}") from None
    return shape


def _number(path: Path, config: dict[str, Any], field: str) -> Any:
    value = config.get(field)
    whole = field not in ("hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps")
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise BiograftError(
            f"Field '{field}' of '{path}' is unusable: got {value!r}, "
            f"expected a {'whole ' if whole else ''}number. Take the config.json of these weights."
        )
    return value if whole else float(value)


def _vocabulary(folder: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Tokens by id: from vocab.txt, else the config, else ESM-2's."""
    path = folder / "vocab.txt"
    if path.is_file():
        tokens = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    else:
        tokens = tuple(config.get("vocab_list") or ESM2_VOCABULARY)
    size, mask = config.get("vocab_size"), config.get("mask_token_id")
    source = path.name if path.is_file() else "ESM-2 (there is no vocab.txt)"
    if size != len(tokens):
        raise BiograftError(
            f"Field 'vocab_size' of '{folder / 'config.json'}' does not fit the vocabulary of {source}: "
            f"got {size}, expected {len(tokens)}. Put the vocab.txt of this checkpoint beside it."
        )
    if isinstance(mask, int) and "<mask>" in tokens and tokens.index("<mask>") != mask:
        raise BiograftError(
            f"Field 'mask_token_id' of '{folder / 'config.json'}' does not fit the vocabulary of {source}: "
            f"got {mask}, expected {tokens.index('<mask>')}. Put the vocab.txt of this checkpoint beside it."
        )
    return tokens


def _alphabet(folder: Path, vocabulary: tuple[str, ...]) -> Alphabet:
    if set("EFILPQ") & set(vocabulary):  # of amino acids alone: ACGT without one of them is no DNA
        return PROTEIN
    for alphabet in (DNA, RNA):
        if set(alphabet.letters[: alphabet.core]) <= set(vocabulary):
            return alphabet
    raise BiograftError(
        f"The vocabulary of '{folder}' has no full set of letters: got {' '.join(vocabulary)}, "
        f"expected all of {PROTEIN.letters[:20]}, ACGT or ACGU. Choose one that reads single letters."
    )


def _weights(folder: Path) -> dict[str, Tensor]:
    """All tensors by name, without the prefix ``esm.`` and with today's names of layer-norm parameters."""
    paths = sorted(folder.glob("model*.safetensors"))
    if not paths:
        others = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.h5")])
        found = f"only '{others[0].name}', which could run code when opened" if others else "no weights"
        raise BiograftError(
            f"'{folder}' holds {found}; expected model.safetensors. If you trust its source, convert it: "
            "transformers.EsmForMaskedLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)."
        )
    weights: dict[str, Tensor] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    plain = name.removeprefix("esm.").replace("LayerNorm.gamma", "LayerNorm.weight")
                    weights[plain.replace("LayerNorm.beta", "LayerNorm.bias")] = file.get_tensor(name)
        except (SafetensorError, OSError) as fault:
            raise BiograftError(f"'{path}' is damaged or cut off ({fault}). Copy or download it again.") from None
    return weights


def _stored_angles(weights: dict[str, Tensor], head_width: int, base: float) -> tuple[float, ...] | None:
    """Rotary angles of the checkpoint where they aren't the formula's: some were saved in half precision."""
    stored = [value for name, value in weights.items() if name.endswith("rotary_embeddings.inv_freq")]
    if not stored or torch.equal(stored[0].float(), frequencies(head_width, base)):
        return None
    return tuple(stored[0].float().tolist())


def _fill(encoder: Encoder, weights: dict[str, Tensor], folder: Path) -> None:
    """Copy the weights. Raises BiograftError for a missing, superfluous, misshapen or non-finite tensor."""
    state, used = encoder.state_dict(), set()

    def copy(target: Tensor, name: str) -> None:
        used.add(name)
        if name not in weights:
            raise BiograftError(f"The weights in '{folder}' lack '{name}', which its config.json asks for. {MEND}")
        value = weights[name]
        if value.shape != target.shape:
            raise BiograftError(
                f"'{name}' in '{folder}' has the wrong shape: got {tuple(value.shape)}, "
                f"expected {tuple(target.shape)} by its config.json. {MEND}"
            )
        if not torch.isfinite(value).all():
            raise BiograftError(f"'{name}' in '{folder}' holds values that are not finite. Copy the checkpoint again.")
        target.copy_(value)

    for ours, theirs in _single_names(encoder.shape):
        copy(state[ours], theirs)
    for layer in range(encoder.shape.layers):
        for kind in ("weight", "bias"):
            parts = state[f"layers.{layer}.attention.project.{kind}"].chunk(3)
            for part, name in zip(parts, ("query", "key", "value"), strict=True):
                copy(part, f"encoder.layer.{layer}.attention.self.{name}.{kind}")
    embedding, decoder = weights["embeddings.word_embeddings.weight"], weights.get("lm_head.decoder.weight")
    if decoder is not None and not torch.equal(decoder, embedding):
        raise BiograftError(
            f"'lm_head.decoder.weight' in '{folder}' is not the token embedding, expected the same. {MEND}"
        )
    superfluous = [name for name in weights if name not in used and not UNUSED.match(name)]
    if superfluous:
        raise BiograftError(
            f"The weights in '{folder}' hold '{superfluous[0]}' ({len(superfluous)} such), "
            f"which its config.json has no place for. {MEND}"
        )
