"""Letters per second of a pretraining step, and its share of the machine's bf16 matrix peak.

    python benchmarks/pretraining/speed.py [--shapes own,35m] [--batch-letters N] [--steps 12] [--device auto]

The loop, the optimiser and the masks are those of `biograft pretrain`; letters are random, in rows of 512, and the
first third of the steps warms up. Useful operations are three times those of a forward pass (layers and attention, the
head for letters left out). The part on a GPU (35M parameters, 65,536 letters per step) is left out where there is none.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from biograft.backbones.encoder import Encoder
from biograft.data.alphabet import PROTEIN
from biograft.data.corpus import Corpus, MaskedStream
from biograft.hardware import Hardware
from biograft.model import SharedBackbone
from biograft.run import RunFolder
from biograft.strategies.pretraining import CORPUS, Pretraining
from biograft.trainer import Trainer
from biograft.training import Training
from embed import SHAPES, operations, peak

ROW = 512
LETTERS = {"cpu": 8_192, "cuda": 65_536}  # per step, where nothing else is said


def letters_per_second(name: str, letters: int, steps: int, hardware: Hardware) -> float:
    """Of the steps after the first third."""
    torch.manual_seed(0)
    codes = np.random.default_rng(0).integers(PROTEIN.core, size=4 * letters).astype(np.uint8)
    corpus = Corpus(PROTEIN, codes, np.arange(0, len(codes) + 1, ROW))
    encoder = Encoder(PROTEIN, SHAPES[name])
    model = SharedBackbone(encoder, {})
    stream = MaskedStream(corpus, letters, ROW, encoder.mask_code)
    times: list[float] = []

    def note(step: int) -> None:
        if hardware.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.open(Path(folder) / "run", {"speed": name})
        training = Training(steps=steps, every=steps, patience=steps, save_seconds=1e9)
        phases = Pretraining().phases(model)
        Trainer(model, phases, {CORPUS: stream}, None, training, hardware, run, 0).run(after_step=note)
    first = len(times) // 3
    return letters * (len(times) - 1 - first) / (times[-1] - times[first])


def main() -> None:
    """Print one row per shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=None, help="left out: own on a processor, 35m on a GPU")
    parser.add_argument("--batch-letters", type=int, default=None)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    hardware = Hardware.choose(options.device, "auto")
    shapes = options.shapes or ("35m" if hardware.device == "cuda" else "own")
    letters = options.batch_letters or LETTERS[hardware.device]
    print("| shape | device | precision | letters per step | letters/s | useful | peak | share |\n" + "|---" * 8 + "|")
    for name in shapes.split(","):
        speed = letters_per_second(name, letters, options.steps, hardware)
        kind = torch.bfloat16 if hardware.precision == "bf16" else torch.float32
        highest = peak(SHAPES[name].width, kind, hardware.device, time.perf_counter)
        useful = 3 * operations(SHAPES[name], ["A" * ROW]) / ROW * speed
        cells = (f"{letters:,}", f"{speed:,.0f}", f"{useful / 1e9:,.0f} GFLOP/s", f"{highest / 1e9:,.0f} GFLOP/s")
        row = (name, hardware.device, hardware.precision, *cells, f"{useful / highest:.0%}")
        print(f"| {' | '.join(row)} |", flush=True)
    if hardware.device != "cuda":
        print("\nNo CUDA device here: the part on a GPU is left out.")


if __name__ == "__main__":
    main()
