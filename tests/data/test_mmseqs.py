"""The program that is found, what is asked of it, and what happens where it fails."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from biograft.data import clusters, homology, mmseqs
from biograft.data.alphabet import PROTEIN
from biograft.data.clusters import families
from biograft.data.mmseqs import MMseqs2
from biograft.errors import BiograftError

PRESENT = shutil.which("mmseqs")
ANCESTOR = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKRQTLGQHDF"
OTHER = "GSHMRPWCYNIEFTDAVCWHNPLQGTYKREDMSAFIWVLNCHPGQKYTREDSMAWFIVLCHNPQGKYTRESDMAFWIVLHCNPGQ"
BROKEN = 'case "$1" in version) echo 99;; *) echo "no room left" >&2; exit 3;; esac'


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a program of shell lines the one that is used."""

    def made(lines: str) -> Path:
        path = tmp_path / "mmseqs-of-a-test"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv(mmseqs.VARIABLE, str(path))
        monkeypatch.setattr(homology, "ALL_PAIRS_CELLS", 0)
        return path

    return made


def test_the_variable_names_the_program_or_none(program, monkeypatch, tmp_path):
    path = program("echo 7.1")
    assert MMseqs2.find() == MMseqs2(str(path), "7.1")
    assert str(MMseqs2.find()) == "MMseqs2 7.1"
    monkeypatch.setenv(mmseqs.VARIABLE, "None")
    assert MMseqs2.find() is None
    monkeypatch.setenv(mmseqs.VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(BiograftError, match=r"BIOGRAFT_MMSEQS names no program: got '.*missing'"):
        MMseqs2.find()
    monkeypatch.delenv(mmseqs.VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert MMseqs2.find() is None
    path.rename(tmp_path / "mmseqs")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), "/bin"]))
    assert MMseqs2.find() == MMseqs2(str(tmp_path / "mmseqs"), "7.1")


def test_a_failure_is_said_and_own_pairs_remain(program):
    program(BROKEN)
    sequences = [ANCESTOR, OTHER, ANCESTOR[5:]]
    found = families(sequences, PROTEIN)
    assert found.labels.tolist() == [0, 1, 0]
    assert found.program.startswith("shared k-mers, exact alignment, without MMseqs2: MMseqs2 failed")
    assert "'createdb' ended with 3 (no room left)" in found.program
    with pytest.raises(BiograftError, match=r"ended with 3 \(no room left\)"):
        families(sequences, PROTEIN, program="mmseqs")


def test_no_room_for_its_files_is_said(program, monkeypatch, tmp_path):
    program("echo 1")
    monkeypatch.setattr(mmseqs.tempfile, "tempdir", str(tmp_path / "missing"))
    found = families([ANCESTOR, OTHER, ANCESTOR[5:]], PROTEIN)
    assert found.labels.tolist() == [0, 1, 0]
    assert "without MMseqs2: [Errno 2]" in found.program


def test_a_file_that_does_not_run_is_named(program):
    program("").write_bytes(b"\x7fELF no program")
    with pytest.raises(BiograftError, match="MMseqs2 does not start"):
        MMseqs2.find()


def test_large_sets_do_without_unless_it_is_asked_for(program, monkeypatch):
    path = program('case "$1" in version) echo 1;; createtsv) : > "$5";; esac; echo "$1" >> "$0.log"')
    monkeypatch.setattr(clusters, "SECOND_SEARCH", 100)
    found = families([ANCESTOR, OTHER], PROTEIN)
    assert found.program == "shared k-mers, exact alignment; MMseqs2 is asked up to 100 residues only"
    assert not path.with_suffix(".log").exists()
    assert families([ANCESTOR, OTHER], PROTEIN, program="mmseqs").program.startswith("shared k-mers and MMseqs2 1")
    assert path.with_suffix(".log").read_text().split() == ["version", "createdb", "prefilter", "createtsv"]


def test_its_pairs_are_judged_by_our_alignment(program):
    """A program that calls everything a pair adds nothing that isn't homologous."""
    lines = "".join(f"{one}\\t{two}\\t9\\n" for one, two in ((0, 1), (1, 0), (1, 1), (0, 2)))
    program(f'case "$1" in version) echo 1;; createtsv) printf "{lines}" > "$5";; esac')
    found = families([ANCESTOR, OTHER, ANCESTOR[:40]], PROTEIN, program="mmseqs")
    assert found.labels.tolist() == [0, 1, 0]
    assert found.program == "shared k-mers and MMseqs2 1, exact alignment"


def test_pairs_are_read_once_each(tmp_path):
    table = tmp_path / "t.tsv"
    table.write_text("3\t1\t50\t2\n1\t3\t50\t2\n1\t1\t99\t0\n0\t2\t20\t-1\n")
    assert mmseqs._read(str(table)).tolist() == [[0, 2], [1, 3]]
    table.write_text("")
    assert mmseqs._read(str(table)).shape == (0, 2)


@pytest.mark.skipif(PRESENT is None, reason="mmseqs is not installed here")
def test_the_program_itself_finds_relatives(monkeypatch):
    monkeypatch.delenv(mmseqs.VARIABLE, raising=False)
    tool = MMseqs2.find()
    assert tool is not None
    sequences = [ANCESTOR, OTHER, ANCESTOR.replace("K", "R"), "A" * 65_001, "ACGT", ANCESTOR]
    assert tool.candidates(sequences, np.array([0, 1, 2, 3, 4]), 0.4).tolist() == [[0, 2]]
