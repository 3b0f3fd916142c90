"""Families of proteins beside MMseqs2's easy-cluster, in one run, and a check by exact alignment.

python benchmarks/clusters.py [--records 20000] [--identity 0.4] [--pairs 10000]

Exits 1 where ours takes more than 1.5 times the time of easy-cluster, or where one of the pairs across parts is
homologous. Half of these pairs are drawn at random, half are the likeliest: of each of many rows the row of another
part that has most three-letter words in common with it.
"""

import argparse
import lzma
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, diags_array

from biograft.data.alignment import Aligner, workers
from biograft.data.alphabet import PROTEIN
from biograft.data.clusters import families
from biograft.data.homology import EXPECTED
from biograft.data.letters import Letters
from biograft.data.mmseqs import MMseqs2
from biograft.data.split import by_family

DATA = Path(os.environ.get("BIOGRAFT_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))
COVERAGE = 0.5
MOST_TIMES = 1.5


def sequences(path: Path) -> Iterator[str]:
    """Sequences of a FASTA in xz, in order."""
    lines: list[str] = []
    with lzma.open(path, "rt", encoding="ascii") as stream:
        for line in stream:
            if line.startswith(">"):
                if lines:
                    yield "".join(lines)
                lines = []
            else:
                lines.append(line.strip())
    yield "".join(lines)


@dataclass(frozen=True)
class Clustered:
    """Families that a way has found, seconds on the clock, and of the processor."""

    name: str
    labels: np.ndarray
    seconds: float
    busy: float


def timed(work: Callable[[], tuple[str, np.ndarray]]) -> Clustered:
    """Run one way to find families."""

    def used() -> float:
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in spent)

    began, before = time.monotonic(), used()
    name, labels = work()
    return Clustered(name, labels, time.monotonic() - began, used() - before)


def ours(texts: list[str], identity: float, program: str) -> Clustered:
    """Our families: as they are usually found, or with MMseqs2's pairs in any case."""

    def work() -> tuple[str, np.ndarray]:
        found = families(texts, PROTEIN, identity, COVERAGE, program)
        return found.program, found.labels

    return timed(work)


def easy_cluster(tool: MMseqs2, texts: list[str], identity: float) -> Clustered:
    """The clusters of MMseqs2, written and read as its users do."""

    def work() -> tuple[str, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            fasta, out = Path(folder, "in.fasta"), Path(folder, "out")
            fasta.write_text("".join(f">{row}\n{text}\n" for row, text in enumerate(texts)), encoding="ascii")
            words = ["--min-seq-id", str(identity), "-c", str(COVERAGE), "--cov-mode", "1"]
            rest = ["--threads", str(workers()), "-v", "1"]
            subprocess.run(
                [tool.path, "easy-cluster", fasta, out, Path(folder, "t"), *words, *rest],
                check=True,
                capture_output=True,
            )
            pairs = np.loadtxt(f"{out}_cluster.tsv", dtype=np.int64, ndmin=2)
        labels = np.empty(len(texts), np.int64)
        labels[pairs[:, 1]] = pairs[:, 0]
        return f"easy-cluster of {tool} ({' '.join(words)})", labels

    return timed(work)


def likeliest(texts: list[str], rows: np.ndarray, allowed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Of each of the rows the one that shares most three-letter words with it, among ``allowed(rows)`` (rows, all)."""
    letters = Letters.of(texts, Aligner(PROTEIN))
    places, words = letters.words("111")
    shape = (len(texts), PROTEIN.core**3)
    counts = csr_array((np.ones(len(words), np.float32), (letters.owner[places], words)), shape=shape)
    counts.sum_duplicates()
    length = np.sqrt(np.maximum(counts.power(2).sum(axis=1), 1))
    unit = csr_array(diags_array(1 / length) @ counts)
    turned = csr_array(unit.T)
    pairs = []
    for start in range(0, len(rows), 250):
        block = rows[start : start + 250]
        alike = (unit[block] @ turned).toarray()
        alike[~allowed(block)] = -1
        alike[np.arange(len(block)), block] = -1
        pairs.append(np.stack([block, alike.argmax(axis=1)], axis=1))
    return np.concatenate(pairs)


def above(texts: list[str], pairs: np.ndarray, identity: float) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs reach identity and coverage in either direction, and which of these scores chance would not give."""
    aligner = Aligner(PROTEIN)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    least = aligner.least_score(lengths[pairs].min(axis=1), int(lengths.sum()), EXPECTED)
    reached = np.zeros(len(pairs), bool)
    for direction in (pairs, pairs[:, ::-1]):
        found = aligner.align(direction, texts, texts)
        reached |= (found.identity >= identity) & (found.coverage >= COVERAGE)
    return reached, reached & (found.score >= least)


def check(texts: list[str], labels: np.ndarray, identity: float, number: int) -> tuple[str, bool]:
    """Align pairs across the parts of a split of these families; a sentence, and whether none is homologous."""
    parts = by_family(labels, None)
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(texts), (4 * number, 2))
    drawn = drawn[parts[drawn[:, 0]] != parts[drawn[:, 1]]][: number - number // 2]
    rows = generator.permutation(len(texts))[: number // 2]
    near = likeliest(texts, rows, lambda block: parts[block][:, None] != parts)
    pairs = np.concatenate([drawn, near])
    reached, homologous = above(texts, pairs, identity)
    text = (
        f"{len(pairs):,} pairs across train, valid and test aligned exactly ({len(drawn):,} at random, {len(near):,} "
        f"the likeliest): {int(homologous.sum())} homologous at {identity:.0%} identity over half of the shorter. "
        f"{int((reached & ~homologous).sum())} more reach these numbers with a score that chance gives "
        f"(more than {EXPECTED} such hits per sequence), which no alignment can tell from unrelated."
    )
    return text, not homologous.any()


def apart(texts: list[str], ways: list[Clustered], identity: float, number: int) -> list[int]:
    """Of rows and their likeliest relatives: how many homologous pairs each way leaves in different families."""
    rows = np.random.default_rng(1).permutation(len(texts))[:number]
    pairs = likeliest(texts, rows, lambda block: np.ones((len(block), len(texts)), bool))
    pairs = pairs[above(texts, pairs, identity)[1]]
    return [len(pairs), *(int((way.labels[pairs[:, 0]] != way.labels[pairs[:, 1]]).sum()) for way in ways)]


def main() -> None:
    """Print the tables; end with 1 where a claim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--identity", type=float, default=0.4)
    parser.add_argument("--pairs", type=int, default=10_000)
    options = parser.parse_args()
    path, tool = DATA / "corpus" / "corpus.fasta.xz", MMseqs2.find()
    if not path.is_file():
        print("Skipped: the data are absent. Set BIOGRAFT_DATA to their folder.")
        return
    texts = list(islice(sequences(path), options.records))
    usual = ours(texts, options.identity, "auto")
    ways = [usual]
    if tool is not None:
        ways += [ours(texts, options.identity, "mmseqs"), easy_cluster(tool, texts, options.identity)]
    known, *left = apart(texts, ways, options.identity, options.pairs // 2)
    print(f"{len(texts):,} proteins, {sum(map(len, texts)):,} residues, {options.identity:.0%} identity.\n")
    print(f"| way | families | seconds | of the processor | times easy-cluster | of {known:,} homologous pairs apart |")
    print("|---|---|---|---|---|---|")
    for way, lost in zip(ways, left, strict=True):
        times = f"{way.seconds / ways[-1].seconds:.2f} ({way.busy / ways[-1].busy:.2f})" if tool is not None else "–"
        count = len(np.unique(way.labels))
        print(f"| {way.name} | {count:,} | {way.seconds:.1f} | {way.busy:.1f} | {times} | {lost} |")
    text, none = check(texts, usual.labels, options.identity, options.pairs)
    print(f"\nIn brackets: times of the processor. {text}")
    if tool is None:
        print("\nSkipped: the comparison with MMseqs2, which is not installed here.")
    fast = tool is None or usual.seconds <= MOST_TIMES * ways[-1].seconds
    sys.exit(0 if fast and none else 1)


if __name__ == "__main__":
    main()
