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
    ("helps", "measured", "found"),
    [
        (True, ((0.2, 0.01), (0.1, 0.6)), True),
        (True, ((-0.2, 0.01), (0.1, 0.6)), False),  # it hurts
        (True, ((0.2, 0.03), (0.1, 0.6)), False),  # significant alone, but not as one of two
        (True, ((0.0, None), (0.1, 0.6)), False),
        (False, ((-0.2, 0.01), (0.1, 0.6)), True),
        (False, ((0.2, 0.01), (-0.2, 0.01)), False),
        (False, (), False),  # nothing measured is nothing found
    ],
)
def test_a_finding_follows_from_the_verdicts(
    peer: ModuleType, helps: bool, measured: tuple[tuple[float, float | None], ...], found: bool
) -> None:
    verdicts = {str(place): {"difference": size, "p": p} for place, (size, p) in enumerate(measured)}
    assert peer.found(helps, verdicts) is found


def test_the_sentence_names_every_way_with_its_verdict(peer: ModuleType) -> None:
    verdicts = {"joint": {"difference": 0.2, "p": 0.01, "sentence": "helped: +0.2."}}
    told = peer.concluded(peer.FINDINGS["helps"], verdicts)
    assert "Here: found; helped, with Holm's correction for all 1 ways: `joint`." in told
    assert told.endswith("Against the same net from scratch: `joint` helped: +0.2.")
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
