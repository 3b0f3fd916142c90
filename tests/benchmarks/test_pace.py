"""The times that are claimed: what is held against a bound, and what follows from a part of the work."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def pace(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("pace")


def test_a_time_is_met_below_its_bound_and_without_a_claim(pace: ModuleType) -> None:
    slow, fast = (pace.Timed("fit", 9.0, 8.0, counted, 5.0, "the clock") for counted in (9.0, 4.0))
    free = pace.Timed("fit", 9.0, 8.0, 9.0, None, "")
    assert (slow.met, fast.met, free.met) == (False, True, True)
    assert slow.row() == ["fit", "9.0 s", "8.0 s", "9.0 s (the clock)", "< 5.0 s", "**missed**"]
    assert free.row() == ["fit", "9.0 s", "8.0 s", "", "", ""]


@pytest.mark.parametrize(("there", "seconds"), [(2, 100.0), (1, 60.0), (8, 60.0)])
def test_on_other_machines_half_of_the_processors_time_stands_for_two_cores(
    pace: ModuleType, monkeypatch: pytest.MonkeyPatch, there: int, seconds: float
) -> None:
    monkeypatch.setattr(pace, "cores", lambda: there)
    assert pace.on_two(100.0, 120.0)[0] == seconds


def test_all_passes_and_seeds_follow_from_one(pace: ModuleType, tmp_path: Path) -> None:
    for name, seconds in {"full": {"train": 4.0, "total": 10.0}, "frozen": {"total": 6.0}}.items():
        (tmp_path / "fits" / name).mkdir(parents=True)
        (tmp_path / "fits" / name / "report.json").write_text(json.dumps({"seconds": seconds}))
    done = pace.Done("", 20.0, 10.0, {})  # half of the clock was the processor's; 4 seconds are of the comparison
    passes = pace.USUAL_EPOCHS - 1
    assert pace.projected(done, tmp_path, 3) == pytest.approx((3 * (16 + passes * 4) + 4) / 2)


def test_the_first_proteins_of_the_corpus_are_read(pace: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    with pace.lzma.open(tmp_path / "corpus" / "corpus.fasta.xz", "wt") as corpus:
        corpus.write(">a\nMK\n>b\nMKV\n>c\nM\n")
    pace.DATA = tmp_path
    options = pace.argparse.Namespace(work=tmp_path / "work", records=2)
    assert pace.proteins(options).read_text() == ">a\nMK\n>b\nMKV\n"
