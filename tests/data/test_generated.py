"""The generated world keeps its promises: families that are families, labels that motifs decide, the same each time."""

from itertools import pairwise

import numpy as np
import pytest

from biograft.data.clusters import families
from biograft.data.generated import World
from biograft.data.records import Records
from biograft.errors import BiograftError

WORLD = World(seed=3)
STILL = World(seed=3, drift=0.0, motif_drift=0.0)  # every member is its ancestor, so that motifs stand as they are


def found_families(records: Records) -> np.ndarray:
    """Families at 40 % identity, found without another program."""
    return families(records.sequences, records.alphabet, 0.4, program="own").labels


@pytest.mark.parametrize(
    "records",
    [
        WORLD.source(200, seed=0),
        WORLD.source(200, seed=0, useful=False),
        WORLD.target(60, 120, seed=0, valid=12),
        WORLD.shifted(60, 0, "harmful"),
    ],
    ids=["related source", "unrelated source", "target", "harmful source"],
)
def test_families_are_families_at_40_percent(records: Records) -> None:
    named = np.unique(records.column("family"), return_inverse=True)[1]
    found = found_families(records)
    for family in np.unique(named):
        assert len(set(found[named == family].tolist())) == 1, "members of one family are alike"
    # Of random sequences with the same motif a few are alike by chance.
    assert len(set(found.tolist())) >= 0.95 * len(set(named.tolist()))


def test_sources_and_parts_are_strangers() -> None:
    source, target = WORLD.source(200, seed=0), WORLD.target(60, 120, seed=0, valid=12)
    parts = np.array(["source"] * len(source) + target.column("set"))
    found = found_families(Records.of(source.sequences + target.sequences, alphabet=source.alphabet))
    assert [int((parts == name).sum()) for name in ("source", "train", "valid", "test")] == [200, 60, 12, 120]
    shared = [family for family in np.unique(found) if len(set(parts[found == family].tolist())) > 1]
    assert len(shared) <= 0.03 * len(np.unique(found))


def motifs_in(records: Records) -> dict[str, set[str]]:
    """Labelled stretches of letters, by mark."""
    found: dict[str, set[str]] = {}
    for sequence, marks in zip(records.sequences, records.column("label"), strict=True):
        assert len(marks) == len(sequence)
        inside = [place for place, mark in enumerate(marks) if mark != "a"]
        assert all(second - first == 1 for first, second in pairwise(inside))
        assert len({marks[place] for place in inside}) == 1
        found.setdefault(marks[inside[0]], set()).add(sequence[inside[0] : inside[-1] + 1])
    return found


def test_marks_of_the_source_stand_on_its_motifs() -> None:
    found = motifs_in(STILL.source(200, seed=0))
    assert sorted(found) == list("bcdefg")
    assert all(len(words) == 1 and len(min(words)) == STILL.span for words in found.values())


def test_classes_of_the_target_are_decided_by_motifs_of_the_source() -> None:
    words = {mark: min(found) for mark, found in motifs_in(STILL.source(200, seed=0)).items()}
    target = STILL.target(60, 60, seed=1)
    for sequence, label in zip(target.sequences, target.column("label"), strict=True):
        (mark,) = [mark for mark, word in words.items() if word in sequence]
        assert label == f"class {'ABC'[(ord(mark) - ord('b')) % 3]}"


def test_the_unrelated_source_knows_none_of_the_motifs() -> None:
    words = {min(found) for found in motifs_in(STILL.source(200, seed=0)).values()}
    unrelated = STILL.source(200, seed=0, useful=False)
    others = {min(found) for found in motifs_in(unrelated).values()}
    assert len(others) == 6
    assert max(sum(a == b for a, b in zip(word, other, strict=True)) for word in words for other in others) < 5
    assert not any(word in sequence for word in words for sequence in unrelated.sequences)


def test_helpful_and_harmful_sources_tell_the_same_motifs_apart_and_disagree_on_what_they_mean() -> None:
    words = {mark: min(found) for mark, found in motifs_in(STILL.source(200, seed=0)).items()}
    for relation, shift in (("helpful", 0), ("harmful", 1)):
        made = STILL.shifted(60, 1, relation)  # type: ignore[arg-type]
        assert set(made.column("set")) == {"train"}
        for sequence, label in zip(made.sequences, made.column("label"), strict=True):
            (mark,) = [mark for mark, word in words.items() if word in sequence]
            assert label == f"class {'ABC'[(ord(mark) - ord('b') + shift) % 3]}"


def test_a_useless_source_knows_neither_the_motifs_nor_the_names() -> None:
    words = {min(found) for found in motifs_in(STILL.source(200, seed=0)).values()}
    useless = STILL.shifted(60, 1, "useless")
    assert not any(word in sequence for word in words for sequence in useless.sequences)
    assert set(useless.column("label")) == {"kind A", "kind B", "kind C"}


def test_classes_are_even_in_every_part() -> None:
    target = WORLD.target(60, 60, seed=0, valid=12)
    for part, size in (("train", 60), ("valid", 12), ("test", 60)):
        held = [label for label, name in zip(target.column("label"), target.column("set"), strict=True) if name == part]
        assert {label: held.count(label) for label in set(held)} == dict.fromkeys(
            ("class A", "class B", "class C"), size // 3
        )


def test_the_same_seed_gives_the_same_records_and_another_one_others() -> None:
    first, again, other = WORLD.source(8, seed=0), World(seed=3).source(8, seed=0), WORLD.source(8, seed=1)
    assert (first.sequences, first.columns) == (again.sequences, again.columns)
    assert not set(first.sequences) & set(other.sequences)
    target = WORLD.target(8, 8, seed=0)
    assert target.sequences == World(seed=3).target(8, 8, seed=0).sequences
    assert target.sequences != World(seed=4).target(8, 8, seed=0).sequences


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"classes": 1}, "got 1 classes, expected 2 to 10"),
        ({"motifs": 26}, "got 26 motifs, expected one per class or more, at most 25"),
        ({"classes": 4, "motifs": 3}, "got 3 motifs"),
        ({"shortest": 6}, "motifs of 7 letters in 6 to 100 letters, expected them to fit"),
        ({"drift": 1.5}, "drifts of 1.5 and 0.12, expected shares from 0 to 1"),
    ],
)
def test_numbers_that_make_no_world_are_refused(numbers: dict[str, float], message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        World(**numbers)
