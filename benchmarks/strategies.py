"""Every strategy with the shipped encoder and few labels on four targets, beside the same net from scratch.

    python benchmarks/strategies.py [--work FOLDER] [--backbone protein-small] [--only NAME ...] [--most 300]
        [--longer 1] [--seeds 3] [--jobs 1] [--estimate] [--page]

For each target a table of all strategies with one number of labels, and a learning curve of a few of them with up to
`--most` labels. Parts are drawn down, and proteins above a length left out, so that one slow core is done in about an
hour; `--estimate` says how many letters that takes, and runs nothing. A stopped run continues, and `--page` prints the
page of what is there. Exits 1 if a strategy that the encoder allows has no verdict against scratch on some target, or
auto is worse than frozen by more than one standard error of the paired difference.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from biograft.data.readers import table
from biograft.errors import BiograftError
from biograft.evaluation.comparison import Measured, difference, measured
from biograft.flows.assess import FEWEST_FAMILIES
from biograft.model import Model
from biograft.origins import load_backbone
from biograft.strategies.choices import strategy_of
from biograft.tasks.levels import Sequence as SequenceLevel
from biograft.tasks.metrics import METRICS, Metric, Predicted
from biograft.tasks.regression import Regression
from drawn import Draw, Letters, compared, found_in, rows, simple
from results import DATA, ROOT, interval
from results import table as markdown

HEADS = ("frozen", "frozen:layer=auto", "frozen:head=knn", "frozen:head=mlp", "frozen:head=attention")
OF_CLASSES = ("frozen:head=lda", "frozen:head=centroid")
AUTO = "auto:minutes=1"
ADAPTERS = ("lora", "ia3")  # which not every backbone has layers for
MOVING = ("full", "lpft", "wise", "gradual", "l2sp", "bitfit", *ADAPTERS)
TRAINED, EMBEDDED = 8_000, 25_000  # letters per second of a slow core, of an encoder of 2 million weights
PASSES = {"joint": 2.0, "adversarial": 3.0, "coral": 3.0}  # of a step, against one that learns the target alone
POINTS = 11  # validations that wise adds


@dataclass(frozen=True)
class Target:
    """What is asked of which table.

    Attributes:
        title: for people.
        draw: of the table.
        task: regression or classification.
        labels: of the table of all strategies.
        epochs: passes at most, for about the same number of steps on every table.
        curve: strategies of the learning curve.
        numbers: of labels, of that curve.
        beside: strategies that learn from something else too.
        source: table, label and mask of ``joint``.
    """

    title: str
    draw: Draw
    task: str
    labels: int
    epochs: float
    curve: tuple[str, ...]
    numbers: tuple[int, ...]
    beside: tuple[str, ...] = ()
    source: Draw | None = None

    @property
    def strategies(self) -> tuple[str, ...]:
        """All of the table but from scratch, which ``compare`` adds."""
        return (*HEADS, *(OF_CLASSES if self.task == "classification" else ()), *MOVING, *self.beside, AUTO)

    def limits(self, most: int) -> list[int]:
        """Labels of the curve."""
        return [number for number in self.numbers if number <= most]


SIZES = {"train": 1000, "valid": 60, "test": 300}
STRUCTURE = Draw("ss/ss3_netsurfp2_flip.tsv.gz", ("ss3", "resolved"), {"train": 1000, "valid": 50}, 250)
TARGETS = {
    "gb1": Target(
        "GB1, low to high fitness", Draw("flip/gb1/low_vs_high.tsv.gz", ("target",), SIZES), "regression",
        labels=100, epochs=20, curve=("frozen", "full"), numbers=(50, 100, 300, 1000), beside=("adversarial", "coral"),
    ),
    "avgfp": Target(
        "avGFP", Draw("fitness/dms_avgfp.tsv.gz", ("score",), SIZES), "regression",
        labels=100, epochs=6, curve=("frozen",), numbers=(50, 100, 200, 300, 1000),
    ),
    "places": Target(
        "Place in the cell", Draw("loc/deeploc1.tsv.gz", ("location",), SIZES, 400), "classification",
        labels=100, epochs=6, curve=("frozen", "frozen:head=lda"), numbers=(50, 100, 200, 300, 1000),
    ),
    "melting": Target(
        "Melting point", Draw("fitness/tm_human_cells.tsv.gz", ("tm_celsius",), SIZES, 300), "regression",
        labels=100, epochs=6, curve=("frozen",), numbers=(100, 300, 1000), beside=("joint",), source=STRUCTURE,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """Letters that are learned from, passes counted, and letters that are read only. A bound: runs may end earlier."""

    trained: float = 0
    embedded: float = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.trained + other.trained, self.embedded + other.embedded)

    @property
    def minutes(self) -> float:
        """Of one slow core."""
        return (self.trained / TRAINED + self.embedded / EMBEDDED) / 60


def work(target: Target, parts: Mapping[str, Letters], options: argparse.Namespace) -> Work:
    """Of a target: the table, the curve, and the vectors that all resting backbones share."""

    epochs = target.epochs * options.longer

    def moving(strategies: tuple[str, ...], labels: int) -> Work:
        found = Work()
        learned = min(labels, parts["train"].records) * parts["train"].each
        for name in strategies:
            if not name.startswith("frozen") and name not in ("ia3", AUTO):
                judged = epochs + (POINTS if name == "wise" else 0) + 1
                read = judged * parts["valid"].letters + parts["test"].letters
                found += Work(epochs * learned * PASSES.get(name, 1.0), read)
        return Work(found.trained * options.seeds, found.embedded * options.seeds)

    layers = 2  # layer=auto reads every layer, and the attention head all letters
    total = Work(0, layers * sum(part.letters for part in parts.values()))
    total += moving(("scratch", *target.strategies), target.labels)
    again = [labels for labels in target.limits(options.most) if target.beside or labels != target.labels]
    return sum((moving(("scratch", *target.curve), labels) for labels in again), total)


def refused(strategy: str, backbone: str) -> str:
    """Why a strategy can't take a backbone; '' if it can."""
    net, plan = load_backbone(backbone, "protein"), strategy_of(strategy)
    level, kind = SequenceLevel(), Regression(0.0, 1.0)
    try:
        plan.start(Model(net, plan.head(net, level, kind), level, kind), None)
    except BiograftError as fault:
        return str(fault)
    return ""


def words(target: Target, options: argparse.Namespace) -> list[str | Path]:
    """Options of both comparisons."""
    return [
        "--label", target.draw.columns[0], "--task", target.task, "--backbones", options.backbone,
        "--epochs", f"{target.epochs * options.longer:g}", "--seeds", str(options.seeds), "--jobs", str(options.jobs),
    ]  # fmt: skip


def companions(target: Target, options: argparse.Namespace) -> list[str | Path]:
    """What strategies learn from beside the target; the unlabelled sequences are those of the test domain."""
    told: list[str | Path] = []
    if target.source:
        source = target.source.to(options.work / "tables" / "source.tsv")
        told += ["--source", source, "--source-label", target.source.columns[0]]
        told += ["--source-mask", target.source.columns[1]]
    if "coral" in target.beside:
        unseen = Draw(target.draw.file, (), {"test": 2 * SIZES["test"]}, target.draw.longest)
        told += ["--unlabelled", unseen.to(options.work / "tables" / "unlabelled.tsv")]
    return told


def measure(name: str, options: argparse.Namespace) -> None:
    """Both comparisons of a target."""
    target, shared = TARGETS[name], words(TARGETS[name], options)
    strategies = [one for one in target.strategies if one not in ADAPTERS or not refused(one, options.backbone)]
    path = target.draw.to(options.work / "tables" / f"{name}.tsv")
    table = [*shared, "--strategies", ",".join(strategies), "--limits", str(target.labels)]
    compared(path, [*table, *companions(target, options)], options.work / name)
    numbers = ",".join(map(str, target.limits(options.most)))
    curve = [*shared, "--strategies", ",".join(target.curve), "--limits", numbers]
    # Without companions the runs of the table are those of the curve: the same folder, and nothing is learned twice.
    folder = options.work / (f"{name}-curve" if target.beside else name)
    compared(path, curve, folder, options.work / f"{name}-curve.json")


def curve(content: Mapping[str, Any]) -> str:
    """Values by number of labels, what scratch and the best simple answer would need, and what more labels bring."""
    found = content["learning_curve"]
    if not found:
        return ""
    labels, lines, held = found["labels"], [], dict[tuple[str, str], dict[int, str]]()
    for row in [*found["candidates"], *found["baselines"]]:
        values = {point["labels"]: interval(point) for point in row["points"] if point["value"] is not None}
        if values:
            lines.append([row["name"].partition(", ")[2] or f"({row['name']})", *(values.get(n, "–") for n in labels)])
        for one in row.get("needed", []):
            key = (row["name"].partition(", ")[2], one["against"].partition(", ")[2] or one["against"])
            held.setdefault(key, {})[one["labels"]] = one["text"]
    titles = [f"{number} labels" for number in labels]
    needed = [[f"{name}: {rival}", *(texts.get(n, "–") for n in labels)] for (name, rival), texts in held.items()]
    grown = [f"{row['name'].partition(', ')[2]}: {row['growth']['sentence']}" for row in found["candidates"]]
    told = [f"Labels that the rival needs for the same:\n\n{markdown(['', *titles], needed)}"] if needed else []
    return "\n\n".join([markdown(["", *titles], lines), *told, f"{found['more']} more labels. {' '.join(grown)}"])


def harmless(content: Mapping[str, Any], folder: Path) -> tuple[str, bool]:
    """What auto took and how far it is from frozen on the test part; whether it is worse by no more than one standard
    error of that difference, over families and runs."""
    rows = {_told(one): one for one in content["candidates"] if one["runs"]}
    if AUTO not in rows or "frozen" not in rows:
        return "", True
    metric, columns = METRICS[content["metric"]["name"]], table(folder / "split.tsv").columns
    family = dict(zip(columns["id"], columns["family"], strict=True))
    found = {name: _answers(folder, rows[name]["folders"], family, metric) for name in (AUTO, "frozen")}
    apart = difference(found[AUTO], found["frozen"], metric)
    took = ", ".join(f"{name} ({count})" for name, count in Counter((rows[AUTO]["took"] or {}).values()).most_common())
    met = bool(apart.interval.value >= -apart.errors.total)
    return (
        f"`{AUTO}` took {took}: {apart.interval.value:+.3f} against `frozen`, standard error {apart.errors.total:.3f}"
        f"{'' if met else ' (**worse by more than one**)'}.",
        met,
    )


def _answers(folder: Path, runs: Sequence[str], family: Mapping[str, str], metric: Metric) -> Measured:
    """A candidate's runs on the test part, measured on draws of families."""
    told = [table(folder / run / "predictions.tsv").columns for run in runs]
    groups = np.unique([family[name] for name in told[0]["id"]], return_inverse=True)[1]
    if len(np.unique(groups)) < FEWEST_FAMILIES:
        groups = np.arange(len(groups))
    if metric.reads == "values":
        truth, *answers = (np.array(texts, dtype=float) for texts in _texts(told))
        return measured(metric, truth, [Predicted(values=answer) for answer in answers], groups)
    names = sorted({text for texts in _texts(told) for text in texts})
    truth, *answers = (np.array([names.index(text) for text in texts]) for texts in _texts(told))
    return measured(metric, truth, [Predicted(codes=answer) for answer in answers], groups)


def _texts(told: Sequence[Mapping[str, Sequence[str]]]) -> list[Sequence[str]]:
    return [told[0]["truth"], *(columns["prediction"] for columns in told)]


def _told(one: Mapping[str, Any]) -> str:
    return ":".join([one["strategy"], *one["options"]])


def section(name: str, options: argparse.Namespace) -> tuple[str, list[str]]:
    """The page of a target, and what it lacks: strategies without a verdict, or harm done by auto; '' for no page."""
    target, content = TARGETS[name], found_in(options.work / f"{name}.json")
    if content is None:
        return "", []
    data, (auto, met) = content["data"], harmless(content, options.work / name)
    drawn = f"at most {target.draw.longest} letters each, " if target.draw.longest else ""
    told = [
        f"### {target.title}, {target.labels} labels",
        f"`{target.draw.file}`, {drawn}{data['n_train']} training records of which the seed draws the labels, "
        f"{data['n_valid']} to choose on, {data['n_test']} to answer for; {target.epochs * options.longer:g} passes.",
        rows(content),
        simple(content),
        *([auto] if auto else []),
    ]
    drawn_curve = curve(found_in(options.work / f"{name}-curve.json") or {"learning_curve": None})
    told += [drawn_curve] if drawn_curve else []
    silent = [f"no verdict on {one['name']}" for one in content["candidates"]
              if one["strategy"] != "scratch" and not one["against_scratch"]]  # fmt: skip
    return "\n\n".join(told), [*silent, *([] if met else ["auto is worse than frozen"])]


def page(options: argparse.Namespace) -> tuple[str, bool]:
    """Everything that is there, and whether all strategies have their verdict."""
    found = {name: section(name, options) for name in options.only}
    told = [text for text, _ in found.values() if text]
    silent = [f"{name}: {', '.join(names)}" for name, (_, names) in found.items() if names]
    missing = [name for name, (text, _) in found.items() if not text]
    intro = (
        f"Backbone `{options.backbone}`, {options.seeds} seeds, each of which draws the labels. Parts were drawn down, "
        "long proteins left out, and passes bounded, so that one slow core is done in an hour: values are not "
        "comparable with those of whole sets, and the net from scratch has no more steps than the others. Rows stand "
        "in the order of the validation part, whose best has a star. Differences are paired; answers are corrected "
        "for all strategies of a table (Holm). With *cannot tell* stands the size that half of such comparisons would "
        "find. "
        f"`adversarial` and `coral` read {2 * SIZES['test']} sequences of the test domain, without labels; the source "
        "of `joint` is secondary structure."
    )
    reasons = {name: refused(name, options.backbone) for name in ADAPTERS}
    end = [f"`{name}` takes no part: {why}" for name, why in reasons.items() if why]
    end += [f"Missed: {'; '.join(silent)}."] if silent else []
    end += [f"Not measured: {', '.join(missing)}."] if missing else []
    return "\n\n".join([intro, *told, *end]), not silent and not missing


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "strategies")
    parser.add_argument("--backbone", default="protein-small")
    parser.add_argument("--only", nargs="*", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--most", type=int, default=300, help="labels at which a curve ends")
    parser.add_argument("--longer", type=float, default=1, help="times as many passes as an hour allows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--estimate", action="store_true", help="only say how many letters there are to be computed")
    parser.add_argument("--page", action="store_true", help="only print what is there")
    options = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"The data are not at '{DATA}'. Set BIOGRAFT_DATA.")
    for name in [] if options.page else options.only:
        parts = TARGETS[name].draw.counted(options.work / "tables" / f"{name}.tsv")
        found = work(TARGETS[name], parts, options)
        print(
            f"{name}: at most {found.trained / 1e6:.1f} million letters to learn from and {found.embedded / 1e6:.1f} "
            f"to read: {found.minutes:.0f} minutes of a slow core",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        if not options.estimate:
            measure(name, options)
    if options.estimate:
        return 0
    text, met = page(options)
    print(text)
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
