"""Kill `biograft embed` at three moments and count what is lost; then time a second run that finds everything.

python benchmarks/embed_resume.py [--records 3000]
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from biograft.backbones.baselines import DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.records import Records
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence

COMMAND = [sys.executable, "-m", "biograft", "embed"]


def finished(folder: Path) -> int:
    """Sequences that the folder's journal calls finished."""
    path = folder / "done.txt"
    return path.read_text().count("\n") if path.exists() else 0


def main() -> None:
    """Print the table; exit 1 if a finished vector was computed again or a value differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        records = World(seed=0).source(options.records, seed=0)
        lines = [f">{id}\n{sequence}\n" for id, sequence in zip(records.ids, records.sequences, strict=True)]
        (work / "in.fasta").write_text("".join(lines))
        words = [*COMMAND, str(work / "in.fasta"), "--backbone", "cnn_folder", "--precision", "fp32"]
        words[words.index("cnn_folder")] = str(_backbone(work))
        print("| run | finished when killed | computed by the next | |\n|---|---|---|---|")
        wrong, before = False, 0
        for number in range(1, 4):
            process = subprocess.Popen([*words, "--out", str(work / "killed")], stdout=subprocess.DEVNULL)
            while process.poll() is None and finished(work / "killed") <= before + options.records // 5:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            now = finished(work / "killed")
            wrong |= now < before
            print(f"| {number} | {now} | {options.records - now} at most | {'kept' if now >= before else '**lost**'} |")
            before = now
        last = subprocess.run([*words, "--out", str(work / "killed")], capture_output=True, text=True, check=True)
        whole = subprocess.run([*words, "--out", str(work / "whole")], capture_output=True, text=True, check=True)
        began = time.monotonic()
        again = subprocess.run([*words, "--out", str(work / "whole")], capture_output=True, text=True, check=True)
        seconds = time.monotonic() - began
        one, two = (np.load(work / folder / "vectors.npy") for folder in ("killed", "whole"))
        difference = float(np.abs(one - two).max())
        wrong |= difference > 0 or f"({before} were there" not in last.stdout
        print(f"\nAfter the kills: {last.stdout.strip().split(':')[0]}.")
        print(f"Never stopped: {whole.stdout.strip().split(':')[0]}. Largest difference: {difference:.1e}.")
        print(f"The same command again: {again.stdout.strip().split(':')[0]}, {seconds:.1f} s.")
        sys.exit(int(wrong))


def _backbone(work: Path) -> Path:
    """A model's folder whose backbone (of random weights) is slow enough to be killed."""
    alphabet = named("protein")
    torch.manual_seed(0)
    backbone = DilatedCNN(alphabet)
    model = Model(backbone, LinearHead(Sequence(), backbone.width, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet=alphabet)).save(work / "model")
    return work / "model"


if __name__ == "__main__":
    main()
