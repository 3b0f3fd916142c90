"""Levels: which units a record has, in known cases; masks, gaps, places in messages."""

import numpy as np
import pytest
import torch

from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.tasks.levels import Residue, Sequence, looks_like_residues


def records(sequences: list[str], **columns: list[str]) -> Records:
    ids = [f"p{row}" for row in range(len(sequences))]
    lines = list(range(2, len(sequences) + 2))
    return Records.of(sequences, ids, columns, alphabet="protein", source="t.tsv", lines=lines)


def test_a_sequence_is_one_unit():
    units = Sequence().read(records(["MKV", "ML"], y=[" 01", ""]), "y")
    assert units.values.tolist() == ["01", ""]
    assert (units.lengths.tolist(), units.counted.tolist()) == ([1, 1], [True, True])
    assert units.known.tolist() == [True, False]
    assert Sequence().count(np.array([3, 900])).tolist() == [1, 1]


def test_residues_as_letters_and_as_numbers():
    units = Residue().read(records(["MKV", "ML", "W", "WW"], y=["HEC", "0.5 nan", "-1.25", ""]), "y")
    assert units.values.tolist() == ["H", "E", "C", "0.5", "nan", "-1.25", "", ""]
    assert units.known.tolist() == [True, True, True, True, False, True, False, False]
    assert units.lengths.tolist() == [3, 2, 1, 2]
    assert units.owner.tolist() == [0, 0, 0, 1, 1, 2, 3, 3]
    assert units.offsets.tolist() == [0, 3, 5, 6, 8]
    taken = units.take(np.array([2, 0]))
    assert (taken.values.tolist(), taken.lengths.tolist()) == (["-1.25", "H", "E", "C"], [1, 3])
    assert len(units.take(np.array([], dtype=int)).values) == 0


def test_labels_of_removed_letters_go_with_them():
    """Both spellings: labels for the raw letters, and for the letters that are left."""
    table = records(["M-KV*", "M-KV*", "m.k"], y=["HxECx", "HEC", "1 2 3"])
    assert Residue().read(table, "y").values.tolist() == ["H", "E", "C", "H", "E", "C", "1", "3"]


def test_masks_leave_out_and_count_together():
    table = records(["MKV", "ML", "WF"], y=["HEC", "HH", "EE"], a=["110", "11", ""], b=["011", "1 0", "11"])
    assert Residue().read(table, "y", ("a",)).counted.tolist() == [True, True, False, True, True, False, False]
    assert Residue().read(table, "y", ("a", "b")).counted.tolist() == [False, True, False, True, False, False, False]
    assert Residue().read(table, "y").counted.all()


@pytest.mark.parametrize(
    ("sequences", "columns", "message"),
    [
        (["MKV", "ML"], {"y": ["HEC", "HEC"]}, r"got 3 in column 'y', expected 2 \(t\.tsv, line 3, id 'p1'\)"),
        (["MKV", "ML"], {"y": ["HEC", "1 2 3"]}, r"got 3 in column 'y', expected 2 \(t\.tsv, line 3, id 'p1'\)"),
        (["M-V"], {"y": ["H"]}, r"got 1 in column 'y', expected 2 \(t\.tsv, line 2"),
        (["MKV"], {"y": ["HEC"], "m": ["11"]}, r"got 2 in column 'm', expected 3 \(t\.tsv, line 2"),
        (["MKV", "ML"], {"y": ["HEC", "HE"], "m": ["111", "1x"]}, r"got 'x' in column 'm' \(t\.tsv, line 3, id 'p1'\)"),
        (["MKV"], {"y": ["HEC"]}, "There is no column 'm'"),
    ],
)
def test_labels_and_masks_that_do_not_fit(sequences, columns, message):
    with pytest.raises(BiograftError, match=message):
        Residue().read(
            records(sequences, **columns), "y", () if "m" not in columns and "'m'" not in message else ("m",)
        )


def test_a_mask_of_residues_has_no_meaning_for_sequences():
    with pytest.raises(BiograftError, match=r"got m for a label per sequence\. Leave --mask out"):
        Sequence().read(records(["MKV"], y=["1"], m=["111"]), "y", ("m",))


@pytest.mark.parametrize(
    ("sequences", "labels", "answer"),
    [
        (["MKV", "MLLL"], ["HEC", "HHHH"], True),
        (["MKV", "MLLL"], ["0.1 0.2 0.3", "1 2 3 4"], True),
        (["M-KV", "MLLL"], ["HxEC", "HHHH"], True),
        (["MKV", "MLLL", "MMMMM"], ["HEC", "HHHH", "HH"], True),
        (["MKV", "MLLL"], ["yes", "no"], False),
        (["MKV", "MLLL"], ["1.5", "2.25"], False),
        (["MK", "ML"], ["-1", "+1"], False),
        (["MKV", "MLLL"], ["010", "0110"], True),
        (["MKV", "MLLL"], ["", ""], False),
        (["M", "M"], ["a", "b"], False),
    ],
)
def test_residue_labels_are_recognised(sequences, labels, answer):
    assert looks_like_residues(records(sequences, y=labels), "y") is answer


def packed() -> Packed:
    return Packed.of([torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 9.0]])])


def test_readout():
    assert Sequence().readout(packed()).tolist() == [[2.0, 3.0], [6.0, 7.5]]
    assert Sequence("positions", 2).readout(packed()).tolist() == [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 9.0]]
    assert Residue().readout(packed()).tolist() == packed().values.tolist()
    assert (Sequence().features(7), Sequence("positions", 3).features(7), Residue().features(7)) == (7, 21, 7)


def test_positions_refuse_another_length():
    with pytest.raises(BiograftError, match=r"got lengths \[2\], expected 3\. Give sequences of that length"):
        Sequence("positions", 3).readout(packed())
