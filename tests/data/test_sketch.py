"""Nearest training proteins by hashes: near ones are found, identities come close, copies alone are copies."""

import random
from pathlib import Path

import numpy as np
import pytest

from biograft.data.alphabet import PROTEIN
from biograft.data.nearest import nearest
from biograft.data.sketch import Sketch
from biograft.errors import BiograftError

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def protein(seed: int, length: int = 300) -> str:
    return "".join(random.Random(seed).choices(LETTERS, k=length))


def changed(sequence: str, share: float, seed: int = 0) -> str:
    """With so large a share of its letters replaced by others."""
    chance = random.Random(seed)
    places = set(chance.sample(range(len(sequence)), round(share * len(sequence))))
    return "".join(
        chance.choice(LETTERS.replace(letter, "")) if place in places else letter
        for place, letter in enumerate(sequence)
    )


REFERENCES = [protein(seed) for seed in range(60)]
IDS = [f"r{row}" for row in range(60)]
SKETCH = Sketch.of(IDS, REFERENCES)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3])
def test_relatives_are_named_and_their_identity_comes_close(share: float) -> None:
    queries = [changed(sequence, share, seed) for seed, sequence in enumerate(REFERENCES)]
    found, exact = SKETCH.nearest(queries), nearest(queries, REFERENCES, PROTEIN)
    assert np.array_equal(exact.index, np.arange(60))
    named = found.index >= 0
    assert named.mean() > (0.95 if share < 0.25 else 0.6)
    assert np.array_equal(found.index[named], exact.index[named])
    # letters changed at random spare fewer words than evolution does, for which the exponent was fitted
    assert np.abs(found.identity[named] - exact.identity[named]).mean() < (0.15 if share < 0.25 else 0.25)


def test_a_copy_and_nothing_else_is_one() -> None:
    other = REFERENCES[7][:-1] + ("A" if REFERENCES[7][-1] != "A" else "C")
    found = SKETCH.nearest([REFERENCES[7], other, "MK", REFERENCES[7][:5]])
    assert found.index.tolist() == [7, 7, -1, -1]
    assert found.identity[0] == 1.0 and 0.9 < found.identity[1] < 1.0 and not found.identity[2:].any()
    twice = Sketch.of(["a", "b"], [REFERENCES[0]] * 2)
    assert twice.nearest([REFERENCES[0]]).index.tolist() == [0]


def test_strangers_repeats_and_fragments_have_no_relative() -> None:
    assert (SKETCH.nearest([protein(seed) for seed in range(1000, 1200)]).index < 0).mean() > 0.97
    repeats = [("PGQA" * 20 + protein(seed, 200)) for seed in range(2000, 2030)]
    assert Sketch.of(IDS[:30], repeats).nearest(["PGQA" * 60]).index.tolist() == [-1]
    assert SKETCH.nearest([REFERENCES[3] + protein(3000, 400)]).index.tolist() == [-1], "less than half is covered"


def test_batch_equals_alone() -> None:
    queries = [changed(sequence, 0.15) for sequence in REFERENCES[:8]]
    together = SKETCH.nearest(queries)
    for place, query in enumerate(queries):
        alone = SKETCH.nearest([query])
        assert (alone.index[0], alone.identity[0]) == (together.index[place], together.identity[place])
    assert len(SKETCH.nearest([]).index) == 0


def test_saved_and_loaded_is_the_same_and_holds_no_sequence(tmp_path: Path) -> None:
    odd = Sketch.of(["short", "é", "last"], ["MK", REFERENCES[0], "XXXXXXXXXX"])
    for made in (SKETCH, odd, Sketch.of([], [])):
        made.save(tmp_path / "n.npz")
        again = Sketch.load(tmp_path / "n.npz")
        assert again.ids == made.ids
        for name in ("lengths", "digests", "counts", "hashes"):
            assert np.array_equal(getattr(again, name), getattr(made, name))
    assert SKETCH.counts.sum() < 0.3 * sum(map(len, REFERENCES))
    assert Sketch.of([], []).nearest(["MKTAYIAK"]).index.tolist() == [-1]


def test_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.npz"
    with pytest.raises(BiograftError, match=r"n\.npz' is missing or damaged"):
        Sketch.load(path)
    SKETCH.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BiograftError, match="is missing or damaged"):
        Sketch.load(path)
    np.savez(path, ids=np.zeros(1, np.uint8), lengths=[1], digests=[1], counts=[5], steps=[1])
    with pytest.raises(BiograftError, match="parts of unequal length"):
        Sketch.load(path)
