"""Vectors kept on disk: computed once, read through a memory map, never lost by a kill.

A folder holds ``vectors.npy`` (all rows end to end), ``store.json`` (what they are vectors of) and, while the work is
under way, ``done.txt`` (numbers of the sequences that are finished). A vector counts only once its number is written.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from biograft.backbones.backbone import Backbone
from biograft.data.batches import in_order
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.files import digest, read_json, write_json
from biograft.hardware import Hardware
from biograft.progress import Progress

__all__ = ["Stored", "Vectors", "cache_folder", "embed"]


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of sequences, in the order of these.

    Attributes:
        values: ``(rows, width)`` float16 or float32, memory-mapped.
        starts: ``(sequences,)`` first row of each.
        lengths: ``(sequences,)`` rows of each; 1 where pooled.
        computed: sequences that were computed now rather than found.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    computed: int

    def __len__(self) -> int:
        return len(self.starts)

    def rows(self) -> list[np.ndarray]:
        """One view ``(rows, width)`` per sequence."""
        ends = self.starts + self.lengths
        return [self.values[start:end] for start, end in zip(self.starts.tolist(), ends.tolist(), strict=True)]


class Stored(Backbone):
    """Stands in for a backbone that rests: its rows are that backbone's vectors already.

    Its answers carry no gradient to the backbone, which is not even a part of it.
    """

    name: ClassVar[str] = "stored"

    def __init__(self, resting: Backbone) -> None:
        super().__init__()
        self.alphabet, self.width, self.resolution = resting.alphabet, resting.width, resting.resolution
        self.pretrained, self.standardise, self.positional = (
            resting.pretrained,
            resting.standardise,
            resting.positional,
        )

    def forward(self, batch: Packed) -> Packed:
        """Vectors ``(tokens, width)`` in single precision, otherwise as they are."""
        return batch.with_values(batch.values.float())

    def configuration(self) -> dict[str, Any]:
        """Alphabet and width."""
        return {"alphabet": self.alphabet.name, "width": self.width}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """Refused: vectors on disk have no architecture."""
        raise TypeError("Stored vectors stand in for a backbone and can't be rebuilt from a configuration.")


def cache_folder(backbone: Backbone, sequences: Sequence[str], pooled: bool, hardware: Hardware) -> Path:
    """Where vectors of exactly these sequences are kept between runs: ``BIOGRAFT_CACHE`` or the user's cache."""
    root = os.environ.get("BIOGRAFT_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "biograft" / "vectors" / _key(backbone, sequences, pooled, hardware)


def _key(backbone: Backbone, sequences: Sequence[str], pooled: bool, hardware: Hardware) -> str:
    return digest(backbone.fingerprint(), "mean" if pooled else "none", hardware.precision, *sequences)


def embed(
    backbone: Backbone,
    sequences: Sequence[str],
    folder: Path | str,
    *,
    pooled: bool = False,
    hardware: Hardware | None = None,
    budget: int = 16_384,
    progress: Progress | None = None,
) -> Vectors:
    """Vectors of all sequences, kept in ``folder``; what an earlier call finished there is not computed again.

    Args:
        pooled: one mean vector per sequence instead of one per position.
        budget: letters that are in memory at once.

    Raises:
        BiograftError: the folder holds vectors of other sequences, of another backbone, or is damaged.
    """
    hardware, folder = hardware or Hardware(), Path(folder)
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    rows = np.ones_like(lengths) if pooled or backbone.resolution == 0 else lengths
    starts = np.concatenate([[0], np.cumsum(rows)[:-1]]).astype(np.int64)
    dtype = np.float32 if hardware.precision == "fp32" else np.float16
    about = {
        "key": _key(backbone, sequences, pooled, hardware),
        "backbone": backbone.name,
        "fingerprint": backbone.fingerprint(),
        "pool": "mean" if pooled else "none",
        "precision": hardware.precision,
        "sequences": len(sequences),
    }
    values = _open(folder, about, (int(rows.sum()), backbone.width), dtype)
    finished = _finished(folder, len(sequences))
    left = np.flatnonzero(~finished)
    if len(left):
        done = _Journal(folder)
        backbone.eval().to(hardware.device)
        copies = _copies(sequences, left)
        first = np.array([places[0] for places in copies], dtype=np.int64)
        count = len(sequences) - len(left)
        for batch in in_order(lengths[first], budget):
            with torch.inference_mode(), hardware.products():
                answer = backbone.vectors(
                    Packed.of([backbone.encode(sequences[i]) for i in first[batch]]).to(hardware.device)
                )
                answer = Packed(answer.mean(), torch.ones(len(answer), dtype=torch.int64)) if pooled else answer
            for member, vectors in zip(batch, answer.rows(), strict=True):
                block = vectors.float().cpu().numpy()
                for place in copies[member]:
                    values[starts[place] : starts[place] + rows[place]] = block
            values.flush()
            places = [place for member in batch for place in copies[member]]
            done.add(places)
            count += len(places)
            if progress:
                progress(count, len(sequences))
        done.close()
    write_json(folder / "store.json", about | {"complete": True})
    (folder / "done.txt").unlink(missing_ok=True)
    kept = np.load(folder / "vectors.npy", mmap_mode="r")
    return Vectors(kept, starts, rows, len(left))


def _open(folder: Path, about: dict[str, object], shape: tuple[int, int], dtype: type) -> np.memmap:
    """The memory map of a folder that fits ``about``; a fresh one in an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path, card = folder / "vectors.npy", folder / "store.json"
    if not card.exists():
        if any(folder.iterdir()):
            raise BiograftError(f"Folder '{folder}' holds other files. Choose an empty or new folder for the vectors.")
        write_json(card, about | {"complete": False})
    there = read_json(card)
    for field in ("fingerprint", "pool", "precision", "key"):
        if there.get(field) != about[field]:
            what = "sequences" if field == "key" else field
            raise BiograftError(
                f"Folder '{folder}' holds vectors of other {what}: got {about[field]}, found {there.get(field)}. "
                "Choose another folder, or remove it."
            )
    if not path.exists():
        (folder / "done.txt").unlink(missing_ok=True)
        write_json(card, about | {"complete": False})
        # The header is written with the full size at once; the rows fill in later.
        np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
    try:
        values = np.lib.format.open_memmap(path, mode="r+")
    except (ValueError, OSError) as fault:
        raise BiograftError(
            f"The vectors in '{folder}' are damaged ({fault}). Remove the folder and embed again."
        ) from None
    if values.shape != shape or values.dtype != dtype:
        raise BiograftError(
            f"The vectors in '{folder}' are damaged: got shape {values.shape}, expected {shape}. "
            "Remove the folder and embed again."
        )
    return values


def _finished(folder: Path, count: int) -> np.ndarray:
    """``(sequences,)`` bool; a last line that a kill cut short doesn't count."""
    if json.loads((folder / "store.json").read_text(encoding="utf-8")).get("complete"):
        return np.ones(count, dtype=bool)
    finished = np.zeros(count, dtype=bool)
    path = folder / "done.txt"
    if path.exists():
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        finished[np.array(whole.split(), dtype=np.int64)] = True
    return finished


class _Journal:
    """Appends the numbers of finished sequences and forces them to the disk, after their vectors."""

    def __init__(self, folder: Path) -> None:
        path = folder / "done.txt"
        if path.exists():  # drop what a kill cut short, so that the next number starts a line of its own
            text = path.read_text(encoding="utf-8")
            path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
        self._stream = path.open("a", encoding="utf-8")

    def add(self, places: Sequence[int]) -> None:
        self._stream.write("".join(f"{place}\n" for place in places))
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()


def _copies(sequences: Sequence[str], places: np.ndarray) -> list[list[int]]:
    """Places grouped by equal sequence, in order of first appearance."""
    groups: dict[str, list[int]] = {}
    for place in places.tolist():
        groups.setdefault(sequences[place], []).append(place)
    return list(groups.values())
