"""A comparison on several random splits of one table: each split a comparison of its own, and answers over all of them.

One split tells of its own test families; several tell how much the choice of the split matters. They share most of
their training records, which the corrected t test pays for.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from biograft.data.records import Records
from biograft.data.split import Split
from biograft.errors import BiograftError
from biograft.evaluation.comparison import Judged, judged
from biograft.evaluation.resampled import OverSplits
from biograft.flows.comparison.field import Field
from biograft.flows.comparison.summary import ONE_RUN, mean, signed
from biograft.flows.prepare import Prepared, parted_again
from biograft.flows.recipe import Recipe
from biograft.flows.report import intervals
from biograft.tasks.metrics import METRICS

__all__ = ["SPLITS", "check_splits", "over_splits", "splits_of"]

SPLITS = "splits"  # folder of the comparisons, one below it for each split
APART = 1000
Content = Mapping[str, Any]


def check_splits(recipe: Recipe, entrants: Field, records: Records, split: Split | None) -> None:
    """Raise BiograftError where a table has one split only, or what is asked for needs one."""
    by_column = recipe.split.startswith("column:") or (recipe.split == "auto" and "set" in records.columns)
    if split is not None or by_column:
        column = "column:set" if recipe.split == "auto" else recipe.split
        named = column if split is None else "the parts that were given"
        raise BiograftError(
            f"--splits draws parts anew: got {named}, which is one split. Choose --split homology or random, or leave "
            "--splits out."
        )
    if entrants.limits:
        raise BiograftError(
            f"A learning curve is drawn on one split: got --limits {','.join(entrants.limits)} and --splits "
            f"{entrants.splits}. Leave one of them out; --train-limit goes with both."
        )


def splits_of(prepared: Prepared, recipe: Recipe, count: int) -> list[tuple[Recipe, Split]]:
    """Choices and parts of each split; families are those that were found already.

    Seeds of splits are ``APART`` from each other, so that no two runs share one, however many there are on a split.
    """
    settled = replace(recipe, level=prepared.level.name, task=prepared.kind.name)
    seeds = range(recipe.seed, recipe.seed + APART * count, APART)
    return [(replace(settled, seed=seed), parted_again(prepared, seed)) for seed in seeds]


def over_splits(contents: Sequence[Content]) -> dict[str, Any]:
    """What the comparisons say together, in the form of one of them; both sides of a difference are of one split."""
    return _Over(contents).content()


class _Over:
    def __init__(self, contents: Sequence[Content]) -> None:
        self._contents = contents
        self._metric = METRICS[contents[0]["metric"]["name"]]
        self._ratio = float(np.mean([_test_to_train(content["data"]) for content in contents]))
        self._families = min(content["data"]["families_test"] for content in contents)
        self._found = [_by_name(content) for content in contents]
        self._simple = self._rows("baselines")
        self._candidates = self._rows("candidates")
        self._best = max(self._simple, key=lambda name: self._valid(self._simple[name]))

    def content(self) -> dict[str, Any]:
        first, contents = self._contents[0], self._contents
        twins = {name: row["against_scratch"]["against"] for name, rows in self._candidates.items()
                 for row in rows if row["against_scratch"]}  # fmt: skip
        against_twins = self._judged(twins)
        against_best = self._judged(dict.fromkeys(self._candidates, self._best))
        rows = [self._row(name, held, against_twins.get(name), against_best.get(name))
                for name, held in self._candidates.items()]  # fmt: skip
        rows += [row for row in first["candidates"] if row["name"] not in self._candidates]  # with what went wrong
        rows.sort(key=lambda row: -signed(row["valid"]["value"], self._metric))
        return dict(first) | {
            "title": f"{first['title']} on {len(contents)} splits",
            "data": self._data(),
            "splits": {"count": len(contents), "test_to_train": self._ratio},
            "seeds": [seed for content in contents for seed in content["seeds"]],
            "winner": rows[0]["name"] if rows[0]["valid"]["value"] is not None else None,
            "best_baseline": self._best,
            "candidates": rows,
            "baselines": [{"name": name, "valid": {"value": mean(_values(held, "valid"))}, "test": self._test(held)}
                          for name, held in self._simple.items()],
            "learning_curve": None,
            "front": None,
            "notes": self._notes(),
            "seconds": _summed([content["seconds"] for content in contents]),
        }  # fmt: skip

    def _rows(self, kind: str) -> dict[str, list[Mapping[str, Any]]]:
        """By name, in the order of the first split that has it, the rows of all splits that have an answer."""
        names = dict.fromkeys(row["name"] for content in self._contents for row in content[kind])
        held = {name: [split[name] for split in self._found if name in split] for name in names}
        return {name: rows for name, rows in held.items() if rows}

    def _over(self, values: Sequence[float]) -> OverSplits:
        return OverSplits(tuple(values), self._ratio, self._families)

    def _valid(self, rows: Sequence[Mapping[str, Any]]) -> float:
        return signed(mean(_values(rows, "valid")), self._metric)

    def _test(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        found = self._over(_values(rows, "test"))
        return intervals({"it": found.within(self._metric.reach)})["it"] | {"values": list(found.values)}

    def _judged(self, rivals: Mapping[str, str]) -> dict[str, Judged]:
        """Each candidate against its rival; none where no split has an answer of both."""
        found = {name: self._over(self._differences(name, rival)) for name, rival in rivals.items()}
        return judged({name: one for name, one in found.items() if one.values}, rivals, self._metric)

    def _differences(self, ours: str, theirs: str) -> list[float]:
        """How much better one is than another, split by split, where both have an answer."""
        both = [(split[ours], split[theirs]) for split in self._found if ours in split and theirs in split]
        sides = [[signed(row["test"]["value"], self._metric) for row in pair] for pair in both]
        return [one - other for one, other in sides]

    def _row(
        self, name: str, rows: Sequence[Mapping[str, Any]], twin: Judged | None, best: Judged | None
    ) -> dict[str, Any]:
        every = [row for content in self._contents for row in content["candidates"] if row["name"] == name]
        names = rows[0]["other_metrics"]
        others = {metric: mean([row["other_metrics"][metric] for row in rows]) for metric in names}
        valid = _values(rows, "valid")
        return dict(rows[0]) | {
            "runs": sum(row["runs"] for row in every),
            "seconds": round(float(np.mean([row["seconds"] for row in rows])), 2),
            "valid": {"value": mean(valid), "values": valid},
            "test": self._test(rows),
            "other_metrics": others,
            "against_scratch": twin.as_dict() if twin else None,
            "against_baseline": best.as_dict(transfer=False) if best else None,
            "folders": [f"{SPLITS}/{number}/{folder}" for number, content in enumerate(self._contents)
                        for row in content["candidates"] if row["name"] == name for folder in row["folders"]],
            "took": {f"{number}/{seed}": what for number, split in enumerate(self._found) if name in split
                     for seed, what in (split[name]["took"] or {}).items()} or None,
            "fault": next((row["fault"] for row in every if row["fault"]), None),
            "failed": sum(row["failed"] for row in every),
        }  # fmt: skip

    def _data(self) -> dict[str, Any]:
        """Numbers of records are means, those of test families the least."""
        counts = ("n_train", "n_valid", "n_test", "families_train", "families_valid")
        told = [content["data"] for content in self._contents]
        means = {name: round(float(np.mean([data[name] for data in told]))) for name in counts}
        return dict(told[0]) | means | {"families_test": self._families}

    def _notes(self) -> list[str]:
        count = len(self._contents)
        told = [note for content in self._contents for note in content["notes"] if note != ONE_RUN]
        common = Counter(told)  # runs differ from split to split
        return [
            f"{count} splits, each with families of its own in the test part (the counts above are means). Intervals "
            f"and p values are those of the corrected t test, for training parts overlap: a test part is "
            f"{self._ratio:.2f} times as large as a training part. Each split has a page of its own below {SPLITS}/.",
            *(note for note, times in common.items() if times == count),
            *(f"{note} (in {times} of {count} splits)" for note, times in common.items() if 1 < times < count),
        ]


def _test_to_train(data: Mapping[str, Any]) -> float:
    """Of the parts as they were drawn: fewer training records (``--train-limit``) don't make splits overlap more."""
    return float(data["n_test"] / (data["n_train"] + data.get("n_beyond_limit", 0)))


def _by_name(content: Content) -> dict[str, Mapping[str, Any]]:
    """Candidates and baselines of a split that have an answer for its test part."""
    rows = [*content["candidates"], *content["baselines"]]
    return {row["name"]: row for row in rows if row["test"]["value"] is not None}


def _values(rows: Sequence[Mapping[str, Any]], part: str) -> list[float]:
    return [row[part]["value"] for row in rows if row[part]["value"] is not None]


def _summed(seconds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for one in seconds:
        total.update(one)
    return {name: round(value, 2) for name, value in total.items()}
