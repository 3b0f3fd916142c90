"""What other tools of this field have been seen to do, and this one must not.

Held elsewhere: every strategy killed and continued is bit-equal (contracts/test_strategies.py), the best state is that
of adapters and head together (strategies/test_lora.py), poisoned test labels under frozen and full (flows/test_fit.py).
"""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.bundle import Bundle, load
from biograft.data.alphabet import PROTEIN
from biograft.data.examples import Examples, ExampleStream
from biograft.data.records import Records
from biograft.flows.fit import Recipe, Result, fit_recipe
from biograft.hardware import Hardware
from biograft.judgement import Judgement, by_part
from biograft.model import LinearHead, Model
from biograft.run import RunFolder
from biograft.strategies.lora import LoRA
from biograft.strategies.objective import Term, supervised
from biograft.strategies.strategy import Group, Phase
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.trainer import Trainer
from biograft.training import Training

KINDS = {"sour": "DEDENQ", "basic": "KRKRHS"}  # letters that most of a sequence of this class is made of


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, no page."""
    monkeypatch.setattr("biograft.flows.report.render", lambda *content: "the page has tests of its own")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mixed_lengths() -> Records:
    """From 4 to 60 letters, in no order; the class can be seen from the letters of any of them."""
    generator = np.random.default_rng(0)
    labels = generator.choice(list(KINDS), 90).tolist()
    sequences = ["".join(generator.choice(list(KINDS[name] + "AG"), generator.integers(4, 61))) for name in labels]
    parts = generator.permutation(["train"] * 50 + ["valid"] * 10 + ["test"] * 30).tolist()
    return Records.of(sequences, columns={"label": labels, "set": parts}, alphabet="protein")


def model(dropout: float = 0.2) -> Model:
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        shape = EncoderConfiguration(layers=1, width=16, heads=2, inner=24, dropout=dropout, attention_dropout=dropout)
        backbone = Encoder(PROTEIN, shape)
        backbone.pretrained = True
        return Model(backbone, LinearHead(Sequence(), 16, 2, dropout), Sequence(), Classification(("basic", "sour")))


def adapted(records: Records, folder: Path, name: str) -> Result:
    """A run with low-rank adapters."""
    source = folder / "source"
    if not source.exists():
        Bundle(model(0.0), "label", records.take(np.arange(3))).save(source)
    options = ["learning_rate=1e-2", "head_learning_rate=1e-2", "rank=2"]
    recipe = Recipe(
        table="memory", label="label", backbone=str(source), strategy="lora", strategy_option=tuple(options),
        epochs=40.0, device="cpu", precision="fp32",
    )  # fmt: skip
    return fit_recipe(recipe, folder / name, records=records)


def examples(records: Records, kind: Classification) -> Examples:
    rows = [PROTEIN.encode(sequence) for sequence in records.sequences]
    targets, known = kind.encode(np.array(records.column("label"), dtype=object))
    return Examples(rows, targets, known, np.ones(len(rows), dtype=np.int64), np.arange(len(rows)))


def loop(net: nn.Module, phases: list[Phase], folder: Path, judge: Any = None, **training: Any) -> Trainer:
    data = examples(mixed_lengths(), Classification(("basic", "sour")))
    fields = {"steps": 12, "every": 4, "save_seconds": 1e9} | training
    streams = {"target": ExampleStream(data, 400, 1)}
    return Trainer(net, phases, streams, judge, Training(**fields), Hardware(), RunFolder.open(folder, {}), 3)


def test_labels_stay_with_their_sequences_however_these_are_sorted_by_length(tmp_path: Path) -> None:
    """Adapters that learn from permuted labels reach chance on what any letter count can tell."""
    records = mixed_lengths()
    result = adapted(records, tmp_path, "run")
    assert result.metrics["accuracy"]["value"] > 0.95
    with (tmp_path / "run" / "predictions.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    place = {id: row for row, id in enumerate(records.ids)}
    saved = load(tmp_path / "run")
    for row in rows:
        record = place[row["id"]]
        assert row["truth"] == records.column("label")[record]
        alone = saved.predict(records.take([record])).table()
        assert alone["prediction"] == [row["prediction"]]
        assert float(str(alone["p:sour"][0])) == pytest.approx(float(row["p:sour"]), abs=1e-3)


def test_poisoned_test_labels_change_nothing_under_adapters(tmp_path: Path) -> None:
    records, other = mixed_lengths(), {"sour": "basic", "basic": "sour"}
    poisoned = [other[name] if part == "test" else name
                for name, part in zip(records.column("label"), records.column("set"), strict=True)]  # fmt: skip
    clean = adapted(records, tmp_path, "clean")
    changed = adapted(replace(records, columns={**records.columns, "label": poisoned}), tmp_path, "changed")
    for name in ("weights.safetensors", "model.json", "training.tsv.gz"):
        assert (clean.folder / "model" / name).read_bytes() == (changed.folder / "model" / name).read_bytes(), name
    assert clean.metrics["accuracy"]["value"] == pytest.approx(1 - changed.metrics["accuracy"]["value"])


def test_the_validation_part_is_answered_without_dropout(tmp_path: Path) -> None:
    net, strategy = model(0.5), LoRA(rank=2)
    strategy.start(net, None)
    part = by_part(examples(mixed_lengths().take(np.arange(20)), Classification(("basic", "sour"))), Hardware())
    modes: dict[bool, set[bool]] = {True: set(), False: set()}
    judging = []

    def judge(learner: Model) -> Judgement:
        judging.append(True)
        first, second = part(learner), part(learner)
        judging.clear()
        assert first == second  # under dropout no two answers are alike
        return first

    def note(module: nn.Module, _: Any) -> None:
        modes[bool(judging)].add(module.training)

    for module in (net.backbone.layers[0].dropout, net.backbone.layers[0].attention, net.head.dropout):  # type: ignore[index,union-attr]
        module.register_forward_pre_hook(note)  # type: ignore[union-attr,operator]
    loop(net, strategy.phases(net), tmp_path / "run", judge).run()
    assert modes == {True: {False}, False: {True}}


def test_statistics_of_batch_norms_stay_where_their_layer_rests(tmp_path: Path) -> None:
    net, strategy = model(), LoRA(rank=2)
    block: Any = net.backbone.layers[0]  # type: ignore[index]
    block.contract = nn.Sequential(nn.Linear(24, 16), nn.BatchNorm1d(16))
    before = {name: value.clone() for name, value in block.contract[1].state_dict().items()}
    strategy.start(net, None)
    modes = set()
    block.contract[1].register_forward_pre_hook(lambda module, _: modes.add(module.training))
    loop(net, strategy.phases(net), tmp_path / "run").run()
    strategy.finish(net)
    assert modes == {False}
    assert all(torch.equal(value, before[name]) for name, value in block.contract[1].state_dict().items())


class Twins(nn.Module):
    """Two heads that are equal in shape, in every value and in the end of their names; one more name for the first."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = model(), model()
        self.alias = self.one.head


def test_weights_are_told_apart_by_identity_not_by_name_or_shape(tmp_path: Path) -> None:
    net, start = Twins(), model().head.state_dict()
    term = Term("target", lambda both, batch: supervised(both.one, batch))
    phases = [Phase((Group(tuple(net.one.head.parameters()), 1e-2),), terms=(term,))]
    values = iter([0.2, 0.9, 0.1])
    stands: dict[int, torch.Tensor] = {}

    def judge(learner: Twins) -> Judgement:
        return Judgement("made_up", next(values), 1.0)

    trainer = loop(net, phases, tmp_path / "run", judge)
    trainer.run(after_step=lambda step: stands.update({step: net.one.head.linear.weight.detach().clone()}))  # type: ignore[union-attr]
    assert all(torch.equal(value, start[name]) for name, value in net.other.head.state_dict().items())
    assert torch.equal(net.one.head.linear.weight, stands[8])  # type: ignore[union-attr]
    assert net.alias.linear.weight is net.one.head.linear.weight  # type: ignore[union-attr]
    assert not torch.equal(stands[8], start["linear.weight"])
