"""Any text encoder in the Hugging Face layout as a backbone: a text is a row of tokens, with a vector for each."""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import transformers
from torch import nn

from biograft.backbones.backbone import Backbone
from biograft.backbones.huggingface import quiet
from biograft.data.packed import Packed
from biograft.errors import BiograftError

__all__ = ["TextEncoder", "tiny"]

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class TextEncoder(Backbone):
    """An encoder and its tokenizer.

    Attributes:
        encoder: of ``transformers``.
        padding: id that fills up short rows, inside this class only.
        max_length: tokens that it can place; longer texts are read in tiles.
    """

    name: ClassVar[str] = "text"
    resolution = 0

    def __init__(self, encoder: Any, tokenizer: Any = None) -> None:
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # reads one vector of all, and no head here asks for it
        self.encoder, self._tokenizer = encoder, tokenizer
        config = encoder.config
        self.width, self.padding = int(config.hidden_size), int(config.pad_token_id or 0)
        self.max_length = getattr(config, "max_position_embeddings", None)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From a local folder: nothing is downloaded, and no code that lies there is run.

        Raises BiograftError where it holds no encoder.
        """
        if not (folder / "config.json").is_file():
            raise BiograftError(
                f"'{folder}' is no checkpoint: got no config.json in it. Name the folder of an encoder."
            )
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            with quiet():
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
                encoder = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, **local)
        except (OSError, ValueError, KeyError, ImportError) as fault:
            reason = str(fault).strip().split("\n")[0]
            raise BiograftError(f"'{folder}' can't be opened ({reason}). Take all files of one checkpoint.") from None
        made = cls(encoder.float(), tokenizer)
        made.pretrained = True
        return made.eval()

    def encode(self, sequence: str) -> np.ndarray:
        """A text -> ``(tokens,)`` ids, with the marks that the encoder knows around them."""
        return np.array(self._tokenizer(sequence).input_ids, dtype=np.int64)

    def forward(self, batch: Packed) -> Packed:
        """Packed ids ``(tokens,)`` -> packed vectors ``(tokens, width)``."""
        ids = nn.utils.rnn.pad_sequence(batch.rows(), batch_first=True, padding_value=self.padding)
        places = torch.arange(ids.shape[1])
        mask = (places < batch.lengths[:, None]).to(ids.device)
        vectors = self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return batch.with_values(vectors[mask])

    def blocks(self) -> list[nn.Module]:
        """What lies below the transformer blocks, then these."""
        lists = [part for part in self.encoder.modules() if isinstance(part, nn.ModuleList)]
        layers = max(lists, key=lambda part: sum(parameter.numel() for parameter in part.parameters()))
        inside = set(layers.parameters())
        weighty = [part for part in self.encoder.children() if list(part.parameters())]
        below = [part for part in weighty if not inside & set(part.parameters())]
        return [nn.ModuleList(below), *layers]

    def configuration(self) -> dict[str, Any]:
        """The encoder's own."""
        return {"config": self.encoder.config.to_dict()}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """The same architecture with fresh weights; it reads ids, and has no tokenizer."""
        fields = dict(configuration["config"])
        config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
        return cls(transformers.AutoModel.from_config(config))


def tiny(folder: Path, words: list[str], seed: int = 0) -> Path:
    """Write a very small BERT with random weights that knows these words; it shows the way, and knows nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*MARKS, *words]), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    config = transformers.BertConfig(
        vocab_size=len(MARKS) + len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng([]), quiet():
        torch.manual_seed(seed)
        transformers.BertModel(config).save_pretrained(folder)
    return folder
