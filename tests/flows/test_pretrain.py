"""Pretraining learns from letters and sources, continues bit-equal, and opens here and in transformers."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from biograft.backbones import esm2, native
from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.corpus import hold_out
from biograft.data.generated import World
from biograft.data.packed import Packed
from biograft.data.readers import write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.files import locked
from biograft.flows.pretrain import pretrain, summary
from biograft.flows.pretrain_recipe import PretrainRecipe
from biograft.origins import load_backbone

TINY = {
    "layers": 1,
    "width": 16,
    "heads": 2,
    "window": 40,
    "batch_letters": 512,
    "held_out": 6,
    "source_letters": (256,),
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> PretrainRecipe:
    folder = tmp_path_factory.mktemp("corpus")
    corpus = World().source(80, seed=1)
    write_table(folder / "corpus.tsv", {"id": corpus.ids, "sequence": corpus.sequences})
    source = World().source(24, seed=2)
    parts = ["train"] * 16 + ["valid"] * 8
    columns = {"id": source.ids, "sequence": source.sequences, "label": source.columns["label"], "set": parts}
    write_table(folder / "source.tsv", columns)
    return PretrainRecipe(
        corpus=str(folder / "corpus.tsv"), tokens=512 * 12, device="cpu", precision="fp32",
        source=(str(folder / "source.tsv"),), source_label=("label",), source_mask=("",), source_weight=(0.5,),
        **TINY,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(recipe: PretrainRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain(recipe, tmp_path_factory.mktemp("runs") / "whole").folder


def test_the_report_says_what_was_learned_from(finished: Path, recipe: PretrainRecipe) -> None:
    report = pretrain(recipe, finished).report  # a finished run is read, not repeated
    corpus = report["corpus"]
    assert corpus["sequences"] + corpus["held_out"] + corpus["relatives_left_out"] == 80
    assert corpus["relatives_left_out"] > 0 and corpus["letters_read"] == 512 * 12
    assert report["sources"] == {
        "source label": {"label": "label", "weight": 0.5, "records": 16, "letters_read": 256 * 12}
    }
    metrics = report["metrics"]["valid"]
    assert metrics["loss"] == pytest.approx(np.log(metrics["perplexity"]))
    assert 0 <= metrics["accuracy"] <= 1 and "source label: mcc" in metrics
    lines = (finished / "log.jsonl").read_text()
    assert '"masked"' in lines and '"source label"' in lines


def test_transformers_opens_it_with_equal_outputs(finished: Path) -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.EsmModel.from_pretrained(finished / "model", add_pooling_layer=False).eval()
    ours = esm2.load(finished / "model")
    row = np.random.default_rng(0).integers(20, size=33).astype(np.uint8)
    tokens = torch.cat([torch.tensor([0]), ours.token_ids(torch.from_numpy(row)), torch.tensor([2])])
    with torch.inference_mode():
        expected = reference(tokens[None]).last_hidden_state[0, 1:-1]
        assert torch.allclose(ours(Packed.of([row])).values, expected, atol=1e-4)


@pytest.mark.parametrize(("architecture", "precision"), [("encoder", "fp32"), ("bytenet", "bf16")])
def test_stopped_and_continued_is_never_stopped(
    recipe: PretrainRecipe, tmp_path: Path, architecture: str, precision: str
) -> None:
    recipe = replace(recipe, architecture=architecture, precision=precision)
    told: list[int] = []

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "train":
            told.append(done)
            if done == 5:
                signal.raise_signal(signal.SIGINT)

    pretrain(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        pretrain(recipe, tmp_path / "run", progress=stop)
    assert told[-1] == 6 and (tmp_path / "run" / "state" / "state.safetensors").exists()
    told.clear()
    pretrain(
        recipe, tmp_path / "run", progress=lambda stage, done, total: told.append(done) if stage == "train" else None
    )
    assert min(done for done in told if done) == 7  # nothing was learned twice
    first, again = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("whole", "run"))
    assert first.keys() == again.keys() and all(torch.equal(again[name], tensor) for name, tensor in first.items())
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "run")]
    assert logs[0] == logs[1]


def test_two_processes_never_work_in_one_folder(recipe: PretrainRecipe, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"), pytest.raises(BiograftError, match="Another process is at work in"):
        pretrain(recipe, tmp_path / "run")


def test_a_source_that_has_changed_is_another_run(recipe: PretrainRecipe, finished: Path, tmp_path: Path) -> None:
    table = tmp_path / "source.tsv"
    table.write_text(Path(recipe.source[0]).read_text())
    elsewhere = replace(recipe, source=(str(table),))
    pretrain(elsewhere, tmp_path / "run")
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(BiograftError, match=r"run with other choices \(source_digest"):
        pretrain(elsewhere, tmp_path / "run")


def test_an_encoder_of_dna_opens_in_transformers(recipe: PretrainRecipe, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    letters = np.random.default_rng(0).choice(list("ACGT"), (40, 60))
    path = tmp_path / "dna.tsv"
    write_table(path, {"id": [f"s{n}" for n in range(40)], "sequence": ["".join(row) for row in letters]})
    alone = replace(recipe, corpus=str(path), tokens=1024, source=(), source_label=(), source_mask=(), source_weight=())
    model = pretrain(alone, tmp_path / "run").folder / "model"
    ours, theirs = esm2.load(model), transformers.EsmModel.from_pretrained(model, add_pooling_layer=False).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    with torch.inference_mode():
        expected = theirs(**tokenizer("ACGTNACCA", return_tensors="pt")).last_hidden_state[0, 1:-1]
        assert torch.allclose(ours(Packed.of([ours.encode("ACGTNACCA")])).values, expected, atol=1e-4)


def test_masked_letters_are_learned(recipe: PretrainRecipe, tmp_path: Path) -> None:
    """Sequences of two letters: an encoder that learns anything knows which letters occur."""
    generator = np.random.default_rng(0)
    sequences = ["".join(np.array(list("AC"))[generator.integers(2, size=40)]) for _ in range(60)]
    path = tmp_path / "two.tsv"
    write_table(path, {"id": [f"s{n}" for n in range(60)], "sequence": sequences})
    alone = replace(recipe, corpus=str(path), tokens=512 * 60, alphabet="protein", identity=1.0, learning_rate=1e-2,
                    source=(), source_label=(), source_mask=(), source_weight=())  # fmt: skip
    report = pretrain(alone, tmp_path / "run").report
    assert report["metrics"]["valid"]["perplexity"] < 2.5  # 20 before it learned anything


def test_convolutions_are_pretrained_by_the_same_flow(recipe: PretrainRecipe, tmp_path: Path) -> None:
    result = pretrain(replace(recipe, architecture="bytenet", layers=2), tmp_path / "run")
    assert result.report["encoder"]["architecture"] == "bytenet"
    backbone = load_backbone(str(result.folder), "protein")
    assert isinstance(backbone, ByteNet) and backbone.pretrained and backbone.width == 16
    fresh = ByteNet(backbone.alphabet, backbone.shape)
    assert fresh.fingerprint() != backbone.fingerprint()
    assert "2 blocks of width 16 (bytenet)" in summary(result.report)[0]


def test_relatives_of_what_is_held_out_are_left_out() -> None:
    records = World().source(40, seed=3)  # families of four
    parts = hold_out(records, 5, seed=0)
    families = np.array(records.columns["family"])
    rest = families[np.concatenate([parts.train, parts.relatives])]
    assert set(families[parts.relatives]) <= set(families[parts.valid])
    assert not set(families[parts.train]) & set(families[parts.valid])
    assert len(parts.valid) == 5 and len(rest) == 35


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "--layers: got 0, expected 1 or more"),
        ({"optimiser": "sgd"}, "Unknown value for --optimiser: got 'sgd', expected muon or adamw"),
        ({"learning_rate": 0.0}, "--learning-rate: got 0, expected above 0"),
        ({"weight_decay": -0.1}, "--weight-decay: got -0.1, expected 0 or more"),
        ({"masked": 1.5}, "--masked: got 1.5, expected between 0 and 1"),
        ({"source_label": ()}, "Every --source needs a label column"),
        ({"source_weight": (-1.0,)}, "λ of a source"),
        ({"source_letters": (256, 256)}, "--source-letters: got 256, 256, expected a number"),
        ({"source_letters": (0,)}, "--source-letters: got 0"),
        ({"backbone": "protein-small"}, "keeps its shape: got --layers 1"),
    ],
)
def test_choices_that_make_no_sense(recipe: PretrainRecipe, changes: dict[str, object], message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        replace(recipe, **changes)  # type: ignore[arg-type]


def test_too_few_sequences(tmp_path: Path) -> None:
    records = Records.of(["ACDEFGHIKL" * 4] * 6)
    with pytest.raises(BiograftError, match="Too few sequences for a validation part"):
        hold_out(records, 4)
    with pytest.raises(BiograftError, match="Nothing is left to learn from"):
        hold_out(records, 1)


def test_it_goes_on_from_an_encoder_that_exists(recipe: PretrainRecipe, tmp_path: Path) -> None:
    """The start is the given weights: a rate near nothing leaves them, a real one moves them."""
    alone = replace(recipe, source=(), source_label=(), source_mask=(), source_weight=(), weight_decay=0.0)
    first = pretrain(replace(alone, architecture="bytenet", layers=2), tmp_path / "first").folder
    on = replace(alone, backbone=str(first), layers=6, width=320, heads=5, batch_letters=512)
    still = pretrain(replace(on, learning_rate=1e-12), tmp_path / "still")
    moved = pretrain(on, tmp_path / "moved")
    before, same, other = (
        load_file(run / "model" / "model.safetensors") for run in (first, still.folder, moved.folder)
    )
    assert all(torch.allclose(same[name], tensor, atol=1e-6) for name, tensor in before.items())
    assert any(not torch.allclose(other[name], tensor, atol=1e-6) for name, tensor in before.items())
    assert still.report["encoder"]["from"] == str(first) and still.report["encoder"]["layers"] == 2


def test_other_weights_under_the_same_name_are_another_run(recipe: PretrainRecipe, tmp_path: Path) -> None:
    alone = replace(recipe, source=(), source_label=(), source_mask=(), source_weight=(), architecture="bytenet")
    first = pretrain(alone, tmp_path / "first").folder
    on = replace(alone, backbone=str(first), architecture="encoder", layers=6, width=320, heads=5)
    pretrain(on, tmp_path / "on")
    native.save(ByteNet(PROTEIN, ByteNetConfiguration(1, 16)), first / "model")
    with pytest.raises(BiograftError, match="backbone_fingerprint"):
        pretrain(on, tmp_path / "on")


def test_what_holds_no_head_for_hidden_letters_is_not_trained_further(recipe: PretrainRecipe, tmp_path: Path) -> None:
    native.save(ByteNet(PROTEIN, ByteNetConfiguration(1, 16, language_head=False)), tmp_path / "headless")
    on = replace(recipe, backbone=str(tmp_path / "headless"), layers=6, width=320, heads=5)
    with pytest.raises(BiograftError, match="can't be pretrained further: got 'bytenet'"):
        pretrain(on, tmp_path / "run")
