"""A source is read in the letters of what learns from it."""

from pathlib import Path

import pytest

from biograft.data.alphabet import PROTEIN
from biograft.errors import BiograftError
from biograft.flows.recipe import Recipe
from biograft.flows.sources import Choice, load_source


def test_dna_is_not_learned_as_protein(tmp_path: Path) -> None:
    table = tmp_path / "source.tsv"
    rows = [f"s{n}\t{'ACGTTGCA' * 3}{'ACGT'[n % 4]}\t{'ab'[n % 2]}\ttrain" for n in range(8)]
    table.write_text("\n".join(["id\tsequence\tlabel\tset", *rows]) + "\n")
    with pytest.raises(BiograftError, match=r"looks like DNA: .* reads protein"):
        load_source(Choice(str(table), "label"), PROTEIN)


def test_numbers_may_be_names_of_classes(tmp_path: Path) -> None:
    table = tmp_path / "source.tsv"
    rows = [f"s{n}\t{'ADEFGHIK'[n % 8] * 9}MKLV{'RSTVWY'[n % 6] * 5}\t{100 + n % 30}\ttrain" for n in range(60)]
    table.write_text("\n".join(["id\tsequence\tfold\tset", *rows]) + "\n")
    assert load_source(Choice(str(table), "fold"), PROTEIN).kind.name == "regression"
    found = load_source(Choice(str(table), "fold", kind="classification"), PROTEIN)
    assert (
        found.kind.name == "classification" and found.kind.width > 20
    )  # a few classes are only in its validation part
    told = {"table": "t.tsv", "label": "y", "source_task": "classification"}
    with pytest.raises(BiograftError, match="--source-task is about a source: got classification and no --source"):
        Recipe.of(told)
    with pytest.raises(BiograftError, match="classes"):
        Recipe.of(told | {"source": "s.tsv", "source_label": "fold", "source_task": "classes"})
