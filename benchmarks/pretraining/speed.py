"""Letters per second of pretraining, and the share of the fastest matrix product of that width that is put to use.

    python benchmarks/pretraining/speed.py [--shapes own,35m] [--batch-letters N] [--steps 10] [--device auto]

The loop, the optimiser and the masks are those of `biograft pretrain`; letters are random, in rows of 512, and ten
steps warm up. Useful operations are three times those of a forward pass (layers and attention, the head for letters
left out). The part on a GPU (35M parameters, 65,536 letters per step) is left out where there is none.
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
LETTERS = {"cpu": 4_096, "cuda": 65_536}  # per step, where nothing else is said
WARM = 10  # steps; the loop waits for a GPU after every tenth


def letters_per_second(name: str, letters: int, steps: int, hardware: Hardware) -> float:
    """Of ``steps``, a multiple of ten, after those that warm up."""
    torch.manual_seed(0)
    codes = np.random.default_rng(0).integers(PROTEIN.core, size=4 * letters).astype(np.uint8)
    corpus = Corpus(PROTEIN, codes, np.arange(0, len(codes) + 1, ROW))
    encoder = Encoder(PROTEIN, SHAPES[name])
    model = SharedBackbone(encoder, {})
    stream = MaskedStream(corpus, letters, ROW, encoder.mask_code)
    times: dict[int, float] = {}

    def note(step: int, of: int) -> None:
        times.setdefault(step, time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.open(Path(folder) / "run", {"speed": name})
        training = Training(steps=WARM + steps + 1, save_seconds=1e9)  # the last one saves, and doesn't count
        phases = Pretraining().phases(model)
        Trainer(model, phases, {CORPUS: stream}, None, training, hardware, run, 0).run(note)
    return letters * steps / (times[WARM + steps] - times[WARM])


def main() -> None:
    """Print one row per shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=None, help="left out: own on a processor, 35m on a GPU")
    parser.add_argument("--batch-letters", type=int, default=None)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    hardware = Hardware.choose(options.device, "auto")
    shapes = options.shapes or ("35m" if hardware.device == "cuda" else "own")
    letters = options.batch_letters or LETTERS[hardware.device]
    if options.steps < 10 or options.steps % 10:
        parser.error(f"--steps: got {options.steps}, expected a multiple of ten")
    print("| shape | device | precision | letters per step | letters/s | useful | peak | share |\n" + "|---" * 8 + "|")
    for name in shapes.split(","):
        speed = letters_per_second(name, letters, options.steps, hardware)
        kind = torch.bfloat16 if hardware.precision == "bf16" else torch.float32
        highest = peak(SHAPES[name].width, kind, hardware.device, time.perf_counter, max(4096, letters))
        useful = 3 * operations(SHAPES[name], ["A" * ROW]) / ROW * speed
        cells = (f"{letters:,}", f"{speed:,.0f}", f"{useful / 1e9:,.0f} GFLOP/s", f"{highest / 1e9:,.0f} GFLOP/s")
        row = (name, hardware.device, hardware.precision, *cells, f"{useful / highest:.0%}")
        print(f"| {' | '.join(row)} |", flush=True)
    if hardware.device != "cuda":
        print("\nNo CUDA device here: the part on a GPU is left out.")


if __name__ == "__main__":
    main()
