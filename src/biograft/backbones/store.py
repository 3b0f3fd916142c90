"""Vectors kept on disk: computed once, read through a memory map, never lost by a kill.

A folder holds ``vectors.npy`` (all rows end to end), ``store.json`` (what they are vectors of) and, while the work is
under way, ``done.txt`` (numbers of the sequences that are finished). A vector counts only once its number is written.
The trap: a memory map must not be written through, for a full disk then kills the process without a word.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from biograft.backbones.backbone import Backbone
from biograft.data.batches import in_order
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.files import atomic, cached, digest, locked, read_json, sweep, sync, write_json
from biograft.hardware import Hardware, give_back_memory
from biograft.progress import Progress

__all__ = ["Stored", "Vectors", "cache_folder", "embed"]

TRIM_EVERY = 64  # batches
LARGEST = {np.dtype(kind): float(np.finfo(kind).max) for kind in (np.float16, np.float32)}


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
        self.pretrained, self.standardise = resting.pretrained, resting.standardise
        self.positional = resting.positional

    def forward(self, batch: Packed) -> Packed:
        """Vectors ``(tokens, width)`` in single precision, otherwise as they are."""
        return batch.with_values(batch.values.float())

    def all_layers(self, batch: Packed) -> Packed:
        """As they are: whoever mixes layers has stored them side by side."""
        return self(batch)

    def configuration(self) -> dict[str, Any]:
        """Alphabet and width."""
        return {"alphabet": self.alphabet.name, "width": self.width}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """Refused: vectors on disk have no architecture."""
        raise TypeError("Stored vectors stand in for a backbone and can't be rebuilt from a configuration.")


def cache_folder(backbone: Backbone, sequences: Sequence[str], pooled: bool, hardware: Hardware) -> Path:
    """Where vectors of exactly these sequences are kept between runs: ``BIOGRAFT_CACHE`` or the user's cache."""
    return cached("vectors", _about(backbone, sequences, pooled, hardware)["key"])


def _about(backbone: Backbone, sequences: Sequence[str], pooled: bool, hardware: Hardware) -> dict[str, Any]:
    """What tells one store from another."""
    fingerprint, pool = backbone.fingerprint(), "mean" if pooled else "none"
    return {
        "key": digest(fingerprint, pool, hardware.precision, *sequences),
        "backbone": backbone.name,
        "fingerprint": fingerprint,
        "pool": pool,
        "precision": hardware.precision,
        "sequences": len(sequences),
    }


def embed(
    backbone: Backbone,
    sequences: Sequence[str],
    folder: Path | str,
    *,
    pooled: bool = False,
    hardware: Hardware | None = None,
    budget: int | None = None,
    wait: bool = False,
    progress: Progress | None = None,
) -> Vectors:
    """Vectors of all sequences, kept in ``folder``; what an earlier call finished there is not computed again.

    Args:
        pooled: one mean vector per sequence instead of one per position.
        budget: letters that are in memory at once; None takes what suits the hardware.
        wait: while another process works in the folder, instead of refusing.

    Raises:
        BiograftError: the folder holds vectors of other sequences, of another backbone, or is damaged; another process
            works there; the disk is too small; a vector doesn't fit the number type.
    """
    hardware, folder = hardware or Hardware(), Path(folder)
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    rows = np.ones_like(lengths) if pooled or backbone.resolution == 0 else -(-lengths // backbone.resolution)
    about = _about(backbone, sequences, pooled, hardware)
    dtype = np.dtype(np.float32 if hardware.precision == "fp32" else np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, wait=wait):
        sweep(folder)
        store = _Store(folder, about, (int(rows.sum()), backbone.width), dtype)
        store.open()
        starts = np.cumsum(rows) - rows
        finished = store.finished()
        computed = 0
        copies = _copies(sequences)
        first = np.array([places[0] for places in copies], dtype=np.int64)
        backbone.eval().to(hardware.device)
        # Batches are laid over all sequences, so that a continued call computes the very batches it would have.
        for number, batch in enumerate(in_order(lengths[first], budget or hardware.budget), start=1):
            places = [place for member in batch for place in copies[member]]
            if finished[places].all():
                continue
            if number % TRIM_EVERY == 0:
                give_back_memory()
            blocks = _vectors(backbone, [sequences[place] for place in first[batch]], pooled, hardware)
            for member, block in zip(batch, blocks, strict=True):
                _check(block, dtype, first[member], backbone.name)
                for place in copies[member]:
                    store.write(int(starts[place]), block)
            store.commit(places)
            finished[places] = True
            computed += len(places)
            if progress:
                progress(int(finished.sum()), len(sequences))
        store.complete()
    return Vectors(np.load(folder / "vectors.npy", mmap_mode="r"), starts, rows, computed)


@torch.inference_mode()
def _vectors(backbone: Backbone, sequences: Sequence[str], pooled: bool, hardware: Hardware) -> list[np.ndarray]:
    """``(rows, width)`` float32 for each sequence."""
    batch = Packed.of([backbone.encode(sequence) for sequence in sequences]).to(hardware.device)
    with hardware.products():
        answer = backbone.vectors(batch)
    answer = answer.with_values(answer.values.float())
    if pooled:
        answer = Packed(answer.mean(), torch.ones(len(answer), dtype=torch.int64))
    return [row.cpu().numpy() for row in answer.rows()]


def _check(block: np.ndarray, dtype: np.dtype, place: int, name: str) -> None:
    """Refuse what would be kept as something else than it is."""
    largest = float(np.abs(block).max(initial=0.0))
    if not largest <= LARGEST[dtype]:
        raise BiograftError(
            f"Backbone '{name}' gives a vector that {dtype} can't hold: got a number of size {largest:g} in sequence "
            f"{place + 1}, expected at most {LARGEST[dtype]:g}. Use --precision fp32, or another backbone."
        )


def _copies(sequences: Sequence[str]) -> list[list[int]]:
    """Places grouped by equal sequence, in order of first appearance."""
    groups: dict[str, list[int]] = {}
    for place, sequence in enumerate(sequences):
        groups.setdefault(sequence, []).append(place)
    return list(groups.values())


class _Store:
    """The files of one folder, while they are written."""

    def __init__(self, folder: Path, about: Mapping[str, Any], shape: tuple[int, int], dtype: np.dtype) -> None:
        self._folder, self._about, self._shape, self._dtype = folder, about, shape, dtype
        self._path, self._card, self._journal = (folder / name for name in ("vectors.npy", "store.json", "done.txt"))
        self._offset = 0

    def open(self) -> None:
        """Begin in an empty folder, or find what is there to be of the same sequences, backbone and number type."""
        if not self._card.exists():
            if any(not entry.name.startswith(".") for entry in self._folder.iterdir()):
                raise BiograftError(
                    f"Folder '{self._folder}' holds other files. Choose an empty or new folder for the vectors."
                )
            write_json(self._card, {**self._about, "complete": False})
        there = read_json(self._card)
        for field in ("fingerprint", "pool", "precision", "key"):
            if there.get(field) != self._about[field]:
                what = {"key": "sequences", "fingerprint": "weights"}.get(field, field)
                raise BiograftError(
                    f"Folder '{self._folder}' holds vectors of other {what}: got {self._about[field]}, found "
                    f"{there.get(field)}. Choose another folder, or remove it."
                )
        if not self._path.exists():
            write_json(self._card, {**self._about, "complete": False})
            self._journal.unlink(missing_ok=True)
            self._create()
        self._read_header()

    def _create(self) -> None:
        needed = self._shape[0] * self._shape[1] * self._dtype.itemsize
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise BiograftError(
                f"The vectors don't fit on the disk of '{self._folder}': got {free / 1e9:.1f} GB of room, expected "
                f"{needed / 1e9:.1f} GB. Make room, or keep one vector per sequence (--pool mean)."
            )
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": self._shape}
        with atomic(self._path) as part, part.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            stream.truncate(stream.tell() + needed)  # the rows fill in later

    def _read_header(self) -> None:
        try:
            with self._path.open("rb") as stream:
                version = np.lib.format.read_magic(stream)
                if version != (1, 0):
                    raise ValueError(f"version {version}")
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
                self._offset = stream.tell()
            size = self._offset + self._shape[0] * self._shape[1] * self._dtype.itemsize
            found, expected = (shape, dtype, self._path.stat().st_size), (self._shape, self._dtype, size)
            if found != expected:
                raise ValueError(f"got shape, type and bytes {found}, expected {expected}")
        except ValueError as fault:
            raise self._damaged(str(fault)) from None

    def _damaged(self, what: str) -> BiograftError:
        return BiograftError(
            f"The vectors in '{self._folder}' are damaged ({what}). Remove the folder and embed again."
        )

    def finished(self) -> np.ndarray:
        """``(sequences,)`` bool; what a kill cut short doesn't count, and is cut away."""
        count = self._about["sequences"]
        if read_json(self._card).get("complete"):
            return np.ones(count, dtype=bool)
        finished = np.zeros(count, dtype=bool)
        if self._journal.exists():
            text = self._journal.read_bytes()
            end = text.rfind(b"\n") + 1
            try:
                places = np.array(text[:end].split(), dtype=np.int64)
            except ValueError:
                raise self._damaged("done.txt holds something else than numbers") from None
            if len(places) and not (places.min() >= 0 and places.max() < count):
                raise self._damaged(f"done.txt names sequence {places.max()} of {count}")
            finished[places] = True
            os.truncate(self._journal, end)
        return finished

    def write(self, row: int, block: np.ndarray) -> None:
        """Put ``(rows, width)`` at its place; it counts once it is committed."""
        with self._path.open("r+b") as stream:
            stream.seek(self._offset + row * self._shape[1] * self._dtype.itemsize)
            stream.write(block.astype(self._dtype).tobytes())

    def commit(self, places: Sequence[int]) -> None:
        """Force what was written to the disk, and only then the numbers of its sequences."""
        sync(self._path)
        with self._journal.open("a", encoding="utf-8") as stream:
            stream.write("".join(f"{place}\n" for place in places))
        sync(self._journal)

    def complete(self) -> None:
        """Say that every vector is there."""
        write_json(self._card, {**self._about, "complete": True})
        self._journal.unlink(missing_ok=True)
