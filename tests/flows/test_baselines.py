"""Simple answers that runs share are those that each would compute, and change with what they follow from."""

from pathlib import Path

import numpy as np
import pytest

from biograft.data.generated import World
from biograft.data.split import Split
from biograft.flows import baselines
from biograft.flows.answers import translated
from biograft.flows.assess import examine
from biograft.flows.baselines import Baselines, Shared
from biograft.flows.prepare import Prepared, prepare
from biograft.tasks.task import Task


def prepared(train_limit: int | None = None) -> Prepared:
    made = World(seed=0, shortest=30, longest=40, span=4).target(20, 10, 0, valid=6)
    families = np.unique(made.column("family"), return_inverse=True)[1]
    split = Split(np.array(made.column("set")), families, "given", "")
    return prepare(made, Task("label"), how=split, train_limit=train_limit)


def found(made: Prepared, shared: Shared | None, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    queries = {name: made.part(name)[0] for name in ("valid", "test")}
    return Baselines.of(made, queries, ("train",), shared).answers(seed)


def test_shared_answers_are_those_of_each_run_and_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, alone = Shared(tmp_path, 0), found(prepared(), None)
    first = found(prepared(), shared)
    monkeypatch.setattr(baselines, "simple_answers", None)
    monkeypatch.setattr(baselines, "nearest", None)
    for answers in (first, found(prepared(), shared, seed=7)):
        assert list(answers) == list(alone)
        for name, parts in alone.items():
            for part, outputs in parts.items():
                np.testing.assert_array_equal(answers[name][part], outputs)


def test_other_training_records_have_other_answers(tmp_path: Path) -> None:
    shared = Shared(tmp_path, 0)
    found(prepared(), shared)
    few = found(prepared(8), shared)
    for name, parts in found(prepared(8), None).items():
        np.testing.assert_array_equal(few[name]["test"], parts["test"])


def test_answers_in_fewer_classes_are_read_in_those_of_all_records() -> None:
    made, few = prepared(), prepared(5)
    records, units, families = made.part("test")
    part = examine(records, units, made.kind, made.level, 0.4, 0, families)
    own = tuple(few.kind.configuration()["classes"])
    outputs = np.eye(len(own))[np.arange(len(records)) % len(own)]
    codes = translated(outputs, few.kind, part).codes
    assert codes is not None
    assert [made.kind.configuration()["classes"][code] for code in codes] == [own[row % len(own)] for row in
                                                                              range(len(records))]  # fmt: skip
