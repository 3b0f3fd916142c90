"""The store of vectors: nothing finished is lost, nothing wrong is served.

Run as a program it embeds in children that kill themselves where they are told to.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.backbones import store
from biograft.backbones.baselines import CNNConfiguration, DilatedCNN, KMer
from biograft.backbones.store import Stored, cache_folder, embed
from biograft.data.alphabet import named
from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.files import locked
from biograft.hardware import Hardware

HALF = Hardware("cpu", "bf16")
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def backbone(seed: int = 0) -> DilatedCNN:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return DilatedCNN(named("protein"), CNNConfiguration(8, 3, (1,), 0.5))


def sequences(count: int = 40) -> list[str]:
    """Of many lengths; the last one is the first one again."""
    generator = np.random.default_rng(0)
    drawn = ["".join(generator.choice(list(LETTERS), generator.integers(1, 60))) for _ in range(count - 1)]
    return [*drawn, drawn[0]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a net only loses time in waiting for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def alone(net: DilatedCNN, sequence: str) -> np.ndarray:
    with torch.inference_mode():
        return net.eval().vectors(Packed.of([net.encode(sequence)])).values.numpy()


# What is kept


def test_vectors_are_those_of_the_backbone_in_input_order(tmp_path: Path) -> None:
    net, letters = backbone(), sequences()
    found = embed(net, letters, tmp_path / "each", budget=100)
    pooled = embed(net, letters, tmp_path / "mean", pooled=True, budget=100)
    assert found.values.dtype == np.float32
    assert (found.computed, len(found)) == (40, 40)
    for sequence, rows, mean in zip(letters, found.rows(), pooled.rows(), strict=True):
        np.testing.assert_allclose(rows, alone(net, sequence), atol=1e-5)
        np.testing.assert_allclose(mean, alone(net, sequence).mean(0, keepdims=True), atol=1e-5)
    assert pooled.values.shape == (40, 8)


def test_numpy_alone_reads_them(tmp_path: Path) -> None:
    found = embed(backbone(), sequences(), tmp_path, hardware=HALF)
    values = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert values.dtype == np.float16
    np.testing.assert_array_equal(values, found.values)
    assert {entry.name for entry in tmp_path.iterdir()} == {"vectors.npy", "store.json", ".lock"}


def test_one_row_per_sequence_where_letters_have_none(tmp_path: Path) -> None:
    letters = sequences()
    found = embed(KMer(named("protein")), letters, tmp_path)
    assert found.lengths.tolist() == [1] * len(letters)


def test_stored_vectors_pass_through_as_they_are(tmp_path: Path) -> None:
    net = backbone()
    found = embed(net, sequences(), tmp_path, hardware=HALF)
    stand_in = Stored(net)
    batch = Packed.of(found.rows()[:3])
    assert torch.equal(stand_in.vectors(batch).values, batch.values.float())
    assert list(stand_in.parameters()) == []
    assert (stand_in.width, stand_in.resolution, stand_in.alphabet) == (8, 1, net.alphabet)
    with pytest.raises(TypeError, match="can't be rebuilt"):
        Stored.from_configuration(stand_in.configuration())


# Reuse


class Counting(DilatedCNN):
    """Remembers the batches that it was given."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.seen: list[list[int]] = []

    def forward(self, batch: Packed) -> Packed:
        self.seen.append(batch.lengths.tolist())
        return super().forward(batch)


def counting() -> Counting:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return Counting(named("protein"), CNNConfiguration(8, 3, (1,), 0.0))


def test_equal_sequences_are_computed_once_and_a_second_call_computes_nothing(tmp_path: Path) -> None:
    net, letters = counting(), sequences()
    told: list[tuple[int, int]] = []
    first = embed(net, letters, tmp_path, budget=100, progress=lambda done, total: told.append((done, total)))
    assert sum(map(len, net.seen)) == len(set(letters)) < 40
    assert all(sum(batch) <= 100 for batch in net.seen)
    assert told[-1] == (40, 40)
    assert sorted(told) == told
    net.seen.clear()
    second = embed(net, letters, tmp_path)
    assert net.seen == []
    assert second.computed == 0
    np.testing.assert_array_equal(first.values, second.values)


def test_caches_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIOGRAFT_CACHE", str(tmp_path))
    letters, cpu = sequences(), Hardware()
    folders = {
        cache_folder(backbone(), letters, False, cpu),
        cache_folder(backbone(1), letters, False, cpu),
        cache_folder(backbone(), letters, True, cpu),
        cache_folder(backbone(), letters, False, HALF),
        cache_folder(backbone(), letters[::-1], False, cpu),
    }
    assert len(folders) == 5
    assert cache_folder(backbone(), letters, False, cpu) in folders
    assert all(tmp_path in folder.parents for folder in folders)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"backbone": backbone(1)}, "weights"),
        ({"pooled": True}, "pool"),
        ({"hardware": HALF}, "precision"),
        ({"sequences": sequences()[::-1]}, "sequences"),
        ({"sequences": sequences()[1:]}, "sequences"),
    ],
)
def test_vectors_of_anything_else_are_refused(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    call = {"backbone": backbone(), "sequences": sequences(), "folder": tmp_path}
    embed(**call)
    with pytest.raises(
        BiograftError, match=f"holds vectors of other {what}: got .*Choose another folder, or remove it"
    ):
        embed(**(call | change))


# Kills


def _embed_or_die(folder: Path, moment: str) -> None:
    """``told 3``: after the third batch; ``sync 3``: before the third forcing to the disk."""
    what, _, number = moment.partition(" ")
    calls = {"told": 0, "sync": 0}
    sync = store.sync

    def count(name: str) -> None:
        calls[name] += 1
        if name == what and calls[name] == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_sync(path: Path) -> None:
        count("sync")
        sync(path)

    store.sync = counted_sync  # type: ignore[attr-defined]
    found = embed(backbone(), sequences(), folder / "store", budget=100, progress=lambda done, total: count("told"))
    (folder / "computed").write_text(str(found.computed))


def _children(folder: Path, moments: list[str]) -> None:
    torch.set_num_threads(1)
    told = []
    for moment in [*moments, ""]:
        child = os.fork()
        if child == 0:
            _embed_or_die(folder, moment)
            os._exit(0)
        code = os.waitpid(child, 0)[1]
        journal = folder / "store" / "done.txt"
        told.append([code, len(journal.read_text().split()) if journal.exists() else 0])
    (folder / "told").write_text(json.dumps(told))


def test_killed_and_continued_is_never_stopped(tmp_path: Path) -> None:
    moments = ["sync 1", "told 1", "told 2", "sync 2", "sync 5", "told 1"]
    for name, kills in (("whole", []), ("killed", moments)):
        (tmp_path / name).mkdir()
        subprocess.run([sys.executable, __file__, str(tmp_path / name), json.dumps(kills)], check=True)
    told = json.loads((tmp_path / "killed" / "told").read_text())
    assert [code for code, _ in told] == [signal.SIGKILL] * len(moments) + [0]
    kept = [finished for _, finished in told[:-1]]
    assert kept == sorted(kept)  # nothing finished is lost
    assert kept[-1] > 10
    assert int((tmp_path / "killed" / "computed").read_text()) == 40 - kept[-1]
    for name in ("vectors.npy", "store.json"):
        one, two = ((tmp_path / run / "store" / name).read_bytes() for run in ("whole", "killed"))
        assert one == two, name


class Stop(Exception):
    """Ends a call in the middle."""


def half_done(folder: Path) -> None:
    """A store whose first batches are finished."""
    calls = iter(range(10))

    def stop(done: int, total: int) -> None:
        if next(calls) == 3:
            raise Stop

    with pytest.raises(Stop):
        embed(backbone(), sequences(), folder, budget=100, progress=stop)


def test_a_line_that_was_cut_does_not_count(tmp_path: Path) -> None:
    half_done(tmp_path)
    journal = tmp_path / "done.txt"
    finished = len(journal.read_text().split())
    with journal.open("a") as stream:
        stream.write("1")  # of 12
    found = embed(backbone(), sequences(), tmp_path, budget=100)
    assert found.computed == 40 - finished


@pytest.mark.parametrize("name", ["vectors.npy", "store.json"])
def test_a_kill_while_the_store_begins(tmp_path: Path, name: str) -> None:
    half_done(tmp_path)
    (tmp_path / f".{name}.0a1b.part").write_bytes(b"half")
    (tmp_path / "vectors.npy").unlink()
    if name == "store.json":
        (tmp_path / "store.json").unlink()
        (tmp_path / "done.txt").unlink()
    found = embed(backbone(), sequences(), tmp_path)
    assert found.computed == 40
    assert {entry.name for entry in tmp_path.iterdir()} == {"vectors.npy", "store.json", ".lock"}


# Damage


def _replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)


DAMAGE = {
    "vectors cut": lambda folder: os.truncate(folder / "vectors.npy", 200),
    "vectors longer": lambda folder: os.truncate(folder / "vectors.npy", 10**6),
    "head cut": lambda folder: os.truncate(folder / "vectors.npy", 20),
    "vectors empty": lambda folder: os.truncate(folder / "vectors.npy", 0),
    "other array": lambda folder: np.save(folder / "vectors.npy", np.zeros((3, 8), dtype=np.float32)),
    "journal of words": lambda folder: _replace(folder / "done.txt", b"1\ntwo\n"),
    "journal too far": lambda folder: _replace(folder / "done.txt", b"1\n40\n"),
    "journal below": lambda folder: _replace(folder / "done.txt", b"-1\n"),
    "journal of bytes": lambda folder: _replace(folder / "done.txt", b"\xff\xfe\n"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused(tmp_path: Path, damage: str) -> None:
    half_done(tmp_path)
    DAMAGE[damage](tmp_path)
    with pytest.raises(BiograftError, match=r"are damaged \(.*Remove the folder and embed again"):
        embed(backbone(), sequences(), tmp_path)


@pytest.mark.parametrize("damage", ["vectors cut", "other array"])
def test_damage_of_a_complete_store_is_refused(tmp_path: Path, damage: str) -> None:
    embed(backbone(), sequences(), tmp_path)
    DAMAGE[damage](tmp_path)
    with pytest.raises(BiograftError, match=r"are damaged \("):
        embed(backbone(), sequences(), tmp_path)


def test_a_damaged_card_is_refused(tmp_path: Path) -> None:
    half_done(tmp_path)
    (tmp_path / "store.json").write_text('{"key": ')
    with pytest.raises(BiograftError, match=r"store\.json' is not valid JSON"):
        embed(backbone(), sequences(), tmp_path)


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BiograftError, match="holds other files"):
        embed(backbone(), sequences(), tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"thesis.txt", ".lock"}


# Limits


@pytest.mark.parametrize(
    ("number", "shown"), [(1e5, "got a number of size 100000"), (float("nan"), "got a number of size nan")]
)
def test_a_vector_that_half_precision_cannot_hold_is_refused(tmp_path: Path, number: float, shown: str) -> None:
    net = backbone()
    with torch.no_grad():
        net.normalise.bias.fill_(number)
        net.normalise.weight.fill_(0.0)
    with pytest.raises(BiograftError, match=f"float16 can't hold: {shown}.*Use --precision fp32"):
        embed(net, sequences(), tmp_path / "half", hardware=HALF)
    assert 'complete": false' in (tmp_path / "half" / "store.json").read_text()
    if number == 1e5:
        assert float(embed(net, sequences(), tmp_path / "single").values.max()) == 1e5


def test_a_disk_too_small_is_known_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: Usage)
    net = counting()
    with pytest.raises(
        BiograftError, match=r"don't fit on the disk .*got 0\.0 GB of room, expected 0\.0 GB.*--pool mean"
    ):
        embed(net, sequences(), tmp_path)
    assert net.seen == []


def test_a_disk_that_fills_up_loses_no_finished_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, calls = store.sync, iter(range(100))

    def full(path: Path) -> None:
        if next(calls) == 6:
            raise OSError(28, "No space left on device")
        sync(path)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(store, "sync", full)
        embed(backbone(), sequences(), tmp_path, budget=100)
    finished = len((tmp_path / "done.txt").read_text().split())
    assert finished > 0
    assert embed(backbone(), sequences(), tmp_path, budget=100).computed == 40 - finished


def test_two_processes_never_write_one_store(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(BiograftError, match="Another process is at work"):
        embed(backbone(), sequences(), tmp_path)


def test_dropout_is_off_and_batches_do_not_show(tmp_path: Path) -> None:
    net = backbone().train()
    one = embed(net, sequences(), tmp_path / "one", budget=64)
    two = embed(net, sequences(), tmp_path / "two", budget=10_000)
    np.testing.assert_allclose(one.values, two.values, atol=1e-5)


if __name__ == "__main__":
    _children(Path(sys.argv[1]), json.loads(sys.argv[2]))
