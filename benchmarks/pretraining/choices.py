"""Short pretraining runs that compare what an encoder learns from, and how, by frozen probes on validation parts.

    python benchmarks/pretraining/choices.py SOURCES --out FOLDER [--letters 400000] [--seeds 2] [--only NAME ...]

SOURCES is the folder that `sources.py` and `homologues.py` have filled. Every recipe is a run of `biograft pretrain`
that reads the same number of letters, corpus and sources together, out of the same drawn tables; random weights stand
beside them. A probe is a linear head, solved on the resting last layer for a few hundred records of a training part
and asked about a validation part. Rows of test parts are dropped as tables are drawn. What a recipe had as a source is
in brackets: no transfer. Stopped at any moment, the same command goes on. Reads BIOGRAFT_DATA (default
../shared/data); prints the table as Markdown.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from biograft.backbones.backbone import Backbone
from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.data.alphabet import PROTEIN
from biograft.data.readers import read
from biograft.data.split import Split, by_column
from biograft.files import write_json
from biograft.flows.inputs import fixed_features
from biograft.flows.prepare import prepare
from biograft.flows.pretrain import pretrain
from biograft.flows.pretrain_recipe import PretrainRecipe
from biograft.flows.sources import examples
from biograft.hardware import Hardware
from biograft.model import LinearHead, Model
from biograft.origins import load_backbone
from biograft.strategies.frozen import SOLVERS
from biograft.tasks.metrics import METRICS
from biograft.tasks.task import Task

DATA = Path(os.environ.get("BIOGRAFT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")).resolve()
STEP = 4_096  # letters of a step, corpus and sources together, where a recipe doesn't say otherwise
DRAWN = 6_000  # records of the corpus and of each source: more than a short run reads
LONGEST = 600  # letters of a probe's records
HELD_OUT = 8  # sequences of the corpus: the loop measures on them, this script doesn't
RANDOM = "nothing"  # random weights


@dataclass(frozen=True)
class Source:
    """A table beside the corpus: its label, the column of residues that count, λ."""

    label: str
    mask: str
    weight: float


SOURCES = {
    "homologues": Source("homologue", "aligned", 2.0),
    "structure": Source("ss3", "resolved", 2.0),
    "enzymes": Source("ec", "", 1.0),
}


@dataclass(frozen=True)
class Choice:
    """How many parts of a step's letters come from the corpus and from each source, and how they are learned.

    Attributes:
        step: letters of a step, corpus and sources together; None: ``STEP``.
        own: other fields of the recipe that differ from what the command line says.
    """

    corpus: int
    sources: tuple[tuple[str, int], ...] = ()
    architecture: str = "bytenet"
    step: int | None = None
    own: Mapping[str, Any] = field(default_factory=dict)

    def recipe(self, tables: Path, options: argparse.Namespace, seed: int) -> PretrainRecipe:
        """As `biograft pretrain` takes it."""
        step = self.step or STEP
        part = step // (self.corpus + sum(parts for _, parts in self.sources))
        chosen = [SOURCES[name] for name, _ in self.sources]
        usual = PretrainRecipe(
            corpus=str(tables / "corpus.fasta"), architecture=self.architecture, width=options.width,
            layers=options.layers if self.architecture == "bytenet" else max(1, options.layers // 2), heads=4,
            batch_letters=part * self.corpus, tokens=max(1, round(options.letters / step)) * part * self.corpus,
            learning_rate=options.learning_rate, held_out=HELD_OUT,
            source=tuple(str(tables / f"{name}.tsv") for name, _ in self.sources),
            source_label=tuple(source.label for source in chosen), source_mask=tuple(source.mask for source in chosen),
            source_weight=tuple(source.weight for source in chosen),
            source_letters=tuple(part * parts for _, parts in self.sources) or (step,), seed=seed,
        )  # fmt: skip
        return replace(usual, **self.own)


ALL = Choice(2, (("homologues", 2), ("structure", 2), ("enzymes", 2)))
CHOICES = {
    "masked letters": Choice(1),
    "homologues": Choice(1, (("homologues", 7),)),
    "half masked letters, half homologues": Choice(1, (("homologues", 1),)),
    "masked letters and all sources": ALL,
    "all sources, AdamW": replace(ALL, own={"optimiser": "adamw"}),
    "all sources, AdamW at a third of the rate": replace(ALL, own={"optimiser": "adamw", "learning_rate": 5e-4}),
    "all sources, cosine": replace(ALL, own={"schedule": "cosine"}),
    "all sources, a third of the rate": replace(ALL, own={"learning_rate": 5e-4}),
    "all sources, three times the rate": replace(ALL, own={"learning_rate": 4.5e-3}),
    "all sources, steps of 16,384 letters": replace(ALL, step=16_384),
    "all sources, 30 % masked": replace(ALL, own={"masked": 0.3}),
    "all sources, 24 blocks of 176": replace(ALL, own={"layers": 24, "width": 176}),
    "all sources, 6 blocks of 352": replace(ALL, own={"layers": 6, "width": 352}),
    "all sources, transformer": replace(ALL, architecture="encoder"),
    "all sources, transformer with 8 heads": replace(ALL, architecture="encoder", own={"heads": 8}),
}


@dataclass(frozen=True)
class Probe:
    """A question to a resting encoder: a file of the data, its label, records to learn from and to be asked about."""

    file: str
    task: Task
    metric: str
    learn: int
    ask: int
    head: str = "linear"


PROBES = {
    "structure": Probe(
        "ss/ss3_netsurfp2_flip.tsv.gz", Task("ss3", "residue", "classification", ("resolved",)), "q3", 200, 150, "lda"
    ),
    "places": Probe(
        "loc/deeploc1.tsv.gz", Task("location", "sequence", "classification"), "accuracy", 600, 400
    ),
    "melting point": Probe(
        "fitness/tm_human_cells.tsv.gz", Task("tm_celsius", "sequence", "regression"), "spearman", 500, 400
    ),
    "stability": Probe(
        "fitness/stability_rocklin_tape.tsv.gz", Task("target", "sequence", "regression"), "spearman", 500, 800
    ),
}  # fmt: skip


def draw_sources(folder: Path, tables: Path) -> None:
    """The first sequences of the corpus; records of the training part of each source. What is there stays."""
    tables.mkdir(parents=True, exist_ok=True)
    if not (tables / "corpus.fasta").exists():
        entries = (folder / "corpus.fasta").read_text(encoding="utf-8").split(">", DRAWN + 1)[1 : DRAWN + 1]
        (tables / "corpus.fasta").write_text("".join(f">{entry}" for entry in entries), encoding="utf-8")
    for name, source in SOURCES.items():
        if (tables / f"{name}.tsv").exists():
            continue
        whole = _table(folder / f"{name}.tsv.gz").filter(pl.col("set") == "train")
        wanted = ["id", "sequence", source.label, *([source.mask] if source.mask else []), "set"]
        whole.sample(min(DRAWN, len(whole)), seed=0).select(wanted).write_csv(tables / f"{name}.tsv", separator="\t")


def draw_probe(probe: Probe, path: Path) -> Path:
    """Records of the training and the validation part, always the same; what is there stays."""
    if not path.exists():
        whole = _table(DATA / probe.file).filter(pl.col("set").is_in(["train", "valid"]))
        whole = whole.filter(pl.col("sequence").str.len_chars() <= LONGEST)
        parts = [
            part.sample(min(size, len(part)), seed=0)
            for name, size in (("train", probe.learn), ("valid", probe.ask))
            for part in [whole.filter(pl.col("set") == name)]
        ]
        columns = ["sequence", probe.task.label, *probe.task.masks, "set"]
        pl.concat(parts).select(columns).write_csv(path, separator="\t")
    return path


def _table(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, separator="\t", quote_char=None, infer_schema_length=0)


def probed(backbone: Backbone, probe: Probe, path: Path) -> float:
    """What a solved linear head on the resting backbone reaches on the validation part."""
    hardware = Hardware.choose("auto", "auto")
    records = read(path, alphabet="protein", unknown="X")
    parts = by_column(records.column("set"), seed=0, needed=("train", "valid"))
    split = Split(parts, np.arange(len(records)), "column:set", "")
    prepared = prepare(records, probe.task, how=split, needed=("train", "valid"))
    level, kind = prepared.level, prepared.kind
    head = LinearHead(level, backbone.width, kind.width)
    model = Model(backbone.requires_grad_(False), head, level, kind)
    learn, ask = (examples(prepared, part, backbone) for part in ("train", "valid"))
    features = fixed_features(model, learn, 0, hardware)
    SOLVERS[probe.head][kind.name](features, kind.width, None).put(head)
    answer = kind.decode(model.outputs(ask.rows, hardware)[ask.counted])
    return METRICS[probe.metric](kind.truth(ask.targets[ask.counted]), answer)


def outcome(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Pretrain and probe, or read what an earlier call found."""
    shape = f"{options.layers}x{options.width}-{options.learning_rate:g}"
    folder = options.out / f"{options.letters}-{shape}" / f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}-{seed}"
    path = folder.with_suffix(".json")
    if path.exists():
        earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return earlier
    found: dict[str, Any] = {"letters": 0, "seconds": 0.0}
    if name == RANDOM:
        torch.manual_seed(seed)
        backbone: Backbone = ByteNet(PROTEIN, ByteNetConfiguration(options.layers, options.width))
    else:
        recipe = CHOICES[name].recipe(options.out / "sources", options, seed)
        report = pretrain(recipe, folder).report
        letters = recipe.steps * (recipe.batch_letters + sum(recipe.letters().values()))
        found = {"letters": letters, "seconds": report["seconds"]["train"]}
        backbone = load_backbone(str(folder), "protein")
    found |= {what: probed(backbone, probe, _drawn(options, what)) for what, probe in PROBES.items()}
    folder.parent.mkdir(exist_ok=True)
    write_json(path, found)
    return found


def _drawn(options: argparse.Namespace, name: str) -> Path:
    path: Path = options.out / "probes" / f"{name.replace(' ', '-')}.tsv"
    return path


def row(name: str, found: list[dict[str, Any]]) -> list[str]:
    """A recipe as a row: means, and the lowest and highest of its seeds; in brackets what was a source."""
    learned = {source for source, _ in CHOICES[name].sources} if name in CHOICES else set()
    cells = [name, f"{found[0]['letters']:,}", f"{np.mean([one['seconds'] for one in found]):.0f}"]
    for what in PROBES:
        values = [one[what] for one in found]
        cell = f"{np.mean(values):.3f}" + (f" [{min(values):.3f}, {max(values):.3f}]" if len(values) > 1 else "")
        cells.append(f"({cell})" if what in learned else cell)
    return cells


def main() -> None:
    """Run what isn't there yet, seed after seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--letters", type=int, default=400_000, help="of a run, corpus and sources together")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--layers", type=int, default=12, help="of ByteNet; a transformer has half as many")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--only", nargs="*", choices=[RANDOM, *CHOICES], default=[RANDOM, *CHOICES])
    options = parser.parse_args()
    options.out = options.out.resolve()
    draw_sources(options.sources, options.out / "sources")
    (options.out / "probes").mkdir(exist_ok=True)
    for name, probe in PROBES.items():
        draw_probe(probe, _drawn(options, name))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    for seed in range(options.seeds):
        for name in options.only:
            found[name].append(outcome(name, seed, options))
            print(f"seed {seed}: {' | '.join(row(name, found[name][-1:]))}", file=sys.stderr, flush=True)
    heads = ["learned from", "letters", "seconds", *(f"{name} ({PROBES[name].metric})" for name in PROBES)]
    for cells in (heads, ["---"] * len(heads), *(row(name, found[name]) for name in options.only)):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
