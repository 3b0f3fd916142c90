"""Families are found once for the same sequences, and never read from what is damaged."""

from pathlib import Path

import numpy as np
import pytest

from biograft.data import kept_families as kept
from biograft.data.alphabet import DNA, PROTEIN
from biograft.data.clusters import WITHOUT, Families, families
from biograft.errors import BiograftError

SEQUENCES = ["MKTAYIAKQRQISFVKSHFSRQ", "MKTAYIAKQRQISFVKSHFSRA", "GSHMLEDPVDAFWWWCCCNNNN"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIOGRAFT_CACHE", str(tmp_path))
    monkeypatch.setenv("BIOGRAFT_MMSEQS", "none")
    monkeypatch.setattr(kept, "SMALL", 10)
    return tmp_path / "biograft" / "families"


def counted(monkeypatch: pytest.MonkeyPatch, program: str = "as it is") -> list[float]:
    """Identities of the searches that are made from now on."""
    made: list[float] = []

    def search(sequences, alphabet, identity, progress=None):
        made.append(identity)
        found = families(sequences, alphabet, identity, progress=progress)
        return Families(found.labels, program, found.identity)

    monkeypatch.setattr(kept, "families", search)
    return made


def test_the_same_sequences_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    first, again = (kept.kept_families(SEQUENCES, PROTEIN) for _ in range(2))
    assert made == [0.4]
    assert (first.labels == again.labels).all() and first.program == again.program
    assert first.labels.tolist() == families(SEQUENCES, PROTEIN, 0.4).labels.tolist() == [0, 0, 1]


def test_other_sequences_another_order_or_identity_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    for sequences, identity in ((SEQUENCES, 0.4), (SEQUENCES[::-1], 0.4), (SEQUENCES, 0.99)):
        found = kept.kept_families(sequences, PROTEIN, identity)
        assert (found.labels == families(sequences, PROTEIN, identity).labels).all()
    assert made == [0.4, 0.4, 0.99]


@pytest.mark.parametrize("fault", ["cut", "emptied", "of other rows", *range(60, 300, 40)])
def test_what_is_damaged_is_found_anew(monkeypatch: pytest.MonkeyPatch, cache: Path, fault: str | int) -> None:
    made = counted(monkeypatch)
    whole = kept.kept_families(SEQUENCES, PROTEIN)
    (path,) = cache.iterdir()
    if fault == "of other rows":
        np.savez(path, labels=np.zeros(2, np.int64), program=np.array("x"))
    elif isinstance(fault, int):  # bytes overwritten in the middle
        path.write_bytes(path.read_bytes()[:fault] + b"\xff" * 30 + path.read_bytes()[fault + 30 :])
    else:
        path.write_bytes(path.read_bytes()[:60] if fault == "cut" else b"")
    assert (kept.kept_families(SEQUENCES, PROTEIN).labels == whole.labels).all()
    assert len(made) == 2 or isinstance(fault, int)  # some bytes of a zip archive mean nothing


def test_a_small_table_leaves_no_file(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(kept, "SMALL", 1000)
    kept.kept_families(SEQUENCES, PROTEIN)
    assert not cache.exists()


def test_a_search_whose_helper_failed_is_not_kept(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    made = counted(monkeypatch, f"shared k-mers, {WITHOUT}: no room")
    for _ in range(2):
        kept.kept_families(SEQUENCES, PROTEIN)
    assert len(made) == 2 and not cache.exists()


def test_a_helper_that_does_not_run_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOGRAFT_MMSEQS", "/no/such/program")
    assert kept.kept_families(SEQUENCES, PROTEIN).labels.tolist() == [0, 0, 1]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    made = counted(monkeypatch)
    for _ in range(2):
        assert kept.kept_families(SEQUENCES, PROTEIN).labels.tolist() == [0, 0, 1]
    assert len(made) == 2


def test_alphabet_and_helper_belong_to_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    for helper in ("none", "MMseqs2 14", "MMseqs2 15"):
        monkeypatch.setattr(kept, "_helper", lambda name=helper: name)
        for alphabet in (PROTEIN, DNA):
            kept.kept_families(["ACGTACGTACGTACGT", "TTTTGGGGCCCCAAAA"], alphabet)
    assert len(made) == 4  # three helpers for proteins, and DNA, which asks none


def test_a_threshold_outside_is_refused() -> None:
    with pytest.raises(BiograftError, match="identity"):
        kept.kept_families(SEQUENCES, PROTEIN, 1.5)
