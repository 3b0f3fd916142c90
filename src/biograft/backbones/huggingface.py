"""Encoders of others, run by ``transformers``: ``vectors = encoder(words(letters))``.

Padding lives in here only: rows of similar length are padded together, marks around a row are added and taken away
again. Reading a checkpoint's folder is the work of :mod:`biograft.backbones.checkpoint`.
"""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from biograft.backbones.backbone import Backbone
from biograft.backbones.words import Words
from biograft.data.alphabet import Alphabet, named
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.files import read_json

__all__ = ["MEND", "Family", "HuggingFace", "family_of", "fetch", "is_name", "quiet", "settings_of", "transformers"]

MEND = "Take all files of one and the same checkpoint."
NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
VOLATILE = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "auto_map", "architectures")
BUDGET = 16_384  # padded tokens that are run at once


@dataclass(frozen=True)
class Family:
    """One architecture.

    Attributes:
        kind: its class in ``transformers``.
        placed: whether tokens have numbered places, so that there can't be more of them than the config says.
        after_padding: whether places are counted from one above the id of padding.
        pooled: whether it has a pooling layer that can be left out.
        apart: whether proteins were read with spaces between letters and rare amino acids as X.
        adopted: whether ``transformers`` took over the code that came with checkpoints, which then isn't needed.
    """

    kind: str
    placed: bool = True
    after_padding: bool = False
    pooled: bool = False
    apart: bool = False
    adopted: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What its class must be told to give vectors and nothing else."""
        return {"add_pooling_layer": False} if self.pooled else {}

    def longest(self, config: Any) -> int | None:
        """Tokens that it can place."""
        if not self.placed:
            return None
        return int(config.max_position_embeddings) - (int(config.pad_token_id) + 1 if self.after_padding else 0)


FAMILIES = {
    "albert": Family("AlbertModel", pooled=True, apart=True),
    "bert": Family("BertModel", pooled=True, apart=True),
    "distilbert": Family("DistilBertModel"),
    "electra": Family("ElectraModel", apart=True),
    "esm": Family("EsmModel", after_padding=True, pooled=True),
    "esmc": Family("EsmcModel", adopted=True),
    "modernbert": Family("ModernBertModel"),
    "roberta": Family("RobertaModel", after_padding=True, pooled=True),
    "t5": Family("T5EncoderModel", placed=False),
}


def transformers() -> ModuleType:
    """The package. Raises BiograftError where it isn't installed."""
    if importlib.util.find_spec("transformers") is None:
        raise BiograftError(
            "This backbone needs the package transformers, which is not installed. "
            "Install it: pip install 'biograft[huggingface]'."
        )
    import transformers as package

    return package


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and load reports of ``transformers``: what they warn of is checked and raised by us."""
    logging = transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def family_of(config: Mapping[str, Any], where: str) -> Family:
    """The family of a ``config.json``. Raises BiograftError for one that needs code of its own or isn't known."""
    kind = config.get("model_type")
    family = FAMILIES.get(str(kind))
    foreign = any(key.startswith("AutoModel") for key in config.get("auto_map") or ())
    if foreign and not (family and family.adopted):
        raise BiograftError(
            f"{where} needs code of its own ('auto_map' in its config.json), which is never run. Use a checkpoint of "
            "the same model in a layout that transformers knows."
        )
    if family is None:
        raise BiograftError(
            f"{where} is no encoder that can be run: field 'model_type' of its config.json is {kind!r}, expected one "
            f"of {', '.join(FAMILIES)}. Choose another checkpoint."
        )
    package = transformers()
    if not hasattr(package, family.kind):
        raise BiograftError(
            f"{where} is of type '{kind}': transformers {package.__version__} has no {family.kind}, a later version "
            "does. Update it: pip install --upgrade transformers."
        )
    return family


class HuggingFace(Backbone):
    """Any encoder of ``FAMILIES``, with one vector per letter, per k letters or per sequence.

    Attributes:
        config: the checkpoint's own, without what depends on place and version.
        words: how letters become tokens.
        origin: name and revision of a checkpoint that has them.
        encoder: of ``transformers``.
        resolution: 1 for letters and overlapping k-mers, k for k-mers side by side, 0 for pieces of varying length.
        max_length: tokens read at once, without the marks around a row; longer rows are read in tiles.
    """

    name: ClassVar[str] = "huggingface"

    def __init__(
        self,
        alphabet: Alphabet,
        config: Mapping[str, Any] | None = None,
        words: Words | None = None,
        origin: str = "",
        encoder: nn.Module | None = None,
    ) -> None:
        """Random weights where no ``encoder`` is given."""
        super().__init__()
        if config is None or words is None:
            raise BiograftError(
                "Backbone 'huggingface' is a family: got no checkpoint. Give a folder, or a name as OWNER/NAME."
            )
        self.alphabet, self.words, self.origin = alphabet, words, origin
        self.config = {key: value for key, value in config.items() if key not in VOLATILE}
        self.encoder = (encoder or _built(self.config)).eval()
        if hasattr(self.encoder, "contact_head"):
            del self.encoder.contact_head  # gives no vectors
        settings: Any = self.encoder.config
        self.resolution, self.width = words.resolution, int(settings.hidden_size)
        places = FAMILIES[settings.model_type].longest(settings)
        self.max_length = None if places is None else places - len(words.before) - len(words.after)
        if self.max_length is not None and self.max_length < 1:
            raise BiograftError(f"The config.json leaves no room for letters: got {places} positions. {MEND}")
        self.register_buffer("token_of_code", torch.from_numpy(words.single).long(), persistent=False)
        self._cutter: Any = None

    def encode(self, sequence: str) -> np.ndarray:
        """Letters -> the row that :meth:`vectors` understands: codes of the alphabet, or ids of tokens."""
        codes = super().encode(sequence)
        if self.words.scheme == "letters":
            return codes
        if self.words.scheme == "pieces":
            return self._cut(sequence)
        return self.words.row(codes)

    def _cut(self, sequence: str) -> np.ndarray:
        """Ids of the pieces."""
        if self._cutter is None:
            transformers()  # brings the package below, or says what to do
            from tokenizers import Tokenizer

            self._cutter = Tokenizer.from_str(self.words.pieces)
        return np.array(self._cutter.encode(sequence, add_special_tokens=False).ids, dtype=np.int32)

    def vectors(self, batch: Packed) -> Packed:
        """Rows of :meth:`encode` -> one vector per :attr:`resolution` letters, the last of a row for what is left."""
        if self.words.scheme == "letters":
            return super().vectors(batch)
        begins = batch.values >= 0
        counts = torch.zeros(len(batch), dtype=torch.int64).index_add_(0, batch.owner.cpu(), begins.long().cpu())
        tokens = super().vectors(Packed(batch.values[begins], counts))
        if self.resolution == 0:
            return Packed(tokens.mean(), torch.ones_like(counts))
        first = tokens.offsets[:-1].to(begins.device)[batch.owner]
        letters = batch.with_values(tokens.values[torch.maximum(begins.cumsum(0) - 1, first)])
        return letters if self.resolution == 1 else _in_windows(letters, self.resolution)

    def forward(self, batch: Packed) -> Packed:
        """Packed codes or ids ``(tokens,)`` -> one vector per token, ``(tokens, width)``."""
        ids = batch.values.long()
        if self.words.scheme == "letters":
            ids = self.get_buffer("token_of_code")[ids]
        rows = batch.with_values(ids).rows()
        found: dict[int, Tensor] = {}
        for group in _of_similar_length(batch.lengths.tolist()):
            found |= zip(group, self._padded([rows[row] for row in group]), strict=True)
        return batch.with_values(torch.cat([found[row] for row in range(len(rows))]))

    def _padded(self, rows: list[Tensor]) -> list[Tensor]:
        """Vectors of a few rows that are padded to the longest."""
        before, after = (rows[0].new_tensor(ids) for ids in (self.words.before, self.words.after))
        framed = [torch.cat([before, row, after]) for row in rows]
        ids = nn.utils.rnn.pad_sequence(framed, batch_first=True, padding_value=self.words.padding)
        sizes = torch.tensor([len(row) for row in framed], device=ids.device)
        mask = (torch.arange(ids.shape[1], device=ids.device) < sizes[:, None]).long()
        vectors = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        start = len(before)
        return [vectors[place, start : start + len(row)] for place, row in enumerate(rows)]

    def blocks(self) -> list[nn.Module]:
        """Embedding, then the transformer blocks; the last one together with what closes the encoder."""
        layers = max(
            (part for part in self.encoder.modules() if isinstance(part, nn.ModuleList)),
            key=lambda part: sum(parameter.numel() for parameter in part.parameters()),
        )
        outside = dict(_beside(self.encoder, layers))
        below = [part for name, part in outside.items() if "embed" in name or name == "shared"]
        above = [part for part in outside.values() if part not in below]
        *lower, top = layers
        return [nn.ModuleList(below), *lower, nn.ModuleList([top, *above])]

    def configuration(self) -> dict[str, Any]:
        """Alphabet, the checkpoint's config, its words, and for a named one name and revision."""
        words = self.words.configuration()
        return {"alphabet": self.alphabet.name, "config": self.config, "words": words, "origin": self.origin}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """From what :meth:`configuration` gave. Raises BiograftError for a config that doesn't fit."""
        alphabet = named(configuration["alphabet"])
        words = Words.from_configuration(alphabet, configuration["words"])
        return cls(alphabet, configuration["config"], words, configuration["origin"])


def settings_of(config: Mapping[str, Any], where: str) -> Any:
    """What ``transformers`` builds an encoder from. Raises BiograftError for fields that don't fit."""
    from huggingface_hub import errors

    fields = {key: value for key, value in config.items() if key not in (*VOLATILE, "model_type")}
    try:
        return transformers().AutoConfig.for_model(config["model_type"], **fields)
    except (TypeError, ValueError, KeyError, getattr(errors, "StrictDataclassError", ValueError)) as fault:
        reason = " ".join(str(fault).split())
        raise BiograftError(f"{where} has a config.json that doesn't fit ({reason}). {MEND}") from None


def _built(config: Mapping[str, Any]) -> nn.Module:
    """The encoder with random weights."""
    family, settings = family_of(config, "The backbone"), settings_of(config, "The backbone")
    try:
        with quiet():
            encoder: nn.Module = getattr(transformers(), family.kind)(settings, **family.options)
    except (ValueError, RuntimeError, ZeroDivisionError) as fault:
        raise BiograftError(f"The config.json describes an encoder that cannot be built ({fault}). {MEND}") from None
    return encoder


def _in_windows(letters: Packed, size: int) -> Packed:
    """Means of ``size`` letters each, of what is left at the end of a row."""
    counts = -(-letters.lengths // size)
    spans = torch.full((int(counts.sum()),), size)
    spans[counts.cumsum(0) - 1] = letters.lengths - (counts - 1) * size
    return Packed(Packed(letters.values, spans).mean(), counts)


def _of_similar_length(lengths: list[int]) -> Iterator[list[int]]:
    """Rows in groups: little padding in each, and no more tokens than the budget."""
    group: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        longest = lengths[row]
        if group and (longest * (len(group) + 1) > BUDGET or longest > 8 + 1.15 * lengths[group[0]]):
            yield group
            group = []
        group.append(row)
    yield group


def _beside(module: nn.Module, inner: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The largest parts with parameters that don't hold ``inner``, by their own name."""
    for name, child in module.named_children():
        if any(part is inner for part in child.modules()):
            yield from () if child is inner else _beside(child, inner)
        elif any(True for _ in child.parameters()):
            yield name, child


def is_name(text: str) -> bool:
    """Whether a text can be the name of a checkpoint: OWNER/NAME or OWNER/NAME@REVISION."""
    return NAME.fullmatch(text) is not None


def fetch(name: str) -> tuple[Path, str]:
    """Folder of a named checkpoint, from the local cache or else downloaded, and ``NAME@COMMIT``.

    ``HF_HUB_OFFLINE`` and the other settings of the hub's client count. Only data files are fetched.

    Raises BiograftError where neither cache nor network has it, or where it has no weights that are data alone.
    """
    transformers()
    from huggingface_hub import errors, snapshot_download

    repository, _, revision = name.partition("@")
    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    try:
        folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=patterns))
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError, OSError) as fault:
        reason = str(fault).strip().split("\n")[0]
        raise BiograftError(
            f"Checkpoint '{name}' is no folder here, not in the local cache, and could not be downloaded ({reason}). "
            "Check the name, connect to the network once, or give the path of a copy."
        ) from None
    if not any(folder.glob("*.safetensors")):
        family_of(read_json(folder / "config.json"), f"'{name}'")  # code of its own is the greater obstacle
        raise BiograftError(
            f"Checkpoint '{name}' has no weights as safetensors: got none, expected model.safetensors. Other forms "
            "(pytorch_model.bin) could run code when opened and are not downloaded. If you trust its source, convert "
            f"it: transformers.AutoModel.from_pretrained('{repository}').save_pretrained(NEW_FOLDER), and the same of "
            "AutoTokenizer; then give that folder."
        )
    return folder, f"{repository}@{folder.name}"
