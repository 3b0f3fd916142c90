"""One folder per run: continued with the same choices, refused with others."""

from pathlib import Path

import pytest

from biograft.errors import BiograftError
from biograft.run import RunFolder, read_recipe, toml

RECIPE = {
    "label": 'with "quotes"\nand ünïcode',
    "seed": 3,
    "identity": 0.4,
    "mask": ["a", "b"],
    "none": None,
    "on": True,
}


def test_a_recipe_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(toml(RECIPE), encoding="utf-8")
    assert read_recipe(path) == {name: value for name, value in RECIPE.items() if value is not None}


@pytest.mark.parametrize("content", [b"label = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(BiograftError, match=r"recipe\.toml' is not a recipe in TOML .*Mend that line"):
        read_recipe(path)
    with pytest.raises(BiograftError, match="File not found"):
        read_recipe(tmp_path / "none.toml")


def test_the_same_choices_continue_and_others_are_refused(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path / "run", RECIPE)
    folder.log(step=1)
    assert RunFolder.open(tmp_path / "run", RECIPE).history() == [{"step": 1}]
    for changes, shown in (({"seed": 4}, "seed: 3 there, 4 now"), ({"none": 1}, "none: None there, 1 now")):
        with pytest.raises(BiograftError, match=f"a run with other choices \\({shown}\\). Choose another --out"):
            RunFolder.open(tmp_path / "run", RECIPE | changes)


def test_before_anything_was_done_choices_may_change(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", RECIPE)
    with RunFolder(tmp_path / "run").held():
        pass
    folder = RunFolder.open(tmp_path / "run", RECIPE | {"seed": 4})
    assert read_recipe(folder.recipe_path)["seed"] == 4


def test_a_kill_while_the_recipe_is_written_is_no_other_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".recipe.toml.0a1b.part").write_text("label")
    folder = RunFolder.open(tmp_path / "run", RECIPE)
    with folder.held():
        assert {entry.name for entry in folder.path.iterdir()} == {".lock", "recipe.toml"}


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(BiograftError, match="exists and is not a run of biograft"):
            RunFolder.open(path, RECIPE)
    assert {entry.name for entry in tmp_path.iterdir()} == {"notes.txt"}


def test_one_process_works_in_a_run(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path / "run", RECIPE)
    with folder.held(), pytest.raises(BiograftError, match="Another process is at work"), folder.held():
        pass
    with folder.held(), pytest.raises(BiograftError, match="Another process is at work"):
        RunFolder.open(tmp_path / "run", RECIPE | {"seed": 4})
    assert read_recipe(folder.recipe_path)["seed"] == 3


def test_the_log_is_cut_back(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path / "run", RECIPE)
    assert folder.history() == []
    assert folder.settle_log() == 0
    folder.log(step=1, loss={"target": 0.5})
    size = folder.settle_log()
    folder.log(step=2)
    with folder.log_path.open("a") as stream:
        stream.write('{"step": 3, "lo')  # a kill cut it short
    assert [entry["step"] for entry in folder.history()] == [1, 2]
    folder.cut_log(size)
    folder.log(step=2, again=True)
    assert folder.history() == [{"step": 1, "loss": {"target": 0.5}}, {"step": 2, "again": True}]
    folder.cut_log(10_000)
    assert len(folder.history()) == 2


def test_a_finished_run_has_a_report(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path / "run", RECIPE)
    assert folder.report() is None
    folder.report_path.write_text('{"metrics": {}}')
    assert folder.report() == {"metrics": {}}


def test_parts_follow_from_the_choices_but_a_saved_state_does_not(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path / "run", RECIPE)
    (folder.path / "split.tsv").write_text("id\tset\n")
    assert not folder.is_begun
    folder = RunFolder.open(tmp_path / "run", RECIPE | {"seed": 4})
    folder.state_path.parent.mkdir()
    assert not folder.is_begun
    (folder.state_path.parent / "plan.json").write_text("{}")
    with pytest.raises(BiograftError, match="holds a run with other choices"):
        RunFolder.open(tmp_path / "run", RECIPE)


def test_a_split_of_the_users_own_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "split.tsv").write_text("mine")
    with pytest.raises(BiograftError, match="exists and is not a run of biograft"):
        RunFolder.open(tmp_path, RECIPE)
