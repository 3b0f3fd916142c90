"""Imports only go down: a module reads lower layers and its own folder, never a sibling and never what stands above."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "biograft"
LAYERS = (
    ("__init__", "__main__"),
    ("cli",),
    ("flows",),
    ("trainer",),
    ("optimisers", "gradients", "training"),
    ("origins",),
    ("strategies", "bundle"),
    ("judgement", "heads"),
    ("evaluation", "model"),
    ("tasks", "backbones"),
    ("data", "run", "state", "shipped"),
    ("files", "catalog", "hardware", "progress", "scale"),
    ("errors",),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MODULES = sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    """The folder or the single file below the package that a module belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Parts of the package that a module imports, at its head or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import in line {node.lineno}"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    names = [name.split(".") for name in found]
    return {way[1] for way in names if way[0] == "biograft" and way[1:] != ["__version__"]}


def test_every_module_has_a_layer() -> None:
    assert {part(path) for path in MODULES} <= set(RANK), "give the new part its place in LAYERS"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = part(path)
    wrong = {name for name in imported(path) if name != own and RANK[name] <= RANK[own]}
    assert not wrong, f"{own} may not import {sorted(wrong)}"


def test_an_import_upward_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "errors.py"
    path.write_text("def late() -> None:\n    from biograft.data import records\n    import biograft.flows.fit\n")
    assert imported(path) == {"data", "flows"}
