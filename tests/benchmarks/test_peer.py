"""The two findings of PEER: what counts as found, and what is learned from what."""

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def peer(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("peer")


@pytest.mark.parametrize(
    ("helps", "answers", "found"),
    [
        (True, ("helped", "cannot tell"), True),
        (True, ("hurt", "cannot tell"), False),
        (False, ("hurt", "cannot tell"), True),
        (False, ("helped", "hurt"), False),
        (False, (), False),  # nothing measured is nothing found
    ],
)
def test_a_finding_follows_from_the_verdicts(
    peer: ModuleType, helps: bool, answers: tuple[str, ...], found: bool
) -> None:
    verdicts = {str(place): {"answer": answer} for place, answer in enumerate(answers)}
    assert peer.found(helps, verdicts) is found


def test_the_sentence_names_every_way_with_its_verdict(peer: ModuleType) -> None:
    verdicts = {"joint": {"answer": "helped", "sentence": "helped: +0.2."}}
    told = peer.concluded(peer.FINDINGS["helps"], verdicts)
    assert told.endswith("Here: found. Against the same net from scratch: `joint` helped: +0.2.")
    assert "**not found**" in peer.concluded(peer.FINDINGS["does-not"], verdicts)


def test_the_source_is_learned_beside_the_target_and_before_it(
    peer: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[str]] = []

    def noted(*words: Any) -> SimpleNamespace:
        asked.append([str(word) for word in words])
        return SimpleNamespace(answer={"candidates": []}, typed="")

    monkeypatch.setattr(peer.Draw, "to", lambda draw, path: path)
    monkeypatch.setattr(peer, "command", noted)
    monkeypatch.setattr(peer, "compared", lambda path, words, out: noted("compare", path, *words))
    peer.measure("helps", argparse.Namespace(work=tmp_path, backbone="cnn", seeds=3, longer=1.0, jobs=1))
    fit, joint, after = asked
    assert fit[0] == "fit" and fit[fit.index("--mask") + 1] == "resolved"
    assert joint[joint.index("--source") + 1] == fit[1] and joint[joint.index("--source-mask") + 1] == "resolved"
    assert "--mask" not in joint  # a stability has no residues that don't count
    assert after[after.index("--backbones") + 1] == fit[fit.index("--out") + 1] and "--source" not in after
