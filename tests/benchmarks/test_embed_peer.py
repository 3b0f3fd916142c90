"""The comparison with biotrainer: what it says where the peer is absent, and when vectors count as equal."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def peer() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("embed_peer")
        for name in ("embed_peer", "embed", "results"):
            sys.modules.pop(name)


@pytest.mark.parametrize("python", ["", "absent/bin/python", sys.executable])
def test_without_the_peer_it_is_skipped_with_the_reason(
    peer: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, python: str
) -> None:
    monkeypatch.setattr(peer, "DATA", tmp_path)
    monkeypatch.setattr(peer, "VERSIONS", "import absent")
    monkeypatch.setattr(sys, "argv", ["embed_peer.py", "--peer-python", python])
    assert peer.main() == 0
    assert capsys.readouterr().out == (
        f"Skipped: '{python}' is no Python that has biotrainer. Name one with --peer-python.\n"
    )


def test_without_the_data_it_is_skipped_with_the_reason(
    peer: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(peer, "DATA", tmp_path / "absent")
    monkeypatch.setattr(sys, "argv", ["embed_peer.py"])
    assert peer.main() == 0
    assert capsys.readouterr().out.startswith("Skipped: the data are not at ")


def test_agreement_pairs_vectors_by_their_ids(peer: ModuleType) -> None:
    one = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 2.0])}
    assert peer.agreement(one, dict(reversed(one.items()))) == (0.0, 1.0)
    difference, cosine = peer.agreement(one, {"a": np.array([1.0, 1.0]), "b": np.array([0.0, 2.0])})
    assert difference == 1.0 and cosine == pytest.approx(0.5**0.5)


def test_a_table_where_vectors_differ_says_so(
    peer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / peer.OWN).mkdir()
    (tmp_path / peer.OWN / "ids.tsv").write_text("id\tstart\trows\na\t0\t1\n")
    np.save(tmp_path / peer.OWN / "vectors.npy", np.array([[1.0, 0.0]], dtype=np.float16))
    best = {peer.PEER: peer.Took(10.0, 20.0), peer.OWN: peer.Took(2.0, 5.0)}
    assert peer.compare(best, {"a": np.array([1.0, 0.01])}, tmp_path)
    out = capsys.readouterr().out
    assert f"| {peer.OWN} | 2.0 | 5.00 | 5.0 | 4.00 | 1.0e-02 |" in out and "Vectors agree" in out
    assert not peer.compare(best, {"a": np.array([0.0, 1.0])}, tmp_path)
    assert "Vectors **differ**" in capsys.readouterr().out
