"""Vectors per second of our encoder beside transformers: same random weights, same sequences, parity in the same run.

python benchmarks/embed.py [--shapes 8m,own,35m,150m] [--sequences 64] [--repeats 3] [--threads N] [--clock cpu]
python benchmarks/embed.py --growth

Sequences are a sample of the corpus with its natural spread of lengths. transformers runs as most people call it (fp32,
batches of 8 in input order) and at its best (sorted, cut by tokens, in fp32 and in bf16, the better of two budgets).
Runs of all sides alternate, the best of the repeats counts. Useful operations are those of the letters alone, without
padding; the peak is the fastest matrix product of that width, measured in the same minute. --clock cpu counts processor
time, for a machine that others use too (with --threads 1, or waiting threads count). --growth times `embed` from 1,000
to 30,000 sequences with a small encoder. Exits 1 where vectors differ, or where growth is out of bounds.
"""

import argparse
import lzma
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from biograft.backbones import esm2
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.batches import in_order
from biograft.data.packed import Packed
from biograft.hardware import Hardware, environment

DATA = Path(os.environ.get("BIOGRAFT_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))
SHAPES = {
    "8m": EncoderConfiguration(layers=6, width=320, heads=20),
    "own": EncoderConfiguration(layers=6, width=320, heads=5),
    "35m": EncoderConfiguration(layers=12, width=480, heads=20),
    "150m": EncoderConfiguration(layers=30, width=640, heads=20),
}
BUDGETS = (2_048, 8_192)  # padded tokens per batch, of transformers at its best
LARGEST_DIFFERENCE, SMALLEST_COSINE = 1e-3, 0.999
MOST_TIME_GROWTH, MOST_MEMORY_GROWTH = 1.1, 1.3


def sample(count: int) -> list[str]:
    """Every so-many-th sequence of the corpus' first part, at most 1,022 letters long."""
    with lzma.open(DATA / "corpus" / "corpus.fasta.xz", "rt") as stream:
        blocks = stream.read(1 << 24).split(">")[1:-1]
    sequences = ["".join(block.split("\n")[1:]) for block in blocks]
    return [sequence for sequence in sequences if len(sequence) <= 1022][:count]


def operations(shape: EncoderConfiguration, sequences: Sequence[str]) -> float:
    """Useful floating-point operations: linear layers by the letter, attention by its square."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.float64)
    per_token = 2 * 12 * shape.width**2
    return shape.layers * float((lengths * per_token + 4 * lengths**2 * shape.width).sum())


class Theirs:
    """``transformers`` on the weights of an encoder."""

    def __init__(self, folder: Path, bf16: bool) -> None:
        import transformers

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.EsmModel.from_pretrained(folder, add_pooling_layer=False).eval()
        if bf16:
            self.model = self.model.to(torch.bfloat16)

    def in_batches(self, sequences: Sequence[str], batches: Sequence[np.ndarray]) -> list[Tensor]:
        """Vectors of the letters of each sequence."""
        found: dict[int, Tensor] = {}
        for batch in batches:
            texts = [sequences[row] for row in batch]
            ids = self.tokenizer(texts, return_tensors="pt", padding=True)
            vectors = self.model(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"]).last_hidden_state
            for place, row in enumerate(batch.tolist()):
                found[row] = vectors[place, 1 : 1 + len(sequences[row])].float()
        return [found[row] for row in range(len(sequences))]


def by_tokens(sequences: Sequence[str], budget: int) -> list[np.ndarray]:
    """Sorted, longest first; as many rows as fit when padded to the longest."""
    order = sorted(range(len(sequences)), key=lambda row: -len(sequences[row]))
    batches: list[list[int]] = [[]]
    for row in order:
        if batches[-1] and (len(sequences[batches[-1][0]]) + 2) * (len(batches[-1]) + 1) > budget:
            batches.append([])
        batches[-1].append(row)
    return [np.array(batch) for batch in batches]


def ours(encoder: Encoder, sequences: Sequence[str], hardware: Hardware) -> list[Tensor]:
    """Vectors as `embed` computes them."""
    lengths = np.array([len(sequence) for sequence in sequences])
    found: dict[int, Tensor] = {}
    for batch in in_order(lengths, hardware.budget):
        packed = Packed.of([encoder.encode(sequences[row]) for row in batch]).to(hardware.device)
        with hardware.products():
            rows = encoder.vectors(packed).rows()
        found |= zip(batch.tolist(), (row.float().cpu() for row in rows), strict=True)
    return [found[row] for row in range(len(sequences))]


def peak(width: int, dtype: torch.dtype, device: str, clock: Callable[[], float], rows: int = 4096) -> float:
    """Operations per second of the best of the products that a block of this width is made of, for so many rows."""
    best = 0.0
    for inner in (3 * width, width, 4 * width):
        values = torch.randn(rows, width, device=device).to(dtype)
        weights = torch.randn(inner, width, device=device).to(dtype)
        seconds = fastest({"": lambda v=values, w=weights: F.linear(v, w)}, 8, clock)[""]  # type: ignore[misc]
        best = max(best, 2 * rows * width * inner / seconds)
    return best


def fastest(sides: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each, the best of the repeats; sides take turns."""
    seconds = dict.fromkeys(sides, float("inf"))
    for repeat in range(repeats + 1):  # the first warms up
        for name, run in sides.items():
            began = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat:
                seconds[name] = min(seconds[name], clock() - began)
    return seconds


def compare(name: str, sequences: list[str], repeats: int, clock: Callable[[], float]) -> bool:
    """Print the rows of one shape; whether all vectors agree."""
    torch.manual_seed(0)
    shape = SHAPES[name]
    encoder = Encoder(PROTEIN, shape).eval()
    with tempfile.TemporaryDirectory() as folder:
        esm2.save(encoder, Path(folder) / "model")
        fp32, bf16 = Theirs(Path(folder) / "model", False), Theirs(Path(folder) / "model", True)
    unsorted = [np.arange(start, min(start + 8, len(sequences))) for start in range(0, len(sequences), 8)]
    sides: dict[str, Callable[[], list[Tensor]]] = {
        "transformers fp32, batches of 8": lambda: fp32.in_batches(sequences, unsorted),
        "biograft fp32": lambda: ours(encoder, sequences, Hardware("cpu", "fp32")),
        "biograft bf16": lambda: ours(encoder, sequences, Hardware("cpu", "bf16")),
    }
    for budget in BUDGETS:
        batches = by_tokens(sequences, budget)
        sides[f"transformers fp32, sorted, {budget}"] = lambda b=batches: fp32.in_batches(sequences, b)  # type: ignore[misc]
        sides[f"transformers bf16, sorted, {budget}"] = lambda b=batches: bf16.in_batches(sequences, b)  # type: ignore[misc]
    with torch.inference_mode():
        truth = torch.cat(sides["transformers fp32, batches of 8"]())
        difference = float((torch.cat(sides["biograft fp32"]()) - truth).abs().max())
        cosine = float(F.cosine_similarity(torch.cat(sides["biograft bf16"]()), truth, dim=1).min())
        seconds = fastest(sides, repeats, clock)
        peaks = {kind: peak(shape.width, getattr(torch, kind), "cpu", clock) for kind in ("float32", "bfloat16")}
    tokens, useful = sum(map(len, sequences)), operations(shape, sequences)
    best = {
        kind: min(t for side, t in seconds.items() if f"transformers {kind}, sorted" in side)
        for kind in ("fp32", "bf16")
    }
    for side, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
        kind = "bf16" if "bf16" in side else "fp32"
        highest = peaks["bfloat16" if kind == "bf16" else "float32"]
        slow = seconds["transformers fp32, batches of 8"]
        print(
            f"| {name} | {side} | {tokens / spent:,.0f} | {slow / spent:.2f} | {best[kind] / spent:.2f} | "
            f"{min(best.values()) / spent:.2f} | {useful / spent / 1e9:.0f} | {highest / 1e9:.0f} | "
            f"{useful / spent / highest:.0%} |",
            flush=True,
        )
    fine = difference < LARGEST_DIFFERENCE and cosine > SMALLEST_COSINE
    print(f"\n{name}: fp32 differs by {difference:.1e} at most; smallest cosine of bf16 {cosine:.6f}\n")
    return fine


def on_gpu(name: str, sequences: list[str], repeats: int) -> None:
    """Print tokens per second and the share of the peak, where there is a GPU."""
    if not torch.cuda.is_available():
        print(f"{name}: no CUDA device here, its part is left out")
        return
    encoder = Encoder(PROTEIN, SHAPES[name]).eval().to("cuda")
    with torch.inference_mode():
        run = {"": lambda: ours(encoder, sequences, Hardware("cuda", "bf16"))}
        spent = fastest(run, repeats, time.perf_counter)[""]
        highest = peak(SHAPES[name].width, torch.bfloat16, "cuda", time.perf_counter, 65_536)
    useful = operations(SHAPES[name], sequences) / spent
    print(f"{name} on {torch.cuda.get_device_name()}: {sum(map(len, sequences)) / spent:,.0f} tokens/s, "
          f"{useful / 1e12:.1f} of {highest / 1e12:.0f} TFLOP/s ({useful / highest:.0%})")  # fmt: skip


GROWTH = """
import resource, sys, time
import torch
from pathlib import Path
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.backbones.store import embed
from biograft.data.alphabet import PROTEIN
torch.set_num_threads(int(sys.argv[3]))
sequences = Path(sys.argv[1]).read_text().split()
encoder = Encoder(PROTEIN, EncoderConfiguration(layers=2, width=64, heads=1))
clock = getattr(time, sys.argv[4])
began = clock()
embed(encoder, sequences, sys.argv[2])
spent = clock() - began
print(sum(map(len, sequences)) / spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def growth(threads: int, clock: str) -> bool:
    """Time per token and memory of `embed` from 1,000 to 30,000 sequences, each count in a process of its own."""
    print("| sequences | tokens/s | largest resident memory, MB |\n|---|---|---|")
    found = {}
    for count in (1_000, 10_000, 30_000):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "in").write_text("\n".join(sample(count)))
            words = [sys.executable, "-c", GROWTH, f"{folder}/in", f"{folder}/out", str(threads), clock]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
        found[count] = tuple(map(float, done.stdout.split()))
        print(f"| {count:,} | {found[count][0]:,.0f} | {found[count][1]:,.0f} |", flush=True)
    (speed, memory), (last_speed, last_memory) = found[1_000], found[30_000]
    return speed / last_speed <= MOST_TIME_GROWTH and last_memory / memory <= MOST_MEMORY_GROWTH


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="8m,own,35m")
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(environment(), f"processor: {torch.backends.cpu.get_cpu_capability()}\n")
    clock = time.perf_counter if options.clock == "wall" else time.process_time
    if options.growth:
        sys.exit(not growth(options.threads, clock.__name__))
    sequences = sample(options.sequences)
    lengths = np.array([len(sequence) for sequence in sequences])
    print(
        f"{len(sequences)} sequences, {lengths.sum():,} letters, mean {lengths.mean():.0f}, {options.threads} threads\n"
    )
    columns = ("shape", "side", "tokens/s", "times fp32 unsorted", "times best of its precision", "times best of all",
               "GFLOP/s", "peak", "share")  # fmt: skip
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    fine = [compare(name, sequences, options.repeats, clock) for name in options.shapes.split(",")]
    for name in options.shapes.split(","):
        on_gpu(name, sequences, options.repeats)
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
