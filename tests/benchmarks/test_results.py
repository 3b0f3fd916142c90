"""The script that writes docs/results.md: what it says of a claim follows from what was found."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "benchmarks" / "results.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "results", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    return module


def test_the_page_gathers_the_claims_of_all_sections_and_nothing_else(results: ModuleType) -> None:
    good, bad = results.Claim("a floor of 3", "4", True), results.Claim("at most 2 s", "3 s", False)
    sections = [
        results.section("## One\n\n| a table of its own | met |", [good], "*here*"),
        results.section("## Two", [bad], "*there*"),
    ]
    head, found, _ = results.page(sections).split("## ", 2)
    assert head.endswith("| a floor of 3 | 4 | met |\n| at most 2 s | 3 s | **missed** |\n\n")
    assert found.endswith("| claim | found |  |\n| --- | --- | --- |\n| a floor of 3 | 4 | met |\n\n*here*\n\n")


@pytest.mark.parametrize(("ends", "met"), [("", True), ("; raise SystemExit(1)", False)])
def test_a_script_meets_its_claim_by_its_exit_code(results: ModuleType, ends: str, met: bool) -> None:
    (results.ROOT / "benchmarks" / "one.py").write_text(f"print('| 1 |'){ends}")
    text, claims = results.script("One", "one.py", "it is one")(results.ROOT)
    assert text.startswith("## One") and text.endswith("| 1 |")
    assert [(claim.text, claim.met) for claim in claims] == [("it is one", met)]


def test_a_script_that_breaks_down_leaves_no_section(results: ModuleType) -> None:
    (results.ROOT / "benchmarks" / "one.py").write_text("print('half a table'); raise ValueError('broken')")
    with pytest.raises(SystemExit, match=r"benchmarks/one\.py broke down: nothing is written\."):
        results.script("One", "one.py", "it is one")(results.ROOT)


def test_a_command_that_fails_ends_the_script_with_its_message(results: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"biograft fit absent\.csv --label y\nended with 2:\n"):
        results.command("fit", "absent.csv", "--label", "y")


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ({"value": 0.5, "low": 0.25, "high": 0.75}, "0.500 [0.250, 0.750]"),
        ({"value": 0.5, "low": None, "high": None}, "0.500"),
        ({"value": None, "low": None, "high": None}, "–"),
    ],
)
def test_values_are_shown_with_their_intervals(results: ModuleType, found: dict[str, float], shown: str) -> None:
    assert results.interval(found) == shown
