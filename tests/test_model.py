"""A backbone that answers a task: heads, freezing, answers in order."""

import numpy as np
import pytest
import torch
from torch import nn

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN, KMer, OneHot
from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.model import ConvolutionalHead, LinearHead, Model, rest
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.regression import Regression

SMALL = CNNConfiguration(8, 3, (1, 2), 0.5)


def model(residue: bool = False) -> Model:
    torch.manual_seed(0)
    level, kind = Residue() if residue else Sequence(), Classification(("a", "b"))
    return Model(DilatedCNN(PROTEIN, SMALL), LinearHead(level, 8, 2, 0.5), level, kind)


def rows(*lengths: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 20, length).astype(np.uint8) for length in lengths]


def test_a_linear_head_by_hand() -> None:
    level = Sequence()
    net = Model(OneHot(DNA), LinearHead(level, 4, 1), level, Regression(0.0, 1.0))
    net.head.set_linear(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([10.0]))
    letters = [net.backbone.encode("ACGT"), net.backbone.encode("TT")]
    np.testing.assert_allclose(net.outputs(letters), [[12.5], [14.0]])


def test_a_convolutional_head_sees_neighbours_and_no_other_row() -> None:
    torch.manual_seed(0)
    head = ConvolutionalHead(Residue(), 4, 1, channels=6, kernel=3).eval()
    values = torch.randn(12, 4)
    changed = values.clone()
    changed[3] += torch.randn(4)
    lengths = torch.tensor([6, 6])
    moved = (head(Packed(values, lengths)) != head(Packed(changed, lengths)))[:, 0]
    assert moved.nonzero().flatten().tolist() == [1, 2, 3, 4, 5]


def test_answers_come_in_order_and_equal_rows_are_computed_once() -> None:
    net, some = model(residue=True), rows(9, 3, 14)
    asked, seen = [some[0], some[1], some[0], some[2], some[1]], []
    net.backbone.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    told: list[tuple[int, int]] = []
    outputs = net.outputs(asked, budget=10, progress=lambda done, total: told.append((done, total)))
    assert outputs.shape == (9 + 3 + 9 + 14 + 3, 2) and outputs.dtype == np.float32
    assert sum(seen) == 3 and told[-1] == (3, 3)
    expected = np.concatenate([net.outputs([row]) for row in asked])
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    assert net.outputs([]).shape == (0, 2)
    assert not net.training


def test_what_does_not_learn_stays_in_eval_mode() -> None:
    net = model()
    net.train()
    assert all(module.training for module in net.modules())
    net.backbone.requires_grad_(False)
    net.train()
    assert not any(module.training for module in net.backbone.modules()) and net.head.training
    net.backbone.layers[1].requires_grad_(True)
    net.train()
    assert net.backbone.layers[1].training and not net.backbone.layers[0].training
    net.eval()
    assert not any(module.training for module in net.modules())


def test_rest_reaches_statistics_inside_a_frozen_part() -> None:
    part = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False)), nn.Linear(2, 2))
    part[0].requires_grad_(False)
    part.train()
    rest(part)
    assert not part[0][1].training and part[1].training


def test_a_residue_task_refuses_one_vector_per_sequence() -> None:
    backbone, level = KMer(PROTEIN, 1), Residue()
    with pytest.raises(BiograftError) as caught:
        Model(backbone, LinearHead(level, 20, 1), level, Regression(0.0, 1.0))
    assert str(caught.value) == (
        "A residue task needs one vector per letter: got backbone 'kmer', with one vector per sequence. "
        "Choose a backbone with resolution 1, such as onehot or cnn."
    )
