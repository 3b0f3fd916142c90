"""Simple answers that models are shown beside, on tables where the right ones are known."""

import numpy as np
import pytest

from biograft.data.records import Records
from biograft.strategies.simple import Labelled, simple_answers
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression
from biograft.tasks.task import LabelKind, Level

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")


def proteins(lengths: list[int], seed: int = 0) -> list[str]:
    random = np.random.default_rng([seed, len(lengths)])
    return ["".join(random.choice(LETTERS, length)) for length in lengths]


def labelled(sequences: list[str], targets: np.ndarray, level: Level) -> Labelled:
    records = Records.of(sequences, alphabet="protein")
    counted = np.ones(len(targets), dtype=bool)
    return Labelled(records, targets, counted, level.count(records.lengths), np.arange(len(records)))


def best(kind: LabelKind, outputs: np.ndarray) -> list[int]:
    codes = kind.decode(outputs).codes
    assert codes is not None
    return codes.tolist()


def test_a_constant_and_the_nearest_homologue_of_classes() -> None:
    kind, sequences = Classification(("a", "b", "c")), proteins([60] * 12)
    targets = np.array([0] * 6 + [1] * 4 + [2] * 2)
    queries = Records.of([sequences[10][:50], sequences[7] + "AC", *proteins([60])], alphabet="protein")
    found = simple_answers(labelled(sequences, targets, Sequence()), kind, Sequence(), [queries], 0)
    assert set(found) == {"majority", "composition linear", "kmer linear", "nearest"}
    (flat,), (near,) = found["majority"], found["nearest"]
    np.testing.assert_allclose(np.exp(flat), np.tile(np.array([7, 5, 3]) / 15, (3, 1)))
    assert best(kind, near) == [2, 1, 0]
    scores = kind.decode(near).scores
    assert scores is not None and scores[1, 1] > 0.9
    np.testing.assert_allclose(near[2], flat[2])  # nothing is near: as good as knowing nothing


def test_a_letter_decides_and_the_linear_models_see_it() -> None:
    kind, lengths = Regression(0.0, 1.0), np.random.default_rng(0).integers(40, 90, 150).tolist()
    sequences = proteins(lengths)
    targets = np.array([np.sqrt(sequence.count("W") / len(sequence)) for sequence in sequences])
    queries = proteins([50] * 20)
    truth = [np.sqrt(sequence.count("W") / 50) for sequence in queries]
    found = simple_answers(
        labelled(sequences, targets, Sequence()), kind, Sequence(), [Records.of(queries, alphabet="protein")], 0
    )
    for name, least in (("composition linear", 0.99), ("kmer linear", 0.8)):
        assert np.corrcoef(found[name][0][:, 0], truth)[0, 1] > least, name
    assert found["mean"][0] == pytest.approx(targets.mean())


def test_records_of_one_length_are_read_position_by_position() -> None:
    kind, sequences = Regression(0.0, 1.0), proteins([6] * 150)
    effect = dict(zip(LETTERS, np.linspace(-1, 1, 20), strict=True))
    targets = np.array([effect[sequence[2]] for sequence in sequences])
    queries = proteins([6] * 30)
    found = simple_answers(
        labelled(sequences, targets, Sequence()), kind, Sequence(), [Records.of(queries, alphabet="protein")], 0
    )
    assert "kmer linear" not in found
    answers, truth = found["onehot linear"][0][:, 0], [effect[sequence[2]] for sequence in queries]
    assert np.corrcoef(answers, truth)[0, 1] > 0.95


def test_residues_a_window_of_letters_and_the_residue_aligned_to() -> None:
    """A residue is buried if it stands just before a G: letters around it tell, its own does not."""
    kind, level = Classification(("no", "yes")), Residue()
    sequences = proteins([40] * 40)
    truth = [[int(after == "G") for after in [*sequence[1:], "-"]] for sequence in sequences]
    queries = [*proteins([35, 20]), sequences[3][5:] + "AAA"]
    wanted = [[int(after == "G") for after in [*sequence[1:], "-"]] for sequence in queries]
    found = simple_answers(
        labelled(sequences, np.concatenate(truth), level), kind, level, [Records.of(queries, alphabet="protein")], 0
    )
    assert set(found) == {"majority", "window", "nearest"}
    assert best(kind, found["window"][0]) == np.concatenate(wanted).tolist()
    near = best(kind, found["nearest"][0])
    assert near[55 : 55 + 35] == truth[3][5:] and not any(near[:55])


def test_the_look_up_of_windows_is_the_product_it_stands_for() -> None:
    """Values per residue that are the number of W among the neighbours, up to the ends of each row."""
    kind, level = Regression(0.0, 1.0), Residue()
    sequences = proteins([30] * 50)
    count = [[row[max(0, i - 4) : i + 5].count("W") for i in range(len(row))] for row in sequences]
    queries = proteins([12, 1, 25])
    expected = [row[max(0, i - 4) : i + 5].count("W") for row in queries for i in range(len(row))]
    train = labelled(sequences, np.concatenate(count).astype(float), level)
    (answers,) = simple_answers(train, kind, level, [Records.of(queries, alphabet="protein")], 0)["window"]
    np.testing.assert_allclose(answers[:, 0], expected, atol=0.1)


def test_units_that_do_not_count_teach_nothing() -> None:
    kind, level = Classification(("no", "yes")), Residue()
    sequences = proteins([30] * 20)
    truth = np.concatenate([[int(letter in "AG") for letter in row] for row in sequences])
    counted = np.arange(len(truth)) % 3 > 0
    records = Records.of(sequences, alphabet="protein")
    queries = [Records.of([sequences[0], *proteins([30])], alphabet="protein")]
    answers = [
        simple_answers(Labelled(records, targets, counted, records.lengths, np.arange(20)), kind, level, queries, 0)
        for targets in (truth, np.where(counted, truth, 1 - truth))
    ]
    for name in answers[0]:
        np.testing.assert_array_equal(answers[0][name][0], answers[1][name][0])
