"""What every label kind and every level in the catalog promises, and that any level goes with any kind."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from biograft.backbones.baselines import OneHot
from biograft.catalog import names, resolve
from biograft.data.alphabet import PROTEIN
from biograft.data.examples import Examples
from biograft.data.packed import Packed
from biograft.data.records import Records
from biograft.model import LinearHead, Model
from biograft.strategies.objective import supervised
from biograft.tasks.metrics import METRICS
from biograft.tasks.task import LabelKind, Level

Labels = Callable[..., np.ndarray]
Table = Callable[..., Records]

each_kind = pytest.mark.parametrize("name", names("label_kinds"))
each_level = pytest.mark.parametrize("name", names("levels"))
every_kind = pytest.mark.parametrize("kind_name", names("label_kinds"))
every_level = pytest.mark.parametrize("level_name", names("levels"))


def learned(name: str, values: np.ndarray) -> LabelKind:
    kind: LabelKind = resolve("label_kinds", name).learn(values, "label")
    return kind


@each_kind
def test_a_kind_comes_back_from_json(name: str, labels: Labels) -> None:
    kind = learned(name, labels(name, 40))
    fields = json.loads(json.dumps(kind.configuration()))
    again = type(kind)(**fields)
    assert again == kind and kind.name == name
    outputs = np.random.default_rng(0).normal(size=(9, kind.width)).astype(np.float32)
    for one, other in zip(vars(kind.decode(outputs)).values(), vars(again.decode(outputs)).values(), strict=True):
        np.testing.assert_array_equal(one, other)


@each_kind
def test_constants_come_from_the_values_learned_from_and_stay(name: str, labels: Labels) -> None:
    values = labels(name, 40)
    kind = learned(name, values)
    before = json.dumps(kind.configuration())
    kind.encode(labels(name, 400, seed=5))
    kind.decode(np.full((3, kind.width), 50.0))
    assert json.dumps(kind.configuration()) == before
    shuffled = np.random.default_rng(1).permutation(values)
    fields, other = kind.configuration(), learned(name, shuffled).configuration()
    assert fields == pytest.approx(other) if all(isinstance(v, float) for v in fields.values()) else fields == other
    with pytest.raises((AttributeError, TypeError)):
        setattr(kind, next(iter(kind.configuration())), None)


@each_kind
def test_missing_labels_are_seen_and_change_nothing(name: str, labels: Labels) -> None:
    values = labels(name, 30)
    kind = learned(name, values)
    targets, given = kind.encode(values)
    assert targets.shape[0] == given.shape[0] == 30 and given.all()
    gaps = values.copy()
    gaps[[0, 7]] = ""
    with_gaps, seen = kind.encode(gaps)
    assert np.flatnonzero(~seen).tolist() == [0, 7]
    np.testing.assert_array_equal(with_gaps[seen], targets[seen])
    assert np.isfinite(with_gaps).all()


def answer_of_least_loss(kind: LabelKind, targets: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Outputs that the loss itself leads to, from the constant answer, and the mean loss on the way."""
    start = np.tile(kind.constant(targets), (len(targets), 1))
    outputs = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    optimiser, losses = torch.optim.Adam([outputs], lr=0.1), []
    for _ in range(200):
        loss = kind.loss(outputs, torch.from_numpy(targets))
        assert loss.shape == (len(targets),)
        losses.append(float(loss.detach().mean()))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    return outputs.detach().numpy(), losses


@each_kind
def test_the_loss_leads_to_the_truth(name: str, labels: Labels) -> None:
    values = labels(name, 40)
    kind = learned(name, values)
    targets, _ = kind.encode(values)
    outputs, losses = answer_of_least_loss(kind, targets)
    assert losses[-1] < losses[100] < losses[0]
    truth, answer = kind.truth(targets), kind.decode(outputs)
    constant = kind.decode(np.tile(kind.constant(targets), (len(targets), 1)))
    assert kind.metrics
    for metric in (METRICS[metric] for metric in kind.metrics):
        assert name in metric.kinds
        sign = 1 if metric.greater_is_better else -1
        best, flat = metric(truth, answer), metric(truth, constant)
        assert np.isfinite(best) and not sign * best < sign * flat, metric.name
    assert METRICS[kind.metrics[0]](truth, answer) > 0.999


@each_kind
def test_a_unit_is_judged_by_itself(name: str, labels: Labels) -> None:
    values = labels(name, 20)
    kind = learned(name, values)
    targets = torch.from_numpy(kind.encode(values)[0])
    outputs = torch.randn(20, kind.width, generator=torch.Generator().manual_seed(0))
    losses = kind.loss(outputs, targets)
    torch.testing.assert_close(kind.loss(outputs[5:9], targets[5:9]), losses[5:9])
    assert losses.dtype == torch.float32
    assert kind.loss(outputs.bfloat16(), targets).dtype == torch.float32


@each_kind
def test_no_other_constant_is_a_better_guess(name: str, labels: Labels) -> None:
    values = labels(name, 300)
    kind = learned(name, values)
    targets = kind.encode(values)[0]
    constant = kind.constant(targets)
    assert constant.shape == (kind.width,)

    def loss(outputs: np.ndarray) -> float:
        rows = torch.tensor(np.tile(outputs, (len(targets), 1)), dtype=torch.float32)
        return float(kind.loss(rows, torch.from_numpy(targets)).mean())

    random = np.random.default_rng(0)
    assert all(loss(constant) < loss(constant + random.normal(size=kind.width)) for _ in range(10))


@each_kind
def test_strata_are_few_small_and_spread(name: str, labels: Labels) -> None:
    values = labels(name, 300)
    kind = learned(name, values)
    strata = kind.strata(kind.encode(values)[0])
    assert strata.shape == (300,) and strata.dtype.kind == "i" and strata.min() >= 0
    assert 2 <= len(np.unique(strata)) <= 20 and np.bincount(strata).max() < 250


def level_of(name: str) -> Level:
    level: Level = resolve("levels", name)()
    return level


@each_level
def test_a_level_comes_back_from_json(name: str) -> None:
    level = level_of(name)
    assert type(level)(**json.loads(json.dumps(level.configuration()))) == level and level.name == name


@each_level
def test_units_are_read_out_row_after_row_and_rows_do_not_mix(name: str) -> None:
    level, random = level_of(name), np.random.default_rng(0)
    rows = [random.normal(size=(length, 6)).astype(np.float32) for length in (3, 1, 8, 5)]
    lengths = np.array([len(row) for row in rows])
    units = level.count(lengths)
    together = level.readout(Packed.of(rows))
    assert together.shape == (units.sum(), level.features(6))
    for row, part in zip(rows, together.split(units.tolist()), strict=True):
        torch.testing.assert_close(part, level.readout(Packed.of([row])))


@every_level
@every_kind
def test_labels_are_read_where_they_sit(level_name: str, kind_name: str, table: Table) -> None:
    level, records = level_of(level_name), table(level_name, kind_name)
    units = level.read(records, "label")
    np.testing.assert_array_equal(units.lengths, level.count(records.lengths))
    assert len(units.values) == len(units.counted) == units.lengths.sum() and units.counted.all()
    order = np.array([4, 0, 9])
    np.testing.assert_array_equal(units.take(order).values, level.read(records.take(order), "label").values)


@every_level
@every_kind
def test_any_level_learns_any_kind(level_name: str, kind_name: str, table: Table) -> None:
    level, records = level_of(level_name), table(level_name, kind_name)
    units = level.read(records, "label")
    kind = learned(kind_name, units.values)
    targets, known = kind.encode(units.values)
    backbone = OneHot(PROTEIN)
    rows = [backbone.encode(sequence) for sequence in records.sequences]
    examples = Examples(rows, targets, known, units.lengths, np.arange(len(records)))
    torch.manual_seed(0)
    model = Model(backbone, LinearHead(level, backbone.width, kind.width), level, kind)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    batch, losses = examples.batch(np.arange(len(records))), []
    for _ in range(60):
        loss = supervised(model, batch)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]
    outputs = model.outputs(rows)
    assert outputs.shape == (units.lengths.sum(), kind.width)
    counted = float(kind.loss(torch.from_numpy(outputs), torch.from_numpy(targets)).mean())
    assert counted == pytest.approx(float(supervised(model, batch).detach()), rel=1e-4)


@every_level
@every_kind
def test_units_that_do_not_count_have_no_say(level_name: str, kind_name: str, table: Table) -> None:
    level, records = level_of(level_name), table(level_name, kind_name)
    units = level.read(records, "label")
    kind = learned(kind_name, units.values)
    targets, known = kind.encode(units.values)
    known = known & (np.arange(len(known)) % 3 > 0)
    poisoned = np.where(known, targets, np.roll(targets, 1))
    torch.manual_seed(0)
    model = Model(OneHot(PROTEIN), LinearHead(level, 20, kind.width), level, kind)
    rows = [model.backbone.encode(sequence) for sequence in records.sequences]
    everything = np.arange(len(records))
    found = []
    for truth in (targets, poisoned):
        model.zero_grad()
        loss = supervised(model, Examples(rows, truth, known, units.lengths, everything).batch(everything))
        loss.backward()
        found.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
