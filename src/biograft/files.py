"""Files that are either whole or absent: written beside their place, synced, then renamed over it.

A process that is killed leaves a hidden part behind; :func:`sweep` clears these away.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from biograft.errors import BiograftError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "atomic", "atomic_folder", "cached", "digest", "file_digest", "locked", "read_json", "sweep", "sync", "write_json",
    "write_text",
]  # fmt: skip


def sync(path: Path) -> None:
    """Force the content of a file, or the entries of a folder, to the disk."""
    if os.name == "nt" and path.is_dir():  # folders can't be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success it replaces ``path``, on any failure it vanishes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    part.touch(exist_ok=False)
    try:
        yield part
        sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder; on success it takes the place of ``path`` (an older one is removed last)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    part.mkdir()
    old = part.with_suffix(".old")
    try:
        yield part
        for file in sorted(part.rglob("*")):
            sync(file)
        if path.exists():
            path.replace(old)
        part.replace(path)
        sync(path.parent)
    except BaseException:
        if old.exists() and not path.exists():
            old.replace(path)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.part"


def sweep(folder: Path | str) -> None:
    """Remove the parts that killed processes left in a folder; nobody else may be writing there (:func:`locked`)."""
    for part in Path(folder).glob(".*.part"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()


@contextmanager
def locked(folder: Path | str, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for this process; the lock falls with the process, however that ends.

    Args:
        wait: until another process lets go, instead of refusing.

    Raises:
        BiograftError: another process holds the folder.
    """
    with (Path(folder) / ".lock").open("a") as stream:
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise BiograftError(
                    f"Another process is at work in '{folder}'. Wait until it is done, or choose another folder."
                ) from None
        yield


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON atomically; numbers that are not finite are refused, because no other reader understands them."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read JSON. Raises BiograftError where the file is missing or damaged, with its name and the place."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BiograftError(f"File not found: '{path}'. Check the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as fault:
        raise BiograftError(f"'{path}' is not valid JSON ({fault}). It was cut or edited; make it again.") from None


def cached(kind: str, key: str) -> Path:
    """Where what takes long is kept between runs: below ``BIOGRAFT_CACHE`` or the user's cache. May be absent."""
    root = os.environ.get("BIOGRAFT_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "biograft" / kind / key


def digest(*parts: str | bytes) -> str:
    """First 16 hexadecimal digits of SHA-256 over the parts; each part's length is hashed too, so borders count."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.hexdigest()[:16]


def file_digest(path: Path | str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
