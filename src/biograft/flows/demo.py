"""The main job on generated families: learn a source, graft it on 60 labels, hold it against the same net from scratch.

The data are made so that the right verdict is known: one source shares its motifs with the target, the other none.
Where an encoder comes with the package it is grafted on the same target, and shipped models first answer for proteins
that everybody knows.
"""

from dataclasses import dataclass
from pathlib import Path

from biograft.data.generated import World
from biograft.data.readers import read, write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.evaluation.verdict import Verdict, paired, verdict
from biograft.flows.answers import read_answers
from biograft.flows.assess import examine
from biograft.flows.first_answers import first_answers
from biograft.flows.fit import Result, fit
from biograft.progress import Stages
from biograft.shipped import shelf
from biograft.tasks.metrics import METRICS

__all__ = ["Sizes", "demo", "tables"]

RIVAL = "scratch"
KNOWN = {"related-frozen": "helped", "related-full": "helped", "unrelated-frozen": "cannot tell"}
"""Runs on the target that start from a source, and the answer that follows from how the data were made."""
UNKNOWN = "Nobody knew: this encoder learned from natural proteins, and the motifs of these are made up."


@dataclass(frozen=True)
class Sizes:
    """Records of each table, and passes over the sources.

    Attributes:
        source: of each of the two source tasks.
        train: of the target, to learn from.
        valid: of the target, to choose when to stop.
        test: of the target; read for the final evaluation only.
        new: of the target, in a table of their own that no run reads.
        epochs: over the training part of a source; the loop makes its least number of steps in any case.
    """

    source: int = 600
    train: int = 48
    valid: int = 12
    test: int = 240
    new: int = 60
    epochs: float = 8.0


def demo(
    out: Path | str = "runs/demo", *, seed: int = 0, sizes: Sizes | None = None, progress: Stages | None = None
) -> list[str]:
    """Ask shipped models, make the tables, carry out all runs in ``out``, compare; returns what there is to say.

    What is there already is read or continued. Raises BiograftError if ``out`` holds runs or tables of other choices.
    """
    sizes = sizes or Sizes()
    out = Path(out)
    paths = tables(out, seed=seed, sizes=sizes)

    def run(name: str, table: str, backbone: str, strategy: str, epochs: float | None = None) -> Result:
        told = None if progress is None else lambda stage, done, total: progress(f"{name}: {stage}", done, total)
        return fit(
            paths[table], "label", out=out / name, backbone=backbone, strategy=strategy, epochs=epochs, seed=seed,
            refit=False, progress=told,
        )  # fmt: skip

    answers = first_answers()
    related = run("related", "source", "cnn", "scratch", sizes.epochs)
    unrelated = run("unrelated", "unrelated", "cnn", "scratch", sizes.epochs)
    grafts = {
        RIVAL: run(RIVAL, "target", "cnn", "scratch"),
        "related-frozen": run("related-frozen", "target", str(related.folder), "frozen"),
        "related-full": run("related-full", "target", str(related.folder), "full"),
        "unrelated-frozen": run("unrelated-frozen", "target", str(unrelated.folder), "frozen"),
    }
    for encoder in shelf.backbones():
        if encoder.card["encoder"]["alphabet"] == "protein":
            name = f"{encoder.name}-frozen"
            grafts[name] = run(name, "target", encoder.name, "frozen")
    verdicts = _verdicts(read(paths["target"]), grafts, seed)
    return [
        *answers,
        *_introduction(sizes, related, unrelated),
        "",
        *_table(grafts, verdicts),
        "",
        *_answers(verdicts),
        "",
        f"Tables: {', '.join(str(path) for path in paths.values())}",
        "Reports:",
        *(f"  {result.folder / 'report.html'}" for result in (related, unrelated, *grafts.values())),
    ]


def tables(out: Path | str, *, seed: int = 0, sizes: Sizes | None = None) -> dict[str, Path]:
    """Write the tables into ``out/tables`` and say where; the same seed writes the same letters.

    Raises BiograftError if other ones are there.
    """
    sizes, world = sizes or Sizes(), World(seed=seed)
    records = {
        "source": world.source(sizes.source, seed),
        "unrelated": world.source(sizes.source, seed, useful=False),
        "target": world.target(sizes.train, sizes.test, seed, sizes.valid),
        "new": world.target(0, sizes.new, seed + 1),
    }
    paths = {name: Path(out) / "tables" / f"{name}.tsv" for name in records}
    for name, path in paths.items():
        if path.exists() and read(path, alphabet="protein").sequences != records[name].sequences:
            raise BiograftError(f"'{path}' is there with other contents: got seed {seed}. Choose another --out.")
    for name, path in paths.items():
        made = records[name]
        hidden = ("family", "set") if name == "new" else ("family",)
        columns = {title: values for title, values in made.columns.items() if title not in hidden}
        write_table(path, {"id": made.ids, "sequence": made.sequences, **columns})
    return paths


def _verdicts(target: Records, grafts: dict[str, Result], seed: int) -> dict[str, Verdict]:
    """Each graft against the net from scratch, by what the runs wrote down for the same test records."""
    test = target.take([row for row, part in enumerate(target.column("set")) if part == "test"])
    rival = grafts[RIVAL].model.model
    part = examine(test, rival.level.read(test, "label"), rival.kind, rival.level, identity=0.4, seed=seed)
    metric = METRICS[rival.kind.metrics[0]]
    answers = {
        name: read_answers(result.folder / "predictions.tsv", part, rival.level) for name, result in grafts.items()
    }
    return {
        name: verdict(paired(metric, part.truth, answer, answers[RIVAL], part.groups, seed=part.seed), RIVAL, metric)
        for name, answer in answers.items()
        if name != RIVAL
    }


def _introduction(sizes: Sizes, related: Result, unrelated: Result) -> list[str]:
    scores = [f"{result.metrics['mcc']['value']:.2f}" for result in (related, unrelated)]
    return [
        "The sequences are generated, not natural, so that the right answer is known: short motifs decide all labels.",
        f"Related source:    {sizes.source} sequences, each residue labelled with the motif it is in "
        f"(test mcc {scores[0]}).",
        f"Unrelated source:  as many, with motifs that the target does not know (test mcc {scores[1]}).",
        f"Target:            {sizes.train + sizes.valid} labels, one class per sequence ({sizes.train} to learn from, "
        f"{sizes.valid} to choose when to stop); {sizes.test} sequences of other families to test on.",
    ]


def _table(grafts: dict[str, Result], verdicts: dict[str, Verdict]) -> list[str]:
    """Runs and simple answers on the target, with 95 % intervals over families."""
    lines = [f"{'on the target':24}{'mcc':>6}   {'95 % interval':18}{'seconds':>7}   against {RIVAL}"]
    for name, result in grafts.items():
        told = "" if name == RIVAL else f"   {verdicts[name].difference.value:+.2f}  {verdicts[name].answer}"
        lines.append(f"{_row(name, result.metrics['mcc'])}{result.report['seconds']['total']:7.0f}{told}")
    simple = grafts[RIVAL].report["baselines"]
    return lines + [_row(f"({name})", found["mcc"]).rstrip() for name, found in simple.items()]


def _row(name: str, found: dict[str, float | None]) -> str:
    value, low, high = (float("nan") if found[side] is None else found[side] for side in ("value", "low", "high"))
    return f"{name:24}{value:6.2f}   {f'{low:.2f} to {high:.2f}':18}"


def _answers(verdicts: dict[str, Verdict]) -> list[str]:
    """Measured and known, side by side."""
    lines = ["Did transfer help?"]
    for name, found in verdicts.items():
        told = _compared(found.answer, KNOWN[name]) if name in KNOWN else UNKNOWN
        lines += [f"  {name}: {found.sentence()}", f"    {told}"]
    return lines


def _compared(measured: str, known: str) -> str:
    """What to make of a measured answer, given the known one."""
    if measured == known:
        return f"Right: by the way the data were made it is '{known}'."
    if known == "helped":
        return "The source knows what the target asks: this strategy did not carry it over."
    return f"There is nothing in the source to carry over: '{measured}' is the luck of one training run."
