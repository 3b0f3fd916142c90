"""The demo: honest about what it measured, quick to repeat; its full size is a slow test with known answers."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from biograft.backbones import esm2
from biograft.backbones.encoder import Encoder, EncoderConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.errors import BiograftError
from biograft.evaluation.intervals import Interval
from biograft.evaluation.verdict import Verdict
from biograft.files import write_json
from biograft.flows import demo as module
from biograft.flows.demo import KNOWN, RIVAL, Sizes, demo, tables
from biograft.shipped import shelf
from biograft.training import Training

SMALL = Sizes(source=24, train=12, valid=6, test=24, new=6, epochs=1.0)
RUNS = ("related", "unrelated", RIVAL, *KNOWN)


@pytest.fixture(scope="module", autouse=True)
def nothing_shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Only what a test ships itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "ROOT", tmp_path_factory.mktemp("shipped"))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A small demo of a few steps: its folder, its lines, the stages it spoke of."""
    out, stages = tmp_path_factory.mktemp("demo"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("biograft.flows.workshop.Training", functools.partial(Training, min_steps=4, epochs=1.0))
        lines = demo(out, sizes=SMALL, progress=lambda stage, done, total: stages.append(stage))
    return out, lines, stages


def test_it_says_that_the_data_are_generated_and_where_all_is(made: tuple[Path, list[str], list[str]]) -> None:
    out, lines, _ = made
    assert "generated, not natural" in lines[0]
    for name in RUNS:
        path = out / name / "report.html"
        assert path.is_file()
        assert f"  {path}" in lines
    for name in ("source", "unrelated", "target", "new"):
        assert (out / "tables" / f"{name}.tsv").is_file()


def test_the_table_shows_what_the_reports_hold(made: tuple[Path, list[str], list[str]]) -> None:
    out, lines, _ = made
    for name in (RIVAL, *KNOWN):
        found = json.loads((out / name / "report.json").read_text())["metrics"]["test"]["mcc"]
        (row,) = [line for line in lines if line.split()[:1] == [name]]
        assert f"{found['value']:.2f}   {found['low']:.2f} to {found['high']:.2f}" in row
    assert any(line.startswith("(majority)") for line in lines)


def test_differences_are_those_of_the_reports(made: tuple[Path, list[str], list[str]]) -> None:
    out, lines, _ = made
    value = {
        name: json.loads((out / name / "report.json").read_text())["metrics"]["test"]["mcc"]["value"]
        for name in (RIVAL, *KNOWN)
    }
    for name in KNOWN:
        (row,) = [line for line in lines if line.split()[:1] == [name]]
        shown = float(row.split("to")[1].split()[2])
        assert shown == pytest.approx(value[name] - value[RIVAL], abs=0.0051)


def test_every_stage_names_its_run(made: tuple[Path, list[str], list[str]]) -> None:
    assert {stage.split(": ")[0] for stage in made[2]} == set(RUNS)


def test_a_second_call_reads_what_is_there(made: tuple[Path, list[str], list[str]]) -> None:
    out, lines, _ = made
    stages: list[str] = []
    assert demo(out, sizes=SMALL, progress=lambda stage, done, total: stages.append(stage)) == lines
    assert {stage.split(": ")[1] for stage in stages} == {"read"}


def test_an_encoder_of_the_package_is_grafted_too(
    made: tuple[Path, list[str], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shelf, "ROOT", tmp_path)
    esm2.save(Encoder(PROTEIN, EncoderConfiguration(layers=1, width=16, heads=2)), tmp_path / "tiny")
    write_json(tmp_path / "tiny" / "card.json", {"encoder": {"alphabet": "protein"}})
    lines = demo(made[0], sizes=SMALL)
    assert [line for line in lines if line.split()[:1] == ["tiny-frozen"]]
    (place,) = [place for place, line in enumerate(lines) if line.startswith("  tiny-frozen: ")]
    assert "Nobody knew" in lines[place + 1]
    assert [line for line in lines if line in made[1]] == made[1], "the rest is as without it"


def test_another_seed_does_not_overwrite(made: tuple[Path, list[str], list[str]]) -> None:
    out = made[0]
    before = {path: path.read_bytes() for path in out.rglob("*.tsv")}
    with pytest.raises(BiograftError, match="Choose another --out"):
        demo(out, seed=1, sizes=SMALL)
    assert {path: path.read_bytes() for path in out.rglob("*.tsv")} == before


def test_the_same_seed_writes_the_same_tables(tmp_path: Path) -> None:
    first, second = tables(tmp_path / "a", seed=2, sizes=SMALL), tables(tmp_path / "b", seed=2, sizes=SMALL)
    other = tables(tmp_path / "c", seed=3, sizes=SMALL)
    for name in first:
        assert first[name].read_bytes() == second[name].read_bytes()
        assert first[name].read_bytes() != other[name].read_bytes()


@pytest.mark.parametrize(
    ("answer", "related", "unrelated"),
    [
        ("helped", "Right: ", "There is nothing in the source to carry over: 'helped' is the luck"),
        ("cannot tell", "The source knows what the target asks: this strategy did not", "Right: "),
        ("hurt", "The source knows what the target asks: this strategy did not", "There is nothing in the source"),
    ],
)
def test_a_measured_answer_stands_beside_the_known_one(answer: str, related: str, unrelated: str) -> None:
    found = Interval(0.3, 0.2, 0.4, 1000, 30, 1000)
    _, *lines = module._answers({name: Verdict(RIVAL, "mcc", found, answer, 0.1) for name in KNOWN})
    assert [lines[2 * place + 1].strip().startswith(related) for place in (0, 1)] == [True, True]
    assert lines[5].strip().startswith(unrelated)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_known_answers_are_found_with_a_backbone_at_rest(seed: int, tmp_path: Path) -> None:
    lines = demo(tmp_path, seed=seed)
    for name in ("related-frozen", "unrelated-frozen"):
        (place,) = [place for place, line in enumerate(lines) if line.startswith(f"  {name}: ")]
        assert lines[place + 1].strip().startswith("Right: ")
