"""Work shared out to processes: every outcome comes back, faults and deaths included, and stopping leaves nobody."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from biograft.errors import BiograftError
from biograft.scale import Outcome, cores, run_all

HERE = Path(__file__).resolve().parent


def square(number: int) -> int:
    if number == 3:
        raise BiograftError("Three is refused: got 3. Choose another.")
    if number == 4:
        raise ZeroDivisionError("oh")
    return number * number


def about(number: int) -> tuple[int, str, int]:
    """Process, environment and threads."""
    return os.getpid(), os.environ["OMP_NUM_THREADS"], torch.get_num_threads()


def dies(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(autouse=True)
def found_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions above belong to a module that a new process can import."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.syspath_prepend(str(HERE))
    for function in (square, about, dies):
        monkeypatch.setattr(function, "__module__", "test_scale")
    monkeypatch.setitem(sys.modules, "test_scale", sys.modules[__name__])


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_outcome_comes_back_with_its_place(jobs: int) -> None:
    found = dict(run_all(square, [1, 2, 3, 4, 5], jobs=jobs))
    assert {place: outcome.value for place, outcome in found.items()} == {0: 1, 1: 4, 2: None, 3: None, 4: 25}
    assert found[2] == Outcome(fault="Three is refused: got 3. Choose another.")
    assert found[3].fault == "ZeroDivisionError: oh"
    assert "in square" in found[3].trace


def test_processes_are_used_again_and_keep_to_their_threads() -> None:
    found = [outcome.value for _, outcome in run_all(about, range(6), jobs=2, threads=1)]
    assert len({process for process, _, _ in found} - {os.getpid()}) == 2
    assert {(variable, threads) for _, variable, threads in found} == {("1", 1)}


def test_a_process_that_dies_costs_one_item() -> None:
    found = dict(run_all(dies, [0, 1, 2, 3], jobs=2))
    assert sorted(place for place, outcome in found.items() if outcome.value == place) == [0, 2, 3]
    assert "was ended by signal 9" in found[1].fault


def test_nothing_to_do_and_nobody_to_do_it() -> None:
    assert list(run_all(square, [], jobs=4)) == []
    assert cores() >= 1
    with pytest.raises(BiograftError, match="got 0 and 1"):
        list(run_all(square, [1], jobs=0))


WAITS = """
import signal, sys, time
from pathlib import Path
from biograft.scale import run_all

def wait(path):
    Path(path).with_suffix(".begun").write_text("")
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        Path(path).with_suffix(".saved").write_text("")
        raise

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run in the background of a shell
    list(run_all(wait, sys.argv[1:], jobs=2))
"""


@pytest.mark.parametrize(("number", "saved"), [(signal.SIGINT, True), (signal.SIGKILL, False)])
def test_stopped_or_killed_it_leaves_no_process_behind(number: int, saved: bool, tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    command = [sys.executable, str(tmp_path / "waits.py"), *(str(tmp_path / name) for name in "ab")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while process.poll() is None and len(list(tmp_path.glob("*.begun"))) < 2:
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate()  # ends when the last process that holds the pipe has ended
    assert process.returncode != 0
    assert (len(list(tmp_path.glob("*.saved"))) == 2) is saved
