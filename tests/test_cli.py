"""The command line: what it offers, its exit codes, what goes to which stream."""

import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from biograft import __version__, catalog
from biograft.backbones import store
from biograft.cli import app, screen
from biograft.flows import split as flow

COMMANDS = [
    "fit",
    "predict",
    "evaluate",
    "report",
    "demo",
    "embed",
    "split",
    "audit",
    "list",
    "pretrain",
    "compare",
    "rank",
]
LATER = ["--sequences", "--ontology", "serve"]
ROWS = "id\tsequence\ty\np1\tMKVLAAGIVGMKVLAAGIVG\ta\np2\tWLFNNDEQRSWLFNNDEQRS\tb\np3\tHHTTYYPPCCHHTTYYPPCC\ta\n"


def run(command: str, **options: object) -> Result:
    return CliRunner().invoke(app, shlex.split(command), **options)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with a small table."""
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(ROWS)
    return tmp_path


def words(command: str) -> str:
    """Its help, without frames, on lines of any length."""
    done = run(f"{command} --help", env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})
    assert done.exit_code == 0
    return done.stdout


def test_all_commands_are_offered_and_no_later_ones():
    shown = re.findall(r"^│ (\w+) ", words(""), flags=re.MULTILINE)
    assert shown == COMMANDS
    everything = "".join(words(command) for command in ["", *COMMANDS])
    assert not [word for word in LATER if re.search(rf"{word}\b", everything)]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option_and_shows_an_example(command):
    shown = words(command)
    assert f"biograft {command}" in shown.partition("Example")[2]
    for line in shown.splitlines():
        if option := re.match(r"│\s+\*?\s*(--[\w-]+)\s+(\S+)\s+(.*?)\s*│$", line):
            assert len(option[3]) > 10, line


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("fit", "label out sequence id level task alphabet unknown split identity mask backbone strategy pool "
         "train-limit refit epochs minutes strategy-option sampling logit-adjustment relatives source source-label "
         "source-mask source-task lambda unlabelled seed device precision json quiet"),
        ("predict", "out format probabilities sequence id alphabet unknown device precision quiet"),
        ("evaluate", "label out identity seed mask sequence id alphabet unknown device precision json quiet"),
        ("embed", "backbone out pool sequence id alphabet unknown device precision json quiet"),
        ("split", "out identity label split seed sequence id alphabet unknown json quiet"),
        ("audit", "label out sequence id alphabet unknown json quiet"),
        ("report", "json quiet"),
        ("list", "json"),
        ("demo", "out seed tables quiet"),
        ("compare", "label out backbones strategies strategy-option limits seeds splits level task pool split identity "
         "train-limit epochs minutes sampling logit-adjustment source source-label source-mask source-task "
         "lambdas unlabelled seed sequence id alphabet unknown mask jobs device precision json quiet"),
    ],
)  # fmt: skip
def test_options(command, options):
    assert set(re.findall(r"^│\s+\*?\s*--([\w-]+)", words(command), flags=re.MULTILINE)) == {*options.split(), "help"}


def test_version():
    assert run("--version").stdout == f"biograft {__version__}\n"


@pytest.mark.parametrize("command", ["", "--version", "--help", "fit --help", "list strategies"])
def test_nothing_heavy_is_loaded_to_answer(command):
    code = (
        "import sys, biograft.cli\n"
        "try:\n    biograft.cli.main()\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'polars', 'scipy', 'sklearn'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command.split()], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("", "Usage: biograft"),
        ("fti", "Did you mean 'fit'?"),
        ("fit", "Missing argument"),
        ("fit t.tsv --labels y", "No such option: --labels"),
        ("fit t.tsv --label y --train-limit many", "--train-limit"),
        ("predict m", "Missing argument"),
        ("embed t.tsv --out x", "Missing option '--backbone'"),
        ("list backbones extra", "unexpected extra argument"),
    ],
)
def test_wrong_usage_exits_with_2(here, command, says):
    done = run(command)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_python_dash_m_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "biograft", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"biograft {__version__}\n"


def test_list():
    shown = run("list backbones").stdout
    assert shown.startswith("backbones\n  onehot ")
    assert "transformer encoder" in shown
    assert [line for line in run("list").stdout.splitlines() if not line.startswith(" ")] == [
        "backbones", "strategies", "levels", "label kinds", "metrics", "models",
    ]  # fmt: skip
    found = json.loads(run("list label-kinds --json").stdout.splitlines()[-1])
    assert found["label_kinds"]["regression"] == "one number"


def test_list_tells_of_auto_which_is_no_strategy_of_its_own():
    last = run("list strategies").stdout.splitlines()[-1]
    assert last.startswith("  auto ")
    assert "--minutes" in last
    assert "auto" not in catalog.names("strategies")


def test_help_of_embed_writes_names_as_they_are_written():
    assert "ESM-2" in words("embed")


def test_split_writes_a_table_and_says_what_it_did(here):
    done = run("split t.tsv --out s.csv --json")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("3 families at 40% identity")
    assert lines[0].endswith("train 1, valid 1, test 1: s.csv")
    found = json.loads(lines[-1])
    assert (found["n_train"], found["n_valid"], found["n_test"], found["families"]) == (1, 1, 1, 3)
    assert Path("s.csv").read_text().splitlines()[0] == "id,sequence,y,set,family"


def test_quiet_leaves_nothing_but_what_was_asked_for(here):
    done = run("split t.tsv --out s.csv --json --quiet")
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["n_test"] == 1
    assert run("split t.tsv --out s.csv --quiet").output == ""


def test_without_a_terminal_a_stage_is_a_line(here):
    done = run("split t.tsv --out s.csv")
    assert re.fullmatch(r" +0:\d\d families\n", done.stderr)


def test_long_stages_show_that_they_live(monkeypatch, capsys):
    now = iter([0.0, 1.0, 2.0, 40.0, 41.0, 90.0, 3700.0, 3701.0])
    monkeypatch.setattr(screen.time, "monotonic", lambda: next(now))
    with screen.progress(quiet=False) as told:
        for done in (0, 10, 30, 40, 60, 100):
            told("train", done, 100)
        told("predict", 0, 1)
    assert capsys.readouterr().err.splitlines() == [
        "  0:01 train",
        "  0:40 train 30%",
        "  1:30 train 60%",
        " 61:41 predict",
    ]


def test_bars_show_where_somebody_watches(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with screen.progress(quiet=False) as told:
        told("read", 0, 1)
        told("train", 3, 7)
    shown = capsys.readouterr()
    assert "train" in shown.err
    assert "7/7" in shown.err, "what is over is shown as done"
    assert shown.out == ""


def test_audit_in_numbers_and_pairs(here):
    Path("u.tsv").write_text(ROWS.replace("p1", "q1").replace("\ta\n", "\tb\n", 1))
    done = run("audit t.tsv u.tsv --label y --out pairs.tsv --json")
    assert done.exit_code == 0
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["copies"], found["test_rows"], found["conflicts"]["across"]) == (3, 3, 1)
    assert "3 pairs: pairs.tsv" in done.stdout
    assert Path("pairs.tsv").read_text().splitlines()[0].startswith("kind\ttest\ttrain\tidentity")


def test_embed_twice_computes_once(here):
    first = json.loads(run("embed t.tsv --backbone onehot --out v --json --quiet").stdout)
    again = json.loads(run("embed t.tsv --backbone onehot --out v --json --quiet").stdout)
    assert (first["records"], first["computed"], first["rows"]) == (3, 3, 60)
    assert again == {**first, "computed": 0}
    assert Path("v/ids.tsv").read_text() == "id\tstart\trows\np1\t0\t20\np2\t20\t20\np3\t40\t20\n"


def broken(error: BaseException):
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_fault_of_ours_exits_with_1_and_shows_where(here, monkeypatch):
    monkeypatch.setattr(flow, "split", broken(ZeroDivisionError("oh")))
    done = run("split t.tsv --out s.csv")
    assert done.exit_code == 1
    assert "ZeroDivisionError: oh" in done.stderr
    assert "This is a fault of biograft, not of your input" in done.stderr


def test_a_full_disk_is_told_in_a_sentence(here, monkeypatch):
    monkeypatch.setattr(flow, "split", broken(OSError(28, "No space left on device", "s.csv")))
    done = run("split t.tsv --out s.csv")
    assert done.exit_code == 2
    assert "Error: No space left on device 's.csv'. Check the path" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c(here, monkeypatch):
    monkeypatch.setattr(store, "embed", broken(KeyboardInterrupt()))
    done = run("embed t.tsv --backbone onehot --out v")
    assert done.exit_code == 130
    assert done.stderr.splitlines()[-1] == "Stopped. The same command continues where it was."
    monkeypatch.setattr(flow, "split", broken(KeyboardInterrupt()))
    done = run("split t.tsv --out s.csv")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (130, "Stopped. The same command begins anew.")


@pytest.mark.parametrize("command", ["list", "--help"])
def test_a_closed_pipe_gives_no_traceback(command):
    """As with ``biograft list | head -1``: whoever reads has gone before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "biograft", command], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode not in (0, 2)


def test_options_replace_the_choices_of_a_recipe(here):
    """Seen from the message: the recipe's backbone is replaced, its label stays."""
    Path("r.toml").write_text('table = "t.tsv"\nlabel = "z"\nbackbone = "nonsense"\n')
    assert "Unknown backbone: got 'nonsense'" in run("fit r.toml").stderr
    assert "There is no column 'z' in t.tsv" in run("fit r.toml --backbone kmer").stderr
    assert "There is no column 'w' in t.tsv" in run("fit r.toml --backbone kmer --label w").stderr


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> tuple[Path, Result]:
    """A run on melting points of 40 unrelated proteins, and what was said."""
    folder = tmp_path_factory.mktemp("fitted")
    letters = random.Random(0)
    rows = [
        f"p{row}\t{''.join(letters.choices('ACDEFGHIKLMNPQRSTVWY', k=40))}\t{50 + row / 7:.2f}" for row in range(40)
    ]
    (folder / "t.tsv").write_text("\n".join(["id\tsequence\ttm", *rows]) + "\n")
    done = run(f"fit {folder}/t.tsv --label tm --backbone composition --split random --out {folder}/run --json")
    assert done.exit_code == 0, done.output
    return folder, done


def test_fit_says_where_its_results_are_and_ends_with_json(fitted):
    folder, done = fitted
    assert f"Run: {folder}/run\nReport: {folder}/run/report.html\n" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads((folder / "run" / "report.json").read_text())
    stages = [line.split()[1] for line in done.stderr.splitlines()]
    assert stages[:3] == ["read", "families", "train"]


def test_a_finished_fit_is_read_again(fitted):
    folder, done = fitted
    again = run(f"fit {folder}/run/recipe.toml --out {folder}/run --json --quiet")
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == done.stdout.splitlines()[-1] + "\n"


def test_report_shows_a_run_again(fitted):
    folder, done = fitted
    shown = run(f"report {folder}/run --json")
    assert shown.stdout.splitlines() == [
        line for line in done.stdout.splitlines() if not line.startswith(f"Run: {folder}")
    ]
    assert run(f"report {folder}/run --json --quiet").stdout == done.stdout.splitlines()[-1] + "\n"
    (folder / "begun").mkdir()
    (folder / "begun" / "recipe.toml").write_text("")
    assert "is not finished" in run(f"report {folder}/begun").stderr


def test_predict_to_stdout_and_to_files(fitted, tmp_path):
    folder, _ = fitted
    plain = run(f"predict {folder}/run {folder}/t.tsv")
    lines = plain.stdout.splitlines()
    assert lines[0] == "id\tprediction\tlow\thigh\tnearest\tnearest_identity"
    assert [line.split("\t")[0] for line in lines[1:]] == [f"p{row}" for row in range(40)]
    commas = run(f"predict {folder}/run/model {folder}/t.tsv --format csv --quiet").stdout
    assert commas == plain.stdout.replace("\t", ",")
    said = run(f"predict {folder}/run {folder}/t.tsv --format parquet --out {tmp_path}/p")
    assert said.stdout == f"40 predictions: {tmp_path}/p.parquet\n"
    run(f"predict {folder}/run {folder}/t.tsv --out {tmp_path}/p.tsv")
    assert (tmp_path / "p.tsv").read_text() == plain.stdout


def test_evaluate_writes_its_report_only_where_asked(fitted, tmp_path, monkeypatch):
    folder, _ = fitted
    monkeypatch.chdir(tmp_path)
    found = json.loads(run(f"evaluate {folder}/run {folder}/t.tsv --json --quiet").stdout)
    assert found["data"]["n_test"] == 40
    assert not list(tmp_path.iterdir())
    done = run(f"evaluate {folder}/run {folder}/t.tsv --out e")
    assert "Report: e/report.html" in done.stdout
    assert sorted(path.name for path in Path("e").iterdir()) == ["predictions.tsv", "report.html", "report.json"]
    assert json.loads(Path("e/report.json").read_text())["metrics"] == found["metrics"]
