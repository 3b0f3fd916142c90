"""The say of the nearest training record: learned without asking a record about itself, and none where it is chance."""

import numpy as np
import pytest

from biograft.data.nearest import Nearest
from biograft.errors import BiograftError
from biograft.tasks.relatives import Relatives

NAMES = [f"family{row // 2}" for row in range(200)]


def search(queries: list[str], references: list[str]) -> Nearest:
    """Names as sequences: relatives have equal ones, of an identity that rises with the name's number."""
    index = np.array([references.index(query) if query in references else -1 for query in queries])
    share = np.array([0.2 + 0.006 * int(query.removeprefix("family")) for query in queries])
    return Nearest(index, np.where(index >= 0, share, 0.0))


def test_trust_is_the_share_of_relatives_that_agree_and_rises_with_identity() -> None:
    codes = np.array([row // 2 % 3 for row in range(200)])
    codes[1:100:2] += np.arange(50) % 2  # every other one of the distant relatives disagrees
    found = Relatives.learned(codes, NAMES, search, seed=0)
    assert (np.diff(found.trust) >= 0).all() and (np.diff(found.identity) > 0).all()
    assert found.trust[0] == pytest.approx(0.25, abs=0.15)  # half of the pairs agree, a third would by chance
    assert found.trust[-1] > 0.9
    assert found.identity[0] < 0.35 and found.identity[-1] > 0.65


def test_no_record_is_asked_about_itself() -> None:
    alone = [f"family{row}" for row in range(100)]
    with pytest.raises(BiograftError, match="got 0 training records with a relative"):
        Relatives.learned(np.zeros(100, int), alone, search, seed=0)


def test_of_a_large_table_one_fold_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biograft.tasks.relatives.MOST_ASKED", 30)
    calls = []

    def counted(queries: list[str], references: list[str]) -> Nearest:
        calls.append((len(queries), len(references)))
        return search(queries, references)

    Relatives.learned(np.zeros(200, int), NAMES, counted, seed=0)
    assert calls == [(30, 170)]


def test_the_class_of_the_nearest_counts_by_trust_and_the_model_keeps_the_rest() -> None:
    relatives = Relatives(np.array([2, 0, -1]), np.array([0.2, 0.6]), np.array([0.5, 0.9]))
    outputs = np.log(np.array([[0.7, 0.2, 0.1]] * 4))
    near = Nearest(np.array([0, -1, 0, 2]), np.array([0.4, 0.0, 1.0, 0.9]))
    shares = np.exp(relatives.blended(outputs, near))
    assert shares[0] == pytest.approx(0.3 * np.array([0.7, 0.2, 0.1]) + [0, 0, 0.7])  # half the way from .5 to .9
    assert shares[1] == pytest.approx([0.7, 0.2, 0.1])  # no relative
    assert shares[2] == pytest.approx(0.1 * np.array([0.7, 0.2, 0.1]) + [0, 0, 0.9])  # beyond the curve: its end
    assert shares[3] == pytest.approx([0.7, 0.2, 0.1])  # a relative of a class that has no output
    assert relatives.told(near).startswith(
        "The class of the nearest training record counts as far as training records of that identity share classes "
        "more often than any two do: 0.50 at 20 % identity, 0.90 at 60 % identity. 3 of 4 test records have a relative"
    )


def test_copies_are_one_step_whose_trust_is_the_share_of_all_of_them() -> None:
    codes = np.random.default_rng(0).integers(0, 2, 200)

    def copies(queries: list[str], references: list[str]) -> Nearest:
        return Nearest(np.array([references.index(query) for query in queries]), np.ones(len(queries)))

    found = Relatives.learned(codes, ["it"] * 200, copies, seed=0)
    assert found.identity.tolist() == [1.0] and found.trust[0] < 0.15
    assert found.told(Nearest(np.array([0]), np.ones(1))).count("at 100 % identity") == 1


def test_answers_stay_finite_where_a_model_is_certain() -> None:
    relatives = Relatives(np.array([1]), np.array([0.5]), np.array([1.0]))
    found = relatives.blended(np.array([[1000.0, -1000.0]]), Nearest(np.array([0]), np.array([1.0])))
    assert np.isfinite(found).all() and found.argmax() == 1


def test_relatives_of_other_families_are_asked_about_too_and_chance_counts_for_nothing() -> None:
    """Pairs within a family agree; whole families left out find others at a low identity, which tell nothing."""
    codes = np.array([row // 2 * 7 % 3 for row in range(200)])
    families = np.arange(200) // 2

    def far(queries: list[str], references: list[str]) -> Nearest:
        known = [references.index(query) if query in references else 0 for query in queries]
        return Nearest(np.array(known), np.array([0.9 if query in references else 0.3 for query in queries]))

    asked: list[int] = []

    def counted(queries: list[str], references: list[str]) -> Nearest:
        near = far(queries, references)
        asked.append(int((near.identity < 0.5).sum()))
        return near

    found = Relatives.learned(codes, NAMES, counted, 0, families)
    assert sum(asked[:5]) < 100 and sum(asked[5:]) == 200  # records, then families: all of these find strangers alone
    assert found.identity[0] == pytest.approx(0.3) and found.trust[0] < 0.2 and found.trust[-1] > 0.9
