"""What users see: answers on stdout, word of long work on stderr (bars where somebody watches, else a few lines)."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

__all__ = ["numbers", "one", "progress", "say"]

Stages = Callable[[str, int, int], None]
QUIET_SECONDS = 30  # between two lines about one stage


@contextmanager
def progress(quiet: bool) -> Iterator[Stages]:
    """Yield what long work reports to: (stage, done, total)."""
    if quiet:
        yield lambda stage, done, total: None
    elif sys.stderr.isatty():
        with _bars() as told:
            yield told
    else:
        yield _Lines()


def one(told: Stages, stage: str) -> Callable[[int, int], None]:
    """For work of one stage: (done, total)."""
    return lambda done, total: told(stage, done, total)


def say(text: str, quiet: bool = False) -> None:
    """A text for people, on stdout."""
    if not quiet:
        typer.echo(text)


def numbers(content: Any) -> None:
    """The result as one line of JSON, the last one on stdout. Numbers that are not finite must be None by now."""
    typer.echo(json.dumps(content, allow_nan=False))


class _Lines:
    """One line when a stage begins and at most three on its way, so that a log file shows a long run to be alive."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told = self._began
        self._quarters: dict[str, int] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        quarter = 4 * done // max(1, total)
        if stage not in self._quarters:
            self._write(stage, now)
        elif self._quarters[stage] < quarter < 4 and now - self._told > QUIET_SECONDS:
            self._write(f"{stage} {done / total:.0%}", now)
        self._quarters[stage] = max(quarter, self._quarters.get(stage, 0))

    def _write(self, text: str, now: float) -> None:
        self._told = now
        minutes, seconds = divmod(int(now - self._began), 60)
        typer.echo(f"{minutes:3d}:{seconds:02d} {text}", err=True)


@contextmanager
def _bars() -> Iterator[Stages]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as shown:

        def told(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                for bar in shown.tasks:  # stages follow each other: what came before is done
                    shown.update(bar.id, completed=bar.total)
                bars[stage] = shown.add_task(stage, total=total)
            shown.update(bars[stage], completed=done, total=total)

        yield told
        for bar in shown.tasks:
            shown.update(bar.id, completed=bar.total)
