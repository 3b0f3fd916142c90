"""Word of long work to whoever listens: plain functions, so that a command line, a notebook or nothing can hear."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Clock", "Progress", "Stages"]

Progress = Callable[[int, int], None]
"""Called with (done, total) from the calling thread."""

Stages = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""


class Clock:
    """Seconds by stage, and word of each stage's progress.

    Attributes:
        seconds: by stage; a stage entered twice adds up.
    """

    def __init__(self, listener: Stages | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._listener = listener

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Time a stage; yields what its work reports to."""
        began = time.monotonic()
        self._tell(name, 0, 1)
        try:
            yield lambda done, total: self._tell(name, done, total)
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 2)

    def _tell(self, name: str, done: int, total: int) -> None:
        if self._listener:
            self._listener(name, done, total)
