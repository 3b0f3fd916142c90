"""Images with classes: scikit-learn's digits, which are always there, and CIFAR-10, where its files are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from biograft.errors import BiograftError
from examples.images.lenet import SIDE
from examples.two_steps import Data

__all__ = ["CIFAR10", "CLASSES", "cifar10", "digits", "load"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10: Mapping[str, str] = {  # file of the binary version -> SHA-256
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
RECORD = 1 + 3 * SIDE * SIDE  # bytes: the class, then red, green and blue
HOW = (
    "CIFAR-10 is not downloaded here: get 'CIFAR-10 binary version' (cifar-10-binary.tar.gz) from the page of its "
    "authors, unpack it, and name the folder with --cifar10 FOLDER; or use digits, which need no file"
)


def load(name: str, folder: Path | None) -> Data:
    """``digits`` or ``cifar10``, all of it or some classes: ``digits:0-4``.

    Raises BiograftError for another name, and where CIFAR-10 is missing or damaged.
    """
    base, _, span = name.partition(":")
    if base not in ("digits", "cifar10"):
        raise BiograftError(f"Unknown images: got '{base}', expected digits or cifar10. Write digits:0-4, say.")
    first, _, last = span.partition("-")
    if span and not (first.isdecimal() and last.isdecimal() and int(first) < int(last) <= 9):
        raise BiograftError(f"Classes are FIRST-LAST: got '{span}', expected two numbers from 0 to 9. Write 0-4, say.")
    images, classes = digits() if base == "digits" else cifar10(folder)
    chosen = np.ones(len(classes), dtype=bool)
    if span:
        chosen = (classes >= int(first)) & (classes <= int(last))
    names = np.array(CLASSES if base == "cifar10" else [f"digit {number}" for number in range(10)])
    return Data(list(images[chosen][:, None]), names[classes[chosen]])


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 handwritten digits of 8 by 8 pixels as ``(images, 3, 32, 32)`` from -1 to 1, and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    gray = (found.images / 8 - 1).astype(np.float32)
    large = gray.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2)
    return np.repeat(large[:, None], 3, axis=1), found.target


def cifar10(folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """60,000 photographs as ``(images, 3, 32, 32)`` from -1 to 1, and their classes, in the order of the files.

    Raises BiograftError where a file is missing or is not what the authors published.
    """
    if folder is None:
        raise BiograftError(f"CIFAR-10 was asked for: got no folder of it. {HOW}.")
    inner = folder / "cifar-10-batches-bin"
    place = inner if inner.is_dir() else folder
    parts = [np.frombuffer(_checked(place / name, wanted), dtype=np.uint8) for name, wanted in CIFAR10.items()]
    records = np.concatenate(parts).reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, SIDE, SIDE).astype(np.float32)
    images /= 127.5
    images -= 1.0
    return images, records[:, 0].astype(np.int64)


def _checked(path: Path, wanted: str) -> bytes:
    if not path.is_file():
        raise BiograftError(f"File not found: '{path}', a part of CIFAR-10. {HOW}.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise BiograftError(
            f"'{path}' is not the file that the authors of CIFAR-10 published: got SHA-256 {found}, expected {wanted}. "
            "It was cut or changed: unpack or copy it again."
        )
    return content
