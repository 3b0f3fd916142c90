"""Runs put into the package, and used from there by name: a tiny encoder, and a tiny model on it."""

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner, Result

from biograft.backbones import esm2, native
from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.bundle import load
from biograft.cli import app
from biograft.data.alphabet import PROTEIN
from biograft.data.generated import World
from biograft.data.packed import Packed
from biograft.data.readers import write_table
from biograft.errors import BiograftError
from biograft.files import write_json
from biograft.origins import load_backbone
from biograft.shipped import shelf

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "pretraining"
NAME = "protein-tiny"


def run(line: str) -> Result:
    return CliRunner().invoke(app, line.split())


@pytest.fixture(scope="module")
def ship() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("ship")
        for name in ("ship", "cards", "mean"):
            sys.modules.pop(name)


def pretrained(folder: Path, seed: int = 0, convolutions: bool = False) -> Path:
    """What `biograft pretrain` leaves, without the training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder: Encoder | ByteNet
        if convolutions:
            encoder = ByteNet(PROTEIN, ByteNetConfiguration(2, 32))
            native.save(encoder, folder / "model")
        else:
            encoder = Encoder(PROTEIN, EncoderConfiguration(layers=2, width=32, heads=2))
            esm2.save(encoder, folder / "model")
    shape = {"architecture": encoder.name, **encoder.configuration(), "parameters": 12345}
    write_json(
        folder / "report.json",
        {
            "biograft": "0.1.0", "created": "2026-01-02T03:04:05+00:00", "encoder": shape,
            "corpus": {"file": "c.fasta", "sequences": 90, "letters": 9000, "held_out": 10, "relatives_left_out": 3,
                       "letters_read": 2000},
            "sources": {"structure ss3": {"label": "ss3", "weight": 1.0, "records": 40, "letters_read": 8192}},
            "metrics": {"valid": {"perplexity": 17.5, "loss": 2.9, "accuracy": 0.08}},
            "seconds": {"train": 1.0}, "environment": {},
            "recipe": {"corpus": str(folder / "c.fasta"), "window": 512, "batch_letters": 1000, "source_letters": 4096},
        },
    )  # fmt: skip
    steps = [{"step": s, "valid": {"perplexity": 20.0 - s, "accuracy": s / 100}} for s in (1, 2)]
    (folder / "log.jsonl").write_text("".join(json.dumps(step) + "\n" for step in [{"step": 1, "loss": 3.0}, *steps]))
    return folder


@dataclass(frozen=True)
class Made:
    """The encoder's run, the fit on the shipped encoder, the table it learned from, the folder of what is shipped."""

    encoder: Path
    fit: Path
    table: Path
    root: Path


@pytest.fixture(scope="module")
def made(ship: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    home = tmp_path_factory.mktemp("ship")
    encoder, root = pretrained(home / "pretrained"), home / "shipped"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "ROOT", root)
        assert ship.main(["encoder", str(encoder), NAME]) == 0
        world = World(seed=1)
        records, table = world.target(30, 16, 1, 8), home / "t.tsv"
        columns = {name: values for name, values in records.columns.items() if name != "family"}
        write_table(table, {"id": records.ids, "sequence": records.sequences, **columns})
        done = run(f"fit {table} --label label --backbone {NAME} --strategy frozen --out {home}/run --quiet")
        assert done.exit_code == 0, done.output
        assert ship.main(["model", str(home / "run"), "localization", "--encoder", NAME]) == 0
        yield Made(encoder, home / "run", table, root)


def test_the_encoder_is_its_run_rounded(made: Made) -> None:
    original, shipped = load_backbone(str(made.encoder), "protein"), load_backbone(NAME, "protein")
    with safe_open(made.root / NAME / "model.safetensors", framework="pt") as file:
        kinds = {str(file.get_tensor(name).dtype) for name in file.keys() if "inv_freq" not in name}  # noqa: SIM118
    assert kinds == {"torch.bfloat16"}
    assert all(value.dtype == torch.float32 for value in shipped.state_dict().values())
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.copy_(parameter.bfloat16())
        batch = Packed.of([PROTEIN.encode("MKTAYIAKQRQISFVK"), PROTEIN.encode("GSH")])
        assert torch.equal(original.vectors(batch).values, shipped.vectors(batch).values)
    assert original.fingerprint() == shipped.fingerprint()


def test_an_encoder_of_convolutions_is_rounded_too(
    ship: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shelf, "ROOT", tmp_path / "shipped")
    encoder = pretrained(tmp_path / "run", convolutions=True)
    assert ship.main(["encoder", str(encoder), NAME]) == 0
    original, shipped = load_backbone(str(encoder), "protein"), load_backbone(NAME, "protein")
    assert original.fingerprint() != shipped.fingerprint()
    assert original.to(torch.bfloat16).float().fingerprint() == shipped.fingerprint()
    text = shelf.backbones()[0].text()
    assert "2 blocks of width 32, 0.01 million" in text and "opens in biograft, not in transformers" in text


def test_the_card_tells_of_the_run_before(ship: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shelf, "ROOT", tmp_path / "shipped")
    first, second = pretrained(tmp_path / "first"), pretrained(tmp_path / "second", seed=1)
    assert ship.main(["encoder", str(second), NAME, "--after", str(first / "report.json")]) == 0
    told = "went on from a run of 2026-01-02 that had read 2,000 letters of c.fasta beside 1 labelled tables"
    assert told in shelf.backbones()[0].text()


def test_the_mean_of_two_ends_is_shipped(ship: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shelf, "ROOT", tmp_path / "shipped")
    first, second = (pretrained(tmp_path / f"run{seed}", seed=seed, convolutions=True) for seed in (0, 1))
    words = ["encoder", str(second), NAME, "--after", str(first / "report.json"), "--mean-with", str(first)]
    assert ship.main(words) == 0
    ends = [dict(load_backbone(str(run), "protein").named_parameters()) for run in (first, second)]
    for place, parameter in load_backbone(NAME, "protein").named_parameters():
        assert torch.allclose(parameter, (ends[0][place] + ends[1][place]) / 2, atol=1e-2), place
    assert "the mean of those at both ends" in shelf.backbones()[0].text()


def test_cards_name_data_licence_curve_sources_and_limits_but_no_path(made: Made) -> None:
    text = (made.root / NAME / "MODEL_CARD.md").read_text()
    for said in ("The UniProt Consortium", "CC BY 4.0", "2,000 letters were read", "| 1,000 | 19.00 | 0.010 |",
                 "structure ss3: column ss3, 40 training records", "Protein Data Bank (CC0)", "## Known limits",
                 "the folder opens in transformers too"):  # fmt: skip
        assert said in text
    for path in made.root.rglob("*.*"):
        if path.suffix in (".md", ".json"):
            assert str(made.encoder.parent) not in path.read_text()
    assert json.loads((made.root / NAME / "card.json").read_text())["fingerprint"]


def test_a_shipped_model_answers_as_its_run_and_holds_no_sequence(made: Made) -> None:
    folder = made.root / "localization"
    assert sorted(path.name for path in folder.iterdir()) == [
        "MODEL_CARD.md", "model.json", "neighbours.npz", "weights.safetensors",
    ]  # fmt: skip
    assert (folder / "weights.safetensors").stat().st_size < 2000, "the head alone"
    one, other = load(made.fit), load("localization")
    asked = ["MKTAYIAKQRQISFVKSHFSRQ", one.training.sequences[3], "M"]
    first, second = one.predict(asked), other.predict(asked)
    assert np.array_equal(first.predicted.scores, second.predicted.scores)
    assert second.nearest[1] == first.nearest[1] and second.identity.tolist()[1:] == [1.0, 0.0]


def test_predict_by_name(made: Made, tmp_path: Path) -> None:
    fasta = tmp_path / "my.fasta"
    fasta.write_text(">a\nMKTAYIAKQRQISFVKSHFSRQ\n>b\nM\n>c\n" + "MKTAYIAKQRQ" * 300 + "\n")
    done = run(f"predict localization {fasta}")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("id\tprediction\tp:")
    assert lines[0].endswith("\tnearest\tnearest_identity")
    assert [line.split("\t")[0] for line in lines[1:]] == ["a", "b", "c"]
    assert (
        "nearest_identity is an estimate: the model keeps a sketch only. See: biograft report localization."
        in done.stderr
    )
    dna = tmp_path / "dna.fasta"
    dna.write_text(">g\n" + "ACGTTGCAAC" * 9 + "\n")
    refused = run(f"predict localization {dna}")
    assert refused.exit_code == 2
    assert "looks like DNA: the model reads protein" in refused.stderr


def test_unknown_names_are_answered_with_near_ones(made: Made, tmp_path: Path) -> None:
    (tmp_path / "x.fasta").write_text(">a\nMKV\n")
    done = run(f"predict localisation {tmp_path}/x.fasta")
    assert done.exit_code == 2
    assert "Model not found: 'localisation'. Did you mean 'localization'?" in done.stderr
    with pytest.raises(BiograftError, match=f"got 'protien-tiny', .*Did you mean '{NAME}'"):
        load_backbone("protien-tiny", "protein")
    with pytest.raises(BiograftError, match="reads protein: the table holds dna"):
        load_backbone(NAME, "dna")


def test_what_is_shipped_is_listed_and_shown(made: Made) -> None:
    shown = run("list backbones").stdout
    assert f"  {NAME}         shipped: width 32, 2 blocks, 0.0 million parameters" in shown
    assert "weights CC BY 4.0" in shown
    done = run("list models --json")
    assert "localization" in done.stdout and f"on {NAME}" in done.stdout and "mcc" in done.stdout
    assert "place of a eukaryotic protein" in json.loads(done.stdout.splitlines()[-1])["models"]["localization"]
    assert run("report localization").stdout.startswith("# localization\n")
    card = run(f"report {NAME} --json --quiet").stdout
    assert json.loads(card)["licence"] == "CC BY 4.0"
    listed = [line for line in run("list").stdout.splitlines() if not line.startswith(" ")]
    assert listed[-1] == "models"


def test_embed_and_evaluate_by_name(made: Made, tmp_path: Path) -> None:
    done = run(f"embed {made.table} --backbone {NAME} --pool mean --out {tmp_path}/v --json --quiet")
    assert json.loads(done.stdout)["width"] == 32
    done = run(f"evaluate localization {made.table} --quiet --json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["data"]["n_test"] == 54


def test_a_model_that_moved_its_encoder_brings_all_its_weights(
    ship: ModuleType, made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, moved = tmp_path / "shipped", tmp_path / "moved"
    shutil.copytree(made.root, root)
    monkeypatch.setattr(shelf, "ROOT", root)
    done = run(f"fit {made.table} --label label --backbone {NAME} --strategy full --epochs 1 --out {moved} --quiet")
    assert done.exit_code == 0, done.output
    words = ["model", str(moved), "localization", "--encoder", NAME]
    assert ship.main(words) == 2
    assert "or ship all its weights: --with-encoder" in capsys.readouterr().err
    assert ship.main(["model", str(made.fit), *words[2:], "--with-encoder"]) == 2
    assert f"did not move '{NAME}': got a fit on '{NAME}' that let it rest" in capsys.readouterr().err
    assert ship.main([*words, "--with-encoder"]) == 0
    card = capsys.readouterr().out
    assert f"All weights were learned further from the encoder `{NAME}`, tempered on the validation part, and" in card
    assert f"from {NAME}" in run("list models").output
    with safe_open(root / "localization" / "weights.safetensors", framework="pt") as file:
        kinds = {str(file.get_tensor(name).dtype) for name in file.keys() if "inv_freq" not in name}  # noqa: SIM118
    assert kinds == {"torch.bfloat16"}
    shutil.rmtree(root / NAME)  # it stands alone
    shipped, whole = load("localization"), load(moved)
    assert (
        whole.model.backbone.fingerprint()
        != shipped.model.backbone.fingerprint()
        == shipped.card["encoder"]["fingerprint"]
    )
    ship._temper(whole, moved)
    ship._round(whole.model)
    asked = ["MKTAYIAKQRQISFVK", "GSHMLEDPVDAFW"]
    one, other = (side.predict(asked).predicted.scores for side in (whole, shipped))
    assert one is not None and other is not None and np.array_equal(one, other)


def test_other_weights_of_the_encoder_are_refused(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "shipped"
    shutil.copytree(made.root, root)
    monkeypatch.setattr(shelf, "ROOT", root)
    esm2.save(Encoder(PROTEIN, EncoderConfiguration(layers=2, width=32, heads=2)), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", root / NAME / "model.safetensors")
    with pytest.raises(BiograftError, match=rf"was made on other weights of '{NAME}': got \w{{16}}, expected \w{{16}}"):
        load("localization")
    with pytest.raises(BiograftError, match=r"are not those of its card: got \w{16}, expected \w{16}\. Install"):
        load_backbone(NAME, "protein")
    weights = root / NAME / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(BiograftError, match="is damaged or cut off"):
        load("localization")
    shutil.rmtree(root / NAME)
    with pytest.raises(BiograftError, match=f"Unknown shipped backbone in .*: got '{NAME}', expected none"):
        load("localization")
    (root / "localization" / "model.json").write_text('{"card": {}}')
    with pytest.raises(BiograftError, match=r"card of 'localization' in .* is damaged"):
        _ = shelf.models()[0].summary


def test_damaged_parts_of_a_shipped_model(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "shipped"
    shutil.copytree(made.root, root)
    monkeypatch.setattr(shelf, "ROOT", root)
    for name, said in (("neighbours.npz", "is missing or damaged"), ("weights.safetensors", "are damaged")):
        path = root / "localization" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BiograftError, match=said):
            load("localization")
        path.write_bytes(whole)
    (root / "localization" / "MODEL_CARD.md").unlink()
    assert "holds no MODEL_CARD.md" in run("report localization").stderr


def mutants(table: Path, parts: tuple[str, ...]) -> Path:
    """Families whose members share most letters, and their class."""
    columns: dict[str, list[str]] = {"id": [], "sequence": [], "label": [], "set": []}
    for family in range(20):
        draws = np.random.default_rng([family, 0])
        parent = draws.choice(list(PROTEIN.letters[:20]), 120)
        draws = np.random.default_rng([family, len(parts)])
        for place, part in enumerate(parts):
            changed = parent.copy()
            changed[draws.choice(120, 12, replace=False)] = "A"
            row = (f"{table.stem}{family}-{place}", "".join(changed), "123"[family % 3], part)
            for column, text in zip(columns.values(), row, strict=True):
                column.append(text)
    write_table(table, columns)
    return table


def test_relatives_have_a_say_through_the_sketch(
    ship: ModuleType, made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "shipped"
    shutil.copytree(made.root, root)
    monkeypatch.setattr(shelf, "ROOT", root)
    learned = mutants(tmp_path / "learned.tsv", ("train", "train", "train", "valid", "test"))
    done = run(f"fit {learned} --label label --task classification --backbone {NAME} --strategy frozen --relatives "
               f"--out {tmp_path}/run --quiet")  # fmt: skip
    assert done.exit_code == 0, done.output
    related = mutants(tmp_path / "related.tsv", ("test",))  # the same parents again
    words = ["model", str(tmp_path / "run"), "enzyme-class", "--encoder", NAME, "--related", str(related)]
    assert ship.main(words) == 0, capsys.readouterr().err
    shipped = load("enzyme-class")
    assert shipped.relatives is not None and len(shipped.relatives.codes) == len(shipped.training)
    card = shipped.card
    assert card["related"]["named"] > 0.9 and card["related"]["metrics"]["accuracy"]["value"] > 0.9
    assert card["metrics"]["mcc"]["value"] == card["measured"]["value"] > 0.9
    assert "have a relative that the sketch finds" in " ".join(
        (root / "enzyme-class" / "MODEL_CARD.md").read_text().split()
    )
    strangers = World(seed=5).target(4, 4, 1, 4)
    answers = shipped.predict(strangers)
    assert answers.alone == len(strangers)
    assert shipped.caution(answers).startswith(f"{len(strangers)} of {len(strangers)} have no near relative")
    plain = load("localization")
    assert plain.caution(plain.predict(strangers)) == ""
    told = run(f"predict enzyme-class {related} --quiet").stdout.splitlines()
    assert [line.split("\t")[1] for line in told[1:]] == ["123"[family % 3] for family in range(20)]


def test_what_cannot_be_shipped(
    ship: ModuleType, made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: object) -> str:
        assert ship.main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err

    assert "is no finished pretraining" in refused("encoder", made.fit, NAME)
    assert "as 'weather', expected one of secondary-structure" in refused("model", made.fit, "weather")
    root = tmp_path / "shipped"
    shutil.copytree(made.root, root)
    monkeypatch.setattr(shelf, "ROOT", root)
    monkeypatch.setattr(ship, "LARGEST_ENCODER", 0.001)
    assert "is too large to ship" in refused("encoder", pretrained(tmp_path / "other", 5), NAME)
    assert load_backbone(NAME, "protein").fingerprint() == load("localization").model.backbone.fingerprint()
    monkeypatch.setattr(ship, "LARGEST_ENCODER", 1.0)
    assert ship.main(["encoder", str(tmp_path / "other"), NAME]) == 0
    told = refused("model", made.fit, "localization", "--encoder", NAME)
    assert f"does not stand on '{NAME}' as it is shipped: got other weights" in told
