"""What is refused before anything is learned, and that nothing was learned or written by then."""

from pathlib import Path

import pytest
import torch

from biograft.backbones.baselines import CNNConfiguration, DilatedCNN
from biograft.bundle import Bundle
from biograft.data.alphabet import named
from biograft.data.generated import World
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.flows import fit, inputs
from biograft.flows.comparison import compare as flow
from biograft.flows.comparison.compare import compare, compare_recipe
from biograft.flows.comparison.field import Field
from biograft.flows.recipe import Recipe
from biograft.model import LinearHead, Model
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables, unlabelled sequences, and a very small net that counts as trained."""
    folder = tmp_path_factory.mktemp("there")
    made = World(seed=0, shortest=30, longest=40, span=4).target(24, 12, seed=0, valid=8)
    columns = {"id": made.ids, "sequence": made.sequences, "set": made.column("set")}
    write_table(folder / "table.csv", columns | {"label": made.column("label")})
    write_table(folder / "values.csv", columns | {"label": [f"{place / 7:.3f}" for place in range(len(made))]})
    (folder / "others.fasta").write_text("".join(f">u{place}\n{made.sequences[place]}\n" for place in range(4)))
    with torch.random.fork_rng([]):
        net = DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.1))
        model = Model(net, LinearHead(Sequence(), 8, 2), Sequence(), Classification(("a", "b")))
    Bundle(model, "label", Records.of(["ACDEFGHIKL"], alphabet="protein")).save(folder / "net")
    return folder


def refuse(*arguments: object, **choices: object) -> None:
    raise AssertionError("this was to be refused before")


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"strategies": ("frozen", "coral")}, "Strategy 'coral' needs sequences of the domain .* got no --unlabelled"),
        ({"strategies": ("adversarial",)}, "Strategy 'adversarial' needs sequences of the domain"),
        ({"strategies": ("full", "joint")}, "Strategy 'joint' learns from target and source: got no --source"),
        ({"lambdas": (1,)}, "got 1 and no --source"),
        ({"strategies": ("full",), "unlabelled": "others.fasta"}, "No strategy of the comparison reads unlabelled"),
        ({"limits": (8, "all"), "train_limit": 9}, "both choose training records: got 8, all and 9"),
        ({"strategies": ("auto",), "sampling": "balanced"}, "--strategy auto.* got --sampling balanced too"),
        ({"sampling": "equal"}, "Unknown value for --sampling: got 'equal'"),
        ({"logit_adjustment": -1.0}, "--logit-adjustment is a strength: got -1"),
    ],
)
def test_choices_that_fit_in_no_run_are_refused_before_the_table_is_read(
    choices: dict[str, object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "read", refuse)
    with pytest.raises(BiograftError, match=says):
        compare(tmp_path / "table.csv", "label", out=tmp_path / "out", **choices)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"source": "missing.csv", "source_label": "label"}, "File not found: '.*missing.csv'"),
        ({"source": "table.csv", "source_label": "structure"}, "structure"),
        ({"strategies": ("coral",), "unlabelled": "missing.fasta"}, "File not found: '.*missing.fasta'"),
    ],
)
def test_tables_beside_the_target_are_read_before_its_parts_are_made(
    choices: dict[str, str], says: str, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "prepare", refuse)
    files = {name: str(there / choices[name]) for name in ("source", "unlabelled") if name in choices}
    with pytest.raises(BiograftError, match=says):
        compare(there / "table.csv", "label", out=tmp_path / "out", **choices | files)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "choices", "says"),
    [
        ("table.csv", {"backbones": ("kmer",), "strategies": ("full",)},
         "No candidate of the comparison can begin. The first one: Backbone 'kmer' has no weights"),
        ("table.csv", {"backbones": ("net", "kmer"), "strategies": ("frozen", "ia3")},
         "Strategy 'ia3' would be refused in every run. Strategy ia3 rescales .* backbone 'cnn'"),
        ("table.csv", {"backbones": ("net",), "strategies": ("frozen:layer=9",)}, "Strategy 'frozen layer=9' would be"),
        ("values.csv", {"backbones": ("net",), "strategies": ("frozen:head=lda",)}, "no answer for a task of regress"),
        ("table.csv", {"backbones": ("net",), "strategies": ("frozen", "full"), "sampling": "balanced"},
         "Strategy 'frozen' would be refused in every run. --sampling balanced draws the batches of a loop"),
        ("values.csv", {"backbones": ("cnn",), "sampling": "balanced"}, "got regression per sequence, expected one"),
        ("values.csv", {"backbones": ("cnn",), "logit_adjustment": 1.0}, "--logit-adjustment is for classes"),
        ("table.csv", {"strategies": ("frozen:head=centroid",), "backbones": ("net",), "logit_adjustment": 1.0},
         "--logit-adjustment shifts the intercepts of a linear head"),
    ],
)  # fmt: skip
def test_a_strategy_that_no_backbone_can_begin_is_refused_before_anything_is_learned(
    table: str, choices: dict[str, object], says: str, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit._Fit, "run", refuse)
    monkeypatch.setattr(inputs, "embed", refuse)
    names = choices.get("backbones", ())
    backbones = [str(there / name) if name == "net" else name for name in names]  # type: ignore[attr-defined]
    with pytest.raises(BiograftError, match=says):
        compare(there / table, "label", out=tmp_path / "out", **choices | {"backbones": backbones})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_positions_of_records_of_several_lengths_are_refused(there: Path, tmp_path: Path) -> None:
    recipe = Recipe(table=str(there / "table.csv"), label="label", pool="positions")
    with pytest.raises(BiograftError, match="--pool positions needs records of one length"):
        compare_recipe(recipe, Field(("composition", "cnn")), tmp_path / "out")
    assert not (tmp_path / "out").exists()
