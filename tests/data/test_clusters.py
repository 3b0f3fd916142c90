"""Families against exhaustive alignment, whichever way pairs are found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biograft.data import clusters, homology
from biograft.data.alignment import align
from biograft.data.alphabet import DNA, PROTEIN, RNA, Alphabet, reverse_complement
from biograft.data.clusters import Components, families
from biograft.data.homology import Homology
from biograft.data.split import by_family
from biograft.errors import BiograftError

AMINO = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture(autouse=True)
def without_mmseqs(monkeypatch):
    monkeypatch.setenv("BIOGRAFT_MMSEQS", "none")


def drawn(length: int, generator: np.random.Generator, letters: str = AMINO) -> str:
    return "".join(generator.choice(list(letters), length))


def mutated(ancestor: str, share: float, generator: np.random.Generator, letters: str = AMINO) -> str:
    """The ancestor with this share of its letters changed."""
    text = list(ancestor)
    for place in generator.permutation(len(text))[: round(share * len(text))]:
        text[place] = str(generator.choice([letter for letter in letters if letter != text[place]]))
    return "".join(text)


def mixed(seed: int, ancestors: int = 12, members: int = 5, drift: float = 0.55) -> list[str]:
    """Chains of descent: members with 5 % to ``drift`` of the letters changed, some cut."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(ancestors):
        parent = drawn(int(generator.integers(60, 200)), generator)
        for _ in range(members):
            child = mutated(parent, float(generator.uniform(0.05, drift)), generator)
            cut = int(generator.integers(0, len(child) // 3))
            found.append(child[cut:])
            parent = child if generator.random() < 0.5 else parent
    return found


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def homologous(sequences: list[str], alphabet: Alphabet, identity: float) -> np.ndarray:
    """(pairs, 2) of all homologous pairs, by aligning every pair in both directions."""
    judge = Homology(sequences, alphabet, identity, 0.5)
    pairs = np.stack(np.triu_indices(len(sequences), 1), axis=1)
    reached = np.zeros(len(pairs), bool)
    for direction in (pairs, pairs[:, ::-1]):
        found = align(direction, sequences, sequences, alphabet)
        significant = found.score >= judge.aligner.least_score(
            judge.lengths[pairs].min(axis=1), judge.letters, homology.EXPECTED
        )
        reached |= (found.identity >= identity) & (found.coverage >= 0.5) & significant
    return pairs[reached]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("few", [True, False], ids=["every pair", "k-mers"])
def test_no_homologous_pair_lies_across_families_or_parts(seed, few, monkeypatch):
    # Evenly scattered changes leave hardly a k-mer at 45 % identity; in nature they come in patches.
    sequences = mixed(seed, drift=0.55 if few else 0.4)
    monkeypatch.setattr(homology, "ALL_PAIRS_CELLS", 4e9 if few else 0)
    found = families(sequences, PROTEIN, 0.4)
    assert found.program == ("exact alignment of all pairs" if few else "shared k-mers, exact alignment")
    pairs = homologous(sequences, PROTEIN, 0.4)
    assert len(pairs) > 50
    truth = Components(len(sequences))
    truth.join(pairs)
    assert partition(found.labels) == partition(truth.of)
    parts = by_family(found.labels, None)
    assert (parts[pairs[:, 0]] == parts[pairs[:, 1]]).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_is_exact(seed):
    generator = np.random.default_rng(seed)
    one = drawn(150, generator)
    two = mutated(one, 0.5, generator)
    identity = max(align(np.array([[0, 0]]), [a], [b], PROTEIN).identity[0] for a, b in ((one, two), (two, one)))
    assert 0.4 < identity < 0.65
    assert families([one, two], PROTEIN, identity).labels.tolist() == [0, 0]
    assert families([one, two], PROTEIN, identity + 0.001).labels.tolist() == [0, 1]


def test_coverage_is_of_the_shorter():
    generator = np.random.default_rng(5)
    shared = drawn(60, generator)
    short, long = shared + drawn(70, generator), drawn(200, generator) + shared
    assert families([short, long], PROTEIN, 0.9, coverage=0.4).count == 1
    assert families([short, long], PROTEIN, 0.9, coverage=0.5).count == 2
    assert families([shared, long], PROTEIN, 0.9, coverage=1.0).count == 1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_the_input_is_no_matter(seed):
    sequences = mixed(seed % 7, ancestors=5)
    order = np.random.default_rng(seed).permutation(len(sequences))
    usual = families(sequences, PROTEIN).labels
    turned = families([sequences[row] for row in order], PROTEIN).labels
    assert partition(usual[order]) == partition(turned)
    assert turned[0] == 0
    assert (np.diff(np.unique(turned, return_index=True)[1]) > 0).all()


def test_copies_are_together_however_short():
    sequences = ["A", "MKV", "A", "WWW", "MKV", "X" * 40, "X" * 40]
    assert families(sequences, PROTEIN).labels.tolist() == [0, 1, 0, 2, 1, 3, 3]
    assert families(["ACDEF" * 9] * 4, PROTEIN).labels.tolist() == [0, 0, 0, 0]
    assert families(["ACD"], PROTEIN).labels.tolist() == [0]
    assert families([], PROTEIN).count == 0


@pytest.mark.parametrize("few", [True, False], ids=["every pair", "k-mers"])
def test_dna_is_compared_on_either_strand_and_rna_as_it_is_written(few, monkeypatch):
    monkeypatch.setattr(homology, "ALL_PAIRS_CELLS", 4e9 if few else 0)
    generator = np.random.default_rng(2)
    ancestors = [drawn(200, generator, "ACGT") for _ in range(4)]
    sequences = []
    for number in range(40):
        member = mutated(ancestors[number % 4], 0.1, generator, "ACGT")
        sequences.append(reverse_complement(member, DNA) if number // 4 % 2 else member)
    assert partition(families(sequences, DNA, 0.7).labels) == partition(np.arange(40) % 4)
    copies = [ancestors[0], reverse_complement(ancestors[0], DNA), ancestors[1]]
    assert families(copies, DNA, 1.0).labels.tolist() == [0, 0, 1]
    as_rna = [sequence.replace("T", "U") for sequence in sequences]
    assert partition(families(as_rna, RNA, 0.7).labels) == partition(np.arange(40) % 8)


def test_variants_of_one_protein_cost_few_alignments(monkeypatch):
    generator = np.random.default_rng(0)
    wild = drawn(120, generator)
    sequences = [mutated(wild, 0.03, generator) for _ in range(1500)]
    aligned = []
    usual = Homology.test
    monkeypatch.setattr(
        Homology, "test", lambda self, pairs, *rest: aligned.append(len(pairs)) or usual(self, pairs, *rest)
    )
    assert families(sequences, PROTEIN).count == 1
    assert sum(aligned) < 3 * len(sequences)


def test_repeats_and_unknown_letters_are_no_relatives_by_chance():
    generator = np.random.default_rng(0)
    unknown = [drawn(200, generator, "XXXXXXACDEFGHIKLMNPQRSTVWY") for _ in range(150)]
    assert families(unknown, PROTEIN).count > 140
    long = drawn(3000, generator)
    assert families([long, "A", mutated(long, 0.2, generator), long[:200]], PROTEIN).labels.tolist() == [0, 1, 0, 0]


def test_progress_rises_to_the_whole(monkeypatch):
    for cells in (4e9, 0):
        monkeypatch.setattr(homology, "ALL_PAIRS_CELLS", cells)
        heard: list[tuple[int, int]] = []
        families(mixed(1), PROTEIN, progress=lambda done, total, heard=heard: heard.append((done, total)))
        assert heard == sorted(heard)
        assert heard[-1] == (clusters.WHOLE, clusters.WHOLE)


@pytest.mark.parametrize("options", [{"identity": 0.0}, {"identity": 40}, {"coverage": 1.5}])
def test_thresholds_are_shares(options):
    with pytest.raises(BiograftError, match="expected a share above 0 and at most 1"):
        families(["ACD"], PROTEIN, **options)


def test_programs_have_names():
    with pytest.raises(BiograftError, match="got 'blast', expected one of auto, own, mmseqs"):
        families(["ACD"], PROTEIN, program="blast")
    with pytest.raises(BiograftError, match="proteins only"):
        families(["ACGT", "GGGT"], DNA, program="mmseqs")
    with pytest.raises(BiograftError, match="MMseqs2 is not there"):
        families(["ACD", "GGG"], PROTEIN, program="mmseqs")


def test_spokesmen_are_the_first_of_each_set():
    found = Components(7)
    found.join(np.array([[0, 3], [3, 5], [5, 6], [1, 4]]))
    assert found.spokesmen(2).tolist() == [0, 1, 2, 3, 4]
    assert found.spokesmen(9).tolist() == list(range(7))
