"""Candidates: related pairs are among them, each once, and groups are stepped over."""

import numpy as np
import pytest

from biograft.data.alignment import Aligner
from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.letters import Letters
from biograft.data.seeds import Seeds, best, candidates, sketches

AMINO = "ACDEFGHIKLMNPQRSTVWY"


def drawn(length: int, generator: np.random.Generator, letters: str = AMINO) -> str:
    return "".join(generator.choice(list(letters), length))


def mutated(ancestor: str, share: float, generator: np.random.Generator, letters: str = AMINO) -> str:
    text = np.array(list(ancestor))
    changed = generator.permutation(len(text))[: round(share * len(text))]
    text[changed] = generator.choice(list(letters), len(changed))
    return "".join(text)


def floor(shorter: np.ndarray) -> np.ndarray:
    return np.full(len(shorter), 40)


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    return {(int(one), int(two)) for one, two in pairs}


@pytest.mark.parametrize(("alphabet", "letters"), [(PROTEIN, AMINO), (DNA, "ACGT")])
def test_relatives_are_found_once_and_strangers_hardly_ever(alphabet, letters):
    generator = np.random.default_rng(0)
    parents = [drawn(150, generator, letters) for _ in range(40)]
    children = [mutated(parent, 0.25, generator, letters) for parent in parents]
    aligner = Aligner(alphabet)
    seeds = Seeds.of(alphabet is PROTEIN, 12_000)
    one, two = Letters.of(parents, aligner), Letters.of(children, aligner)
    wanted = {(row, row) for row in range(40)}
    between = as_set(candidates(one, two, aligner, seeds, floor).pairs)
    assert wanted <= between
    assert len(between) < 60
    found = candidates(Letters.of(parents + children, aligner), None, aligner, seeds, floor)
    assert {(row, row + 40) for row in range(40)} <= as_set(found.pairs)
    assert len(as_set(found.pairs)) == len(found.pairs)
    assert (found.pairs[:, 0] < found.pairs[:, 1]).all()
    assert (found.score <= aligner.scores(found.pairs, parents + children, parents + children)).all()


def test_groups_are_stepped_over():
    generator = np.random.default_rng(1)
    parent = drawn(120, generator)
    sequences = [mutated(parent, 0.1, generator) for _ in range(9)]
    aligner = Aligner(PROTEIN)
    group = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    found = candidates(Letters.of(sequences, aligner), None, aligner, Seeds.of(True, 1000), floor, group)
    assert as_set(found.pairs) == {(a, b) for a in range(9) for b in range(a + 1, 9) if group[a] != group[b]}


def test_a_seed_never_reaches_from_one_sequence_into_the_next():
    aligner = Aligner(PROTEIN)
    letters = Letters.of(["ACDE", "FGHI", "X", "ACXE"], aligner)
    places, numbers = letters.words("1111")
    assert letters.owner[places].tolist() == [0, 1]
    assert len(set(numbers.tolist())) == 2
    assert Letters.of(["ACGT", "A"], Aligner(DNA)).words("110100110111")[0].tolist() == []


def test_crowded_words_are_read_in_part():
    """The bound on hits is kept, and what is seen is still right."""
    generator = np.random.default_rng(2)
    sequences = ["".join(generator.choice(["QA", "AQ", "QQ", "AA"], 50)) for _ in range(60)]
    aligner = Aligner(PROTEIN)
    letters = Letters.of(sequences, aligner)
    whole = candidates(letters, None, aligner, Seeds.of(True, 1000), floor)
    usual = Seeds.of(True, 1000)
    bounded = Seeds(usual.pattern, usual.near, usual.around, usual.glance, hits=20_000)
    part = candidates(letters, None, aligner, bounded, floor)
    assert 0 < len(part.pairs) <= len(whole.pairs)
    assert as_set(part.pairs) <= as_set(whole.pairs)


@pytest.mark.parametrize("sequences", [["A"], ["X" * 40, "X" * 40], ["ACDEFGHIKL", "W"]])
def test_hardly_any_letters_give_no_pairs(sequences):
    aligner = Aligner(PROTEIN)
    found = candidates(Letters.of(sequences, aligner), None, aligner, Seeds.of(True, 10), floor)
    assert found.pairs.shape == (0, 2)
    assert list(sketches(sequences[:1], aligner)) == []


def test_sketches_are_stars_around_the_first_and_few():
    generator = np.random.default_rng(3)
    parent = drawn(200, generator)
    sequences = [parent, *(mutated(parent, 0.02, generator) for _ in range(300)), drawn(200, generator)]
    stars = np.concatenate(list(sketches(sequences, Aligner(PROTEIN))))
    assert (stars[:, 0] < stars[:, 1]).all()
    assert set(range(1, 301)) == set(stars[:, 1].tolist())
    assert len(stars) < 15 * len(sequences)


def test_the_best_score_of_each_key_is_kept():
    key, score = best(np.array([5, 2, 5, 2, 9]), np.array([1, 7, 4, 3, 0]))
    assert key.tolist() == [2, 5, 9]
    assert score.tolist() == [7, 4, 0]
