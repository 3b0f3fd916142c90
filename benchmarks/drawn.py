"""Tables drawn down from the real files to a size that a slow processor gets through, and comparisons on them.

A draw is always the same; test records are drawn without a look at their labels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from biograft.evaluation.comparison import BETTER
from results import DATA, command, interval
from results import table as markdown

__all__ = ["Draw", "Letters", "compared", "found_in", "rivals", "rows", "simple"]

SCRATCH, BEST = "against_scratch", "against_baseline"


@dataclass(frozen=True)
class Letters:
    """Records of a part, and letters of all of them."""

    records: int
    letters: int

    @property
    def each(self) -> float:
        """Letters of a record on average."""
        return self.letters / max(1, self.records)


@dataclass(frozen=True)
class Draw:
    """So many records of each part of a file, at random.

    Attributes:
        file: below the folder of data; it has a column ``set``.
        columns: kept beside id, sequence and set.
        sizes: records by part; a part that is not named is left out.
        longest: letters of the longest sequence that is taken; None for any.
        classes: only records of the so many most frequent values of the first column, in the training part; None for
            all.
    """

    file: str
    columns: tuple[str, ...]
    sizes: Mapping[str, int]
    longest: int | None = None
    classes: int | None = None

    def to(self, path: Path) -> Path:
        """Write the table; one that this very draw has left is kept."""
        record = path.with_suffix(".json")
        choices = asdict(self) | {"columns": list(self.columns), "sizes": dict(self.sizes)}
        if path.exists() and record.exists() and json.loads(record.read_text(encoding="utf-8")) == choices:
            return path
        whole = pl.read_csv(DATA / self.file, separator="\t", quote_char=None, infer_schema_length=0)
        if "id" not in whole.columns:
            whole = whole.with_row_index("row").with_columns(pl.format("row{}", "row").alias("id")).drop("row")
        if self.longest is not None:
            whole = whole.filter(pl.col("sequence").str.len_chars() <= self.longest)
        if self.classes is not None:
            counts = whole.filter(pl.col("set") == "train").group_by(self.columns[0]).len()
            frequent = counts.sort(["len", self.columns[0]], descending=True).head(self.classes)
            whole = whole.filter(pl.col(self.columns[0]).is_in(frequent[self.columns[0]].implode()))
        parts = [(whole.filter(pl.col("set") == name), size) for name, size in self.sizes.items()]
        kept = [part.sample(min(len(part), size), seed=0) for part, size in parts]
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.concat(kept).select("id", "sequence", *self.columns, "set").write_csv(path, separator="\t")
        record.write_text(json.dumps(choices), encoding="utf-8")
        return path

    def counted(self, path: Path) -> dict[str, Letters]:
        """What each part of the table holds."""
        table = pl.read_csv(self.to(path), separator="\t", quote_char=None, infer_schema_length=0)
        lengths = table.with_columns(pl.col("sequence").str.len_chars().alias("letters"))
        found = lengths.group_by("set").agg(pl.len(), pl.col("letters").sum())
        return {name: Letters(records, letters) for name, records, letters in found.rows()}


def compared(path: Path, words: Sequence[str | Path], out: Path, kept: Path | None = None) -> dict[str, Any]:
    """Run ``biograft compare`` or go on with it; what it found is kept in ``kept``, beside its folder if not given."""
    done = command("compare", path, "--split", "column:set", *words, "--out", out)
    content = done.answer | {"typed": done.typed}
    (kept or out.with_name(f"{out.name}.json")).write_text(json.dumps(content), encoding="utf-8")
    return content


def found_in(kept: Path) -> dict[str, Any] | None:
    """What a comparison found, if it is there."""
    content: dict[str, Any] | None = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else None
    return content


def _verdict(found: Mapping[str, Any], against: str) -> list[str]:
    verdict = found[against]
    if not verdict:
        return ["", ""]
    answer = verdict["answer"] if against == SCRATCH else BETTER[verdict["answer"]]
    if verdict["answer"] == "cannot tell" and verdict["detectable"] is not None:
        answer += f" (could see {verdict['detectable']:.2f})"
    return [interval({**verdict, "value": verdict["difference"]}), answer]


def _named(found: Mapping[str, Any]) -> str:
    weight = [f"λ={found['lambda']}"] if found["lambda"] else []
    return " ".join([found["strategy"], *found["options"], *weight])


def rows(content: Mapping[str, Any]) -> str:
    """All candidates of a comparison as a table, from scratch first; those that failed with their messages below."""
    order = sorted(content["candidates"], key=lambda found: found["strategy"] != "scratch")
    cells = [
        [
            f"{_named(found)}{' *' if found['name'] == content['winner'] else ''}", str(found["runs"]),
            interval(found["test"]), *_verdict(found, SCRATCH), *_verdict(found, BEST), f"{found['seconds']:.0f}",
        ]
        for found in order if found["runs"]
    ]  # fmt: skip
    metric = content["metric"]["name"]
    head = ["", "runs", f"{metric}, test", "minus scratch", "transfer", "minus best simple", "", "s a run"]
    refused = [f"`{_named(found)}` took no part: {found['fault']}" for found in order if not found["runs"]]
    return "\n\n".join([markdown(head, cells), *refused])


def simple(content: Mapping[str, Any]) -> str:
    """The simple answers in a sentence; the best one, by the validation part, is set off."""
    best = content["best_baseline"]
    shown = [
        f"{'**' if one['name'] == best else ''}{one['name']}{'**' if one['name'] == best else ''} "
        f"{interval(one['test'])}"
        for one in content["baselines"]
        if one["test"]["value"] is not None
    ]
    return f"Simple answers: {', '.join(shown)}."


def rivals(content: Mapping[str, Any], strategy: str) -> list[Mapping[str, Any]]:
    """Verdicts of a strategy's candidates against scratch."""
    found = (one[SCRATCH] for one in content["candidates"] if one["strategy"] == strategy)
    return [verdict for verdict in found if verdict]
