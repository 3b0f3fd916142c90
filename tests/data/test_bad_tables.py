"""Files that cannot be read: each gets one message that says what is wrong, where, and what to do."""

import gzip
import io
import lzma
from pathlib import Path

import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biograft.data.readers import fasta, read, table
from biograft.errors import BiograftError

ROWS = "id\tsequence\ty\np1\tMKV\t1\np2\tWLF\t2\n"
PACKED = gzip.compress(ROWS.encode() * 50, mtime=0)
XZ = lzma.compress(ROWS.encode() * 50)


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    polars.DataFrame(columns).write_parquet(stream)
    return stream.getvalue()


def broken(data: bytes) -> bytes:
    """The same bytes with some in the middle turned over."""
    middle = len(data) // 2
    return data[:middle] + bytes(255 - byte for byte in data[middle : middle + 8]) + data[middle + 8 :]


CASES: list[tuple[str, str, str | bytes, dict[str, str], str]] = [
    # what is wrong, file name, content, arguments of read, part of the message
    ("empty", "a.tsv", "", {}, "'a.tsv' is empty. Check that it was written or copied completely."),
    ("empty gz", "a.tsv.gz", gzip.compress(b""), {}, "'a.tsv.gz' is empty"),
    ("nothing in gz", "a.tsv.gz", b"", {}, "'a.tsv.gz' is empty"),
    ("header only", "a.csv", "id,sequence\n", {}, "'a.csv' has a header but no rows"),
    ("header only, no line end", "a.tsv", "id\tsequence", {}, "'a.tsv' has a header but no rows"),
    ("header only in Parquet", "a.parquet", parquet(sequence=[]), {}, "'a.parquet' has a header but no rows"),
    ("blank first line", "a.tsv", "\n" + ROWS, {},
     "Line 1 of 'a.tsv' is blank: expected the names of the columns"),
    ("blank lines only", "a.tsv", "\n\n", {}, "Line 1 of 'a.tsv' is blank"),
    ("text suffix", "a.txt", ROWS, {},
     "suffix of 'a.txt' names no known form: got '.txt', expected .csv .tsv"),
    ("Excel", "a.xlsx", b"PK\x03\x04", {}, "suffix of 'a.xlsx' names no known form: got '.xlsx'"),
    ("no suffix", "table", ROWS, {}, "suffix of 'table' names no known form: got '', expected .csv"),
    ("gz alone", "a.gz", PACKED, {}, "suffix of 'a.gz' names no known form"),
    ("gzip in tsv", "a.tsv", PACKED, {}, "'a.tsv' does not hold what its suffix says: it seems to be gzip"),
    ("gzip in FASTA", "a.fa", PACKED, {}, "it seems to be gzip compressed data, expected FASTA"),
    ("xlsx renamed", "a.csv", b"PK\x03\x04\x14\0", {},
     "it seems to be a zip archive or an Excel workbook (xlsx)"),
    ("xls renamed", "a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", {}, "it seems to be an old Excel workbook (xls)"),
    ("Parquet renamed", "a.tsv", parquet(sequence=["MKV"]), {},
     "it seems to be a Parquet file, expected a tab"),
    ("PDF", "a.csv", b"%PDF-1.7", {}, "it seems to be a PDF, expected a comma-separated table"),
    ("UTF-16", "a.csv", "sequence\nMKV\n".encode("utf-16"), {},
     "'a.csv' does not hold what its suffix says: it seems to be UTF-16 text"),
    ("web page", "a.tsv", "\n<!DOCTYPE html><html>", {}, "it seems to be a web page"),
    ("LFS pointer", "a.csv", "version https://git-lfs.github.com/spec/v1\n", {}, "a Git LFS pointer"),
    ("FASTA in a table", "a.tsv", ">p1\nMKV\n", {},
     "it seems to be a FASTA file, expected a tab-separated table"),
    ("binary", "a.tsv", b"id\tsequence\n\x00\x01\x02", {},
     "'a.tsv' does not hold what its suffix says: it seems to be binary data"),
    ("binary far down", "a.tsv", ROWS.encode() + b"p3\tMKV\t1\n" * 9000 + b"p4\tM\0V\t1\n", {},
     "'a.tsv' holds a zero byte in line 9004"),
    ("text in Parquet", "a.parquet", ROWS, {},
     "'a.parquet' does not hold what its suffix says: it seems to be text"),
    ("cut Parquet", "a.parquet", parquet(sequence=["MKV"] * 9)[:-20], {}, "'a.parquet' is damaged ("),
    ("Parquet of bytes", "a.parquet", parquet(sequence=["M"], x=[b"\xff"]), {},
     "Column 'x' of 'a.parquet' holds Binary"),
    ("Parquet of structs", "a.parquet", parquet(sequence=["M"], x=[{"a": 1}]), {},
     "expected text, numbers or lists"),
    ("empty sequence in Parquet", "a.parquet", parquet(sequence=["M", None]), {},
     "'row2' is empty (a.parquet, row 2)"),
    ("cut gz", "a.tsv.gz", PACKED[:-12], {},
     "'a.tsv.gz' ends too early: it was cut. Copy or download it again."),
    ("cut gz FASTA", "a.fa.gz", gzip.compress(b">a\nMKV\n")[:-9], {}, "'a.fa.gz' ends too early"),
    ("damaged gz", "a.tsv.gz", broken(PACKED), {}, "'a.tsv.gz' is damaged ("),
    ("rubbish after gz", "a.tsv.gz", PACKED + b"xyz", {}, "'a.tsv.gz' is damaged (Not a gzipped file"),
    ("not gz", "a.tsv.gz", ROWS, {},
     "'a.tsv.gz' is not gzip data despite its suffix .gz: it seems to be text"),
    ("xz named gz", "a.tsv.gz", XZ, {},
     "is not gzip data despite its suffix .gz: it seems to be xz compressed"),
    ("cut xz", "a.tsv.xz", XZ[:-40], {}, "'a.tsv.xz' ends too early"),
    ("damaged xz", "a.tsv.xz", broken(XZ), {}, "'a.tsv.xz' is damaged ("),
    ("Latin-1", "a.csv", "sequence,y\nMKV,a\nMKL,é\n".encode("latin-1"), {},
     "'a.csv' is not UTF-8 text: byte 0xE9 in line 3. Save it as UTF-8"),
    ("Latin-1 FASTA", "a.fa", ">a\nMKV\n>é\nMKV\n".encode("latin-1"), {},
     "'a.fa' is not UTF-8 text: byte 0xE9 in line 3"),
    ("row too narrow", "a.tsv", ROWS + "p3\tMKV\n", {},
     "Line 4 of 'a.tsv' has 2 fields: expected 3 fields as in the header (1 such rows in all). Look "
     "for a tab"),
    ("row too wide", "a.csv", "id,sequence\na,MKV,1\nb,MKV\n", {},
     "Line 2 of 'a.csv' has 3 fields: expected 2"),
    ("blank line", "a.tsv", ROWS + "\np3\tMKV\t1\n", {}, "Line 4 of 'a.tsv' is blank: expected 3 fields"),
    ("narrow after a quoted line end", "a.csv", 'y,sequence\n"1\n2",MKV\nMKV\n', {},
     "Line 4 of 'a.csv' has 1 field:"),
    ("open quote", "a.csv", 'y,sequence\n1,MKV\n"2,MKV\n3,MKV\n', {},
     "A quotation mark in line 3 of 'a.csv' does not enclose a whole field"),
    ("stray quote", "a.csv", 'y,sequence\n5" x,MKV\n6" x,MKL\n', {}, "A quotation mark in line 2 of 'a.csv'"),
    ("text after a quote", "a.csv", 'y,sequence\n1,MKV\n"2"x,MKV\n', {},
     "A quotation mark in line 3 of 'a.csv'"),
    ("column twice", "a.csv", "sequence,y,y\nMKV,1,2\n", {},
     "'a.csv' has two columns of the name 'y' (columns 2 and 3)"),
    ("no sequence column", "a.csv", "id,Sequences\na,MKV\n", {},
     "There is no column 'sequence' in a.csv: found 'id', 'Sequences'. Did you mean 'Sequences'? Name "
     "it with --sequence COL."),
    ("named column missing", "a.tsv", ROWS, {"sequence": "protein"},
     "There is no column 'protein' in a.tsv: found 'id', 'sequence', 'y'. Name it with --sequence COL."),
    ("id column missing", "a.tsv", ROWS, {"id": "acc"},
     "There is no column 'acc' in a.tsv: found 'id', 'sequence', 'y'. Name it with --id COL."),
    ("semicolons", "a.csv", "id;sequence\na;MKV\n", {},
     "There is no column 'sequence' in a.csv: its columns seem to be parted by semicolons, expected "
     "tabs in .tsv"),
    ("commas in tsv", "a.tsv", "id,sequence\na,MKV\n", {},
     "in a.tsv: its columns seem to be parted by commas"),
    ("id twice", "a.tsv", ROWS + "p1\tMKV\t1\n", {},
     "The id 'p1' stands twice (a.tsv, line 2 and line 4; 1 repeat in all). Ids must be unique"),
    ("id twice in FASTA", "a.fa", ">a x\nMKV\n>b\nMKV\n>a y\nMKV\n", {},
     "The id 'a' stands twice (a.fa, line 1 and line 5"),
    ("id empty", "a.tsv", ROWS + "\tMKV\t1\n", {}, "The id is empty (a.tsv, line 4)"),
    ("sequence empty", "a.tsv", ROWS + "p3\t\t1\n", {}, "The sequence of 'p3' is empty (a.tsv, line 4)"),
    ("one column, empty row", "a.csv", "sequence\nMKV\n\nMKL\n", {},
     "The sequence of 'row2' is empty (a.csv, line 3)"),
    ("only gaps", "a.tsv", ROWS + "p3\t--*\t1\n", {},
     "'p3' is empty once gaps, stops and white space are removed (a.tsv, line 4)"),
    ("foreign letter", "a.csv", "id,sequence\na,MKV\nb,MK1V\n", {},
     "Letter '1' at position 3 of 'b' is not a protein letter (a.csv, line 3). Allowed: "
     "ACDEFGHIKLMNPQRSTVWYXBZUO. Use --unknown X to replace it."),
    ("letter beyond Latin-1", "a.csv", "sequence\nMKVλ\n", {},
     "Letter 'λ' at position 4 of 'row1' is not a protein letter (a.csv, line 2)"),
    ("stop inside", "a.fa", ">a\nMKV\n>b\nM*V\n", {},
     "Letter '*' at position 2 of 'b' is not a protein letter (a.fa, line 3): a stop inside"),
    ("protein read as DNA", "a.tsv", ROWS, {"alphabet": "dna"},
     "Letter 'L' at position 2 of 'p2' is not a DNA letter (a.tsv, line 3). Allowed: ACGTNRYSWKMBDHV. "
     "Use --unknown N"),
    ("FASTA in no record", "a.fa", "MKV\n>a\nMKV\n", {},
     "Line 1 of 'a.fa' stands before the first '>': got 'MKV'"),
    ("table in FASTA", "a.fasta", "\n\n" + ROWS, {},
     "Line 3 of 'a.fasta' stands before the first '>': got 'id\\tsequence\\ty'"),
    ("blank FASTA", "a.fa", "\n\n", {}, "'a.fa' holds blank lines only: expected FASTA records"),
    ("comment first", "a.fa", ";x\n>a\nMKV\n", {}, "Line 1 of 'a.fa' is a comment (it begins with ';')"),
    ("comment inside", "a.fa", ">a\nMKV\n>b\n;x\nMKV\n", {}, "Line 4 of 'a.fa' is a comment"),
    ("header empty", "a.fa", ">a\nMKV\n>\nMKV\n", {},
     "The header in line 3 of 'a.fa' is empty: expected an id after '>'"),
    ("header of spaces", "a.fa", "> \nMKV\n", {}, "The header in line 1 of 'a.fa' is empty"),
    ("record without sequence", "a.fa", ">a\n\n>b\nMKV\n", {},
     "The record 'a' has no sequence (a.fa, line 1)"),
    ("last record without sequence", "a.fa", ">a\nMKV\n>b x", {},
     "The record 'b' has no sequence (a.fa, line 3)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [pytest.param(*case[1:], id=case[0]) for case in CASES],
)
def test_bad_files_are_refused(tmp_path, name, content, arguments, message):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BiograftError) as caught:
        read(path, **arguments)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert str(caught.value).rstrip()[-1] in ".'\")", "a message ends with what to do"


def test_there_are_many_cases():
    assert len(CASES) >= 45
    assert len({case[0] for case in CASES}) == len(CASES)


def test_a_missing_file(tmp_path):
    (tmp_path / "table.tsv").write_text(ROWS)
    with pytest.raises(
        BiograftError, match=r"File not found: '.*tabel\.tsv'\. Did you mean 'table\.tsv'\? Check the path"
    ):
        read(tmp_path / "tabel.tsv")
    with pytest.raises(BiograftError, match=r"File not found: '.*x\.fa', there is no folder '.*away'\. Check the path"):
        list(fasta(tmp_path / "away" / "x.fa"))


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "a.tsv").mkdir()
    with pytest.raises(BiograftError, match=r"a\.tsv' is a folder: expected a file"):
        read(tmp_path / "a.tsv")


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "a").write_text(ROWS)
    with pytest.raises(BiograftError, match=r"a\.tsv' cannot be read \(Not a directory\)\. Check the path"):
        read(tmp_path / "a" / "a.tsv")


def test_no_permission(tmp_path, monkeypatch):
    """The refusal is played: tests may run as root, whom no file mode stops."""
    (tmp_path / "a.tsv").write_text(ROWS)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BiograftError, match=r"a\.tsv' may not be read by this user\. Change its permissions"):
        read(tmp_path / "a.tsv")


def test_fasta_is_no_table(tmp_path):
    with pytest.raises(BiograftError, match=r"'a\.fa' is FASTA: expected a table \(\.csv \.tsv \.parquet\)"):
        table(tmp_path / "a.fa")


def test_a_replacement_outside_the_alphabet(tmp_path):
    (tmp_path / "a.tsv").write_text("sequence\nACGTACGT\n")
    with pytest.raises(
        BiograftError, match=r"replacement 'X' for unknown letters is not a DNA letter.* Use --unknown N"
    ):
        read(tmp_path / "a.tsv", unknown="X")


def test_a_parser_that_panics_speaks_of_a_damaged_file(tmp_path, monkeypatch):
    """Polars panics, beyond its own errors, on some damaged Parquet files."""
    (tmp_path / "a.parquet").write_bytes(parquet(sequence=["MKV"]))

    def panic(_: object) -> None:
        raise polars.exceptions.PanicException("assertion failed: offset\nbacktrace")

    monkeypatch.setattr(polars, "read_parquet", panic)
    with pytest.raises(BiograftError, match=r"'a\.parquet' is damaged \(assertion failed: offset\)\. Copy"):
        read(tmp_path / "a.parquet")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["a.tsv", "a.csv", "a.fa"]),
    start=st.sampled_from([b"", b"id,sequence\n", b"sequence\ty\n", b">a\nMKV\n"]),
    pieces=st.lists(st.sampled_from([b"\n", b"\r", b"\t", b",", b'"', b">", b";", b"*", b"MKV", b"a", b"\xff", b"\0"])),
)
def test_any_bytes_give_records_or_a_message(tmp_path, name, start, pieces):
    (tmp_path / name).write_bytes(start + b"".join(pieces))
    try:
        records = read(tmp_path / name)
    except BiograftError as error:
        assert name in str(error)
    else:
        assert len(records) == len(records.lines) > 0
        assert all(records.sequences)
