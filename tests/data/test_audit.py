"""Leaks that were put in are found, and counted once."""

import numpy as np
import pytest

from biograft.data.alphabet import DNA, reverse_complement
from biograft.data.audit import audit
from biograft.data.records import Records
from biograft.errors import BiograftError

AMINO = "ACDEFGHIKLMNPQRSTVWY"


def drawn(length: int, generator: np.random.Generator, letters: str) -> str:
    return "".join(generator.choice(list(letters), length))


def mutated(ancestor: str, number: int, generator: np.random.Generator, letters: str) -> str:
    """The ancestor with this number of letters changed, none of them near an end."""
    text = list(ancestor)
    for place in 5 + generator.permutation(len(text) - 10)[:number]:
        text[place] = str(generator.choice([letter for letter in letters if letter != text[place]]))
    return "".join(text)


def table(
    sequences: list[str], labels: list[str] | None = None, alphabet: str = "protein", start: str = "r"
) -> Records:
    columns = {} if labels is None else {"y": labels}
    return Records.of(sequences, [f"{start}{row}" for row in range(len(sequences))], columns, alphabet=alphabet)


def test_copies_near_copies_and_relatives_of_proteins():
    generator = np.random.default_rng(0)
    train = [drawn(100, generator, AMINO) for _ in range(20)]
    test = [
        train[3],
        train[3],
        mutated(train[4], 3, generator, AMINO),
        mutated(train[5], 20, generator, AMINO),
        mutated(train[6], 40, generator, AMINO),
        *(drawn(100, generator, AMINO) for _ in range(5)),
    ]
    found = audit(table(train, start="a"), table(test, start="b"))
    assert (found.train_rows, found.test_rows) == (20, 10)
    assert (found.copies, found.distinct_copies, found.near_identical) == (2, 1, 1)
    assert found.reverse_complements is None
    assert found.conflicts is None
    assert found.above == {0.3: 0.5, 0.4: 0.5, 0.5: 0.5, 0.7: 0.4, 0.95: 0.3}
    assert [(leak.kind, leak.test, leak.train) for leak in found.pairs] == [
        ("copy", "b0", "a3"),
        ("copy", "b1", "a3"),
        ("near-identical", "b2", "a4"),
    ]
    assert [leak.identity for leak in found.pairs] == pytest.approx([1, 1, 0.97])
    assert found.table()["identity"] == ["1.0000", "1.0000", "0.9700"]
    assert set(found.table()) == {"kind", "test", "train", "identity", "test_label", "train_label"}


def test_the_other_strand_of_dna():
    generator = np.random.default_rng(1)
    train = [drawn(120, generator, "ACGT") for _ in range(8)]
    palindrome = drawn(40, generator, "ACGT")
    palindrome += reverse_complement(palindrome, DNA)
    train.append(palindrome)
    test = [
        reverse_complement(train[0], DNA),
        reverse_complement(mutated(train[1], 2, generator, "ACGT"), DNA),
        mutated(train[2], 2, generator, "ACGT"),
        palindrome,
        drawn(120, generator, "ACGT"),
    ]
    found = audit(table(train, alphabet="dna", start="a"), table(test, alphabet="dna", start="b"))
    assert (found.copies, found.reverse_complements, found.near_identical) == (1, 1, 2)
    assert [(leak.kind, leak.test, leak.train) for leak in found.pairs] == [
        ("reverse complement", "b0", "a0"),
        ("near-identical reverse complement", "b1", "a1"),
        ("near-identical", "b2", "a2"),
        ("copy", "b3", "a8"),
    ]
    assert found.above[0.95] == 0.8
    as_rna = [[sequence.replace("T", "U") for sequence in sequences] for sequences in (train, test)]
    other = audit(table(as_rna[0], alphabet="rna"), table(as_rna[1], alphabet="rna"))
    assert (other.copies, other.reverse_complements, other.near_identical) == (1, None, 1)


def test_labels_that_disagree():
    generator = np.random.default_rng(2)
    one, two, three, four = (drawn(60, generator, AMINO) for _ in range(4))
    train = table([one, one, two, three], ["x", "y", "x", ""], start="a")
    test = table([one, two, two, three, four], ["x", "z", "x", "x", "x"], start="b")
    found = audit(train, test, "y")
    assert found.conflicts is not None
    # in training `one` is x and y; in test `two` is z and x; rows: one (also y), two (z against x)
    assert (found.conflicts.train, found.conflicts.test, found.conflicts.across) == (1, 1, 2)
    assert [(leak.test_label, leak.train_label) for leak in found.pairs][:2] == [("x", "x"), ("z", "x")]
    assert "2 of 5 test rows are copies with another label" in "\n".join(found.lines())


def test_a_clean_test_set_is_called_clean():
    generator = np.random.default_rng(3)
    train, test = ([drawn(80, generator, AMINO) for _ in range(6)] for _ in range(2))
    found = audit(table(train), table(test))
    assert found.pairs == []
    assert set(found.above.values()) == {0.0}
    assert found.lines()[-1] == "No test row is a copy of a training row or nearly so."
    assert found.as_dict()["above"] == {"0.3": 0.0, "0.4": 0.0, "0.5": 0.0, "0.7": 0.0, "0.95": 0.0}
    assert "pairs" not in found.as_dict()


def test_what_can_not_be_compared():
    some = table(["ACDEF"], ["x"])
    with pytest.raises(BiograftError, match="The test set of an audit is empty"):
        audit(some, some.take([]))
    with pytest.raises(BiograftError, match="got protein and dna"):
        audit(some, table(["ACGT"], alphabet="dna"))
    with pytest.raises(BiograftError, match="There is no column 'label'"):
        audit(some, some, "label")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "copies", "rows"), [("dna/enhancers_iEnhancer2L", 89, 400), ("gue/prom_core_tata", 16, 613)]
)
def test_known_leaks_of_published_sets(data_folder, name, copies, rows):
    from biograft.data.readers import read
    from biograft.flows.split import parts_of

    found = audit(*parts_of(read(data_folder / f"{name}.tsv.gz")))
    assert (found.copies, found.test_rows) == (copies, rows)
