"""The nearest reference against brute force, whichever way it is found."""

import numpy as np
import pytest

from biograft.data import nearest as module
from biograft.data.alignment import align
from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.nearest import nearest

AMINO = "ACDEFGHIKLMNPQRSTVWY"


def drawn(length: int, generator: np.random.Generator, letters: str = AMINO) -> str:
    return "".join(generator.choice(list(letters), length))


def mutated(ancestor: str, share: float, generator: np.random.Generator, letters: str = AMINO) -> str:
    text = np.array(list(ancestor))
    changed = generator.permutation(len(text))[: round(share * len(text))]
    text[changed] = generator.choice(list(letters), len(changed))
    return "".join(text)


@pytest.fixture(params=["every pair", "k-mers"])
def way(request, monkeypatch):
    if request.param == "k-mers":
        monkeypatch.setattr(module, "ALL_PAIRS_CELLS", 0)


@pytest.mark.parametrize(("alphabet", "letters"), [(PROTEIN, AMINO), (DNA, "ACGT")])
def test_it_is_the_reference_of_highest_identity(alphabet, letters, way):
    generator = np.random.default_rng(0)
    ancestors = [drawn(int(generator.integers(100, 200)), generator, letters) for _ in range(20)]
    shares = (0.05, 0.15, 0.25)
    references = [mutated(parent, share, generator, letters) for parent in ancestors for share in shares]
    queries = [mutated(parent, 0.05, generator, letters) for parent in ancestors] + [drawn(150, generator, letters)]
    found = nearest(queries, references, alphabet)
    pairs = np.indices((len(queries), len(references))).reshape(2, -1).T
    brute = align(pairs, queries, references, alphabet)
    identity = np.where(brute.query_coverage >= 0.5, brute.identity, 0).reshape(len(queries), -1)
    assert found.index[:-1].tolist() == (3 * np.arange(20)).tolist()
    assert found.identity[:-1] == pytest.approx(identity[np.arange(20), found.index[:-1]])
    assert (found.index[-1], found.identity[-1]) == (-1, 0.0)


def test_copies_have_one_and_of_equals_the_first_is_named(way):
    generator = np.random.default_rng(1)
    one, two = drawn(80, generator), drawn(80, generator)
    near = mutated(one, 0.1, generator)
    found = nearest([one, near, near, "AC"], [two, one, one, "AC"], PROTEIN)
    assert found.index.tolist() == [1, 1, 1, 3]
    assert found.identity[[0, 3]].tolist() == [1.0, 1.0]
    assert found.identity[1] == found.identity[2] == pytest.approx(0.9, abs=0.03)


def test_half_of_the_query_must_be_covered(way):
    generator = np.random.default_rng(2)
    shared = drawn(60, generator)
    query = shared + drawn(100, generator)
    assert nearest([query], [shared], PROTEIN).index.tolist() == [-1]
    assert nearest([query], [shared], PROTEIN, coverage=0.3).index.tolist() == [0]
    assert nearest([shared], [query], PROTEIN).index.tolist() == [0]


def test_nothing_is_near_nothing():
    assert nearest([], ["ACD"], PROTEIN).index.tolist() == []
    assert nearest(["ACD"], [], PROTEIN).index.tolist() == [-1]
    assert nearest(["X" * 50, "A"], ["A" * 50, "X" * 60], PROTEIN).index.tolist() == [-1, -1]


def test_variants_are_compared_letter_by_letter(monkeypatch):
    monkeypatch.setattr(module, "ALL_PAIRS_CELLS", 0)
    monkeypatch.setattr(module, "QUERIES", 16)
    monkeypatch.setattr(module, "REFERENCES", 50)
    generator = np.random.default_rng(3)
    wild = drawn(60, generator)
    sites = (5, 20, 21, 50)

    def variant() -> str:
        text = list(wild)
        for site in sites:
            text[site] = str(generator.choice(list(AMINO)))
        return "".join(text)

    queries, references = [variant() for _ in range(70)], [variant() for _ in range(130)]
    monkeypatch.setattr(module, "candidates", None)  # k-mers are not asked
    found = nearest(queries, references, PROTEIN)
    letters = [np.array([list(text) for text in texts]) for texts in (queries, references)]
    alike = (letters[0][:, None] == letters[1][None]).mean(axis=2)
    assert alike[np.arange(70), found.index].tolist() == alike.max(axis=1).tolist()
    assert found.identity == pytest.approx(alike.max(axis=1), abs=0.04)


def test_progress_reaches_its_end(way):
    heard: list[tuple[int, int]] = []
    generator = np.random.default_rng(4)
    parents = [drawn(90, generator) for _ in range(30)]
    queries = [mutated(parent, 0.1, generator) for parent in parents]
    nearest(queries, parents, PROTEIN, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1][0] == heard[-1][1] > 0
