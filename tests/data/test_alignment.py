"""Alignments against a plain dynamic programme (Bio.Align) and against each other."""

import numpy as np
import pytest
from Bio.Align import PairwiseAligner, substitution_matrices
from hypothesis import given, settings
from hypothesis import strategies as st

from biograft.data import alignment
from biograft.data.alignment import Aligner, align, aligned_positions
from biograft.data.alphabet import DNA, PROTEIN, RNA

AMINO = "ACDEFGHIKLMNPQRSTVWY"


def mutated(ancestor: str, identity: float, generator: np.random.Generator, letters: str = AMINO) -> str:
    """The ancestor with exactly ``identity`` of its letters left."""
    places = generator.permutation(len(ancestor))[: round(len(ancestor) * (1 - identity))]
    text = list(ancestor)
    for place in places:
        text[place] = str(generator.choice([letter for letter in letters if letter != text[place]]))
    return "".join(text)


def oracle(protein: bool) -> PairwiseAligner:
    aligner = PairwiseAligner(mode="local")
    if protein:
        aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
        aligner.open_gap_score, aligner.extend_gap_score = -11, -1
    else:
        aligner.match_score, aligner.mismatch_score = 2, -3
        aligner.open_gap_score, aligner.extend_gap_score = -5, -2
    return aligner


def all_optimal(protein: bool, query: str, reference: str) -> set[tuple[float, float]]:
    """(identity, coverage of the shorter) of every optimal local alignment."""
    found = set()
    for number, hit in enumerate(oracle(protein).align(query, reference)):
        counts = hit.counts()
        columns = counts.identities + counts.mismatches + counts.gaps
        spans = [int(side[-1][1] - side[0][0]) for side in hit.aligned]
        shorter = min(range(2), key=lambda row: len((query, reference)[row]))
        covered = spans[shorter] / len((query, reference)[shorter])
        if len(query) == len(reference):
            covered = max(spans) / len(query)
        found.add((round(counts.identities / columns, 9), round(covered, 9)))
        if number > 300:
            break
    return found


@pytest.mark.parametrize(("alphabet", "letters"), [(PROTEIN, AMINO), (DNA, "ACGT")])
def test_scores_and_identities_are_those_of_an_optimal_alignment(alphabet, letters):
    generator = np.random.default_rng(1)
    checked = 0
    for _ in range(60):
        query = "".join(generator.choice(list(letters), int(generator.integers(20, 90))))
        reference = mutated(query, float(generator.uniform(0.3, 1)), generator, letters)
        cut = int(generator.integers(0, 8))
        reference = reference[:10] + reference[10 + cut :]
        found = align(np.array([[0, 0]]), [query], [reference], alphabet)
        assert found.score[0] == oracle(alphabet is PROTEIN).score(query, reference)
        possible = all_optimal(alphabet is PROTEIN, query, reference)
        assert (round(found.identity[0], 9), round(found.coverage[0], 9)) in possible
        checked += len(possible) == 1
    assert checked > 20


def test_a_gap_of_k_letters_costs_open_plus_k_minus_one_extensions():
    query = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
    reference = query.replace("SRQL", "")
    aligner = Aligner(PROTEIN)
    pair = np.array([[0, 0]])
    whole = aligner.scores(pair, [reference], [reference])[0]
    assert aligner.scores(pair, [query], [reference])[0] == whole - 11 - 3 * 1


def test_identity_counts_gaps_as_columns_and_coverage_is_of_the_shorter():
    query = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
    found = align(np.array([[0, 0], [0, 1]]), [query], [query.replace("SRQL", ""), "WWW" + query + "WWW"], PROTEIN)
    assert found.identity[0] == pytest.approx(29 / 33)
    assert found.coverage.tolist() == [1.0, 1.0]
    assert found.query_coverage.tolist() == [1.0, 1.0]
    assert found.identity[1] == 1.0
    half = align(np.array([[0, 0]]), [query], [query[:20]], PROTEIN)
    assert half.coverage[0] == 1.0
    assert half.query_coverage[0] == pytest.approx(20 / 33)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(PROTEIN.letters + "J", min_size=0, max_size=30), min_size=1, max_size=6))
def test_any_letters_align_and_order_of_pairs_is_kept(sequences):
    pairs = np.indices((len(sequences), len(sequences))).reshape(2, -1).T
    found = align(pairs, sequences, sequences, PROTEIN)
    shuffled = np.random.default_rng(0).permutation(len(pairs))
    again = align(pairs[shuffled], sequences, sequences, PROTEIN)
    assert np.array_equal(found.identity[shuffled], again.identity)
    assert np.array_equal(found.score, Aligner(PROTEIN).scores(pairs, sequences, sequences))
    turned = align(pairs[:, ::-1], sequences, sequences, PROTEIN)
    assert np.array_equal(found.score, turned.score)
    assert ((found.identity >= 0) & (found.identity <= 1) & (found.coverage <= 1)).all()


def test_ambiguous_bases_and_rna_letters_align():
    found = align(np.array([[0, 0], [1, 0]]), ["ACGURYSWKMBDHVNACGUACGU", "ACGUACGUACGU"], ["ACGUACGUACGU"], RNA)
    assert found.identity[1] == 1.0
    assert found.score[1] == 24


def test_empty_sequences_have_zeros():
    found = align(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), ["", "ACDEF"], ["", "ACDEF"], PROTEIN)
    assert found.identity.tolist() == [0, 0, 0, 1]
    assert align(np.zeros((0, 2), int), [], [], PROTEIN).identity.tolist() == []
    assert aligned_positions("", "ACD", PROTEIN).shape == (0, 2)


def test_matched_positions_skip_gaps():
    query = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
    reference = "AA" + query.replace("SRQL", "")
    pairs = aligned_positions(query, reference, PROTEIN)
    assert all(query[one] == reference[two] for one, two in pairs)
    assert len(pairs) == 29
    assert pairs[-1].tolist() == [32, 30]
    assert aligned_positions("WWWW", "GGGG", PROTEIN).shape == (0, 2)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), identity=st.floats(0.3, 1), protein=st.booleans())
def test_the_slow_way_for_long_sequences_agrees(seed, identity, protein):
    generator = np.random.default_rng(seed)
    letters = AMINO if protein else "ACGT"
    query = "".join(generator.choice(list(letters), 300))
    reference = mutated(query, identity, generator, letters)
    reference = reference[:100] + reference[100 + seed % 9 :] + query[:40]
    aligner = Aligner(PROTEIN if protein else DNA)
    usual = aligner.align(np.array([[0, 0]]), [query], [reference])
    positions = aligner.positions(query, reference)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "LARGEST", 1)
        slow = aligner.align(np.array([[0, 0]]), [query], [reference])
        also = aligner.positions(query, reference)
    assert slow.score[0] == usual.score[0]
    assert slow.identity[0] == pytest.approx(usual.identity[0], abs=0.03)  # ties may be broken otherwise
    assert slow.coverage[0] == pytest.approx(usual.coverage[0], abs=0.1)
    same = len(set(map(tuple, positions.tolist())) & set(map(tuple, also.tolist())))
    assert same >= 0.7 * len(positions)


def test_a_pair_of_very_long_sequences_needs_little_memory():
    generator = np.random.default_rng(3)
    query = "".join(generator.choice(list(AMINO), 5000))
    reference = mutated(query, 0.6, generator)
    found = align(np.array([[0, 0]]), [query], [reference], PROTEIN)
    assert found.identity[0] == pytest.approx(0.6, abs=0.01)
    assert found.coverage[0] > 0.99


def test_progress_hears_of_every_pair():
    heard = []
    pairs = np.indices((40, 40)).reshape(2, -1).T
    align(pairs, ["ACDEFGH"] * 40, ["ACDEFGH"] * 40, PROTEIN, lambda done, total: heard.append((done, total)))
    assert heard[-1] == (1600, 1600)


def test_chance_scores_rise_with_what_is_searched():
    aligner = Aligner(PROTEIN)
    least = aligner.least_score(np.array([30, 300]), 1_000_000, 0.01)
    assert least[0] < least[1]
    assert aligner.expected(least, np.array([30, 300]), 1_000_000) == pytest.approx([0.01, 0.01])
