"""One folder per run: what was chosen, what happened, where it stands. It survives a crash and can be continued."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from biograft.errors import BiograftError
from biograft.files import locked, read_json, sweep, sync, write_text

__all__ = ["RunFolder", "read_recipe", "toml"]


def toml(recipe: Mapping[str, Any]) -> str:
    """A flat mapping of text, numbers, truth values and lists of text as TOML; None is left out."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in recipe.items() if value is not None]
    return "\n".join(lines) + "\n"


def read_recipe(path: Path | str) -> dict[str, Any]:
    """Read a recipe. Raises BiograftError where it is missing or not TOML."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BiograftError(f"File not found: '{path}'. Check the path of the recipe.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BiograftError(f"'{path}' is not a recipe in TOML ({fault}). Mend that line.") from None


class RunFolder:
    """The folder of a run.

    Attributes:
        path: of the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: Path | str, recipe: Mapping[str, Any]) -> "RunFolder":
        """Begin a run, or find the one to continue. Raises BiograftError if the folder holds something else, or another
        process is at work there with other choices."""
        folder = cls(path)
        wanted = tomllib.loads(toml(recipe))
        if folder.recipe_path.exists():
            there = read_recipe(folder.recipe_path)
            changed = sorted(key for key in wanted.keys() | there.keys() if wanted.get(key) != there.get(key))
            if changed and not folder.is_begun:
                with folder.held():  # a process that is at work there goes by what it found
                    write_text(folder.recipe_path, toml(recipe))
            elif changed:
                shown = ", ".join(f"{key}: {there.get(key)!r} there, {wanted.get(key)!r} now" for key in changed[:3])
                raise BiograftError(
                    f"Folder '{path}' holds a run with other choices ({shown}). Choose another --out, or remove it."
                )
            return folder
        if folder.path.exists() and (not folder.path.is_dir() or any(folder._entries())):
            raise BiograftError(f"'{path}' exists and is not a run of biograft. Choose another --out.")
        write_text(folder.recipe_path, toml(recipe))
        return folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Work here alone. Raises BiograftError while another process does."""
        with locked(self.path):
            for folder in (self.path, self.state_path.parent):
                sweep(folder)
            yield

    @property
    def is_begun(self) -> bool:
        """Whether anything was learned here: a run that failed before may be given other choices.

        Parts (``split.tsv``) follow from the choices and are written anew; what a loop left in ``state`` does not.
        """
        state = self.state_path.parent
        known = ("recipe.toml", "split.tsv", state.name)
        return any(entry.name not in known for entry in self._entries()) or any(RunFolder(state)._entries())

    def _entries(self) -> Iterator[Path]:
        """What stands here, without locks and unfinished parts."""
        if self.path.is_dir():
            yield from (entry for entry in self.path.iterdir() if not entry.name.startswith("."))

    @property
    def recipe_path(self) -> Path:
        """Every choice, enough to repeat the run."""
        return self.path / "recipe.toml"

    @property
    def state_path(self) -> Path:
        """The last good state of the loop."""
        return self.path / "state" / "state.safetensors"

    @property
    def log_path(self) -> Path:
        """One JSON object per line: losses, validations, events."""
        return self.path / "log.jsonl"

    @property
    def model_path(self) -> Path:
        """The saved model."""
        return self.path / "model"

    @property
    def report_path(self) -> Path:
        """The numbers; written last, so that a run with a report is a finished one."""
        return self.path / "report.json"

    def report(self) -> dict[str, Any] | None:
        """The report of a finished run, None before."""
        return read_json(self.report_path) if self.report_path.exists() else None

    def log(self, **record: Any) -> None:
        """Append one record."""
        with self.log_path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")

    def log_size(self) -> int:
        """Bytes in the log."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def settle_log(self) -> int:
        """Force the log to the disk; its size in bytes, which a saved state remembers."""
        if self.log_path.exists():
            sync(self.log_path)
        return self.log_size()

    def cut_log(self, size: int) -> None:
        """Forget what was logged after the state that is continued from."""
        if self.log_size() > size:
            with self.log_path.open("r+b") as stream:
                stream.truncate(size)

    def history(self) -> list[dict[str, Any]]:
        """All records of the log; a last line that a kill cut short is left out."""
        if not self.log_path.exists():
            return []
        lines = self.log_path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]
