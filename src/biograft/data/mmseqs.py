"""MMseqs2, where it is installed, as a second search for pairs worth an alignment (doi:10.1038/nbt.3988).

Only its prefilter is used: what is homologous is decided by our own alignments, so that families mean the same thing
with and without it. ``BIOGRAFT_MMSEQS`` names the program, or says ``none`` to do without.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biograft.data.alignment import workers
from biograft.errors import BiograftError

__all__ = ["LONGEST", "VARIABLE", "MMseqs2"]

VARIABLE = "BIOGRAFT_MMSEQS"
LONGEST = 65_000
"""Letters; MMseqs2 refuses longer sequences."""

MOST_PER_QUERY = 2000


@dataclass(frozen=True)
class MMseqs2:
    """The program and its version as it gives it."""

    path: str
    version: str

    @staticmethod
    def find() -> "MMseqs2 | None":
        """The program that ``BIOGRAFT_MMSEQS`` names, else ``mmseqs`` on the PATH; None where there is none.

        Raises BiograftError where what is named or found does not run.
        """
        named = os.environ.get(VARIABLE, "").strip()
        if named.lower() == "none":
            return None
        path = shutil.which(named or "mmseqs")
        if path is None:
            if named:
                raise BiograftError(
                    f"{VARIABLE} names no program: got '{named}', expected the path of mmseqs, or none to do without."
                )
            return None
        return MMseqs2(path, _run(path, "version").strip())

    def __str__(self) -> str:
        return f"MMseqs2 {self.version}"

    def candidates(self, sequences: Sequence[str], rows: np.ndarray, identity: float) -> np.ndarray:
        """Pairs (n, 2) among these rows of proteins, ascending, first < second; sequences above ``LONGEST`` are left
        out.

        Raises BiograftError where the program fails.
        """
        with tempfile.TemporaryDirectory(prefix="biograft-mmseqs-") as folder:
            fasta, database, found, table = (str(Path(folder, name)) for name in ("in.fasta", "db", "found", "tsv"))
            with open(fasta, "w", encoding="ascii") as stream:
                stream.writelines(
                    f">{row}\n{sequences[row]}\n" for row in rows.tolist() if len(sequences[row]) <= LONGEST
                )
            # much as MMseqs2 sets it for clusters: more sensitive for lower thresholds
            sensitivity = str(round(float(np.clip(1 + 10 * (0.7 - identity), 4, 6)), 2))
            threads = ("--threads", str(workers()))
            _run(self.path, "createdb", fasta, database, "--dbtype", "1", "--shuffle", "0")
            _run(
                self.path, "prefilter", database, database, found, "-s", sensitivity,
                "--max-seqs", str(MOST_PER_QUERY), *threads,
            )  # fmt: skip
            _run(self.path, "createtsv", database, database, found, table, *threads)
            return _read(table)


def _read(table: str) -> np.ndarray:
    """Each unordered pair of the first two columns once."""
    with open(table, encoding="ascii") as stream:
        ends = [line.split("\t", 2)[:2] for line in stream]
    pairs = np.sort(np.array(ends, np.int64).reshape(-1, 2), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _run(path: str, command: str, *words: str) -> str:
    """Standard output of one of the program's commands."""
    quiet = () if command == "version" else ("-v", "1")
    try:
        done = subprocess.run([path, command, *words, *quiet], capture_output=True, text=True, check=False)
    except OSError as fault:
        raise BiograftError(f"MMseqs2 does not start: '{path}' says {fault.strerror}. {_ADVICE}") from fault
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "nothing more").splitlines()
        raise BiograftError(f"MMseqs2 failed: '{command}' ended with {done.returncode} ({lines[-1]}). {_ADVICE}")
    return done.stdout


_ADVICE = f"Mend the program, name another with {VARIABLE}, or set {VARIABLE}=none to do without it."
