"""Features that a head is solved on."""

import numpy as np
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.data.alphabet import PROTEIN
from biograft.data.examples import Examples
from biograft.flows.inputs import fixed_features
from biograft.hardware import Hardware
from biograft.model import LinearHead, Model
from biograft.tasks.levels import Sequence
from biograft.tasks.regression import Regression


def test_a_backbone_that_was_training_is_read_without_dropout() -> None:
    torch.manual_seed(0)
    backbone, level, kind = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1, 2), 0.5)), Sequence(), Regression(0.0, 1.0)
    model = Model(backbone, LinearHead(level, 8, 1), level, kind).train()
    rows = [PROTEIN.encode(text) for text in ("ACDEF", "WY", "MKVLA")]
    ones = np.ones(3, dtype=np.int64)
    targets, counted = np.arange(3, dtype=np.float32), np.array([True, False, True])
    found = fixed_features(model, Examples(rows, targets, counted, ones, np.arange(3)), 7, Hardware())
    with torch.inference_mode():
        alone = [backbone.eval().vectors(Examples([row], targets[:1], ones[:1] > 0, ones[:1], ones[:1]).batch(
            np.array([0])).inputs).values.mean(0).numpy() for row in (rows[0], rows[2])]  # fmt: skip
    np.testing.assert_allclose(found.values, alone, atol=1e-6)
    assert found.targets.tolist() == [0.0, 2.0] and found.families.tolist() == [0, 2] and found.seed == 7
