"""What all tests share: where real data lie, a cache of their own, one thread (the nets are tiny)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("BIOGRAFT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real data are absent: set BIOGRAFT_DATA to their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Vectors cached by tests never reach the user's cache."""
    before = os.environ.get("BIOGRAFT_CACHE")
    os.environ["BIOGRAFT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    torch.set_num_threads(1)
    yield
    if before is None:
        del os.environ["BIOGRAFT_CACHE"]
    else:
        os.environ["BIOGRAFT_CACHE"] = before
