"""Files become records: every form, line numbers, compression, round trips."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biograft.data import fasta as fasta_module
from biograft.data.alphabet import DNA, PROTEIN, RNA
from biograft.data.readers import fasta, read, table, write_table
from biograft.errors import BiograftError

TSV = "id\tsequence\ty\np1\tMKV\t01\np2\tWLF\tNA\n"


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def check_tsv(path: Path) -> None:
    records = read(path)
    assert (records.ids, records.sequences) == (["p1", "p2"], ["MKV", "WLF"])
    assert records.columns == {"y": ["01", "NA"]}
    assert (records.lines, records.source, records.alphabet) == ([2, 3], path.name, PROTEIN)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", TSV.encode()),
        ("A.TSV", TSV.encode()),
        ("a.csv", TSV.replace("\t", ",").encode()),
        ("a.tsv.gz", gzip.compress(TSV.encode())),
        ("a.tsv.xz", lzma.compress(TSV.encode())),
        ("windows.tsv", TSV.replace("\n", "\r\n").encode()),
        ("mac.tsv", TSV.replace("\n", "\r").encode()),
        ("bom.tsv", b"\xef\xbb\xbf" + TSV.encode()),
        ("unended.tsv", TSV.rstrip().encode()),
        ("blank.tsv", TSV.encode() + b"\n\r\n\n"),
        ("spaced.tsv", TSV.replace("sequence", " sequence ").encode()),
        ("r.tsv", b'"id"\t"sequence"\t"y"\n"p1"\t"MKV"\t"01"\n"p2"\t"WLF"\t"NA"\n'),
    ],
)
def test_the_same_table_in_many_guises(tmp_path, name, content):
    check_tsv(put(tmp_path, name, content))


def test_quoted_fields_keep_their_commas_and_lines_stay_right(tmp_path):
    text = 'id,note,sequence\n"a,1","two\nlines ""x""",MKV\nb,"",WLF\n"c",plain,MMM\n'
    records = read(put(tmp_path, "q.csv", text))
    assert records.ids == ["a,1", "b", "c"]
    assert records.column("note") == ['two\nlines "x"', "", "plain"]
    assert records.lines == [2, 4, 5]


def test_many_quoted_lines_stay_in_step(tmp_path):
    rows = 20_000
    columns = {"id": [f'p\n"{row}"' for row in range(rows)], "sequence": ["MKV"] * rows}
    write_table(tmp_path / "q.csv", columns)
    records = read(tmp_path / "q.csv")
    assert records.ids == columns["id"]
    assert records.lines == list(range(2, 2 * rows + 2, 2))


def test_quotation_marks_in_tsv_are_letters(tmp_path):
    records = read(put(tmp_path, "a.tsv", 'sequence\tnote\nMKV\t"half\nWLF\t5" end\n'))
    assert records.column("note") == ['"half', '5" end']


def test_columns_are_named_or_numbered(tmp_path):
    path = put(tmp_path, "a.csv", "id,acc,protein,sequence\nx,p1,MKV,a\nx,p2,WLF,b\n")
    records = read(path, sequence="protein", id="acc")
    assert (records.ids, records.sequences) == (["p1", "p2"], ["MKV", "WLF"])
    assert records.columns == {"id": ["x", "x"], "sequence": ["a", "b"]}
    assert read(put(tmp_path, "b.csv", "sequence\nMKV\nWLF\n")).ids == ["row1", "row2"]
    assert read(put(tmp_path, "c.csv", "sequence\nMKV\nWLF\n"), id="sequence").ids == ["MKV", "WLF"]


def test_an_index_column_without_a_name_is_kept(tmp_path):
    assert read(put(tmp_path, "pandas.csv", ",sequence\n0,MKV\n1,WLF\n")).columns == {"": ["0", "1"]}


@pytest.mark.parametrize(
    ("content", "arguments", "sequences", "alphabet", "changes"),
    [
        ("acgu", {}, ["ACGU"], RNA, {"lower case letters": 1}),
        ("acgu\nACGT", {}, ["ACGT", "ACGT"], DNA, {"lower case letters": 1, "U read as T": 1}),
        ("ACGU", {"alphabet": "dna"}, ["ACGT"], DNA, {"U read as T": 1}),
        ("ACGT", {"alphabet": "rna"}, ["ACGU"], RNA, {"T read as U": 1}),
        ("ACGT", {"alphabet": "protein"}, ["ACGT"], PROTEIN, {}),
        ("MKJ-A*\nMK V", {}, ["MKXA", "MKV"], PROTEIN, {
            "J replaced by X": 1, "gaps removed": 1, "stop '*' at the end removed": 1,
            "white space removed": 1,
        }),
        ("MK1\nMKV\nM*K?", {"unknown": "X"}, ["MKX", "MKV", "MXKX"], PROTEIN,
         {"unknown letters replaced by X": 2}),
        ("ACGT5ACGTACGT", {"unknown": "N"}, ["ACGTNACGTACGT"], DNA,
         {"unknown letters replaced by N": 1}),
        ("M", {}, ["M"], PROTEIN, {}),
        ("M" * 35_000 + "*", {}, ["M" * 35_000], PROTEIN, {"stop '*' at the end removed": 1}),
        ("BZXUO", {}, ["BZXUO"], PROTEIN, {}),
    ],
)  # fmt: skip
def test_handled_and_counted(tmp_path, content, arguments, sequences, alphabet, changes):
    records = read(put(tmp_path, "a.csv", f"sequence\n{content}\n"), **arguments)
    assert (records.sequences, records.alphabet, records.changes) == (sequences, alphabet, changes)


def test_the_mask_of_kept_letters_fits_raw_residue_labels(tmp_path):
    records = read(put(tmp_path, "a.tsv", "sequence\tss3\nM-KV*\tH-EC*\nWLF\tCCC\n"))
    assert list(records.kept) == [0]
    labels = np.array(list(records.column("ss3")[0]))
    assert "".join(labels[records.kept[0]]) == "HEC"


def test_parquet_values_become_text_that_can_be_read_back(tmp_path):
    numbers = [0.1, 1e-7, 1e22, 1 / 3]
    frame = polars.DataFrame(
        {
            "id": [7, 8, 9, 10],
            "sequence": ["MKV", "WLF", "MML", "AAC"],
            "y": numbers,
            "single": polars.Series(numbers, dtype=polars.Float32),
            "missing": [1, None, None, -3],
            "flag": [True, False, None, True],
            "residues": [[1.5, None], [2.0, 3.0], [], None],
            "terms": [["a", "b"], ["c"], [], None],
            "place": polars.Series(["x", "y", None, "x"], dtype=polars.Categorical),
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    records = read(tmp_path / "a.parquet")
    assert records.ids == ["7", "8", "9", "10"]
    assert [float(text) for text in records.column("y")] == numbers
    single = np.array(records.column("single"), dtype=np.float32)
    assert single.tolist() == frame["single"].to_list()
    assert records.column("missing") == ["1", "", "", "-3"]
    assert records.column("flag") == ["true", "false", "", "true"]
    assert records.column("residues") == ["1.5 nan", "2.0 3.0", "", ""]
    assert records.column("terms") == ["a;b", "c", "", ""]
    assert records.column("place") == ["x", "y", "", "x"]
    assert records.lines == [1, 2, 3, 4]
    packed = put(tmp_path, "b.parquet.gz", gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert read(packed).columns == records.columns


FASTA = ">p1 first  protein\nMKV\nWL\n\n>p2\nacd\n>p3\tx\nMMM"


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_fasta_records_and_lines(tmp_path, monkeypatch, block, ends):
    whole = fasta_module.blocks
    monkeypatch.setattr(fasta_module, "blocks", lambda path: whole(path, block))
    path = put(tmp_path, "a.fasta", ends + FASTA.replace("\n", ends))
    assert list(fasta(path)) == [("p1", "MKVWL"), ("p2", "acd"), ("p3", "MMM")]
    records = read(path)
    assert records.lines == [2, 6, 8]
    assert records.columns == {"description": ["first  protein", "", "x"]}
    assert (records.sequences, records.changes) == (["MKVWL", "ACD", "MMM"], {"lower case letters": 1})
    assert records.where(1) == "a.fasta, line 6, id 'p2'"


@pytest.mark.parametrize("name", ["a.fa", "a.faa", "a.fna", "A.FASTA", "a.fa.gz", "a.fasta.xz"])
def test_fasta_suffixes(tmp_path, name):
    pack = {".gz": gzip.compress, ".xz": lzma.compress}.get(Path(name).suffix, bytes)
    assert read(put(tmp_path, name, pack(FASTA.encode()))).ids == ["p1", "p2", "p3"]


def test_fasta_keeps_raw_letters_and_old_line_ends(tmp_path):
    assert list(fasta(put(tmp_path, "a.fa", "> p1 x\rM-k V*\rA\r"))) == [("p1", "M-k V*A")]


def test_fasta_streams(tmp_path):
    """The first records come although the file breaks further down."""
    content = b">a\nMKV\n" * 300_000 + b">b\xff\nMKV\n"
    records = fasta(put(tmp_path, "a.fa", content))
    assert next(records) == ("a", "MKV")
    with pytest.raises(BiograftError, match=r"'a\.fa' is not UTF-8 text: byte 0xFF in line 600001"):
        list(records)


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
folder_reused = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@folder_reused
@given(
    records=st.lists(st.tuples(words, st.text("ACDEFGHIKLMNPQRSTVWYXBZUO", min_size=1)), min_size=1),
    width=st.integers(1, 70),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_fasta_round_trip(tmp_path, records, width, ends):
    parts = []
    for name, sequence in records:
        lines = [sequence[start : start + width] for start in range(0, len(sequence), width)]
        parts += [f">{name} text", *lines]
    path = put(tmp_path, "a.fasta", ends.join(parts).encode())
    assert list(fasta(path)) == records


@folder_reused
@given(
    ids=st.lists(words, min_size=1, unique=True, max_size=20),
    note=st.text(st.characters(codec="utf-8", exclude_characters="\r\0\t\n"), max_size=5),
    name=st.sampled_from(["a.tsv", "a.csv", "a.parquet", "a.tsv.gz", "a.csv.xz"]),
)
def test_table_round_trip(tmp_path, ids, note, name):
    columns = {"id": ids, "sequence": ["MKV"] * len(ids), "note": [note + end for end in ids]}
    write_table(tmp_path / name, columns)
    records = read(tmp_path / name)
    assert records.ids == ids
    assert records.column("note") == columns["note"]
    assert records.changes == {}


@folder_reused
@given(st.lists(st.text('a,"\n ', max_size=4), min_size=1, max_size=8), st.integers(1, 2))
def test_quoted_round_trip(tmp_path, values, width):
    columns = {f"c{column}": values for column in range(width)}
    write_table(tmp_path / "a.csv", columns)
    assert table(tmp_path / "a.csv").columns == columns


def test_write_table_is_whole_and_repeatable(tmp_path):
    columns = {"id": ["a", "b"], "value": [0.5, None], "count": [1, 2]}
    write_table(tmp_path / "a.tsv.gz", columns)
    first = (tmp_path / "a.tsv.gz").read_bytes()
    assert gzip.decompress(first) == b"id\tvalue\tcount\na\t0.5\t1\nb\t\t2\n"
    write_table(tmp_path / "a.tsv.gz", columns)
    assert (tmp_path / "a.tsv.gz").read_bytes() == first
    write_table(tmp_path / "a.parquet", columns)
    assert polars.read_parquet(tmp_path / "a.parquet").to_dict(as_series=False) == columns
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "a.tsv.gz"]


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        (
            "a.tsv",
            {"x": ["b\tc"]},
            r"Column 'x' holds a tab or line end in row 1: 'b\\tc' cannot stand in 'a\.tsv'",
        ),
        ("a.tsv", {"x\ny": ["b"]}, "holds a tab or line end in the header"),
        ("a.csv", {"x": [1], "y": []}, r"columns of 'a\.csv' differ in length: got {'x': 1, 'y': 0}"),
        ("a.csv", {}, r"nothing to write to 'a\.csv': got no columns"),
        ("a.fasta", {"x": [1]}, r"A table cannot be written as FASTA: got 'a\.fasta'"),
        ("a.xlsx", {"x": [1]}, r"suffix of 'a\.xlsx' names no known form"),
        ("file/a.csv", {"x": [1]}, r"a\.csv' cannot be written \(File exists\)\. Check the path"),
    ],
)
def test_write_table_refuses(tmp_path, name, columns, message):
    put(tmp_path, "file", "old")
    with pytest.raises(BiograftError, match=message):
        write_table(tmp_path / name, columns)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_table(tmp_path):
    path = put(tmp_path, "a.tsv", "old")
    with pytest.raises(BiograftError):
        write_table(path, {"x": ["\t"]})
    assert path.read_text() == "old"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows", "alphabet"),
    [
        ("loc/deeploc1.tsv.gz", 4168, PROTEIN),
        ("ss/ss3_netsurfp2_flip.tsv.gz", 10075, PROTEIN),
        ("gue/tf_0.tsv.gz", 31140, DNA),
        ("dna/splice_uci.tsv.gz", 2869, DNA),
        ("rna/archiveII.tsv.gz", 3373, RNA),
        ("genomes/ecoli_k12_mg1655.fa.gz", 1, DNA),
        ("corpus/corpus.fasta.xz", 294121, PROTEIN),
    ],
)
def test_real_files(data_folder, name, rows, alphabet):
    records = read(data_folder / name)
    assert (len(records), records.alphabet, records.changes) == (rows, alphabet, {})
