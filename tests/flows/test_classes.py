"""Classes of unequal size: balanced draws, the adjusted loss, and when each of them is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, Composition, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import PROTEIN
from biograft.data.examples import Examples
from biograft.data.generated import World
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.classes import adjusted, balanced_stream, shift_solved
from biograft.flows.fit import Recipe, fit_recipe
from biograft.flows.prepare import prepare
from biograft.model import LinearHead, Model
from biograft.strategies.frozen import Frozen
from biograft.strategies.linear import logistic
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.tasks.task import Task


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, no page."""
    monkeypatch.setattr("biograft.flows.report.render", lambda *content: "the page has tests of its own")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def skewed(level: str = "sequence") -> Records:
    """Three classes, of which the last one has a tenth of the first one's records, or labels per residue."""
    world = World(seed=0, shortest=30, longest=40, span=4)
    if level == "residue":
        made = world.source(40, seed=2)
        return Records.of(made.sequences, columns={"label": made.column("label"), "set": ["train", "test"] * 20},
                          alphabet="protein")  # fmt: skip
    made = world.target(60, 40, seed=0, valid=20)
    keep = [row for row, name in enumerate(made.column("label")) if name != "class C" or row % 5 == 0]
    return made.take(keep)


def net(folder: Path) -> Path:
    """A trained model's folder with a very small backbone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        backbone = DilatedCNN(PROTEIN, CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(backbone, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder)
    return folder


def run(records: Records, out: Path, **choices: Any) -> dict[str, Any]:
    usual = {"label": "label", "backbone": "composition", "strategy": "frozen", "epochs": 2.0, "device": "cpu",
             "precision": "fp32", "table": "memory"}  # fmt: skip
    return fit_recipe(Recipe.of({**usual, **choices}), out, records=records).report


def test_shares_are_those_of_the_training_part_alone() -> None:
    records = skewed()
    made = prepare(records, Task("label"))
    kind = adjusted(made, 0.5).kind
    assert isinstance(kind, Classification)
    labels = [
        name for name, part in zip(records.column("label"), records.column("set"), strict=True) if part == "train"
    ]
    shares = np.array([labels.count(name) for name in kind.classes]) / len(labels)
    np.testing.assert_allclose(kind.adjustment, 0.5 * np.log(shares))
    poisoned = ["class A" if part == "test" else name
                for name, part in zip(records.column("label"), records.column("set"), strict=True)]  # fmt: skip
    other = Records.of(records.sequences, columns={**records.columns, "label": poisoned}, alphabet="protein")
    assert adjusted(prepare(other, Task("label")), 0.5).kind == kind
    assert adjusted(made, None) is made and adjusted(made, 0.0) is made
    assert "(strength 0.5)" in adjusted(made, 0.5).notes[-1] and "strength" not in " ".join(made.notes)


def test_rare_classes_are_found_more_often_and_frequent_ones_less(tmp_path: Path) -> None:
    plain = run(skewed(), tmp_path / "plain")
    fair = run(skewed(), tmp_path / "fair", logit_adjustment=1.0)
    answered = []
    for name in ("plain", "fair"):
        lines = (tmp_path / name / "predictions.tsv").read_text().splitlines()[1:]
        answered.append([line.split("\t")[2] for line in lines].count("class C"))
    assert answered[1] > answered[0]
    assert "adjusted for class shares" in " ".join(fair["data"]["notes"])
    assert plain["task"]["metrics"][0] == "mcc" and fair["task"]["metrics"][0] == "balanced_accuracy"
    assert plain["baselines"] == {name: {metric: found[metric] for metric in plain["task"]["metrics"]}
                                  for name, found in fair["baselines"].items()}  # fmt: skip
    assert '"adjustment"' not in (tmp_path / "plain" / "model" / "model.json").read_text()


def test_a_solved_head_is_what_the_adjusted_loss_leads_to() -> None:
    """Gradients of the adjusted loss, plus that of the penalty, are zero at the shifted solution."""
    generator = np.random.default_rng(0)
    features, codes = generator.normal(size=(60, 4)), np.repeat([0, 1, 2], [40, 15, 5])
    features[:, 0] += codes
    fit = logistic(features, codes, 3, np.arange(60), standardise=False, seed=0)
    kind = Classification(("a", "b", "c")).adjusted(codes, 1.0)
    weight = torch.tensor(fit.weight, dtype=torch.float64, requires_grad=True)
    shifted = torch.tensor(fit.bias - np.array(kind.adjustment), dtype=torch.float64, requires_grad=True)
    inputs = torch.tensor(features, dtype=torch.float64)
    kind.loss((inputs @ weight.T + shifted).double(), torch.from_numpy(codes)).sum().backward()
    assert shifted.grad is not None and weight.grad is not None
    np.testing.assert_allclose(shifted.grad.numpy(), 0, atol=2e-3)
    np.testing.assert_allclose((weight.grad + fit.penalty * weight.detach()).numpy(), 0, atol=2e-2)


def test_balanced_draws_hold_every_class_equally_often() -> None:
    codes = np.repeat([0, 1, 2], [40, 15, 5])
    ones = np.ones(60, dtype=np.int64)
    train = Examples([np.zeros(4, np.uint8)] * 60, codes, ones.astype(bool), ones, np.arange(60))
    stream = balanced_stream(train, 48, 3)
    drawn = [stream.batch(step).targets.numpy() for step in range(stream.per_epoch)]
    assert [np.bincount(batch).tolist() for batch in drawn] == [[4, 4, 4]] * 5


def test_a_loop_learns_from_balanced_draws(tmp_path: Path) -> None:
    choices = {"backbone": str(net(tmp_path / "net")), "strategy": "scratch"}
    report = run(skewed(), tmp_path / "run", sampling="balanced", **choices)
    assert report["recipe"]["sampling"] == "balanced"
    natural = run(skewed(), tmp_path / "natural", sampling="natural", **choices)
    assert natural["metrics"] != report["metrics"]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"sampling": "balanced"}, "got strategy 'frozen', which solves its head without one. Choose --logit-adj"),
        ({"sampling": "even"}, "Unknown value for --sampling: got 'even', expected one of natural, balanced"),
        ({"logit_adjustment": -1.0}, "--logit-adjustment is a strength: got -1, expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, choices: dict[str, Any], message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        run(skewed(), tmp_path / "run", **choices)


def test_residues_are_not_drawn_one_by_one(tmp_path: Path) -> None:
    choices = {"backbone": str(net(tmp_path / "net")), "strategy": "scratch"}
    with pytest.raises(BiograftError, match="got classification per residue, expected one class per record"):
        run(skewed("residue"), tmp_path / "drawn", sampling="balanced", **choices)
    report = run(skewed("residue"), tmp_path / "run", logit_adjustment=1.0, **choices)
    assert report["task"]["level"] == "residue"


def test_values_have_no_class_shares() -> None:
    records = skewed()
    values = [f"{len(text) + row / 100:.2f}" for row, text in enumerate(records.sequences)]
    made = prepare(Records.of(records.sequences, columns={**records.columns, "label": values}, alphabet="protein"),
                   Task("label"))  # fmt: skip
    with pytest.raises(BiograftError, match="--logit-adjustment is for classes: got a task of regression"):
        adjusted(made, 1.0)


def test_only_a_linear_head_can_be_shifted() -> None:
    records = skewed()
    kind = adjusted(prepare(records, Task("label")), 1.0).kind
    backbone = Composition(records.alphabet)
    model = Model(backbone, Frozen().head(backbone, Sequence(), kind), Sequence(), kind)
    before = model.state_dict()["head.linear.bias"].clone()
    shift_solved(model)
    shifted = model.state_dict()["head.linear.bias"]
    np.testing.assert_allclose((before - shifted).numpy(), kind.adjustment, rtol=1e-5)
    model.head = torch.nn.Flatten()
    with pytest.raises(BiograftError, match="shifts the intercepts of a linear head"):
        shift_solved(model)
