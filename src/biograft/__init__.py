"""biograft carries what a model knows about biology over to a question with few labels.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biograft.bundle import Bundle, load
    from biograft.data.readers import read
    from biograft.data.records import Records
    from biograft.errors import BiograftError
    from biograft.flows.comparison.compare import compare
    from biograft.flows.evaluate import evaluate
    from biograft.flows.fit import fit
    from biograft.flows.rank import rank
    from biograft.flows.split import split
    from biograft.tasks.task import Task

__version__ = "0.1.0"
__all__ = ["BiograftError", "Bundle", "Records", "Task", "compare", "evaluate", "fit", "load", "rank", "read", "split"]

_HOMES = {
    "BiograftError": "biograft.errors",
    "Bundle": "biograft.bundle",
    "Records": "biograft.data.records",
    "Task": "biograft.tasks.task",
    "compare": "biograft.flows.comparison.compare",
    "evaluate": "biograft.flows.evaluate",
    "fit": "biograft.flows.fit",
    "load": "biograft.bundle",
    "rank": "biograft.flows.rank",
    "read": "biograft.data.readers",
    "split": "biograft.flows.split",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'biograft' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
