"""Records: building, taking rows, messages."""

import numpy as np
import pytest

from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.records import Records
from biograft.errors import BiograftError


@pytest.fixture
def records() -> Records:
    return Records.of(
        ["mkv", "M-KLA*", "WWF"], ["a", "b", "c"], {"y": ["1", "", "3"]}, source="tm.csv", lines=[2, 3, 5]
    )


def test_of_cleans_and_counts(records):
    assert records.sequences == ["MKV", "MKLA", "WWF"]
    assert records.alphabet is PROTEIN
    assert records.changes == {"lower case letters": 1, "gaps removed": 1, "stop '*' at the end removed": 1}
    assert list(records.kept) == [1]
    assert records.lengths.dtype == np.int64
    assert records.lengths.tolist() == [3, 4, 3]
    assert len(records) == 3


def test_take_follows_the_rows(records):
    taken = records.take([2, 1])
    assert (taken.ids, taken.sequences, taken.columns) == (["c", "b"], ["WWF", "MKLA"], {"y": ["3", ""]})
    assert (taken.lines, taken.changes) == ([5, 3], records.changes)
    assert list(taken.kept) == [1]
    assert taken.kept[1] is records.kept[1]
    assert records.take(np.array([True, False, True])).ids == ["a", "c"]
    assert len(records.take([])) == 0
    assert records.ids == ["a", "b", "c"]


def test_alphabet_detected_named_or_given():
    assert Records.of(["ACGT"]).alphabet is DNA
    assert Records.of(["ACGT"], alphabet="protein").alphabet is PROTEIN
    assert Records.of(["MKVLW1"], alphabet=PROTEIN, unknown="X").sequences == ["MKVLWX"]


def test_rows_without_ids_are_numbered():
    records = Records.of(["ACGT", "ACGA"])
    assert records.ids == ["row1", "row2"]
    assert records.where(1) == "record 2, id 'row2'"


def test_where_names_file_line_and_id(records):
    assert records.where(2) == "tm.csv, line 5, id 'c'"
    parquet = Records(["a"], ["MKV"], PROTEIN, source="tm.parquet", lines=[1])
    assert parquet.where(0) == "tm.parquet, row 1, id 'a'"
    assert Records(["a"], ["MKV"], PROTEIN, source="tm.csv").where(0) == "tm.csv, record 1, id 'a'"


def test_a_column_that_is_not_there(records):
    assert records.column("y") == ["1", "", "3"]
    with pytest.raises(
        BiograftError, match=r"no column 'Y' in tm\.csv: found 'y'\. Did you mean 'y'\? Check the spelling"
    ):
        records.column("Y")
    with pytest.raises(BiograftError, match="no column 'y' in the records: found none"):
        Records.of(["MKV"]).column("y")
    with pytest.raises(BiograftError, match="FASTA holds no labels: make a table with columns id, sequence and y"):
        Records.of(["MKV"], ["p1"], {"description": ["kinase"]}).column("y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"sequences": ["MKV", "MKL"], "ids": ["a", "a"]},
            r"The id 'a' stands twice \(record 1 and record 2; 1 repeat in all",
        ),
        ({"sequences": ["MKV"], "ids": [" "]}, r"The id is empty \(record 1\)\. Every record needs an id"),
        (
            {"sequences": ["MKV", ""]},
            r"The sequence of 'row2' is empty\. Every record needs at least one letter",
        ),
        ({"sequences": ["-*"]}, "'row1' is empty once gaps, stops and white space are removed"),
        (
            {"sequences": ["MKV"], "ids": ["a", "b"]},
            "Column 'id' has 2 values: expected one for each of the 1 sequences",
        ),
        ({"sequences": ["MKV"], "columns": {"y": []}}, "Column 'y' has 0 values"),
        ({"sequences": ["MKV"], "lines": [1, 2]}, "Column 'line' has 2 values"),
        (
            {"sequences": ["MKV1"], "ids": ["p"]},
            "Letter '1' at position 4 of 'p' is not a protein letter. Allowed",
        ),
        ({"sequences": ["MKV"], "alphabet": "prot"}, "no alphabet 'prot': expected protein, dna or rna"),
    ],
)
def test_bad_records_in_memory(arguments, message):
    with pytest.raises(BiograftError, match=message):
        Records.of(**arguments)


def test_records_cannot_be_changed(records):
    with pytest.raises(AttributeError):
        records.ids = []
