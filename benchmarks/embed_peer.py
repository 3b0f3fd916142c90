"""Whole processes: `biograft embed` beside biotrainer's embedding of the same file with the same weights.

    python benchmarks/embed_peer.py --peer-python FOLDER/bin/python [--sequences 2000] [--repeats 3] [--work FOLDER]

FOLDER is an environment of its own, made with `python3 -m venv FOLDER` and `pip install biotrainer==1.4.0`. Weights are
random, in ESM-2 8M's shape, saved by our own code; they lie where biotrainer takes them for the real ones, so that it
uses its class made for ESM-2. It has no command for vectors alone: its own service is called, as its command `predict`
does. Both write one mean vector per protein. The proteins are a sample of the corpus with its spread of lengths, each
once, of the 20 common letters (biotrainer turns others into X). Sides take turns, each in a process of its own and into
a new folder; the best of the repeats counts. Exits 1 if vectors differ or the claim is missed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from biograft.backbones import esm2
from biograft.backbones.encoder import Encoder
from biograft.data.alphabet import PROTEIN
from biograft.data.readers import table as columns
from embed import DATA, LARGEST_DIFFERENCE, SHAPES, SMALLEST_COSINE, sample
from results import Claim, fresh, machine
from results import table as markdown

CLAIM = 5.0  # times faster
PEER, OWN = "biotrainer fp32", "biograft bf16"
HEAD = ["process", "seconds", "times faster", "of the processor", "times less", "largest difference", "smallest cosine"]
WEIGHTS = Path("facebook") / "esm2_t6_8M_UR50D"  # below the working folder, by the name that biotrainer knows
COMMON = set("ACDEFGHIKLMNPQRSTVWY")

# Run by the peer's Python, its main part guarded because biotrainer starts a second process that writes.
THEIRS = """
import sys
from pathlib import Path

if __name__ == "__main__":
    import torch
    from biotrainer.embedders import get_embedding_service
    from biotrainer.protocols import Protocol

    service = get_embedding_service(sys.argv[1], None, device=torch.device("cpu"))
    service.compute_embeddings(
        sys.argv[2], output_dir=Path(sys.argv[3]), protocol=Protocol.sequence_to_class, store_by_hash=False
    )
"""
READ = """
import sys
from pathlib import Path
import h5py, numpy

(path,) = Path(sys.argv[1]).rglob("*.h5")
with h5py.File(path) as file:
    numpy.savez(sys.argv[2], ids=list(file), vectors=[file[name][:] for name in file])
"""
VERSIONS = """
import importlib.metadata as found, json
print(json.dumps([f"{name} {found.version(name)}" for name in ("biotrainer", "transformers", "torch")]))
"""


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of the processor with all cores together."""

    seconds: float
    busy: float


def proteins(count: int) -> list[str]:
    """Different sequences of the sample, of common letters alone."""
    found = dict.fromkeys(sequence for sequence in sample(2 * count) if set(sequence) <= COMMON)
    return list(found)[:count]


def run(words: list[str], work: Path) -> Took:
    """Time a process; ends the script where it fails. Nothing looks for weights elsewhere."""

    def busy() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    began, before = time.monotonic(), busy()
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, cwd=work, env=offline, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\nended with {done.returncode}:\n{done.stderr}")
    return Took(time.monotonic() - began, busy() - before)


def ours(folder: Path) -> dict[str, np.ndarray]:
    """Vectors that `biograft embed` left, by id."""
    return dict(zip(columns(folder / "ids.tsv").columns["id"], np.load(folder / "vectors.npy"), strict=True))


def theirs(python: str, folder: Path, work: Path) -> dict[str, np.ndarray]:
    """Vectors that biotrainer left, by id."""
    run([python, "-c", READ, str(folder), "read.npz"], work)
    with np.load(work / "read.npz") as found:
        return dict(zip(found["ids"].tolist(), found["vectors"], strict=True))


def sides(python: str) -> dict[str, list[str]]:
    """The processes, without the folder that each writes to."""
    command = [sys.executable, "-m", "biograft", "embed", "in.fasta", "--backbone", str(WEIGHTS), "--pool", "mean"]
    return {
        PEER: [python, "theirs.py", str(WEIGHTS), "in.fasta"],
        "biograft fp32": [*command, "--precision", "fp32", "--quiet", "--out"],
        OWN: [*command, "--precision", "bf16", "--quiet", "--out"],
    }


def agreement(truth: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> tuple[float, float]:
    """The largest difference of a number and the smallest cosine of a vector."""
    assert truth.keys() == found.keys(), "ids differ"
    one, two = (np.stack([vectors[id] for id in truth]).astype(np.float64) for vectors in (truth, found))
    cosine = (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)
    return float(np.abs(one - two).max()), float(cosine.min())


def prepare(sequences: list[str], work: Path) -> None:
    """The file of proteins, the weights, the peer's script."""
    text = "".join(f">p{number}\n{sequence}\n" for number, sequence in enumerate(sequences))
    (work / "in.fasta").write_text(text, encoding="utf-8")
    (work / "theirs.py").write_text(THEIRS, encoding="utf-8")
    torch.manual_seed(0)
    (work / WEIGHTS.parent).mkdir(exist_ok=True)
    esm2.save(Encoder(PROTEIN, SHAPES["8m"]).eval(), work / WEIGHTS)


def timed(python: str, repeats: int, work: Path) -> dict[str, Took]:
    """The best of the repeats of each side; sides take turns, and leave vectors in folders named after them."""
    took: dict[str, list[Took]] = {}
    for _ in range(repeats):
        for name, words in sides(python).items():
            out = fresh(work / name)
            if name == PEER:
                out.mkdir()
            took.setdefault(name, []).append(run([*words, name], work))
            print(f"{name}: {took[name][-1].seconds:.1f} s", file=sys.stderr, flush=True)
    return {name: Took(min(t.seconds for t in each), min(t.busy for t in each)) for name, each in took.items()}


def compare(best: dict[str, Took], truth: dict[str, np.ndarray], work: Path) -> bool:
    """Print the table; whether vectors agree."""
    rows, agree = [], True
    for name, spent in best.items():
        faster, less = best[PEER].seconds / spent.seconds, best[PEER].busy / spent.busy
        row = [name, f"{spent.seconds:.1f}", f"{faster:.2f}", f"{spent.busy:.1f}", f"{less:.2f}"]
        if name == PEER:
            rows.append([*row, "", ""])
            continue
        difference, cosine = agreement(truth, ours(work / name))
        agree &= cosine > SMALLEST_COSINE and (name == OWN or difference < LARGEST_DIFFERENCE)
        rows.append([*row, f"{difference:.1e}", f"{cosine:.6f}"])
    print(markdown(HEAD, rows))
    told = "agree" if agree else "**differ**"
    print(f"\nVectors {told}: smallest cosine above {SMALLEST_COSINE}, fp32 within {LARGEST_DIFFERENCE:g}.")
    return agree


def main() -> int:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default="", help="the Python of an environment with biotrainer")
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"Skipped: the data are not at '{DATA}'. Set BIOGRAFT_DATA.")
        return 0
    python = options.peer_python
    if not Path(python).is_file() or (found := _versions(python)) is None:
        print(f"Skipped: '{python}' is no Python that has biotrainer. Name one with --peer-python.")
        return 0
    sequences = proteins(options.sequences)
    print(_introduction(sequences, options.repeats, found))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(sequences, work)
        best = timed(str(Path(python).absolute()), options.repeats, work)
        agree = compare(best, theirs(python, work / PEER, work), work)
    faster = best[PEER].seconds / best[OWN].seconds
    claim = (
        f"`embed` of {len(sequences):,} proteins: at least {CLAIM:g} times as fast as biotrainer, as whole processes"
    )
    row = Claim(claim, f"{faster:.2f} times", faster >= CLAIM).row()
    print(f"\n{markdown(['claim', 'found', ''], [])}\n{row}\n\n{machine()}")
    return int(not (agree and faster >= CLAIM))


def _introduction(sequences: list[str], repeats: int, versions: list[str]) -> str:
    letters, cores = sum(map(len, sequences)), len(os.sched_getaffinity(0))
    return (
        "## Vectors of a file, as whole processes\n\n"
        f"`python benchmarks/embed_peer.py --peer-python PYTHON --sequences {len(sequences)} --repeats {repeats}`\n\n"
        f"{len(sequences):,} proteins, {letters:,} letters (mean {letters / len(sequences):.0f}), random weights in "
        f"ESM-2 8M's shape, one mean vector per protein; cores: {cores}; {', '.join(versions)}. Start of Python, "
        "imports, loading of weights and writing are within the times, in seconds; each process's best of "
        f"{repeats}, in turns.\n"
    )


def _versions(python: str) -> list[str] | None:
    done = subprocess.run([python, "-c", VERSIONS], capture_output=True, text=True, check=False)
    found: list[str] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return found


if __name__ == "__main__":
    sys.exit(main())
