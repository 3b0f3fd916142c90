"""Reading speed on a FASTA of about 100 MB: ours beside Biopython's SimpleFastaParser, with peak memory.

Run with ``python benchmarks/reading.py``; prints a Markdown table. Every reading has a process of its own.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Measurement = tuple[float, float, float, tuple[int, int]]
LETTERS = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", dtype=np.uint8)


def written(path: Path, megabytes: int, seed: int = 0) -> None:
    """Proteins of 50 to 1,000 residues in lines of 60 letters."""
    generator = np.random.default_rng(seed)
    number = 0
    with path.open("wb") as stream:
        while stream.tell() < megabytes * 1_000_000:
            residues = generator.choice(LETTERS, int(generator.integers(50, 1000))).tobytes()
            lines = [residues[start : start + 60] for start in range(0, len(residues), 60)]
            stream.write(b">P%06d protein %d\n" % (number, number) + b"\n".join(lines) + b"\n")
            number += 1


def biopython(path: Path) -> tuple[int, int]:
    """(records, letters) as Biopython reads them."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    records = letters = 0
    with path.open() as stream:
        for _, sequence in SimpleFastaParser(stream):
            records, letters = records + 1, letters + len(sequence)
    return records, letters


def streamed(path: Path) -> tuple[int, int]:
    """(records, letters) as they stream from our reader."""
    from biograft.data.readers import fasta

    records = letters = 0
    for _, sequence in fasta(path):
        records, letters = records + 1, letters + len(sequence)
    return records, letters


def whole(path: Path) -> tuple[int, int]:
    """(records, letters) of the table in memory: ids compared, alphabet detected, letters checked."""
    from biograft.data.readers import read

    found = read(path)
    return len(found), int(found.lengths.sum())


READERS: dict[str, Callable[[Path], tuple[int, int]]] = {
    "Biopython SimpleFastaParser": biopython,
    "biograft fasta (streaming)": streamed,
    "biograft read (cleaned Records)": whole,
}


def measured(name: str, path: Path, small: Path) -> Measurement:
    """Wall and processor seconds, peak memory in MB beyond imports and a small file, and the counts."""
    READERS[name](small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, used = time.perf_counter(), time.process_time()
    counts = READERS[name](path)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    return seconds, used, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, counts


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--megabytes", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder, "large.fasta"), Path(folder, "small.fasta")
        written(path, options.megabytes)
        written(small, 1)
        results: dict[str, list[Measurement]] = {name: [] for name in READERS}
        for _ in range(options.rounds):
            for name in READERS:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    results[name].append(pool.apply(measured, (name, path, small)))
        size = path.stat().st_size / 1e6
    if len({counts for runs in results.values() for *_, counts in runs}) != 1:
        raise SystemExit("The readers disagree on the number of records or letters.")
    medians = {name: np.median([run[:2] for run in runs], axis=0) for name, runs in results.items()}
    peer = medians["Biopython SimpleFastaParser"]
    records, letters = results["Biopython SimpleFastaParser"][0][3]
    print(f"FASTA of {size:.0f} MB, {records:,} records, {letters:,} letters, median of {options.rounds}\n")
    print("| reader | seconds | times Biopython | processor seconds | times Biopython | peak memory added, MB |")
    print("|---|---|---|---|---|---|")
    for name, (seconds, used) in medians.items():
        memory = max(run[2] for run in results[name])
        wall, processor = seconds / peer[0], used / peer[1]
        print(f"| {name} | {seconds:.2f} | {wall:.2f} | {used:.2f} | {processor:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
