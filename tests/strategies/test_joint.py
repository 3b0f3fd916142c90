"""Joint learning: λ = ∞ is full fine-tuning to the bit, λ weighs tasks and not steps, heads are shared if alike."""

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from biograft.data.alphabet import PROTEIN
from biograft.data.examples import Examples
from biograft.data.generated import World
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.answers import SOURCE_ANSWERS, kept
from biograft.flows.fit import fit_recipe
from biograft.flows.recipe import Recipe
from biograft.flows.sources import Choice, Source, load_source
from biograft.model import LinearHead, Model
from biograft.strategies.joint import Joint
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, world = tmp_path_factory.mktemp("tables"), World()
    _write(folder / "target.tsv", world.target(24, 16, seed=1, valid=8))
    _write(folder / "source.tsv", world.source(24, seed=2))
    _write(folder / "more.tsv", world.target(24, 4, seed=3, valid=4))
    target = world.target(24, 16, seed=1, valid=8)
    copies = Records.of(target.sequences, columns={"label": target.columns["label"]}, alphabet="protein")
    _write(folder / "copies.tsv", copies)
    return folder


def _write(path: Path, records: Records) -> None:
    columns = {name: values for name, values in records.columns.items() if name in ("label", "set")}
    write_table(path, {"id": records.ids, "sequence": records.sequences, **columns})


def recipe(tables: Path, **choices: object) -> Recipe:
    usual = {"table": str(tables / "target.tsv"), "label": "label", "backbone": "cnn", "epochs": 1.0,
             "device": "cpu", "precision": "fp32"}  # fmt: skip
    return Recipe.of({**usual, **choices})


def joint(tables: Path, weight: str, **choices: object) -> Recipe:
    source = {"strategy": "joint", "source": str(tables / "source.tsv"), "source_label": "label", "lambda": weight}
    return recipe(tables, **{**source, **choices})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "weights.safetensors")


def test_infinite_weight_is_full_fine_tuning(tables: Path, tmp_path: Path) -> None:
    fit_recipe(recipe(tables, strategy="full"), tmp_path / "full")
    told = fit_recipe(joint(tables, "inf"), tmp_path / "joint").report["model"]["notes"][0]
    assert told.startswith("The source 'label' was left out, for λ is infinite; at the end, ")
    full, together = weights(tmp_path / "full"), weights(tmp_path / "joint")
    assert full.keys() == together.keys()
    assert all(torch.equal(full[name], together[name]) for name in full)


def test_the_source_is_learned_and_told_of(tables: Path, tmp_path: Path) -> None:
    result = fit_recipe(joint(tables, "1", epochs=6.0), tmp_path / "run")
    notes = " ".join(result.report["model"]["notes"])
    assert "Learned together with the source 'label' (" in notes and "of its validation part is" in notes
    assert "0 of the 16 test records are 40 % or more alike to a record of the source, 0 are copies." in notes
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps = [entry for entry in entries if "loss" in entry]
    assert all({"target", "source"} <= entry["loss"].keys() for entry in steps)
    assert all(-1 <= entry["cosine"] <= 1 for entry in steps)
    assert steps[-1]["loss"]["source"] < steps[0]["loss"]["source"]
    assert (tmp_path / "run" / "recipe.toml").read_text().count('lambda = "1"') == 1


def test_the_head_is_shared_where_both_ask_for_the_same_classes(tables: Path, net: Any) -> None:
    classes = Classification(tuple(sorted(set(read(tables / "target.tsv").column("label")))))
    target = net(Joint())
    target.head, target.kind = LinearHead(Sequence(), 8, classes.width), classes
    shared = Source.of(joint(tables, "1", source=str(tables / "more.tsv")), target, 0)
    assert shared.model.head is target.head and shared.model.backbone is target.backbone
    phase = Joint().phases(Joint().learner(target, shared.model))[0]
    moving = [parameter for group in phase.groups for parameter in group.parameters]
    assert len(moving) == len(set(moving)) == len(list(target.parameters()))
    for source, other in (("source.tsv", classes), ("more.tsv", Classification(classes.classes[1:]))):
        target.kind = other
        apart = Source.of(joint(tables, "1", source=str(tables / source)), target, 0)
        assert apart.model.head is not target.head and apart.model.backbone is target.backbone


def test_the_source_has_no_say_in_which_state_is_best(tables: Path, tmp_path: Path) -> None:
    """Labels of its validation and test rows are others, and the model is the same bit by bit."""
    records = read(tables / "more.tsv")
    names = sorted(set(records.column("label")))
    after = dict(zip(names, [*names[1:], names[0]], strict=True))
    labels = [name if part == "train" else after[name]
              for name, part in zip(records.column("label"), records.column("set"), strict=True)]  # fmt: skip
    made = []
    for name, column in (("as it was", records.column("label")), ("changed", labels)):
        (folder := tmp_path / name).mkdir()
        columns = {"id": records.ids, "sequence": records.sequences, "label": column, "set": records.column("set")}
        write_table(folder / "more.tsv", columns)
        fit_recipe(joint(tables, "1", source=str(folder / "more.tsv"), epochs=3.0), folder / "run")
        made.append((weights(folder / "run"), kept(folder / "run" / SOURCE_ANSWERS)))
    (one, first), (other, second) = made
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert np.array_equal(first["answer"], second["answer"]) and not np.array_equal(first["truth"], second["truth"])


def test_copies_are_told_of_either_way(tables: Path, tmp_path: Path) -> None:
    """Test records that the source was learned from, and validation records of it that the target was learned from."""
    result = fit_recipe(joint(tables, "1", source=str(tables / "copies.tsv")), tmp_path / "run")
    notes = " ".join(result.report["model"]["notes"])
    assert "12 of the 16 test records are 40 % or more alike to a record of the source, 12 are copies." in notes
    load = Choice(str(tables / "copies.tsv"), "label")
    valid = load_source(load, PROTEIN).part("valid")[0].sequences
    target = read(tables / "target.tsv")
    train = {text for text, part in zip(target.sequences, target.column("set"), strict=True) if part == "train"}
    copies = sum(text in train for text in valid)
    assert 0 < copies <= len(valid)
    told = f"of the {len(valid)} validation records of the source are 40 % or more alike to a training record of the "
    assert f"{told}target, {copies} are copies." in notes


def test_shares_add_up_and_change_no_step_size(tables: Path) -> None:
    for weight in (0.1, 1.0, 9.0):
        plan = Joint(weight=weight)
        target, source = (plan._share(name) for name in ("target", "source"))
        assert target + source == pytest.approx(1.0) and target / source == pytest.approx(weight)
    rising = Joint(schedule="rising")
    first, last = ([rising._share(name)(done) for name in ("target", "source")] for done in (0.0, 1.0))
    assert first == [0.5, 0.5] and last == [1.0, 0.0]


def pair(net: Any, classes: int = 60) -> tuple[Model, Model]:
    """A target of two classes, and a source of many on the same backbone."""
    target, names = net(Joint()), tuple(f"class {number:02}" for number in range(classes))
    head = LinearHead(Sequence(), target.backbone.width, classes)
    return target, Model(target.backbone, head, Sequence(), Classification(names))


@pytest.mark.parametrize("weight", [0.1, 1.0, 9.0])
def test_a_source_of_many_classes_does_not_drown_the_target_nor_does_a_weight_change_the_step(
    net: Any, weight: float
) -> None:
    """An answer that knows nothing loses log(classes): both together then weigh what the target alone would."""
    plan, (target, source) = Joint(weight=weight), pair(net)
    own, other = (term.weight_at(0.0) for term in plan.phases(plan.learner(target, source))[0].terms)
    assert own * log(2) + other * log(60) == pytest.approx(log(2))
    assert (own * log(2)) / (other * log(60)) == pytest.approx(weight)


def test_learned_weights_settle_where_both_tasks_pull_alike_however_many_their_classes(net: Any) -> None:
    """Minimised over both variances, the objective is the sum of the logarithms of both losses (times κ)."""
    plan, (target, source) = Joint(schedule="learned"), pair(net)
    learner: Any = plan.learner(target, source)
    phase = plan.phases(learner)[0]
    rows = [PROTEIN.encode(text) for text in ("ACDEFGH", "KLMNPQR", "MKVLAAG")]
    ones = np.ones(3, dtype=np.int64)
    batch = Examples(rows, np.array([0, 1, 1]), ones.astype(bool), ones, np.arange(3)).batch(np.arange(3))
    learner.eval()  # without dropout, so that a loss is the same each time
    plain = [term.value(learner, batch, 0.0).item() for term in phase.terms]  # as long as both variances are 1
    with torch.no_grad():
        for name, loss, classes in zip(("target", "source"), plain, (2, 60), strict=True):
            learner.log_variances[name].fill_(log(loss / log(classes)))
    learner.zero_grad()
    pulls = []
    for term, loss in zip(phase.terms, plain, strict=True):
        (term.value(learner, batch, 0.0) * term.weight_at(0.0)).backward()
        pulls.append(term.weight_at(0.0) * learner.log_variances[term.name].neg().exp().item() * loss)
    assert all(abs(value.grad.item()) < 1e-5 for value in learner.log_variances.values())
    assert pulls == [pytest.approx(log(2)), pytest.approx(log(2))]
    balance = phase.groups[-1]
    assert {id(value) for value in balance.parameters} == {id(value) for value in learner.log_variances.values()}
    assert balance.weight_decay == 0.0 and balance.learning_rate == plan.balance_learning_rate


@pytest.mark.parametrize("choice", [{"lambda": "learned"}, {"lambda": "rising"}, {"strategy_option": ["project=true"]}])
def test_other_weights_and_projection_carry_through(tables: Path, tmp_path: Path, choice: dict[str, object]) -> None:
    result = fit_recipe(joint(tables, "1", **choice), tmp_path / "run")
    assert result.report["metrics"]["test"]["mcc"]["value"] is not None


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"source": "x.tsv"}, "got --source alone. Add --source-label COL"),
        ({"source_label": "label"}, "got --source-label alone. Add --source TABLE"),
        ({"lambda": "1"}, "got 1 and no --source"),
        ({"strategy": "joint"}, "learns from target and source: got no --source"),
    ],
)
def test_half_a_source_is_refused(tables: Path, tmp_path: Path, choices: dict[str, object], message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        fit_recipe(recipe(tables, **choices), tmp_path / "run")


def test_a_weight_that_is_none_is_refused(tables: Path) -> None:
    with pytest.raises(BiograftError, match="--lambda: got '-1', expected a number above 0, inf, rising or learned"):
        joint(tables, "-1")


def test_another_strategy_takes_no_source(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(BiograftError, match="Choose --strategy joint, or leave the source out"):
        fit_recipe(joint(tables, "", strategy="full"), tmp_path / "run")
    assert read(tables / "target.tsv").columns.keys() == {"label", "set"}
