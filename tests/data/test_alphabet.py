"""Letters, codes, detection and cleaning."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biograft.data import alphabet as module
from biograft.data.alphabet import DNA, PROTEIN, RNA, clean, clean_all, detect, named, reverse_complement
from biograft.errors import BiograftError

ALPHABETS = [PROTEIN, DNA, RNA]
RAW = {
    "protein": "ACDEFGHIKLMNPQRSTVWYXBZUOJacdefghiklmnpqrstvwyxbzuoj-. \t\xa0",
    "dna": "ACGTUNRYSWKMBDHVacgtunryswkmbdhv-. \n",
    "rna": "ACGTUNRYSWKMBDHVacgtunryswkmbdhv-. \r",
}


@pytest.mark.parametrize("alphabet", ALPHABETS, ids=lambda alphabet: alphabet.name)
def test_codes_are_places_in_the_letters(alphabet):
    codes = alphabet.encode(alphabet.letters)
    assert codes.dtype == np.uint8
    assert codes.tolist() == list(range(len(alphabet.letters)))
    assert alphabet.decode(codes) == alphabet.letters
    assert alphabet.letters[alphabet.encode(alphabet.unknown)[0]] == alphabet.unknown


def test_canonical_letters_come_first():
    assert PROTEIN.letters[: PROTEIN.core] == "ACDEFGHIKLMNPQRSTVWY"
    assert (DNA.letters[: DNA.core], RNA.letters[: RNA.core]) == ("ACGT", "ACGU")


def test_encode_refuses_a_foreign_letter():
    with pytest.raises(BiograftError, match=r"Letter 'J' at position 3 is not a protein letter\. Allowed: ACDEF"):
        PROTEIN.encode("MKJ")
    with pytest.raises(BiograftError, match="Letter 'λ' at position 1 is not a DNA letter"):
        DNA.encode("λ")
    assert DNA.encode("").shape == (0,)


def test_named():
    assert [named("protein"), named("DNA"), named("Rna")] == ALPHABETS
    with pytest.raises(
        BiograftError, match=r"no alphabet 'protien': expected protein, dna or rna\. Did you mean 'protein'"
    ):
        named("protien")


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        (["MKVLAAGIVG", "ACDEFGH"], PROTEIN),
        (["ACGTACGTNN", "acgt-acgt*"], DNA),
        (["ACGU", "ACGA"], RNA),
        (["ACG"], DNA),
        (["ACGU", "ACGT"], DNA),
        (["ACGTACGTACGTACGTACGZ"], DNA),
        (["ACGTRYSWKMRYSW"], PROTEIN),
        (["ACDGHKMNRSTVWY" * 3], PROTEIN),
        ([], PROTEIN),
        (["", "--"], PROTEIN),
    ],
)
def test_detection_uses_the_whole_table(sequences, expected):
    assert detect(sequences) is expected


def test_detection_sees_every_block(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 8)
    assert detect(["ACGTACGT"] * 3 + ["MKVLWWFF"] * 3) is PROTEIN
    assert detect(["ACGAACGA"] * 9 + ["ACGU"]) is RNA


@pytest.mark.parametrize(
    ("raw", "alphabet", "cleaned", "changes"),
    [
        ("MKV", PROTEIN, "MKV", {}),
        ("mKv", PROTEIN, "MKV", {"lower case letters": 1}),
        ("MKV**", PROTEIN, "MKV", {"stop '*' at the end removed": 1}),
        (
            "MKV* -",
            PROTEIN,
            "MKV",
            {"stop '*' at the end removed": 1, "gaps removed": 1, "white space removed": 1},
        ),
        ("M-K..V", PROTEIN, "MKV", {"gaps removed": 1}),
        (" MK\tV\xa0", PROTEIN, "MKV", {"white space removed": 1}),
        ("MKj", PROTEIN, "MKX", {"lower case letters": 1, "J replaced by X": 1}),
        ("BZXUO", PROTEIN, "BZXUO", {}),
        ("ACGU", DNA, "ACGT", {"U read as T": 1}),
        ("acgt", RNA, "ACGU", {"T read as U": 1, "lower case letters": 1}),
        ("NRYSWKMBDHV", DNA, "NRYSWKMBDHV", {}),
        ("*-", PROTEIN, "", {"stop '*' at the end removed": 1, "gaps removed": 1}),
        ("", DNA, "", {}),
    ],
)
def test_cleaning_is_done_and_counted(raw, alphabet, cleaned, changes):
    assert clean(raw, alphabet) == (cleaned, Counter(changes))


def test_kept_maps_raw_letters_to_cleaned_ones():
    cleaned = clean_all(["MKV", "M-KV*", "mkv"], PROTEIN)
    assert cleaned.sequences == ["MKV", "MKV", "MKV"]
    assert list(cleaned.kept) == [1]
    assert cleaned.kept[1].tolist() == [True, False, True, True, False]


def test_foreign_letters():
    with pytest.raises(BiograftError) as caught:
        clean("MK1V", PROTEIN)
    assert str(caught.value) == (
        "Letter '1' at position 3 is not a protein letter. Allowed: ACDEFGHIKLMNPQRSTVWYXBZUO. "
        "Use --unknown X to replace it."
    )
    with pytest.raises(
        BiograftError, match=r"Letter '\*' at position 2 .* not a DNA letter: a stop inside the sequence"
    ):
        clean("A*CGT*", DNA)
    with pytest.raises(
        BiograftError, match=r"position 2 of 'b' is not a DNA letter \(x\.csv, line 3\)\. Allowed: ACGTN"
    ):
        clean_all(["ACGT", "AZ"], DNA, describe=lambda row: ("ab"[row], f"x.csv, line {row + 2}"))
    assert clean("M*K1é", PROTEIN, "x") == ("MXKXX", Counter({"unknown letters replaced by X": 1}))


@pytest.mark.parametrize("unknown", ["J", "NN", "", "*"])
def test_a_replacement_must_be_a_letter(unknown):
    with pytest.raises(BiograftError, match=r"for unknown letters is not a protein letter\. Allowed.* Use --unknown X"):
        clean("MKV", PROTEIN, unknown)


def test_reverse_complement():
    assert reverse_complement("AACGTN", DNA) == "NACGTT"
    assert reverse_complement("AACGU", RNA) == "ACGUU"
    assert reverse_complement("RYSWKMBDHV", DNA) == "BDHVKMWSRY"
    with pytest.raises(BiograftError, match="A protein sequence has no reverse complement: expected DNA or RNA"):
        reverse_complement("MKV", PROTEIN)


@given(st.text("ACGTNRYSWKMBDHV"))
def test_reverse_complement_twice_is_nothing(sequence):
    assert reverse_complement(reverse_complement(sequence, DNA), DNA) == sequence


@settings(deadline=None)
@given(st.data(), st.sampled_from(ALPHABETS), st.integers(1, 30))
def test_cleaning_rows_together_is_cleaning_each_alone(data, alphabet, block):
    """Also: it is idempotent, the letters kept are those of the mask, and block borders do not matter."""
    rows = data.draw(st.lists(st.text(RAW[alphabet.name], max_size=12).map(lambda row: row + "*" * (len(row) % 3))))
    before, module.BLOCK = module.BLOCK, block
    try:
        together = clean_all(rows, alphabet)
    finally:
        module.BLOCK = before
    alone = [clean(row, alphabet) for row in rows]
    assert together.sequences == [sequence for sequence, _ in alone]
    assert together.changes == sum((changes for _, changes in alone), Counter())
    assert clean_all(together.sequences, alphabet) == module.Cleaned(together.sequences, Counter(), {})
    for row, raw in enumerate(rows):
        kept = together.kept.get(row, np.ones(len(raw), dtype=bool))
        left = "".join(letter for letter, keep in zip(raw, kept, strict=True) if keep)
        assert left.upper().translate(str.maketrans(alphabet.respelled)) == together.sequences[row]
