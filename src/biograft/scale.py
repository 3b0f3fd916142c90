"""The same function over many things, in several processes: what fails becomes a message, and Ctrl-C stops all.

With one process the work is done here, so that nothing has to be started or sent.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from biograft.errors import BiograftError

__all__ = ["Outcome", "cores", "run_all"]

SECONDS_TO_STOP = 20.0  # in which a stopped process may save what it has
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What became of one thing.

    Attributes:
        value: that the function returned; None where it failed.
        fault: what went wrong; '' where nothing did.
        trace: the traceback, where the fault is not one that users can mend; else ''.
    """

    value: Any = None
    fault: str = ""
    trace: str = ""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    function: Callable[[Any], Any], items: Sequence[Any], *, jobs: int = 1, threads: int = 1
) -> Generator[tuple[int, Outcome], None, None]:
    """Place and outcome of each item, as soon as it is done.

    Stopped by an exception, Ctrl-C or ``close``, it asks the processes to save what they have, and waits for them.

    Args:
        function: from the head of a module, so that other processes find it; so are the types of the items.
        jobs: processes at a time. A script that asks for more than one guards its main part with
            ``if __name__ == "__main__"``, because the processes read it anew.
        threads: of each process; with one job, those of this process stay as they are.

    Raises:
        BiograftError: for less than one job or thread.
    """
    if jobs < 1 or threads < 1:
        raise BiograftError(f"Work needs processes and threads: got {jobs} and {threads}. Give 1 or more of each.")
    if min(jobs, len(items)) <= 1:
        yield from ((place, _attempt(function, item)) for place, item in enumerate(items))
        return
    workers = _Workers(function, items, threads)
    try:
        yield from workers.outcomes(min(jobs, len(items)))
    finally:
        workers.stop()


def _attempt(function: Callable[[Any], Any], item: Any) -> Outcome:
    try:
        return Outcome(function(item))
    except BiograftError as fault:
        return Outcome(fault=str(fault))
    except Exception as fault:  # noqa: BLE001 - one of many may fail; the traceback is handed on
        return Outcome(fault=f"{type(fault).__name__}: {fault}", trace=traceback.format_exc())


class _Workers:
    """Processes that take one item after the other; one that dies is replaced, and only its item is lost."""

    def __init__(self, function: Callable[[Any], Any], items: Sequence[Any], threads: int) -> None:
        self._function, self._items, self._threads = function, items, threads
        self._waiting = list(range(len(items)))
        self._busy: dict[Connection, tuple[BaseProcess, int]] = {}

    def outcomes(self, jobs: int) -> Iterator[tuple[int, Outcome]]:
        for _ in range(jobs):
            self._give(*self._started())
        while self._busy:
            for ready in wait(list(self._busy)):
                assert isinstance(ready, Connection)
                process, place = self._busy.pop(ready)
                try:
                    outcome = ready.recv()
                except EOFError:
                    outcome = self._lost(process)
                    ready.close()
                    if self._waiting:
                        self._give(*self._started())
                else:
                    self._give(process, ready)
                yield place, outcome

    def stop(self) -> None:
        """Ask all that are at work to save and end; what does not is ended."""
        processes = [process for process, _ in self._busy.values()]
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)
        for process in processes:
            process.join(SECONDS_TO_STOP)
            if process.is_alive():
                process.kill()
                process.join()
        for connection in self._busy:
            connection.close()

    def _started(self) -> tuple[BaseProcess, Connection]:
        context = multiprocessing.get_context("spawn")  # a forked child would hang on torch's threads
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, self._threads), daemon=True)
        process.start()
        there.close()
        return process, here

    def _give(self, process: BaseProcess, connection: Connection) -> None:
        """The next item, or the word that there is none."""
        try:
            if self._waiting:
                self._busy[connection] = (process, place := self._waiting.pop(0))
                connection.send((self._function, self._items[place]))
                return
            connection.send(None)
        except BrokenPipeError:
            return  # it died while it was idle: reading from it will tell
        process.join()
        connection.close()

    def _lost(self, process: BaseProcess) -> Outcome:
        process.join()
        code = process.exitcode or 0
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return Outcome(
            fault=f"Its process {how}: memory may have run out. Use fewer --jobs; the same command continues it."
        )


def _work(connection: Connection, threads: int) -> None:
    """Life of a process. It leaves the terminal's group, so that Ctrl-C reaches it once, from the process that asks."""
    with contextlib.suppress(EOFError, KeyboardInterrupt):  # nobody is left to ask, or it was told to stop
        if hasattr(os, "setpgid"):
            os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs it in the background
        parent = multiprocessing.parent_process()
        if parent is not None:
            threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
        os.environ |= dict.fromkeys(THREADS, str(threads))  # read when the libraries are loaded, which is below
        importlib.import_module("torch").set_num_threads(threads)
        while (task := connection.recv()) is not None:
            connection.send(_attempt(*task))


def _end_with(sentinel: int) -> None:
    """A process whose parent was killed ends at once: whoever continues wants the folder that it holds."""
    wait([sentinel])
    os._exit(1)
