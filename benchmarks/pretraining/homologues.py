"""A table of homologous pairs out of a corpus: the source from which an encoder learns what evolution puts where.

    python benchmarks/pretraining/homologues.py corpus.fasta homologues.tsv.gz --queries 40000

Column `homologue` holds, for each letter of `sequence`, what stands there in a relative; `aligned` is 1 where there is
one. `biograft pretrain --source homologues.tsv.gz --source-label homologue --source-mask aligned` learns from it: every
letter asks a question, where masking asks one letter in seven. Needs MMseqs2 (program `mmseqs`).
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from biograft.data.readers import read

SENSITIVITY = 4.0
HITS = 60  # of a query, before they are thinned
COVERED = 0.6  # share of the query that an alignment covers, at least


def alignments(corpus: Path, queries: Path, threads: int, scratch: Path) -> Path:
    """MMseqs2's alignments of the queries to the corpus, as text."""
    found = scratch / "pairs.tsv"
    columns = "query,target,pident,qstart,qaln,taln"
    command = ["mmseqs", "easy-search", queries, corpus, found, scratch / "tmp", "--format-output", columns]
    command += ["-s", SENSITIVITY, "--max-seqs", HITS, "-e", 1e-4, "-c", COVERED, "--cov-mode", 2]
    command += ["--max-seq-id", 0.8, "--threads", threads, "-v", 1]
    subprocess.run([str(part) for part in command], check=True)
    return found


def thinned(found: Path, valid: set[str], lowest: float, highest: float, most: int, seed: int) -> pl.DataFrame:
    """At most ``most`` random pairs of each query within the identities; a held-out protein is never the answer."""
    names = ["query", "target", "identity", "start", "query_row", "target_row"]
    table = pl.read_csv(found, separator="\t", has_header=False, new_columns=names, quote_char=None)
    table = table.filter(
        (pl.col("query") != pl.col("target"))
        & pl.col("identity").is_between(lowest, highest)
        & ~pl.col("target").is_in(list(valid))
    ).sample(fraction=1.0, shuffle=True, seed=seed)
    return table.filter(pl.int_range(pl.len()).over("query") < most)


def rows(pairs: pl.DataFrame, sequences: dict[str, str], valid: set[str]) -> Iterator[tuple[str, str, str, str, str]]:
    """``id, sequence, homologue, aligned, set`` of each pair."""
    for number, (query, _, _, start, ours, theirs) in enumerate(pairs.iter_rows()):
        sequence = sequences[query]
        here = np.frombuffer(ours.encode(), np.uint8) != ord("-")
        letters = np.full(len(sequence), ord("-"), np.uint8)
        letters[start - 1 : start - 1 + here.sum()] = np.frombuffer(theirs.encode(), np.uint8)[here]
        known = np.isin(letters, np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8))
        letters[~known] = ord("A")  # masked out: the column must hold classes that exist
        aligned = (known + ord("0")).astype(np.uint8).tobytes().decode()
        part = "valid" if query in valid else "train"
        yield f"{query}|{number}", sequence, letters.tobytes().decode(), aligned, part


def main() -> None:
    """Search, thin out, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--queries", type=int, default=40_000, help="the first so many sequences are aligned to all")
    parser.add_argument("--per-query", type=int, default=6)
    parser.add_argument("--lowest", type=float, default=15.0, help="identity, in per cent")
    parser.add_argument("--highest", type=float, default=60.0)
    parser.add_argument("--valid", type=int, default=200, help="queries to measure on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alignments", type=Path, help="what an earlier search found, instead of a new one")
    options = parser.parse_args()
    records = read(options.corpus, alphabet="protein")
    sequences = dict(zip(records.ids, records.sequences, strict=True))
    chosen = records.ids[: options.queries]
    valid = set(chosen[: options.valid])
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        found = options.alignments
        if found is None:
            queries = scratch / "queries.fasta"
            queries.write_text("".join(f">{name}\n{sequences[name]}\n" for name in chosen), encoding="utf-8")
            found = alignments(options.corpus, queries, options.threads, scratch)
        pairs = thinned(found, valid, options.lowest, options.highest, options.per_query, 0)
    made = list(rows(pairs, sequences, valid))
    columns = ("id", "sequence", "homologue", "aligned", "set")
    pl.DataFrame(made, schema=columns, orient="row").write_csv(options.out, separator="\t", compression="gzip")
    median = pairs["identity"].median()
    print(f"{len(made):,} pairs of {pairs['query'].n_unique():,} proteins, identity {median:.0f} % in the median")


if __name__ == "__main__":
    main()
