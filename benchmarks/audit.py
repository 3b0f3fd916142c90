"""What `audit` finds between published parts, against counts that are known: exits 1 where a number differs.

python benchmarks/audit.py

The known counts were made by comparing texts, before this project began; GB1 variants are known to be one family.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biograft.data.audit import audit
from biograft.data.clusters import families
from biograft.data.readers import read
from biograft.data.records import Records

DATA = Path(os.environ.get("BIOGRAFT_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))


@dataclass(frozen=True)
class Case:
    """A training table and the test rows of another, or of its own; ``copies`` and ``rows`` are what is known.

    ``different``: count sequences, not rows (CB513 names many chains twice).
    """

    name: str
    table: str
    parts: tuple[str, ...]
    copies: int
    rows: int | None = None
    test: str = ""
    label: str | None = None
    different: bool = False


CASES = (
    Case("iEnhancer, test", "dna/enhancers_iEnhancer2L", ("train",), 89, 400, label="label"),
    Case("GUE core promoter all", "gue/prom_core_all", ("train",), 43, 5920, label="label"),
    Case("GUE core promoter no TATA", "gue/prom_core_notata", ("train",), 30, 5307, label="label"),
    Case("GUE core promoter TATA", "gue/prom_core_tata", ("train",), 16, 613, label="label"),
    Case("GUE promoter 300 TATA", "gue/prom_300_tata", ("train",), 6, 613, label="label"),
    Case("CB513, train and valid", "ss/ss3_netsurfp2_flip", ("train", "valid"), 2, test="ss/ss8_CB513", different=True),
    Case("TS115, train and valid", "ss/ss3_netsurfp2_flip", ("train", "valid"), 1, test="ss/ss8_TS115", different=True),
    Case("CB513, train", "ss/ss3_netsurfp2_flip", ("train",), 1, test="ss/ss8_CB513", different=True),
    Case("TS115, train", "ss/ss3_netsurfp2_flip", ("train",), 1, test="ss/ss8_TS115", different=True),
)


def rows_of(records: Records, *parts: str) -> Records:
    """The rows whose column ``set`` names one of the parts."""
    return records.take(np.isin(records.column("set"), parts))


def row(case: Case, tables: dict[str, Records]) -> tuple[str, bool]:
    """A line of the table, and whether the numbers are the known ones."""
    for name in {case.table, case.test} - {"", *tables}:
        tables[name] = read(DATA / f"{name}.tsv.gz")
    train = rows_of(tables[case.table], *case.parts)
    test = tables[case.test] if case.test else rows_of(tables[case.table], "test")
    began = time.monotonic()
    found = audit(train, test, case.label)
    seconds = time.monotonic() - began
    copies = found.distinct_copies if case.different else found.copies
    right = copies == case.copies and (case.rows is None or found.test_rows == case.rows)
    other = "–" if found.reverse_complements is None else str(found.reverse_complements)
    across = "–" if found.conflicts is None else str(found.conflicts.across)
    shares = " / ".join(f"{100 * share:.1f}" for share in found.above.values())
    line = (
        f"| {case.name} | {found.train_rows:,} | {found.test_rows:,} | {copies} | {case.copies} | {other} | "
        f"{found.near_identical} | {across} | {shares} | {seconds:.1f} | {'met' if right else '**missed**'} |"
    )
    return line, right


def variants() -> tuple[str, bool]:
    """GB1 variants are one family."""
    records = read(DATA / "flip/gb1/sampled.tsv.gz")
    began = time.monotonic()
    found = families(records.sequences, records.alphabet, 0.4)
    seconds = time.monotonic() - began
    text = f"GB1, `flip/gb1/sampled`: {len(records):,} variants, {found.count} family (known: 1), {seconds:.1f} s."
    return text, found.count == 1


def main() -> None:
    """Print the table; end with 1 where a number differs."""
    if not DATA.is_dir():
        print("Skipped: the data are absent. Set BIOGRAFT_DATA to their folder.")
        return
    print(
        "| test set | training rows | test rows | exact copies | known | reverse complements | near-identical | "
        "copies with another label | % of test rows ≥ 30/40/50/70/95 % identical | seconds | |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    tables: dict[str, Records] = {}
    verdicts = []
    for case in CASES:
        line, right = row(case, tables)
        print(line, flush=True)
        verdicts.append(right)
    line, right = variants()
    print(
        "\nCopies are test rows; for CB513 and TS115 different chains. Near-identical: 95 % or more without the copies."
    )
    print(f"\n{line}")
    sys.exit(0 if all([*verdicts, right]) else 1)


if __name__ == "__main__":
    main()
