"""Every module and file: what it says of itself, what it offers, and what must not stand in it."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import biograft

PROJECT = Path(__file__).resolve().parents[2]
ROOT = PROJECT / "src" / "biograft"
MODULES = sorted(ROOT.rglob("*.py"))
ERRORS = ("BiograftError", "Breakdown", "Refusal")
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "context", "handler"}

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def exported(path: Path) -> list[str]:
    """``__all__`` as it is written; empty for a folder that only holds modules."""
    for node in TREES[path].body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            return ast.literal_eval(node.value)  # type: ignore[union-attr,arg-type]
    assert path.name == "__init__.py", "a module names what it offers in __all__"
    return []


@each_module
def test_a_module_says_what_it_holds(path: Path) -> None:
    text = ast.get_docstring(TREES[path]) or ""
    assert text.endswith((".", "?"))
    assert len(text.splitlines()) <= 12


@each_module
def test_every_name_that_is_offered_exists(path: Path) -> None:
    module, names = importlib.import_module(dotted(path)), exported(path)
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(module, name), name


@each_module
def test_every_public_definition_is_offered_and_described(path: Path) -> None:
    for node in TREES[path].body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if dotted(path).startswith("biograft.cli"):
                continue  # commands are offered to the shell
            assert node.name in exported(path), f"{node.name} is public, and not in __all__"
            assert ast.get_docstring(node), f"{node.name} has no docstring"


@each_module
def test_only_what_is_offered_is_taken(path: Path) -> None:
    """A name that another module imports is in ``__all__`` there."""
    for node in ast.walk(TREES[path]):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("biograft"):
            continue
        home = ROOT.parent.joinpath(*node.module.split(".")).with_suffix(".py")  # type: ignore[union-attr]
        if home in TREES:
            missing = {name.name for name in node.names} - set(exported(home))
            assert not missing, f"{sorted(missing)} of {node.module}"


def test_the_public_face() -> None:
    for name in biograft.__all__:
        assert getattr(biograft, name) is not None
    assert set(biograft.__all__) < set(dir(biograft))
    with pytest.raises(AttributeError, match="module 'biograft' has no attribute 'nothing'"):
        biograft.nothing  # noqa: B018 - the look-up itself is the test


@each_module
def test_a_name_says_something_and_a_file_is_short(path: Path) -> None:
    assert path.stem not in EMPTY_NAMES
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@each_module
def test_nothing_is_swallowed_and_asserts_only_narrow_types(path: Path) -> None:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ExceptHandler):
            assert not all(isinstance(step, ast.Pass) for step in node.body), (
                f"line {node.lineno} swallows an exception"
            )
            assert node.type is not None, f"line {node.lineno} catches everything"
        if isinstance(node, ast.Assert):
            assert _narrows(node.test), f"line {node.lineno} asserts what a user might break"


def _narrows(test: ast.expr) -> bool:
    """``isinstance(...)``, ``... is not None``, or several of these."""
    if isinstance(test, ast.BoolOp):
        return all(map(_narrows, test.values))
    if isinstance(test, ast.Call):
        return isinstance(test.func, ast.Name) and test.func.id == "isinstance"
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot)


def messages(path: Path) -> list[tuple[int, str]]:
    """Line and text of every error that users meet; ``{}`` is what is filled in, ``{!}`` an error passed on."""
    calls = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call) and node.args]
    return [(call.lineno, _text(call.args[0])) for call in calls if getattr(call.func, "id", "") in ERRORS]


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "{!}" if isinstance(node, ast.FormattedValue) and getattr(node.value, "id", "") == "fault" else "{}"


@each_module
def test_an_error_says_what_is_wrong_and_what_to_do(path: Path) -> None:
    for line, text in messages(path):
        if text == "{}" or "{!}" in text:
            continue  # written elsewhere, and passed on with its place
        assert text.endswith((".", "{}")), f"line {line}: '{text}' has no full stop"
        sentences = len(re.findall(r"[.?](?= |$|\{)|\{\}$", text))
        assert sentences >= 2 or ("got" in text and "expected" in text), f"line {line}: '{text}' doesn't say what to do"


def written() -> list[Path]:
    """Every text file of the project that people write."""
    folders = [PROJECT / name for name in ("src", "tests", "benchmarks", "docs", "examples")]
    inside = [path for folder in folders for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts]
    whole = [*inside, *PROJECT.glob("*.md"), *PROJECT.glob("*.toml"), PROJECT / "Makefile"]
    return [path for path in whole if path.suffix in (".py", ".md", ".toml", ".html", "") and path.is_file()]


def test_no_path_of_one_machine_is_written_down() -> None:
    place = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users|mnt)/\w")
    assert place.search("see " + "/".join(["", "home", "someone"]))
    for path in written():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), start=1):
            assert not place.search(line), f"{path.relative_to(PROJECT)}, line {number}: {line.strip()}"
