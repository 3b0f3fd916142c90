"""Reading speed on a FASTA and a TSV of about 100 MB: ours beside Biopython and polars, with peak memory.

Run with ``python benchmarks/reading.py``; prints Markdown tables. Every reading has a process of its own.
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


def written_table(path: Path, megabytes: int, seed: int = 0) -> None:
    """The same proteins with a number and a note each."""
    generator = np.random.default_rng(seed)
    number = 0
    with path.open("wb") as stream:
        stream.write(b"id\tsequence\ty\tnote\n")
        while stream.tell() < megabytes * 1_000_000:
            residues = generator.choice(LETTERS, int(generator.integers(50, 1000))).tobytes()
            stream.write(b"P%06d\t%s\t%.3f\tprotein %d\n" % (number, residues, generator.normal(), number))
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


def with_polars(path: Path) -> tuple[int, int]:
    """(records, letters) of the table as polars parses it, unchecked, turned into lists as ours are."""
    import polars

    columns = polars.read_csv(path, separator="\t", infer_schema=False).to_dict(as_series=False)
    return len(columns["sequence"]), sum(map(len, columns["sequence"]))


READERS: dict[str, dict[str, Callable[[Path], tuple[int, int]]]] = {
    "FASTA": {
        "Biopython SimpleFastaParser": biopython,
        "biograft fasta (streaming)": streamed,
        "biograft read (cleaned Records)": whole,
    },
    "TSV": {"polars read_csv (unchecked)": with_polars, "biograft read (cleaned Records)": whole},
}


def measured(form: str, name: str, path: Path, small: Path) -> Measurement:
    """Wall and processor seconds, peak memory in MB beyond imports and a small file, and the counts."""
    reader = READERS[form][name]
    reader(small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, used = time.perf_counter(), time.process_time()
    counts = reader(path)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    return seconds, used, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, counts


def compared(form: str, path: Path, small: Path, rounds: int) -> None:
    """Measure all readers of a form in turn and print their table; the first one is the peer."""
    results: dict[str, list[Measurement]] = {name: [] for name in READERS[form]}
    for _ in range(rounds):
        for name in results:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results[name].append(pool.apply(measured, (form, name, path, small)))
    if len({counts for runs in results.values() for *_, counts in runs}) != 1:
        raise SystemExit(f"The readers of {form} disagree on the number of records or letters.")
    medians = {name: np.median([run[:2] for run in runs], axis=0) for name, runs in results.items()}
    first = next(iter(results))
    records, letters = results[first][0][3]
    size = path.stat().st_size / 1e6
    peer = first.split()[0]
    print(f"{form} of {size:.0f} MB, {records:,} records, {letters:,} letters, median of {rounds}\n")
    print(f"| reader | seconds | times {peer} | processor seconds | times {peer} | peak memory added, MB |")
    print("|---|---|---|---|---|---|")
    for name, (seconds, used) in medians.items():
        memory = max(run[2] for run in results[name])
        wall, processor = seconds / medians[first][0], used / medians[first][1]
        print(f"| {name} | {seconds:.2f} | {wall:.2f} | {used:.2f} | {processor:.2f} | {memory:.0f} |")
    print()


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--megabytes", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for form, write in (("FASTA", written), ("TSV", written_table)):
            path, small = Path(folder, f"large.{form.lower()}"), Path(folder, f"small.{form.lower()}")
            write(path, options.megabytes)
            write(small, 1)
            compared(form, path, small, options.rounds)


if __name__ == "__main__":
    main()
