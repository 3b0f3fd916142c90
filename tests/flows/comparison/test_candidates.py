"""Who takes part in a comparison: usual strategies for what a backbone is, and its twin from scratch beside it."""

from pathlib import Path

import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows.comparison.candidates import Candidate, candidates
from biograft.flows.comparison.field import Field
from biograft.flows.recipe import Recipe
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Residue, Sequence
from biograft.tasks.task import Level


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a model with a very small backbone that has learned something."""
    with torch.random.fork_rng([]):
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    folder = tmp_path_factory.mktemp("models") / "known"
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder)
    return str(folder)


def chosen(level: Level | None = None, shared: Recipe | None = None, **choices: object) -> list[Candidate]:
    return candidates(shared or Recipe(), Field(**choices), "protein", level or Sequence())  # type: ignore[arg-type]


def names(**choices: object) -> list[str]:
    return [one.name for one in chosen(**choices)]  # type: ignore[arg-type]


def test_usual_strategies_follow_from_what_a_backbone_is(trained: str) -> None:
    for alphabet, level, usual in (
        (
            "protein",
            Sequence(),
            ["protein-small, scratch", "protein-small, frozen", "protein-small, full", "kmer, frozen"],
        ),
        ("protein", Residue(), ["protein-small, scratch", "protein-small, frozen", "protein-small, full"]),
        ("dna", Sequence(), ["kmer, frozen", "cnn, scratch"]),
        ("dna", Residue(), ["cnn, scratch"]),
    ):
        assert [one.name for one in candidates(Recipe(), Field(), alphabet, level)] == usual
    assert names(backbones=(trained,)) == ["known, scratch", "known, frozen", "known, full"]


def test_the_twin_stands_beside_every_net_and_only_there(trained: str) -> None:
    found = chosen(backbones=(trained, "kmer", "cnn"), strategies=("full", "frozen"))
    assert [(one.name, one.twin, one.transfer) for one in found] == [
        ("known, scratch", False, False),
        ("known, full", True, True),
        ("known, frozen", True, True),
        ("kmer, full", False, False),
        ("kmer, frozen", False, False),
        ("cnn, scratch", False, False),
        ("cnn, full", True, False),
        ("cnn, frozen", True, False),
    ]


def test_a_source_adds_joint_learning_and_every_weight_is_a_candidate(trained: str) -> None:
    shared = Recipe(source="s.tsv", source_label="ss")
    assert names(backbones=(trained,), shared=shared)[-1] == "known, joint"
    found = chosen(backbones=("cnn", "kmer"), weights=("0.5", "inf"), shared=shared)
    assert [one.name for one in found] == ["cnn, scratch", "cnn, joint λ=0.5", "cnn, joint λ=inf", "kmer, frozen"]
    assert [one.transfer for one in found] == [False, True, True, False]
    joint, scratch = found[1].recipe(shared, 3), found[0].recipe(shared, 3)
    assert (joint.source, joint.lambda_, joint.strategy, joint.seed) == ("s.tsv", "0.5", "joint", 3)
    assert (scratch.source, scratch.source_label, scratch.lambda_) == ("", "", "")


def test_folders_differ_where_candidates_do() -> None:
    both = [Candidate(str(Path(place) / "net"), "joint", weight) for place in "ab" for weight in ("1", "2")]
    found = {one.folder(seed) for one in both for seed in (0, 1)}
    assert len(found) == 8
    assert Candidate("cnn", "full").folder(2) == "cnn-full-seed2"


def test_choices_of_a_strategy_are_in_its_name_its_folder_and_its_recipe() -> None:
    found = chosen(
        backbones=("cnn",),
        strategies=("full", "full:weight_decay=0:learning_rate=1e-3"),
        options=("full:learning_rate=1e-4", "scratch:dropout=0"),
    )
    assert [one.name for one in found] == [
        "cnn, scratch dropout=0", "cnn, full learning_rate=1e-4", "cnn, full learning_rate=1e-3 weight_decay=0",
    ]  # fmt: skip
    assert found[2].recipe(Recipe(), 0).strategy_option == ("learning_rate=1e-3", "weight_decay=0")
    assert found[2].folder(1, 25) == "cnn-full-learning_rate-1e-3-weight_decay-0-n25-seed1"
    assert len({one.folder(0) for one in found}) == 3
    assert found[2].twin_among(found) == found[0]
    assert found[0].twin_among(found) is None


def test_limits_go_from_small_to_large_and_end_with_all() -> None:
    assert Field(limits=("100", "25", "all")).steps(300) == (25, 100, None)
    assert Field(limits=("25", "500", "400", "25")).steps(300) == (25, None), "beyond the table is all of it"
    assert Field(limits=("25", "100")).steps(300) == (25, 100)
    assert Field().steps(300) == (None,)
    few = Candidate("cnn", "scratch").recipe(Recipe(), 3, 25)
    assert (few.train_limit, few.seed, few.refit) == (25, 3, False)
    assert Candidate("cnn", "scratch").recipe(Recipe(train_limit=9), 3).train_limit == 9


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"strategies": ("full:learning=1",)}, "Strategy 'full' has no choice 'learning'"),
        ({"options": ("learning_rate=1",)}, "got 'learning_rate=1', expected STRATEGY:NAME=VALUE"),
        ({"options": ("full",)}, "got 'full', expected STRATEGY:NAME=VALUE"),
        (
            {"backbones": ("kmer", "cnn"), "options": ("lora:rank=4",)},
            "doesn't take part: got 'lora', expected one of frozen, scratch",
        ),
        ({"limits": ("many",)}, "--limits are numbers of training records: got 'many'"),
        ({"limits": ("1",)}, "got '1', expected 2 or more each, or all"),
        ({"strategies": ("frozne",)}, "Did you mean 'frozen'?"),
        ({"strategies": ("auto:rank=4",)}, "The one choice of strategy auto is its time: got 'rank=4'"),
        ({"strategies": ("auto:minutes=long",)}, "got 'minutes=long', expected minutes=NUMBER"),
        ({"strategies": ("auto:minutes=0",)}, "--minutes is the time that a run may take: got 0"),
        ({"strategies": ("auto",), "minutes": -1.0}, "got -1, expected above 0"),
        ({"strategies": ("full",), "minutes": 1.0}, "got 1, and auto doesn't take part"),
        ({"backbones": ("nothing",)}, "Unknown backbone: got 'nothing'"),
        ({"weights": ("1", "0")}, "--lambda: got '0', expected a number above 0"),
        ({"seeds": 0}, "--seeds is a number of runs: got 0"),
        ({"jobs": -1}, "--jobs is a number of processes: got -1"),
    ],
)
def test_wrong_choices_are_refused_at_once(choices: dict[str, object], says: str) -> None:
    with pytest.raises(BiograftError, match=says.replace("?", r"\?")):
        chosen(**choices)  # type: ignore[arg-type]


def test_unlabelled_records_reach_those_strategies_alone_that_read_them(trained: str) -> None:
    shared = Recipe(unlabelled="others.fasta", logit_adjustment=1.0)
    found = chosen(shared=shared, backbones=(trained,), strategies=("full", "coral", "adversarial"))
    read = {one.strategy: one.recipe(shared, 0).unlabelled for one in found}
    assert read == {"scratch": None, "full": None, "coral": "others.fasta", "adversarial": "others.fasta"}
    assert {one.recipe(shared, 0).logit_adjustment for one in found} == {1.0}


def test_auto_takes_part_with_its_time_and_may_use_the_source(trained: str) -> None:
    found = chosen(backbones=(trained, "kmer"), strategies=("auto", "auto:minutes=5", "frozen"), minutes=0.5)
    assert [one.name for one in found] == [
        "known, scratch", "known, auto minutes=0.5", "known, auto minutes=5", "known, frozen",
        "kmer, auto minutes=0.5", "kmer, auto minutes=5", "kmer, frozen",
    ]  # fmt: skip
    assert [(one.transfer, one.twin) for one in found[1:3]] == [(True, True)] * 2
    assert found[1].folder(0).endswith("-auto-minutes-0.5-seed0")
    recipe = found[2].recipe(Recipe(unlabelled="others.fasta"), 1, 25)
    assert (recipe.strategy, recipe.minutes, recipe.strategy_option) == ("auto", 5.0, ())
    assert (recipe.unlabelled, recipe.train_limit, recipe.seed) == (None, 25, 1)
    assert found[3].recipe(Recipe(), 0).minutes is None
    assert chosen(backbones=("cnn",), strategies=("auto",))[1].options == ("minutes=2",)
    given = chosen(backbones=("cnn",), strategies=("auto",), options=("auto:minutes=3",), minutes=1.0)
    assert given[1].options == ("minutes=3",)
    shared = Recipe(source="s.tsv", source_label="ss")
    found = chosen(backbones=("cnn",), strategies=("auto",), weights=("2",), shared=shared)
    assert [one.name for one in found] == ["cnn, scratch", "cnn, auto minutes=2 λ=2", "cnn, joint λ=2"]
    assert [one.transfer for one in found] == [False, True, True]
    recipe = found[1].recipe(shared, 0)
    assert (recipe.source, recipe.lambda_) == ("s.tsv", "2")


def test_a_source_that_nobody_can_learn_is_refused() -> None:
    shared = Recipe(source="s.tsv", source_label="ss")
    with pytest.raises(BiograftError, match="No candidate could learn the source: got --source s"):
        chosen(backbones=("kmer",), shared=shared)
    with pytest.raises(BiograftError, match="backbones without weights alone"):
        chosen(backbones=("kmer",), strategies=("auto",), shared=shared)
