"""Parts of a table: families whole, classes balanced, and clear words where that can't be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biograft.data.split import PARTS, Split, by_column, by_family, random
from biograft.errors import BiograftError

SHARES = (0.7, 0.1, 0.2)


def shares_of(parts: np.ndarray, rows: np.ndarray | slice = slice(None)) -> list[float]:
    return [float((parts[rows] == name).mean()) for name in PARTS]


def many(seed: int, families: int = 200) -> np.ndarray:
    """Families whose sizes fall like those of real ones: most are alone, a few are large."""
    generator = np.random.default_rng(seed)
    return np.repeat(np.arange(families), np.minimum(generator.zipf(1.8, families), 25))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 5))
def test_a_family_is_never_in_two_parts(seed, classes):
    families = many(seed, 60)
    strata = np.random.default_rng(seed).integers(-1, classes, len(families)) if classes else None
    parts = by_family(families, strata, seed=seed)
    assert set(parts) == set(PARTS)
    for family in np.unique(families):
        assert len(set(parts[families == family])) == 1


@pytest.mark.parametrize("seed", range(5))
def test_sizes_and_classes_are_close_to_what_is_wanted(seed):
    families = many(seed)
    generator = np.random.default_rng(seed)
    usual = generator.choice(4, families.max() + 1, p=[0.6, 0.25, 0.1, 0.05])
    strata = np.where(generator.random(len(families)) < 0.9, usual[families], generator.integers(0, 4, len(families)))
    parts = by_family(families, strata, seed=seed)
    assert shares_of(parts) == pytest.approx(SHARES, abs=0.02)
    for code in range(4):
        assert shares_of(parts, strata == code) == pytest.approx(SHARES, abs=0.06), code


def test_the_balance_is_perfect_where_it_can_be():
    families = np.arange(200)
    strata = np.repeat([0, 1], [150, 50])
    parts = by_family(families, strata)
    assert [int((parts[strata == code] == name).sum()) for code in (0, 1) for name in PARTS] == [105, 15, 30, 35, 5, 10]


def test_the_seed_decides_and_nothing_else():
    families = many(0)
    assert by_family(families, None, seed=3).tolist() == by_family(families * 7 + 2, None, seed=3).tolist()
    assert by_family(families, None, seed=3).tolist() != by_family(families, None, seed=4).tolist()


def test_a_family_that_is_nearly_all_is_refused():
    families = np.repeat([0, *range(1, 21)], [80, *[1] * 20])
    with pytest.raises(BiograftError, match="one family holds 80% of the records") as fault:
        by_family(families, None)
    for advice in ("--identity", "--split random", "--split column:set"):
        assert advice in str(fault.value)
    by_family(families, None, (0.9, 0.0, 0.1))


def test_a_large_family_goes_to_training():
    parts = by_family(np.repeat([0, *range(1, 41)], [60, *[1] * 40]), None)
    assert set(parts[:60]) == {"train"}
    assert shares_of(parts) == pytest.approx(SHARES)


@pytest.mark.parametrize("families", [[0], [0, 0, 0, 0], [0, 1, 1, 0]])
def test_too_few_families_are_refused(families):
    with pytest.raises(BiograftError, match="Too few families for a split"):
        by_family(np.array(families), None)


def test_every_part_has_a_family_however_small_the_table():
    assert sorted(by_family(np.array([5, 6, 7]), None)) == ["test", "train", "valid"]
    assert sorted(set(by_family(np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, -1])))) == ["test", "train", "valid"]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.0, 0.5, 0.5), (0.3, 0.3, 0.3), (1, 0, np.nan)])
def test_shares_add_up_and_train_has_one(shares):
    with pytest.raises(BiograftError, match=r"expected three numbers|training part that is empty"):
        by_family(np.arange(9), None, shares)
    with pytest.raises(BiograftError, match="nothing to split"):
        by_family(np.array([], int), None)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 400), st.integers(1, 40), st.integers(0, 99))
def test_random_parts_have_the_wanted_sizes(rows, classes, seed):
    strata = np.random.default_rng(seed).integers(-1, classes, rows)
    for codes in (strata, None):
        parts = random(rows, codes, seed=seed)
        assert set(parts) == set(PARTS)
        assert [int((parts == name).sum()) for name in PARTS] == pytest.approx(
            [share * rows for share in SHARES], abs=2
        )


def test_random_parts_balance_classes_and_are_random():
    strata = np.repeat([0, 1], [300, 20])
    parts = random(320, strata)
    assert [int((parts[300:] == name).sum()) for name in PARTS] == [14, 2, 4]
    assert parts.tolist() == random(320, strata).tolist() != random(320, strata, seed=1).tolist()
    assert len(set(parts[:20])) > 1
    with pytest.raises(BiograftError, match="Too few records"):
        random(2, None)


def test_a_column_is_read_in_its_usual_spellings():
    values = ["Train", "validation", " TEST", "", "train", "dev"]
    assert by_column(values).tolist() == ["train", "valid", "test", "", "train", "valid"]
    with pytest.raises(BiograftError, match="column 'fold': got 'holdout', expected one of train"):
        by_column(["train", "test", "holdout"], column="fold")
    with pytest.raises(BiograftError, match=r"test part that is empty.*train 2, valid 0, test 0, none 1"):
        by_column(["train", "train", ""])


def test_a_missing_valid_part_is_cut_from_train_by_family():
    families = np.repeat(np.arange(50), 4)
    values = ["train"] * 160 + ["test"] * 40
    parts = by_column(values, families)
    assert (parts[160:] == "test").all()
    assert int((parts == "valid").sum()) == 16
    for family in range(40):
        assert len(set(parts[families == family])) == 1
    variants = by_column(values, np.zeros(200, int))
    assert int((variants == "valid").sum()) == 16


def test_rows_of_a_part_are_ascending():
    made = Split(np.array(["test", "train", "test", ""]), np.arange(4), "random", "")
    assert made.rows("test").tolist() == [0, 2]
    with pytest.raises(BiograftError, match="Unknown part of a split: got 'holdout'"):
        made.rows("holdout")
