"""Windows cover every letter once; masks are what BERT's are, and a function of seed and step alone."""

import numpy as np
import pytest

from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.corpus import Corpus, MaskedStream, Masking
from biograft.data.records import Records
from biograft.errors import BiograftError

MASK = len(PROTEIN.letters)


def corpus(*lengths: int, seed: int = 0) -> Corpus:
    generator = np.random.default_rng(seed)
    sequences = [PROTEIN.decode(generator.integers(20, size=length)) for length in lengths]
    return Corpus.of(Records.of(sequences, alphabet=PROTEIN))


def stream(letters: Corpus, budget: int = 200, window: int = 50, seed: int = 0) -> MaskedStream:
    return MaskedStream(letters, budget, window, MASK, seed=seed)


def test_windows_cover_every_letter_once_in_like_parts() -> None:
    letters = corpus(10, 101, 50, 1)
    starts, lengths = letters.windows(50)
    assert lengths.tolist() == [10, 33, 34, 34, 50, 1]
    covered = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])
    assert covered.tolist() == list(range(162))


def test_one_pass_asks_for_letters_of_every_row_and_shows_the_rest_unchanged() -> None:
    letters = corpus(*[40] * 30)
    source = stream(letters)
    assert source.per_epoch == 6
    seen = []
    for batch in source.once():
        shown, true, asked = batch.inputs.values.numpy(), batch.targets.numpy(), batch.counted.numpy()
        assert (shown[~asked] == true[~asked]).all()
        assert len(batch.inputs) == 5 and batch.inputs.lengths.tolist() == [40] * 5
        seen.append(true)
    assert sorted(np.concatenate(seen).tolist()) == sorted(letters.codes.tolist())


def test_the_shares_are_those_of_the_paper() -> None:
    codes = np.random.default_rng(1).integers(20, size=200_000).astype(np.uint8)
    shown, asked = Masking().draw(codes, 20, np.random.default_rng(2))
    assert asked.mean() == pytest.approx(0.15, abs=0.005)
    assert (shown[asked] == -1).mean() == pytest.approx(0.8, abs=0.01)
    changed = (shown[asked] != codes[asked]) & (shown[asked] >= 0)
    assert changed.mean() == pytest.approx(0.1 * 19 / 20, abs=0.01)  # one in twenty random letters is the true one


def test_ambiguity_letters_are_shown_but_never_asked_for() -> None:
    letters = Corpus.of(Records.of(["ACGTNNNNNNRYACGT" * 20], alphabet=DNA))
    batch = MaskedStream(letters, 10_000, 512, len(DNA.letters), Masking(share=0.9)).batch(0)
    asked = batch.targets.numpy()[batch.counted.numpy()]
    assert len(asked) > 100 and (asked < 4).all()


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    letters = corpus(*range(20, 60))
    forward = [stream(letters).batch(step) for step in range(12)]
    backward = [stream(letters).batch(step) for step in reversed(range(12))][::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one.inputs.values.equal(other.inputs.values) and one.counted.equal(other.counted)
    assert not forward[0].inputs.values.equal(stream(letters, seed=1).batch(0).inputs.values)
    masks = {tuple(batch.counted.tolist()[:20]) for batch in forward}
    assert len(masks) > 6


@pytest.mark.parametrize("shares", [(0.0, 0.8, 0.1), (1.0, 0.8, 0.1), (0.15, 0.8, 0.3), (0.15, -0.1, 0.1)])
def test_impossible_shares_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(BiograftError, match="Masking needs shares between 0 and 1"):
        Masking(*shares)
