"""Names that users type and what stands behind each, imported only when asked for: ``name -> "module:object"``.

Adding a thing is one file and one line here. Other packages add theirs as entry points of the group
``biograft.KIND``, such as ``biograft.backbones``; an entry of ours is never replaced.
"""

import difflib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from biograft.errors import BiograftError

__all__ = ["AUTO", "CHECKPOINTS", "KINDS", "Checkpoint", "Entry", "entries", "names", "resolve", "unknown"]


@dataclass(frozen=True)
class Entry:
    """One name: where the object lives, and one line about it."""

    name: str
    home: str
    summary: str

    def load(self) -> Any:
        """Import the object."""
        module, attribute = self.home.split(":")
        return getattr(importlib.import_module(module), attribute)


_OWN: dict[str, tuple[Entry, ...]] = {
    "backbones": (
        Entry("onehot", "biograft.backbones.baselines:OneHot", "letters as they stand; nothing to learn"),
        Entry("composition", "biograft.backbones.baselines:Composition", "letter frequencies; nothing to learn"),
        Entry("kmer", "biograft.backbones.baselines:KMer", "frequencies of short words; nothing to learn"),
        Entry("cnn", "biograft.backbones.baselines:DilatedCNN", "dilated convolutions, random weights until trained"),
        Entry("encoder", "biograft.backbones.encoder:Encoder", "transformer encoder, random weights until trained"),
        Entry(
            "bytenet", "biograft.backbones.bytenet:ByteNet", "deep narrow convolutions, random weights until trained"
        ),
        Entry(
            "huggingface",
            "biograft.backbones.huggingface:HuggingFace",
            "encoders of others: give OWNER/NAME, or a folder, instead of this word",
        ),
    ),
    "strategies": (
        Entry(
            "scratch", "biograft.strategies.full:Scratch", "all weights learn, from random ones: the twin to compare"
        ),
        Entry("frozen", "biograft.strategies.frozen:Frozen", "the backbone rests, a head learns on its vectors"),
        Entry("full", "biograft.strategies.full:Full", "all weights learn, from what the backbone knows"),
        Entry("lpft", "biograft.strategies.staged:LPFT", "a solved linear head first, then all weights from there"),
        Entry("wise", "biograft.strategies.anchored:Wise", "lpft, then the best point between its two ends"),
        Entry("gradual", "biograft.strategies.staged:Gradual", "the head first, then block after block from the top"),
        Entry("l2sp", "biograft.strategies.anchored:L2SP", "all weights learn, pulled back to the pretrained ones"),
        Entry("bitfit", "biograft.strategies.light:BitFit", "biases and norms learn, the matrices rest"),
        Entry("ia3", "biograft.strategies.ia3:IA3", "factors on keys, values and activations learn, merged at the end"),
        Entry("lora", "biograft.strategies.lora:LoRA", "low-rank adapters learn, and are merged at the end"),
        Entry(
            "joint", "biograft.strategies.joint:Joint", "source and target are learned together: L_source + λ L_target"
        ),
        Entry(
            "adversarial",
            "biograft.strategies.adversarial:Adversarial",
            "features that don't tell the training part from unlabelled records",
        ),
        Entry(
            "coral", "biograft.strategies.coral:Coral", "features that covary alike in training and unlabelled records"
        ),
    ),
    "levels": (
        Entry("sequence", "biograft.tasks.levels:Sequence", "one label per sequence"),
        Entry("residue", "biograft.tasks.levels:Residue", "one label per residue"),
    ),
    "label_kinds": (
        Entry("classification", "biograft.tasks.classification:Classification", "one class out of several"),
        Entry("regression", "biograft.tasks.regression:Regression", "one number"),
    ),
}

AUTO = Entry(
    "auto", "biograft.flows.auto:choose", "fit chooses one; with --minutes 10 it tries several, and keeps what pays"
)
"""What ``--strategy auto`` does: a flow over strategies, which resolves to none."""


@dataclass(frozen=True)
class Checkpoint:
    """A short name for an encoder of others that is published under ``repository``."""

    name: str
    repository: str
    width: int
    size: str
    licence: str

    @property
    def summary(self) -> str:
        """One line about it."""
        return f"{self.repository}: width {self.width}, {self.size}, licence {self.licence}; downloaded when first used"


CHECKPOINTS = (
    Checkpoint("esm2-8m", "facebook/esm2_t6_8M_UR50D", 320, "31 MB", "MIT"),
    Checkpoint("esm2-35m", "facebook/esm2_t12_35M_UR50D", 480, "136 MB", "MIT"),
    Checkpoint("esm2-150m", "facebook/esm2_t30_150M_UR50D", 640, "595 MB", "MIT"),
    Checkpoint("esm2-650m", "facebook/esm2_t33_650M_UR50D", 1280, "2.6 GB", "MIT"),
    Checkpoint("esmc-300m", "biohub/ESMC-300M", 960, "1.3 GB", "MIT, with notices of others"),
)
_TABLES = {"metrics": "biograft.tasks.metrics:METRICS"}  # one file holds them all, by name
_SINGULAR = {
    "backbones": "backbone",
    "strategies": "strategy",
    "levels": "level",
    "label_kinds": "label kind",
    "metrics": "metric",
}
KINDS = tuple(_SINGULAR)


def entries(kind: str) -> list[Entry]:
    """All entries of a kind, ours first. Raises BiograftError for an unknown kind."""
    if kind not in KINDS:
        raise unknown("kind of thing", kind, (*KINDS, "models"), "See: biograft list.")
    own = list(_OWN.get(kind, ()))
    if kind in _TABLES:
        table = Entry(kind, _TABLES[kind], "").load()
        own = [Entry(name, _TABLES[kind], thing.summary) for name, thing in table.items()]
    taken = {entry.name for entry in own}
    return own + [_outside(point) for point in _points(kind) if point.name not in taken]


def names(kind: str) -> list[str]:
    """All names of a kind, ours first."""
    return [entry.name for entry in entries(kind)]


def resolve(kind: str, name: str) -> Any:
    """The object behind a name. Raises BiograftError for an unknown one, with what there is and the nearest."""
    for entry in entries(kind):
        if entry.name == name:
            found = entry.load()
            return found[name] if entry.home == _TABLES.get(kind) else found
    raise unknown(_SINGULAR[kind], name, names(kind), f"See: biograft list {kind}.")


def unknown(thing: str, name: str, known: Sequence[str], advice: str) -> BiograftError:
    """The error about a name that stands for nothing, with what there is, the nearest, and an advice."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    there = f"one of {', '.join(known)}" if known else "none: there are no such names"
    return BiograftError(f"Unknown {thing}: got '{name}', expected {there}.{hint} {advice}")


@cache
def _points(kind: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"biograft.{kind}"))


def _outside(point: EntryPoint) -> Entry:
    package = point.dist.name if point.dist else point.module
    return Entry(point.name, point.value, f"from the package {package}")
