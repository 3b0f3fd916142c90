"""Benchmarks are scripts, not a package: they are loaded by name, with those that they import from."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SHARED = ("results", "drawn")  # in the order in which they import each other


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Loads a benchmark and what it imports anew; gives the module."""

    def load(name: str) -> ModuleType:
        for one in dict.fromkeys((*SHARED, name)):
            spec = importlib.util.spec_from_file_location(one, BENCHMARKS / f"{one}.py")
            assert spec and spec.loader
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, one, module)
            spec.loader.exec_module(module)
        return module

    return load
