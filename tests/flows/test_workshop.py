"""Where letters stand side by side, and where they are pooled."""

from dataclasses import dataclass

import numpy as np
import pytest

from biograft.backbones.backbone import Backbone
from biograft.backbones.baselines import KMer, OneHot
from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.records import Records
from biograft.flows import workshop
from biograft.flows.workshop import means_told, pooled
from biograft.tasks.levels import Residue, Sequence

PARENT = "ACDEFGHIKLMNPQRSTVWYACDEFG"


def variants(count: int, changed: int, seed: int = 0) -> Records:
    """Of one parent, each with so many other letters."""
    generator, rows = np.random.default_rng(seed), []
    for _ in range(count):
        letters = np.array(list(PARENT))
        places = generator.choice(len(PARENT), changed, replace=False)
        letters[places] = generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), changed)
        rows.append("".join(letters))
    return Records.of(rows)


def net(pretrained: bool) -> Backbone:
    found = ByteNet(PROTEIN, ByteNetConfiguration(1, 8))
    found.pretrained = pretrained
    return found


@dataclass(frozen=True)
class Case:
    """What is read, by what, and how it should be pooled."""

    records: Records
    backbone: Backbone
    wide: bool
    pool: str


CASES = {
    "variants, pretrained": Case(variants(20, 3), net(True), True, "positions"),
    "variants, random weights": Case(variants(20, 3), net(False), True, "mean"),
    "variants, several layers": Case(variants(20, 3), net(True), False, "mean"),
    "strangers of one length": Case(variants(20, 26), net(True), True, "mean"),
    "strangers, letters as they stand": Case(variants(20, 26), OneHot(PROTEIN), False, "positions"),
    "a vector per sequence": Case(variants(20, 3), KMer(PROTEIN), True, "mean"),
    "two lengths": Case(Records.of([PARENT, PARENT[1:]]), net(True), True, "mean"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_variants_of_one_parent_are_read_position_by_position(case: Case) -> None:
    level = pooled("auto", Sequence(), case.backbone, case.records, wide=case.wide)
    assert level == (Sequence("positions", len(PARENT)) if case.pool == "positions" else Sequence())


def test_a_choice_of_the_user_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pooled("mean", Sequence(), net(True), variants(5, 1), wide=True) == Sequence()
    strangers = pooled("positions", Sequence(), net(False), variants(5, 26))
    assert strangers == Sequence("positions", len(PARENT))
    monkeypatch.setattr(workshop, "MOST_NUMBERS", 100)
    assert pooled("auto", Sequence(), net(True), variants(5, 1), wide=True) == Sequence()
    assert pooled("auto", Residue(), net(True), variants(5, 1), wide=True) == Residue()


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_means_of_variants_are_told_of_and_nothing_else(case: Case) -> None:
    level = pooled("auto", Sequence(), case.backbone, case.records, wide=case.wide)
    told = means_told(level, case.backbone, case.records)
    assert bool(told) == (case is CASES["variants, several layers"])
    assert all("hides where a mutation is" in sentence for sentence in told)
