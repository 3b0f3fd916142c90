"""The labelled sources of the shipped encoder, cleaned of relatives of every test protein, and its corpus.

    python benchmarks/pretraining/sources.py FOLDER --sequences 60000

Writes below FOLDER: `corpus.fasta`, the first so many sequences of the corpus without those that came from places with
a non-commercial licence alone; `enzymes.tsv.gz`, those of the whole corpus that carry one complete EC number out of at
least ten; `structure.tsv.gz`, the training and validation chains of secondary structure that are less than 30 %
identical to each test protein (or share less than half of it). The corpus has been cleaned of these before. Reads
BIOGRAFT_DATA (default ../shared/data); needs MMseqs2 (program `mmseqs`).
"""

import argparse
import lzma
import os
import subprocess
import tempfile
from pathlib import Path

import polars as pl

DATA = Path(os.environ.get("BIOGRAFT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")).resolve()
CLOSED = {"uniloc", "signalp6_genomes"}  # tags of the corpus whose repositories forbid commercial use
FEWEST = 10  # enzymes of a class
IDENTITY, COVERED = 0.3, 0.5


def corpus() -> pl.DataFrame:
    """Ids, sequences and EC numbers of what may be shipped, in the corpus's (random) order."""
    about = pl.read_csv(DATA / "corpus" / "corpus_meta.tsv.gz", separator="\t", quote_char=None, infer_schema_length=0)
    with lzma.open(DATA / "corpus" / "corpus.fasta.xz", "rt") as file:
        entries = [entry.split("\n", 1) for entry in file.read().split(">")[1:]]
    columns = {"id": [name for name, _ in entries], "sequence": [text.replace("\n", "") for _, text in entries]}
    whole = pl.DataFrame(columns).join(about.select("id", "sources", "ec"), on="id", maintain_order="left")
    tags = whole["sources"].str.replace_all(",", ";").str.split(";").to_list()
    return whole.filter(pl.Series([not set(found) <= CLOSED for found in tags]))


def enzymes(whole: pl.DataFrame) -> pl.DataFrame:
    """Sequences with one complete EC number; a fiftieth of them is for validation."""
    found = whole.filter(pl.col("ec").str.contains(r"^[\d.]+$")).filter(pl.len().over("ec") >= FEWEST)
    part = pl.when(pl.int_range(pl.len()) % 50 == 0).then(pl.lit("valid")).otherwise(pl.lit("train"))
    return found.select("id", "sequence", "ec", part.alias("set"))


def structure(scratch: Path) -> pl.DataFrame:
    """Chains with secondary structure that are no relatives of a test protein."""
    path = DATA / "ss" / "ss3_netsurfp2_flip.tsv.gz"
    table = pl.read_csv(path, separator="\t", quote_char=None, infer_schema_length=0).filter(pl.col("set") != "test")
    chains, tests, found = scratch / "chains.fasta", scratch / "tests.fasta", scratch / "found.tsv"
    rows = table.select("id", "sequence").iter_rows()
    chains.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in rows), encoding="utf-8")
    files = sorted((DATA / "test_fastas").glob("*.fasta"))
    tests.write_text("\n".join(file.read_text(encoding="utf-8") for file in files), encoding="utf-8")
    command = ["mmseqs", "easy-search", tests, chains, found, scratch / "tmp", "-s", 6, "-e", 1e-3, "-c", COVERED]
    command += ["--cov-mode", 2, "--min-seq-id", IDENTITY, "--max-seqs", 2000, "--format-output", "target", "-v", 1]
    subprocess.run([str(part) for part in command], check=True)
    related = set(found.read_text(encoding="utf-8").split())
    kept = table.filter(~pl.col("id").is_in(list(related)))
    print(f"{len(table) - len(kept):,} of {len(table):,} chains are relatives of test proteins and left out")
    return kept.select("id", "sequence", "ss3", "resolved", "set")


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sequences", type=int, default=60_000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    whole = corpus()
    rows = whole.head(options.sequences).select("id", "sequence").iter_rows()
    text = "".join(f">{name}\n{sequence}\n" for name, sequence in rows)
    (options.folder / "corpus.fasta").write_text(text, encoding="utf-8")
    found = enzymes(whole)
    found.write_csv(options.folder / "enzymes.tsv.gz", separator="\t", compression="gzip")
    print(f"{len(found):,} enzymes of {found['ec'].n_unique()} classes")
    with tempfile.TemporaryDirectory() as scratch:
        kept = structure(Path(scratch))
    kept.write_csv(options.folder / "structure.tsv.gz", separator="\t", compression="gzip")


if __name__ == "__main__":
    main()
