"""Files are whole or absent, whatever interrupts the writing."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from biograft.errors import BiograftError
from biograft.files import (
    atomic,
    atomic_folder,
    digest,
    file_digest,
    locked,
    read_json,
    sweep,
    write_json,
    write_text,
)


def full(*arguments: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_limit_on_sizes_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    program = (
        "import resource, sys; from biograft.files import write_text\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_text(sys.argv[1], 'new' * 1000)\n"
        "except OSError as fault: print(fault.strerror)"
    )
    told = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == os.strerror(errno.EFBIG)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_is_replaced_only_by_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder"
    for text in ("old", "newer"):
        with atomic_folder(path) as part:
            (part / "file").write_text(text)
    with pytest.raises(RuntimeError), atomic_folder(path) as part:
        (part / "file").write_text("half")
        raise RuntimeError
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_folder(path) as part:
        (part / "file").write_text("unsynced")
    assert (path / "file").read_text() == "newer"
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_the_users_mask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "text")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_parts_of_killed_processes_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".state.0a1b.part").write_text("half")
    (tmp_path / ".model.0a1b.part").mkdir()
    (tmp_path / ".model.0a1b.part" / "weights").write_text("half")
    for name in (".lock", "file.part", ".hidden"):
        (tmp_path / name).write_text("mine")
    sweep(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {".lock", "file.part", ".hidden"}


def test_a_folder_is_held_once(tmp_path: Path) -> None:
    refused = pytest.raises(BiograftError, match=r"Another process is at work in .*Wait until it is done")
    for _ in range(2):  # and let go afterwards
        with locked(tmp_path), refused, locked(tmp_path):
            pass


def test_waiting_ends_when_the_other_process_does(tmp_path: Path) -> None:
    program = (
        "import sys, time; from biograft.files import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); sys.stdin.read(); open(sys.argv[1] + '/left', 'w')"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BiograftError), locked(tmp_path):
            pass
        other.stdin.close()
        with locked(tmp_path, wait=True):
            assert (tmp_path / "left").exists()


def test_a_lock_falls_with_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from biograft.files import locked\n"
        "with locked(sys.argv[1]): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -9
    with locked(tmp_path):
        pass


def test_json_is_read_back_or_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"é": [1, 2.5, None]})
    assert read_json(path) == {"é": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    path.write_text('{"a": ')
    with pytest.raises(BiograftError, match=r"file.json' is not valid JSON .*line 1.*make it again"):
        read_json(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BiograftError, match="not valid JSON"):
        read_json(path)
    with pytest.raises(BiograftError, match="File not found"):
        read_json(tmp_path / "none.json")


def test_digests_see_borders_and_bytes(tmp_path: Path) -> None:
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("é") == digest("é".encode())
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert file_digest(path) == "ba7816bf8f01cfea"  # FIPS 180-2, appendix B.1
