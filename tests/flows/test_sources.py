"""A source is read in the letters of what learns from it."""

from pathlib import Path

import pytest

from biograft.data.alphabet import PROTEIN
from biograft.errors import BiograftError
from biograft.flows.sources import Choice, load_source


def test_dna_is_not_learned_as_protein(tmp_path: Path) -> None:
    table = tmp_path / "source.tsv"
    rows = [f"s{n}\t{'ACGTTGCA' * 3}{'ACGT'[n % 4]}\t{'ab'[n % 2]}\ttrain" for n in range(8)]
    table.write_text("\n".join(["id\tsequence\tlabel\tset", *rows]) + "\n")
    with pytest.raises(BiograftError, match=r"looks like DNA: .* reads protein"):
        load_source(Choice(str(table), "label"), PROTEIN)
