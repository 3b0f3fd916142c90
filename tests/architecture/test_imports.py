"""Heavy packages: each is imported in one place, and none by looking at the help."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "biograft"
HOMES = {  # package -> the only file or folder that knows it
    "transformers": "backbones/huggingface.py",
    "peft": "backbones/huggingface.py",
    "tokenizers": "backbones/huggingface.py",
    "huggingface_hub": "backbones/huggingface.py",
    "jinja2": "evaluation/report.py",
    "typer": "cli",
    "click": "cli",
    "rich": "cli",
    "pyopal": "data/alignment.py",
    "scoring_matrices": "data/alignment.py",
    "polars": "data/tables.py",
    "pyarrow": "data/tables.py",
    "threadpoolctl": "strategies/inner.py",
    "ray": "scale.py",
}
CORE = {"numpy", "torch", "scipy", "safetensors"}  # what any module may use, but not to show a help text
LATE = (*CORE, *(set(HOMES) - {"typer", "click", "rich"}), "sklearn", "Bio", "pandas")
MODULES = sorted(ROOT.rglob("*.py"))


def packages(path: Path) -> set[str]:
    """Top names that a module imports from outside the package and outside Python itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"biograft"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_heavy_package_has_one_home(path: Path) -> None:
    place = path.relative_to(ROOT)
    for package in packages(path) - CORE:
        assert package in HOMES, f"{place} imports {package}: name its one home in HOMES"
        assert place.is_relative_to(HOMES[package]), f"{place} imports {package}, whose home is {HOMES[package]}"


def loaded_by(code: str) -> list[str]:
    """Late packages that a fresh interpreter has loaded after running the code."""
    show = f"import sys; print('loaded', *sorted(set(sys.modules) & set({LATE!r})))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


HELP = """
from biograft.cli import main
import sys
sys.argv = ["biograft", {arguments}]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
"""


@pytest.mark.parametrize(
    "code",
    [
        "import biograft; dir(biograft)",
        HELP.format(arguments='"--help"'),
        HELP.format(arguments='"fit", "--help"'),
        HELP.format(arguments='"--version"'),
        "import biograft.catalog as c; [c.names(kind) for kind in c.KINDS if kind != 'metrics']",
    ],
    ids=["import", "help", "help of a command", "version", "names in the catalog"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    assert loaded_by(code) == []


def test_what_is_loaded_would_be_seen() -> None:
    assert "numpy" in loaded_by("import numpy")
