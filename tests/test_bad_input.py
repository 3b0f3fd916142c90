"""Bad input through the command line: refused with a message (exit 2, no traceback), or handled and counted.

Each case makes its files on the fly and runs in a folder of its own; ``{class}``, ``{value}``, ``{dna}``, ``{places}``
and ``{residue}`` in the arguments are small fitted models.
"""

import gzip
import json
import lzma
import random
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import scipy.optimize  # noqa: F401 - its BLAS can only be limited once it is loaded
import torch
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner, Result

from biograft.cli import app

PROTEIN, DNA = "ACDEFGHIKLMNPQRSTVWY", "ACGT"
FAST = "--backbone composition --split random"
Content = str | bytes


def strand(number: int, length: int = 40, letters: str = PROTEIN) -> str:
    """A sequence that depends on its number only."""
    return "".join(random.Random(number).choices(letters, k=length))


def rows(
    labels: list[str], *, letters: str = PROTEIN, length: int = 40, head: str = "id\tsequence\ty", **at: str
) -> str:
    """A table of unrelated sequences, one per label; ``at`` puts other text in place of a row: ``row3="p3 MKV 1"``."""
    lines = [f"p{row}\t{strand(row, length, letters)}\t{label}" for row, label in enumerate(labels)]
    for name, text in at.items():
        lines[int(name.removeprefix("row"))] = text
    return "\n".join([head, *lines]) + "\n"


def parts(labels: list[str], names: list[str]) -> str:
    """A table with a column ``set``."""
    lines = [
        f"p{row}\t{strand(row)}\t{label}\t{name}" for row, (label, name) in enumerate(zip(labels, names, strict=True))
    ]
    return "\n".join(["id\tsequence\ty\tset", *lines]) + "\n"


CLASSES = ["a", "b"] * 20
VALUES = [f"{50 + row * 7 % 13}.{row % 10}" for row in range(40)]
GOOD = rows(CLASSES)
SETS = ["train"] * 24 + ["valid"] * 8 + ["test"] * 8
MASK = "10" * 6


def states(number: int) -> str:
    """Labels of twelve residues."""
    return strand(number + 100, 12, "HEC")


RESIDUES = "id\tsequence\ty\tm\n" + "".join(f"p{row}\t{strand(row, 12)}\t{states(row)}\t{MASK}\n" for row in range(20))


@dataclass(frozen=True)
class Case:
    """Files, a command, its exit code, what its message says; for code 0, values in the report.

    Attributes:
        says: words of stderr, all of them.
        report: dotted path in report.json -> value.
    """

    name: str
    command: str
    files: dict[str, Content] = field(default_factory=lambda: {"t.tsv": GOOD})
    says: tuple[str, ...] = ()
    report: dict[str, object] = field(default_factory=dict)


def fit(name: str, content: Content, *says: str, options: str = "", file: str = "t.tsv") -> Case:
    """A fit that is refused."""
    return Case(name, f"fit {file} --label y {FAST} --out run {options}", {file: content}, says)


def wrong(name: str, command: str, *says: str, **files: Content) -> Case:
    """Another command that is refused; files are named with '_' for '.'."""
    made = {name.replace("_", "."): content for name, content in files.items()}
    return Case(name, command, made or {"t.tsv": GOOD}, says)


def handled(name: str, content: Content, report: dict[str, object], options: str = "", file: str = "t.tsv") -> Case:
    """A fit that succeeds and counts what it did."""
    return Case(name, f"fit {file} --label y {FAST} --out run --quiet {options}", {file: content}, report=report)


REFUSED = [
    # files
    wrong("no such file", "fit tt.tsv --label y", "File not found: 'tt.tsv'", "Did you mean 't.tsv'?"),
    wrong("no such folder", "fit away/t.tsv --label y", "there is no folder 'away'"),
    wrong("a folder", "fit . --label y", "'.' is a folder: expected a file", "recipe.toml"),
    wrong("a folder with a suffix", "fit d.tsv --label y", "'d.tsv' is a folder: expected a file", d_tsv_in="x"),
    fit("empty file", "", "'t.tsv' is empty"),
    fit("header only", "id\tsequence\ty\n", "'t.tsv' has a header but no rows"),
    fit("cut gz", gzip.compress(GOOD.encode())[:-40], "'t.tsv.gz' ends too early", file="t.tsv.gz"),
    fit("cut xz", lzma.compress(GOOD.encode())[:-40], "'t.tsv.xz' ends too early", file="t.tsv.xz"),
    fit("binary", b"\x00\x01\x02\xff" * 50, "does not hold what its suffix says", "binary data"),
    fit("Latin-1", GOOD.replace("\ta\n", "\té\n").encode("latin-1"), "is not UTF-8 text: byte 0xE9 in line 2", "iconv"),
    fit("UTF-16", GOOD.encode("utf-16"), "UTF-16 text"),
    fit("unknown suffix", GOOD, "names no known form: got '.txt'", ".parquet", file="t.txt"),
    fit("a workbook", "PK", "names no known form: got '.xlsx'", "Sheets go in and out as CSV UTF-8", file="t.xlsx"),
    fit("ragged row", GOOD + "q\tMKV\n", "Line 42 of 't.tsv' has 2 fields: expected 3"),
    fit("open quote", "y,sequence\na,MKV\n\"b,MKV\n", "quotation mark in line 3 of 't.csv'", file="t.csv"),
    fit("column twice", rows(CLASSES, head="y\tsequence\ty"), "two columns of the name 'y' (columns 1 and 3)"),
    fit("not Parquet", GOOD, "expected a Parquet file", file="t.parquet"),
    fit("commas in tsv", GOOD.replace("\t", ","), "parted by commas"),
    fit("FASTA has no labels", ">p1\nMKV\n>p2\nMKL\n", "There is no column 'y' in t.fa", file="t.fa"),
    # columns and ids
    wrong("label column missing", "fit t.tsv --label Y", "no column 'Y' in t.tsv", "Did you mean 'y'?"),
    wrong("no label named", "fit t.tsv", "Which column holds the labels?", "--label COL"),
    wrong("label and sequence alike", "fit t.tsv --label sequence", "--label and --sequence name the same column"),
    wrong("label and id alike", "fit t.tsv --label id", "--label and --id name the same column"),
    wrong("sequence column missing", "fit t.tsv --label y --sequence seq", "no column 'seq'", "--sequence COL"),
    wrong("id column missing", "fit t.tsv --label y --id acc", "no column 'acc'", "--id COL"),
    wrong("split column missing", "fit t.tsv --label y --split column:fold", "no column 'fold'"),
    fit("id twice", rows(CLASSES, row3="p1\tMKV\ta"), "The id 'p1' stands twice (t.tsv, line 3 and line 5", "--id COL"),
    fit("id empty", rows(CLASSES, row3="\tMKV\ta"), "The id is empty (t.tsv, line 5)"),
    # sequences
    fit("unknown letter", rows(CLASSES, row3="p3\tMK1V\ta"), "Letter '1' at position 3 of 'p3'", "line 5",
        "--unknown X"),
    fit("stop inside", rows(CLASSES, row3="p3\tMK*V\ta"), "Letter '*' at position 3 of 'p3'", "a stop inside"),
    fit("sequence empty", rows(CLASSES, row3="p3\t\ta"), "The sequence of 'p3' is empty (t.tsv, line 5)"),
    fit("sequence of gaps", rows(CLASSES, row3="p3\t--*\ta"), "'p3' is empty once gaps, stops and white space"),
    fit("protein in DNA", rows(CLASSES, letters=DNA, row3="p3\tMKLV\ta"), "Letter 'L' at position 3 of 'p3'",
        "is not a DNA letter", "line 5", "name the alphabet with --alphabet"),
    fit("no such alphabet", GOOD, "no alphabet 'protien'", "Did you mean 'protein'?", options="--alphabet protien"),
    fit("no such letter to replace by", GOOD, "replacement 'J'", options="--unknown J"),
    # labels
    fit("no label at all", rows([""] * 40), "Column 'y' holds no label: all 40 values are empty", "--label"),
    fit("one class", rows(["a"] * 40), "Nothing to tell apart: column 'y' has 1 class", "('a')", "two or more"),
    fit("one class in training", parts(["a"] * 24 + ["a", "b"] * 8, SETS), "1 class in the training part",
        options="--split auto"),
    fit("no label in training", parts([""] * 32 + ["a", "b"] * 4, SETS), "no row of column 'set' says 'train'",
        "32 rows without a label in 'y' don't count", options="--split auto"),
    fit("no test rows", parts(CLASSES, ["train"] * 40), "no row of column 'set' says 'test'", options="--split auto"),
    fit("no label in test", parts(["a", "b"] * 16 + [""] * 8, SETS), "no row of column 'set' says 'test'",
        "8 rows without a label", options="--split auto"),
    fit("unknown part", parts(CLASSES, [*SETS[:-1], "tset"]), "Unknown part in column 'set'", "tset",
        options="--split auto"),
    fit("constant target", rows(["1.5"] * 40), "A target that never changes can't be learned", "the value 1.5"),
    fit("infinite target", rows([*VALUES[:39], "inf"]), "must be finite: got 'inf'", "line 41, id 'p39'",
        options="--task regression"),
    fit("text among numbers", rows([*VALUES[:39], ">80"]), "must be a number: got '>80'", "t.tsv, line 41, id 'p39'"),
    fit("decimal commas", rows([value.replace(".", ",") for value in VALUES]), "must be a number: got '50,0'",
        "decimal point", "line 2"),
    fit("classes as numbers", GOOD, "must be a number: got 'a'", "line 2", options="--task regression"),
    fit("names as classes", rows([f"protein {row}" for row in range(40)]), "holds 40 different texts for 40 labels",
        "a name or a note, not a class"),
    fit("several labels", rows(["a;b", "b"] * 20), "several labels per unit, separated by ';'", "'a;b'"),
    # residues
    fit("residue labels too short", RESIDUES.replace(f"\t{MASK}\n", "\n").replace("\tm\n", "\n")
        + "q\tMKVL\tHHH\n", "Residue labels don't fit the sequence: got 3 in column 'y', expected 4 ",
        "line 22, id 'q'", options="--backbone onehot"),
    fit("residue numbers too many", "id\tsequence\ty\na\tMKV\t1 2 3 4\n", "got 4 in column 'y'",
        "expected 3 (t.tsv, line 2", options="--level residue"),
    fit("mask of other letters", RESIDUES.replace("1010\n", "10x0\n", 1), "A mask is written with 0 and 1: got 'x'",
        "column 'm' (t.tsv, line 2, id 'p0')", options="--mask m --backbone onehot"),
    fit("mask hides all", RESIDUES.replace(MASK, "00" * 6), "values are empty or masked out", "--mask",
        options="--mask m --backbone onehot"),
    fit("mask of sequences", GOOD, "A mask says which residues count", "--level residue",
        options="--mask y --level sequence"),
    fit("backbone without residues", RESIDUES, "needs one vector per letter: got backbone 'composition'",
        options="--level residue"),
    # choices
    fit("no such backbone", GOOD, "Unknown backbone: got 'kmers'", "Did you mean 'kmer'?", options="--backbone kmers"),
    fit("no such strategy", GOOD, "Unknown strategy: got 'frozn'", "Did you mean 'frozen'?",
        options="--strategy frozn"),
    fit("no such level", GOOD, "Unknown level: got 'residues'", "Did you mean 'residue'?", options="--level residues"),
    fit("no such task", GOOD, "Unknown label kind: got 'regresion'", "'regression'", options="--task regresion"),
    fit("no such pool", GOOD, "--pool: got 'max'", "auto, mean, positions", options="--pool max"),
    fit("no such split", GOOD, "Unknown split: got 'families'", "column:NAME", options="--split families"),
    fit("no such device", GOOD, "--device: got 'gpu'", "auto, cpu, cuda", options="--device gpu"),
    fit("no such precision", GOOD, "--precision: got 'fp16'", options="--precision fp16"),
    fit("identity in per cent", GOOD, "--identity is a share: got 40", "0.4", options="--identity 40"),
    fit("identity of zero", GOOD, "--identity is a share: got 0", options="--identity 0"),
    fit("train limit of one", GOOD, "--train-limit is a number of records: got 1, expected 2",
        options="--train-limit 1"),
    fit("train limit that leaves one class", rows([*["a"] * 39, "b"]), "1 class in the training part", "('a')",
        "raise --train-limit: it left 2 training records", options="--train-limit 2"),
    fit("epochs of zero", GOOD, "--epochs is a number of passes: got 0", options="--epochs 0"),
    fit("seed below zero", GOOD, "--seed is a whole number: got -1, expected 0 or more", options="--seed -1"),
    fit("seed of text", GOOD, "--seed", "integer", options="--seed one"),
    fit("nothing that learns", GOOD, "no weights that could learn", options="--strategy full"),
    fit("positions of many lengths", rows(CLASSES, row3="p3\tMKV\ta"), "--pool positions needs records of one length",
        options="--pool positions --backbone onehot"),
    fit("one family", "\n".join(["id\tsequence\ty", *[f"p{r}\t{strand(1)}{strand(r, 2)}\t{r % 2}" for r in range(40)]]),
        "Too few families for a split", options="--split homology"),
    wrong("no such option", "fit t.tsv --label y --lamda 3", "No such option", "--lamda"),
    wrong("no such command", "compere t.tsv", "No such command 'compere'"),
    wrong("no such kind", "list backbone", "Unknown kind of thing: got 'backbone'", "Did you mean 'backbones'?"),
    wrong("nothing to report on", "report away", "There is no 'away'", "the folder of a run, or a shipped name"),
    # recipes
    wrong("no such recipe", "fit r.toml", "File not found: 'r.toml'"),
    wrong("recipe not TOML", "fit r.toml", "'r.toml' is not a recipe in TOML", r_toml="table = x"),
    wrong("recipe with unknown key", "fit r.toml", "Unknown choice 'seeds' in 'r.toml'", "seed",
          r_toml='table = "t.tsv"\nlabel = "y"\nseeds = 3\n'),
    wrong("recipe with text for a number", "fit r.toml", "--seed is a whole number: got 'one'", "'r.toml'",
          r_toml='table = "t.tsv"\nlabel = "y"\nseed = "one"\n'),
    wrong("recipe with a number for text", "fit r.toml", "--backbone is text: got 3", "'r.toml'",
          r_toml='table = "t.tsv"\nlabel = "y"\nbackbone = 3\n'),
    wrong("recipe with text for a list", "fit r.toml", "--mask is a list of texts: got 'm'",
          r_toml='table = "t.tsv"\nlabel = "y"\nmask = "m"\n'),
    wrong("recipe with a truth value", "fit r.toml", "--epochs is a number: got True",
          r_toml='table = "t.tsv"\nlabel = "y"\nepochs = true\n'),
    wrong("recipe without table", "fit r.toml", "'r.toml' doesn't say what holds the sequences",
          r_toml='label = "y"\n'),
    wrong("recipe of another table", "fit r.toml", "'t.tsv' has changed since the recipe was made", t_tsv=GOOD,
          r_toml='table = "t.tsv"\nlabel = "y"\ntable_digest = "0"\n'),
    # where results go
    wrong("out is a file", f"fit t.tsv --label y {FAST} --out t.tsv", "--out is a folder: got the file 't.tsv'"),
    wrong("out below a file", f"fit t.tsv --label y {FAST} --out t.tsv/run", "'t.tsv/run' cannot be written",
          "is a file"),
    wrong("out holds other things", f"fit t.tsv --label y {FAST} --out .", "'.' exists and is not a run of biograft"),
    wrong("table into a folder", "split t.tsv --out .", "--out is a file: got the folder '.'"),
    wrong("table as FASTA", "split t.tsv --out x.fa", "--out is a table: got 'x.fa'"),
    wrong("table of no known form", "split t.tsv --out x.xlsx", "names no known form: got '.xlsx'"),
    wrong("vectors among other files", "embed t.tsv --backbone onehot --out .", "holds other files"),
    # split, audit, embed, report
    wrong("split as no way", "split t.tsv --split column:set --out x.tsv", "--split: got 'column:set'"),
    wrong("split by a label not there", "split t.tsv --label z --out x.tsv", "no column 'z'"),
    wrong("too few records", "split t.tsv --out x.tsv", "Too few", t_tsv="sequence\nMKV\n"),
    wrong("audit without set", "audit t.tsv", "no column 'set'", "a second file"),
    wrong("audit of two alphabets", "audit t.tsv d.tsv", "looks like DNA: an audit of t.tsv reads protein", t_tsv=GOOD,
          d_tsv=rows(CLASSES, letters=DNA)),
    wrong("audit label missing", "audit t.tsv t.tsv --label z", "no column 'z'"),
    wrong("embed by no backbone", "embed t.tsv --backbone esm --out x", "Unknown backbone: got 'esm'"),
    wrong("embed with no pool", "embed t.tsv --backbone onehot --pool max --out x", "--pool: got 'max'"),
    wrong("report of nothing", "report .", "'.' is no run"),
    # models
    wrong("no such model", "predict away t.tsv", "Model not found: 'away'"),
    wrong("a folder without model", "predict . t.tsv", "'.' is not a model: it holds no model.json"),
    wrong("DNA for a protein model", "predict {class} d.tsv", "'d.tsv' looks like DNA: the model reads protein",
          "--alphabet protein", d_tsv=rows(CLASSES, letters=DNA)),
    wrong("proteins for a DNA model", "predict {dna} t.tsv", "the model reads DNA", "at position", "line 2"),
    wrong("another alphabet by name", "predict {dna} t.tsv --alphabet protein", "The model reads dna: got protein"),
    wrong("other lengths for positions", "predict {places} t.tsv", "position by position: got lengths", "expected 12"),
    wrong("values have no probabilities", "predict {value} t.tsv --probabilities p.npz", "predicts values of 'y'"),
    wrong("probabilities nowhere", "predict {class} t.tsv --probabilities no/p.npz", "there is no folder 'no'"),
    wrong("no such format", "predict {class} t.tsv --format json", "--format: got 'json'", "tsv, csv or parquet"),
    wrong("Parquet on a screen", "predict {class} t.tsv --format parquet", "Name one with --out"),
    wrong("truth of other classes", "evaluate {class} t.tsv", "no class that the model knows: got 1, 2, expected",
          "--label", t_tsv=rows(["1", "2"] * 20)),
    wrong("truth without label", "evaluate {class} t.tsv", "holds no label to compare with", t_tsv=rows([""] * 40)),
    wrong("truth without column", "evaluate {class} t.fa", "no column 'y' in t.fa", t_fa=">p\nMKV\n"),
    wrong("truth that is no number", "evaluate {value} t.tsv", "must be a number: got 'a'", "line 2, id 'p0'"),
    wrong("truth of other lengths", "evaluate {residue} t.tsv", "Residue labels don't fit the sequence", "line 2"),
    wrong("identity of evaluate", "evaluate {class} t.tsv --identity 30", "--identity is a share: got 30"),
    wrong("backbone of another alphabet", "fit d.tsv --label y --backbone {class} --split random --out run",
          "reads protein: the table holds dna", d_tsv=rows(CLASSES, letters=DNA)),
]  # fmt: skip


HANDLED = [
    handled("labels missing", rows(["", *CLASSES[:38], ""]), {"data.n_unlabelled": 2, "data.n_records": 40}),
    handled("NaN targets", rows([*VALUES[:37], "nan", "NA", ""]), {"data.n_unlabelled": 3,
            "task.label_kind": "regression"}),
    handled("white space around labels", rows([" a", "b "] * 20), {"task.classes": ["a", "b"]}),
    handled("a class with one record", rows([*CLASSES[:39], "c"]), {"data.n_records": 40}),
    handled("a class in test only", parts([*CLASSES[:38], "c", "c"], SETS), {"data.unseen_in_training": 2,
            "task.classes": ["a", "b"]}, "--split auto"),
    handled("rows without part", parts(CLASSES, [*SETS[:20], *[""] * 4, *SETS[24:]]), {"data.n_unused": 4,
            "data.n_train": 20}, "--split auto"),
    handled("few training records", parts(CLASSES, SETS), {"data.n_train": 10, "data.n_beyond_limit": 14},
            "--split auto --train-limit 10"),
    handled("classes that look like numbers", rows(["01", "1"] * 20), {"task.classes": ["01", "1"]}),
    handled("several labels as one", rows(["a;b", "b"] * 20), {"task.classes": ["a;b", "b"]}, "--task classification"),
    handled("lower case", GOOD.replace(strand(3), strand(3).lower()), {"data.changes": {"lower case letters": 1}}),
    handled("stops at the end", rows(CLASSES, row3=f"p3\t{strand(3)}*\ta"),
            {"data.changes": {"stop '*' at the end removed": 1}}),
    handled("gaps", rows(CLASSES, row3=f"p3\tMK--{strand(3)}\ta"), {"data.changes": {"gaps removed": 1}}),
    handled("rare letters", rows(CLASSES, row3=f"p3\tBZUOX{strand(3)}\ta", row4=f"p4\tJ{strand(4)}\tb"),
            {"data.changes": {"J replaced by X": 1}}),
    handled("only X", rows(CLASSES, row3="p3\tXXXXXXXXXX\ta", row4="p4\tXXXXXXXXXX\tb"), {"data.n_records": 40},
            "--split homology"),
    handled("unknown letters replaced", rows(CLASSES, row3="p3\tMK1V?\ta"),
            {"data.changes": {"unknown letters replaced by X": 1}}, "--unknown x"),
    handled("U in DNA", rows(CLASSES, letters=DNA, row3="p3\tACGUACGU\ta"),
            {"data.changes": {"U read as T": 1}, "data.alphabet": "dna"}),
    handled("T in RNA", rows(CLASSES, letters="ACGU", row3="p3\tACGTACGT\ta"),
            {"data.changes": {"T read as U": 1}, "data.alphabet": "rna"}, "--alphabet rna"),
    handled("DNA among proteins", rows(CLASSES, row3=f"p3\t{strand(3, letters=DNA)}\ta"),
            {"data.changes": {"letters of DNA only, read as protein": 1}, "data.alphabet": "protein"}),
    handled("one letter and 35,000", rows(CLASSES, row3="p3\tM\ta", row4=f"p4\t{strand(4, 35_000)}\tb"),
            {"data.n_records": 40}, "--split homology"),
    handled("windows line ends", GOOD.replace("\n", "\r\n"), {"data.n_records": 40, "task.classes": ["a", "b"]}),
    handled("byte order mark", b"\xef\xbb\xbf" + GOOD.encode(), {"data.n_records": 40}),
    handled("upper case suffix", GOOD, {"data.n_records": 40}, file="T.TSV"),
    handled("xz", lzma.compress(GOOD.encode()), {"data.n_records": 40}, file="t.tsv.xz"),
    handled("ids of numbers and spaces", rows(CLASSES, row3=f"007\t{strand(3)}\ta", row4=f"my protein\t{strand(4)}\tb"),
            {"data.n_records": 40}),
    handled("gaps with residue labels", RESIDUES.replace(f"{strand(3, 12)}\t", f"--{strand(3, 12)}\t").replace(
            f"{states(3)}\t{MASK}", f"CC{states(3)}\t00{MASK}"),
            {"data.changes": {"gaps removed": 1}, "task.level": "residue", "task.label_kind": "classification"},
            "--backbone onehot --strategy frozen --mask m"),
    handled("residue labels missing", RESIDUES.replace(states(3), ""),
            {"data.n_unlabelled": 1, "task.level": "residue"}, "--backbone onehot --strategy frozen"),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """These tables are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    tables = {
        "class": (GOOD, FAST),
        "value": (rows(VALUES), FAST),
        "dna": (rows(CLASSES, letters=DNA), FAST),
        "places": (rows(VALUES, length=12), "--backbone onehot --split random"),
        "residue": (RESIDUES, "--backbone onehot --strategy frozen --split random"),
    }
    for name, (content, options) in tables.items():
        (folder / f"{name}.tsv").write_text(content)
        done = run(f"fit {folder / name}.tsv --label y {options} --out {folder / name}")
        assert done.exit_code == 0, done.output
    return {name: folder / name for name in tables}


def run(command: str) -> Result:
    return CliRunner().invoke(app, shlex.split(command))


def prepared(case: Case, models: dict[str, Path]) -> str:
    """Make the files of a case here; returns its command."""
    for name, content in case.files.items():
        path = Path(name.removesuffix(".in"))
        if name.endswith(".in"):
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return case.command.format(**models) if "{" in case.command else case.command


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(prepared(case, request.getfixturevalue("models") if "{" in case.command else {}))
    text = " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert done.stdout == ""
    for words in case.says:
        assert words in text
    if "Error: " in text:
        assert len(text.partition("Error: ")[2].split(". ")) >= 2, "a message also says what to do"


@pytest.mark.parametrize("case", HANDLED, ids=lambda case: case.name)
def test_handled_and_counted(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(prepared(case, {}))
    assert done.exit_code == 0, done.output
    report = json.loads(Path("run/report.json").read_text())
    for path, value in case.report.items():
        found = report
        for name in path.split("."):
            found = found[name]
        assert found == value, path
    data = report["data"]
    left_out = data["n_unlabelled"] + data["n_unused"] + data.get("n_beyond_limit", 0)
    assert data["n_train"] + data["n_valid"] + data["n_test"] + left_out == data["n_records"], (
        "none is dropped in silence"
    )


def test_there_are_many_cases():
    names = [case.name for case in REFUSED + HANDLED]
    assert len(names) == len(set(names)) >= 100


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors", "training.tsv.gz"])
@pytest.mark.parametrize("damage", ["missing", "cut", "emptied", "other"])
def test_a_damaged_model(file, damage, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(GOOD)
    shutil.copytree(models["class"] / "model", "m")
    path = Path("m", file)
    if damage == "missing":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[: len(whole) // 2], "emptied": b"", "other": b"[]"}[damage])
    done = run("predict m t.tsv")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: ")
    assert "m" in done.stderr


def test_a_run_with_other_choices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(GOOD)
    assert run(f"fit t.tsv --label y {FAST} --out run").exit_code == 0
    done = run(f"fit t.tsv --label y {FAST} --out run --seed 7")
    assert done.exit_code == 2
    assert "holds a run with other choices (seed: 0 there, 7 now)" in done.stderr


def test_a_folder_in_which_nothing_was_begun_takes_other_choices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(rows(["a"] * 40))
    assert run(f"fit t.tsv --label y {FAST} --out run").exit_code == 2
    Path("t.tsv").write_text(GOOD)
    assert run(f"fit t.tsv --label y {FAST} --out run --seed 1").exit_code == 0
    assert "seed = 1\n" in Path("run/recipe.toml").read_text()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("--strategy frozen --strategy-option haed=lda", "Did you mean 'head'?"),
        ("--strategy joint", "got no --source"),
        ("--strategy coral", "--unlabelled FILE"),
    ],
)
def test_choices_of_a_strategy_are_checked_before_there_is_a_folder(tmp_path, monkeypatch, wrong, message):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(GOOD)
    done = run(f"fit t.tsv --label y {FAST} --out run {wrong}")
    assert (done.exit_code, Path("run").exists()) == (2, False)
    assert message in done.stderr


@pytest.mark.parametrize("wrong", ["--strategy frozen --strategy-option head=conv", "--strategy-option haed=lda"])
def test_what_only_the_table_shows_leaves_the_folder_to_the_next_attempt(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(GOOD)
    assert run(f"fit t.tsv --label y {FAST} --out run {wrong}").exit_code == 2
    assert run(f"fit t.tsv --label y {FAST} --out run --strategy frozen --strategy-option head=lda").exit_code == 0
    assert "head=lda" in Path("run/recipe.toml").read_text()


def test_notes_speak_of_doubtful_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(rows([*["a", "b"] * 15, *["NA"] * 9, "c"]))
    assert run(f"fit t.tsv --label y {FAST} --out run").exit_code == 0
    notes = " ".join(json.loads(Path("run/report.json").read_text())["data"]["notes"])
    assert "Taken as a class: 'NA'" in notes
    assert "fewer than 5 training labels" in notes
