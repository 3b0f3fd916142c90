"""Whole runs from the command line, killed at random times or stopped with Ctrl-C: the end is the same.

Run as a program it gives ``biograft fit`` to one child after the other and kills all but the last.
"""

import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.model import LinearHead, Model
from biograft.run import RunFolder
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence

KILLS = 5


def table(folder: Path, records: int) -> Path:
    """Sequences with columns ``label`` and ``set``."""
    made = World(seed=0, shortest=30, longest=40, span=4).target(records, 15, seed=0, valid=15)
    path = folder / "table.csv"
    write_table(path, {"id": made.ids, "sequence": made.sequences, **made.columns})
    return path


def source(folder: Path) -> Path:
    """A model's folder with a very small backbone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder / "source")
    return folder / "source"


def words(folder: Path, out: Path) -> list[str]:
    """The command."""
    backbone = ["--strategy", "full", "--backbone", str(folder / "source"), "--precision", "fp32"]
    return ["biograft", "fit", str(folder / "table.csv"), "--label", "label", *backbone, "--out", str(out)]


def contents(folder: Path) -> dict[str, Any]:
    """All that must be equal: everything but times, and what only a going run needs."""
    left = {"report.json", "report.html", ".lock"}
    found: dict[str, Any] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in left and path.parent.name != "state"
    }
    report = json.loads((folder / "report.json").read_text())
    del report["created"], report["seconds"]
    return found | {"report.json": report}


def _fit(folder: Path, out: Path) -> int:
    """A child that fits; its process id."""
    child = os.fork()
    if child:
        return child
    sys.argv = words(folder, out)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            import_module("biograft.cli").main()
        except SystemExit as end:
            os._exit(int(end.code or 0))
    os._exit(3)


def _killed_and_whole(folder: Path) -> None:
    torch.set_num_threads(1)
    shop = import_module("biograft.flows.workshop")
    import_module("torch._dynamo")  # optimisers load it, slowly: once here instead of in every child
    training = shop.Training
    shop.Training = lambda **choices: training(**(choices | {"min_steps": 120, "save_seconds": 0.0}))
    import_module("biograft.flows.report").render = lambda *content: "the page has tests of its own"
    began = time.monotonic()
    ends = [os.waitpid(_fit(folder, folder / "whole"), 0)[1]]
    seconds = time.monotonic() - began
    for share in np.random.default_rng().uniform(0.0, 0.5, KILLS):
        child = _fit(folder, folder / "killed")
        time.sleep(share * seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    ends.append(os.waitpid(_fit(folder, folder / "killed"), 0)[1])
    (folder / "ends").write_text(json.dumps(ends))


def test_a_run_killed_at_random_times_ends_as_if_it_never_was(tmp_path: Path) -> None:
    source(tmp_path)
    table(tmp_path, 36)
    subprocess.run([sys.executable, __file__, str(tmp_path)], check=True)
    assert json.loads((tmp_path / "ends").read_text()) == [0, 0]
    whole, killed = contents(tmp_path / "whole"), contents(tmp_path / "killed")
    assert {"log.jsonl", "predictions.tsv", "model/weights.safetensors"} <= whole.keys()
    different = {name for name in whole.keys() | killed.keys() if whole.get(name) != killed.get(name)}
    assert different == set()
    assert [path.name for path in (tmp_path / "killed" / "state").iterdir()] == ["state.safetensors"]


def test_ctrl_c_ends_with_130_and_the_same_command_continues(tmp_path: Path) -> None:
    source(tmp_path)
    table(tmp_path, 36)
    command = [sys.executable, "-m", *words(tmp_path, tmp_path / "run")]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # so small a net only waits for a second one
    folder = RunFolder(tmp_path / "run")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=one_thread) as process:
        while process.poll() is None and not folder.history():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read() if process.stderr else ""
    assert process.returncode == 130
    assert "The same command continues where it was" in told
    assert "Traceback" not in told
    made = len(folder.history())
    assert folder.state_path.exists()
    assert folder.report() is None
    subprocess.run(command, check=True, capture_output=True, env=one_thread)
    steps = [entry["step"] for entry in folder.history() if "loss" in entry]
    assert len(steps) > made - 2
    assert steps == sorted(set(steps))
    assert folder.report() is not None


if __name__ == "__main__":
    _killed_and_whole(Path(sys.argv[1]))
