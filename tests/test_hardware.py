"""What the machine offers: budgets of letters, and a heap that is given back where the C library can."""

import ctypes
from typing import Any

import pytest

from biograft.errors import BiograftError
from biograft.hardware import Hardware, give_back_memory


def test_a_processor_runs_fewer_letters_at_once_than_a_gpu() -> None:
    assert 0 < Hardware("cpu").budget < Hardware("cuda").budget


@pytest.mark.parametrize(("device", "precision"), [("tpu", "auto"), ("cpu", "fp8")])
def test_what_is_not_known_is_refused(device: str, precision: str) -> None:
    with pytest.raises(
        BiograftError, match=r"Unknown value for --(device|precision): got '(tpu|fp8)', expected one of"
    ):
        Hardware.choose(device, precision)


def test_the_heap_is_given_back_where_that_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        calls: list[int] = []  # noqa: RUF012 - one per test

        def malloc_trim(self, keep: int) -> int:
            self.calls.append(keep)
            return 1

    def without(name: Any) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    give_back_memory()
    assert Library.calls == [0]
    monkeypatch.setattr(ctypes, "CDLL", without)
    give_back_memory()  # another C library: nothing happens
    monkeypatch.undo()
    give_back_memory()
