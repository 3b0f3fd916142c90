"""Checkpoint folders of others in the Hugging Face layout: ``config.json``, safetensors, the tokenizer's files.

Code that comes with a checkpoint is never run, other weight files than safetensors are never opened. The trap:
``transformers`` invents weights that a checkpoint lacks, so everything missing or left over is refused here.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from biograft.backbones.huggingface import MEND, Family, HuggingFace, family_of, quiet, settings_of, transformers
from biograft.backbones.words import Words, scheme_of, spelled
from biograft.data.alphabet import DNA, PROTEIN, RNA, Alphabet, named
from biograft.errors import BiograftError
from biograft.files import read_json

__all__ = ["load"]

HEADS = re.compile(r"(cls|lm_head|classifier|pooler|decoder|head|generator_\w+|discriminator_\w+|contact_head)\b")


def load(folder: Path | str, alphabet: str, origin: str = "") -> HuggingFace:
    """Read a checkpoint's folder; float32 weights, eval mode.

    Args:
        alphabet: what is wanted, where the checkpoint reads several.
        origin: name and revision of a checkpoint that has them.

    Raises:
        BiograftError: a file is missing, damaged or of another architecture; files don't fit each other.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise BiograftError(
            f"'{folder / 'config.json'}' does not hold a configuration: got a {type(config).__name__}, expected an "
            f"object. {MEND}"
        )
    family = family_of(config, f"'{folder}'")
    _check_files(folder)
    encoder = _encoder(folder, family, settings_of(config, f"'{folder}'"))
    words = _words(folder, family, alphabet)
    try:
        backbone = HuggingFace(words.alphabet, config, words, origin, encoder)
    except BiograftError as fault:
        raise BiograftError(f"'{folder}': {fault}") from None
    _check_ids(words, encoder, folder)
    backbone.pretrained = True
    return backbone.eval()


def _check_files(folder: Path) -> None:
    """Weights are there, as safetensors, and whole."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        others = sorted(path for kind in ("bin", "pt", "pth", "h5", "msgpack") for path in folder.glob(f"*.{kind}"))
        found = f"only '{others[0].name}', which could run code when opened" if others else "no weights"
        raise BiograftError(
            f"'{folder}' holds {found}; expected model.safetensors. If you trust its source, convert it: transformers."
            "AutoModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER), and copy the tokenizer's files there."
        )
    for path in paths:
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as fault:
            raise BiograftError(f"'{path}' is damaged or cut off ({fault}). Copy or download it again.") from None


def _encoder(folder: Path, family: Family, settings: Any) -> nn.Module:
    kind = getattr(transformers(), family.kind)
    try:
        with quiet():
            encoder, report = kind.from_pretrained(
                folder,
                config=settings,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **family.options,
            )
    except (OSError, ValueError, RuntimeError, ZeroDivisionError, SafetensorError) as fault:
        reason = str(fault).strip().split("\n")[0]
        raise BiograftError(
            f"The weights in '{folder}' don't fit its config.json, or one of the files is damaged ({reason}). {MEND}"
        ) from None
    _refuse(folder, report["missing_keys"], kind.base_model_prefix, "lack '{}', which its config.json asks for")
    _refuse(
        folder, report["unexpected_keys"], kind.base_model_prefix, "hold '{}', which its config.json has no place for"
    )
    for name, value in encoder.state_dict().items():
        if not torch.isfinite(value).all():
            raise BiograftError(f"'{name}' in '{folder}' holds values that are not finite. Copy the checkpoint again.")
    whole: nn.Module = encoder.float()
    return whole


def _refuse(folder: Path, names: set[str], prefix: str, what: str) -> None:
    """Names that belong to the encoder and not to a head on top of it."""
    own = sorted(name for name in names if not HEADS.match(name.removeprefix(f"{prefix}.")))
    if own:
        raise BiograftError(f"The weights in '{folder}' {what.format(own[0])} ({len(own)} such). {MEND}")


def _check_ids(words: Words, encoder: Any, folder: Path) -> None:
    known = encoder.get_input_embeddings().num_embeddings
    highest = max(*words.ids.values(), *words.before, *words.after, words.unknown, words.padding, words.last_piece)
    if highest >= known:
        raise BiograftError(
            f"The tokenizer in '{folder}' does not fit its weights: got token {highest}, expected below {known}. {MEND}"
        )


def _words(folder: Path, family: Family, wanted: str) -> Words:
    tokenizer = _tokenizer(folder)
    plain = spelled(tokenizer.get_vocab())
    alphabet = _alphabet(plain, wanted)
    apart = family.apart or "▁A" in tokenizer.get_vocab()  # as in ProtT5, and not in Ankh
    try:
        words = Words.of(alphabet, plain, _special(tokenizer, plain, alphabet), apart=apart)
    except BiograftError as fault:
        raise BiograftError(f"'{folder}': {fault}") from None
    if words.scheme == "pieces" and not words.pieces:
        raise BiograftError(
            f"The tokenizer in '{folder}' cuts pieces of varying length and has no tokenizer.json. Make one: "
            "transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    return words


def _tokenizer(folder: Path) -> Any:
    try:
        with quiet():
            return transformers().AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as fault:
        reason = str(fault).strip().split("\n")[0]
        raise BiograftError(
            f"The tokenizer in '{folder}' cannot be opened ({reason}). Put tokenizer.json, or vocab.txt and "
            "tokenizer_config.json, of this checkpoint there; a spiece.model alone needs: pip install sentencepiece "
            "protobuf."
        ) from None


def _special(tokenizer: Any, plain: Mapping[str, int], alphabet: Alphabet) -> dict[str, Any]:
    """What stands around a row, and the ids of nothing and of anything."""
    core = set(alphabet.letters[: alphabet.core])
    probe = max((word for word in plain if set(word) <= core), key=len, default="A")
    bare, framed = tokenizer(probe, add_special_tokens=False).input_ids, tokenizer(probe).input_ids
    start = next(place for place in range(len(framed)) if framed[place : place + len(bare)] == bare)
    padding = int(tokenizer.pad_token_id or 0)
    return {
        "unknown": padding if tokenizer.unk_token_id is None else int(tokenizer.unk_token_id),
        "before": tuple(framed[:start]),
        "after": tuple(framed[start + len(bare) :]),
        "padding": padding,
        "pieces": tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else "",
    }


def _alphabet(plain: Mapping[str, int], wanted: str) -> Alphabet:
    """What a vocabulary reads: protein where it has letters of amino acids alone, else the wanted one that fits."""
    if any(letter in plain for letter in "EFILPQ"):
        return PROTEIN
    fitting = [alphabet for alphabet in (DNA, RNA) if scheme_of(plain, alphabet)]
    return next((alphabet for alphabet in fitting if alphabet.name == wanted), *fitting[:1] or [named(wanted)])
