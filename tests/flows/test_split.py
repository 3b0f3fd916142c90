"""Parting records for users."""

import numpy as np
import pytest

from biograft.data.generated import World
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.split import parts_of, split

WORLD = World(seed=5).target(60, 30, seed=0)


@pytest.fixture(autouse=True)
def without_mmseqs(monkeypatch):
    monkeypatch.setenv("BIOGRAFT_MMSEQS", "none")


def test_known_families_are_whole_and_classes_balanced():
    made = split(WORLD, label="label")
    named = np.array(WORLD.column("family"))
    for family in np.unique(named):
        assert len(set(made.parts[named == family])) == 1
    labels = np.array(WORLD.column("label"))
    for label in np.unique(labels):
        assert (made.parts[labels == label] == "train").mean() == pytest.approx(0.7, abs=0.08)
    assert (made.how, made.program) == ("homology", "exact alignment of all pairs")
    assert sum(len(made.rows(name)) for name in ("train", "valid", "test")) == len(WORLD)


def test_other_ways_are_named():
    assert split(WORLD, "random").how == "random"
    made = split(WORLD, "column:set")
    assert made.rows("test").tolist() == np.flatnonzero(np.array(WORLD.column("set")) == "test").tolist()
    with pytest.raises(BiograftError, match="Unknown split: got 'chance'"):
        split(WORLD, "chance")


def test_one_family_of_most_records_is_refused():
    generator = np.random.default_rng(0)
    wild = "".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), 90))
    variants = [wild[:row] + "W" + wild[row + 1 :] for row in range(0, 80, 2)]
    strangers = ["".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), 90)) for _ in range(10)]
    with pytest.raises(BiograftError, match="one family holds 80% of the records"):
        split(Records.of(variants + strangers))


def test_numbers_are_balanced_by_fifths():
    records = Records.of(WORLD.sequences, columns={"value": [str(row) for row in range(len(WORLD))]})
    made = split(records, label="value")
    low = np.arange(len(WORLD)) < len(WORLD) // 2
    assert (made.parts[low] == "train").mean() == pytest.approx(0.7, abs=0.1)


def test_parts_of_a_table_with_its_own_sets():
    train, test = parts_of(WORLD)
    assert (len(train), len(test)) == (60, 30)
    with pytest.raises(BiograftError, match="names 0 train and 30 test rows"):
        parts_of(test)
    with pytest.raises(BiograftError, match="got no column 'set'"):
        parts_of(Records.of(["MKV", "MKL"]))
