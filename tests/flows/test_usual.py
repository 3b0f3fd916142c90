"""What ``--backbone auto`` takes, and that only the validation part is asked."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from biograft.data.alphabet import DNA
from biograft.data.records import Records
from biograft.flows import usual as module
from biograft.flows.assess import Examination, examine
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


def examined() -> tuple[Examination, np.ndarray]:
    """A validation part of ten, and the right outputs for it."""
    labels, parts = ["a", "b"] * 11, ["train"] * 10 + ["valid"] * 10 + ["test"] * 2
    records = Records.of(["ACDEFGHIKL"] * 22, columns={"y": labels, "set": parts})
    prepared = prepare(records, Task("y"), how="column:set", needed=("train",))
    held, units, families = prepared.part("valid")
    part = examine(held, units, prepared.kind, prepared.level, 0.4, 0, families)
    return part, np.eye(2, dtype=np.float32)[[0, 1] * 5]


def test_the_validation_part_decides() -> None:
    part, right = examined()
    answers = {"encoder": Answer(right[::-1].copy()), "kmer": Answer(right)}
    taken, told = best(("encoder", "kmer"), answers.__getitem__, part)
    assert taken is answers["kmer"]
    assert "Backbone taken: kmer (mcc of the validation part: encoder -1.000, kmer 1.000;" in told[0]
    assert best(("encoder", "kmer"), answers.__getitem__, None) == (answers["encoder"], [])


def test_the_first_one_has_the_benefit_of_the_doubt() -> None:
    """Better by one record of ten is no more than luck."""
    part, right = examined()
    almost, less = right.copy(), right.copy()
    almost[8:], less[:3] = 1 - right[8:], 1 - right[:3]
    answers = {"encoder": Answer(less), "kmer": Answer(almost)}
    taken, told = best(("encoder", "kmer"), answers.__getitem__, part)
    assert taken is answers["encoder"] and "Backbone taken: encoder" in told[0]
