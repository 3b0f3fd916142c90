"""What ``--backbone auto`` takes, and that only the validation part is asked."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from biograft.data.alphabet import DNA
from biograft.data.records import Records
from biograft.flows import usual as module
from biograft.flows.assess import examine
from biograft.flows.prepare import prepare
from biograft.flows.recipe import Recipe
from biograft.flows.usual import best, usual
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.task import Task

PROTEINS = Records.of(["ACDEFGHIKLMN"] * 4)
RECIPE = Recipe(table="t.tsv", label="y")


@pytest.mark.parametrize(
    ("level", "changes", "names"),
    [
        (Sequence(), {}, ("protein-small", "kmer")),
        (Sequence(), {"strategy": "frozen"}, ("protein-small", "kmer")),
        (Sequence(), {"strategy": "frozen", "strategy_option": ("head=lda",)}, ("protein-small",)),
        (Sequence(), {"strategy": "full"}, ("protein-small",)),
        (Sequence(), {"strategy": "scratch"}, ("kmer",)),
        (Residue(), {}, ("protein-small",)),
        (Residue(), {"strategy": "scratch"}, ("cnn",)),
    ],
)
def test_proteins_meet_the_shipped_encoder(level: Sequence, changes: dict[str, object], names: tuple[str, ...]) -> None:
    assert usual(PROTEINS, level, replace(RECIPE, **changes)) == names  # type: ignore[arg-type]


def test_what_it_cannot_read_or_not_in_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usual(Records.of(["ACGT" * 5], alphabet=DNA), Sequence(), RECIPE) == ("kmer",)
    monkeypatch.setattr(module, "MOST_LETTERS", 40)
    assert usual(PROTEINS, Sequence(), RECIPE) == ("kmer",)
    assert usual(PROTEINS, Residue(), RECIPE) == ("cnn",)


@dataclass
class Answer:
    """Classes that a backbone would have answered with."""

    valid: np.ndarray
    notes: list[str]


def test_the_validation_part_decides() -> None:
    labels, parts = ["a", "b"] * 11, ["train"] * 10 + ["valid"] * 10 + ["test"] * 2
    records = Records.of(["ACDEFGHIKL"] * 22, columns={"y": labels, "set": parts})
    prepared = prepare(records, Task("y"), how="column:set", needed=("train",))
    held, units, families = prepared.part("valid")
    part = examine(held, units, prepared.kind, prepared.level, 0.4, 0, families)
    right = np.eye(2, dtype=np.float32)[[0, 1] * 5]
    answers = {"encoder": Answer(right[::-1].copy(), []), "kmer": Answer(right, [])}
    taken = best(("encoder", "kmer"), answers.__getitem__, part)
    assert taken is answers["kmer"]
    assert taken.notes == [
        "Backbone chosen on the validation part: kmer (mcc: encoder -1.000, kmer 1.000). --backbone NAME takes another "
        "one."
    ]
    assert best(("encoder", "kmer"), answers.__getitem__, None) is answers["encoder"]
