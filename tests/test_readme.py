"""What README and docs show works as it is typed."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.cli import app
from biograft.data.alphabet import PROTEIN
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *sorted(ROOT.glob("docs/*.md")),
        *ROOT.glob("examples/**/*.md"),
    )
)


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Names of a page's headings in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the README's commands were run."""
    place = tmp_path_factory.mktemp("readme")
    (commands,) = [block for block in blocks("README.md", "sh") if "biograft demo --tables" in block]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for line in commands.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "biograft"
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, f"{line}\n{done.output}"
    return place


def test_the_commands_leave_what_they_say(folder: Path) -> None:
    run = folder / "runs" / "first"
    for name in ("recipe.toml", "split.tsv", "predictions.tsv", "report.json", "report.html", "model/model.json"):
        assert (run / name).is_file(), name
    assert len((folder / "predictions.tsv").read_text().splitlines()) == 61
    assert (folder / "runs" / "first-on-new" / "report.json").is_file()
    assert (folder / "vectors" / "vectors.npy").is_file()
    assert "set" in (folder / "parts.tsv").read_text().splitlines()[0].split("\t")


def test_the_python_lines_run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    (code,) = blocks("README.md", "python")
    monkeypatch.chdir(folder)
    exec(compile(code, "README.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"mcc -?[0-9.]+ \(-?[0-9.]+ to -?[0-9.]+\)", first)
    assert second.count("class ") == 3


def test_the_two_lines_of_transfer_name_options_that_exist() -> None:
    (lines,) = [block for block in blocks("README.md", "sh") if "runs/grafted" in block]
    shown = CliRunner().invoke(app, ["fit", "--help"], env={"COLUMNS": "200"}).output
    for line in lines.splitlines():
        assert line.startswith("biograft fit runs/demo/tables/")
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown


def test_the_worked_strategy_moves_the_top_and_nothing_below() -> None:
    (code,) = blocks("docs/architecture.md", "python")
    names: dict[str, type] = {"__name__": "worked_example"}
    exec(compile(code, "architecture.md", "exec"), names)
    strategy = names["Top"]()
    backbone, kind = DilatedCNN(PROTEIN, CNNConfiguration(width=8, dilations=(1, 1))), Classification(("a", "b"))
    model = Model(backbone, LinearHead(Sequence(), 8, 2), Sequence(), kind)
    notes = strategy.start(model, None)
    (phase,) = strategy.phases(model)
    moving = {id(parameter) for group in phase.groups for parameter in group.parameters}
    below = [parameter for block in backbone.blocks()[:-1] for parameter in block.parameters()]
    assert notes == ["2 blocks rest."]
    assert not moving & {id(parameter) for parameter in below}
    assert moving | {id(parameter) for parameter in below} == {id(parameter) for parameter in model.parameters()}
    assert all(isinstance(parameter, torch.nn.Parameter) for parameter in phase.groups[0].parameters)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        if not target.startswith("https://"):
            there = (ROOT / page).parent / target if target else ROOT / page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.py)`", text):
        roots = (ROOT / "src" / "biograft", ROOT / "src" / "biograft" / "cli", ROOT, (ROOT / page).parent)
        places = [root / name for root in roots]
        assert any(place.exists() for place in places), name
