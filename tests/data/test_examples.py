"""Examples and their targets stay together, whatever order they are drawn in."""

import numpy as np
import torch

from biograft.data.examples import Examples, ExampleStream


def residues(lengths: tuple[int, ...] = (3, 1, 4, 2)) -> Examples:
    """One unit per token; the target of a token is its code times ten."""
    rows = [np.arange(length, dtype=np.uint8) + 10 * number for number, length in enumerate(lengths)]
    targets = np.concatenate(rows).astype(np.int64) * 10
    size = np.array(lengths)
    return Examples(rows, targets, targets % 20 == 0, size, np.arange(len(lengths)))


def test_targets_follow_their_records() -> None:
    batch = residues().batch(np.array([2, 0]))
    assert batch.inputs.lengths.tolist() == [4, 3]
    assert batch.targets.tolist() == [200, 210, 220, 230, 0, 10, 20]
    assert batch.counted.tolist() == [True, False, True, False, True, False, True]
    assert torch.equal(batch.targets, batch.inputs.values.long() * 10)


def test_a_batch_moves_as_a_whole() -> None:
    batch = residues().batch(np.array([1])).to("meta")
    assert {batch.inputs.values.device.type, batch.targets.device.type, batch.counted.device.type} == {"meta"}


def test_a_record_costs_its_tokens_or_its_units() -> None:
    examples = residues()
    assert examples.costs.tolist() == examples.lengths.tolist() == [3, 1, 4, 2]
    pairs = Examples(examples.rows, np.zeros(11), np.ones(11, dtype=bool), np.array([3, 0, 6, 1]), examples.families)
    assert pairs.costs.tolist() == [3, 1, 6, 2]


def test_a_stream_gives_every_record_once_per_pass_by_step_alone() -> None:
    examples = residues()
    stream = ExampleStream(examples, 5, 3)
    assert stream.per_epoch == 2
    seen = [int(code) // 10 for step in (2, 3) for code in stream.batch(step).inputs.values]
    assert sorted(seen) == [0, 0, 0, 1, 2, 2, 2, 2, 3, 3]
    again = ExampleStream(examples, 5, 3).batch(3)
    assert torch.equal(again.inputs.values, stream.batch(3).inputs.values)
    orders = {tuple(ExampleStream(examples, 5, seed).batch(0).inputs.values.tolist()) for seed in range(8)}
    assert len(orders) > 2
