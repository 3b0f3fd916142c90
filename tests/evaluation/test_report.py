"""The page and the summary: every number is there, any name is safe, and figures put things where they belong."""

import re
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from biograft.evaluation.drawing import Axis, spoken
from biograft.evaluation.figures import Dot, curves, dots, fold, histogram, matrix, scatter
from biograft.evaluation.report import Figures, cautions, headline, render, text

METRICS = ("mcc", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "log_loss", "ece")
VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser makes of a page: its words, its elements, and tags that were never closed."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.words.append(" ".join(data.split()))

    def elements(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [found for name, found in self.seen if name == tag and kind in (found.get("class") or "")]


def interval(seed: float) -> dict[str, float]:
    return {"value": 0.4 + seed, "low": 0.3 + seed, "high": 0.5 + seed}


def content(classes: tuple[str, ...] = ("in", "out", "<b>")) -> dict[str, Any]:
    """A report in which no two numbers are alike."""
    measured = {name: interval(0.0011 * place) for place, name in enumerate(METRICS)}
    return {
        "biograft": "9.8.7",
        "title": "location: kmer, frozen",
        "created": "2026-01-02T03:04:05+00:00",
        "task": {
            "label": "location", "level": "sequence", "label_kind": "classification", "classes": list(classes),
            "metrics": list(METRICS), "masks": [],
        },
        "data": {
            "source": "places.tsv", "alphabet": "protein", "n_records": 1309, "n_train": 1001, "n_valid": 102,
            "n_test": 203, "n_units_train": 1001, "n_units_valid": 102, "n_units_test": 203,
            "n_units_counted_test": 203, "n_unlabelled": 3, "n_unused": 0, "families": 777, "families_train": 555,
            "families_valid": 66, "families_test": 156, "family_program": "shared words", "identity": 0.4,
            "split": "homology", "changes": {"lower case": 19}, "unseen_in_training": 0, "notes": [],
            "leaks": {
                "exact_copies": 0, "near_identical": 0,
                "shares": {"0.3": 0.271, "0.4": 0.182, "0.5": 0.093, "0.7": 0.054, "0.95": 0.0},
            },
        },
        "model": {
            "backbone": "kmer", "strategy": "frozen", "transfer": True, "parameters": 84017, "head": "linear",
            "precision": "fp32", "device": "cpu", "seed": 11, "notes": ["Solved exactly."],
            "selection": {"metric": "mcc", "valid_value": 0.6543, "step": 610, "steps": 990},
        },
        "metrics": {"test": measured, "valid": {name: interval(0.011 + 0.0013 * i) for i, name in enumerate(METRICS)}},
        "per_class": [
            {"class": name, "support": 60 + i, "precision": 0.7 + 0.001 * i, "recall": 0.8 + 0.001 * i,
             "f1": 0.9 + 0.001 * i}
            for i, name in enumerate(classes)
        ],
        "baselines": {
            rival: {name: interval(-0.1 - 0.02 * rank - 0.0017 * i) for i, name in enumerate(METRICS)}
            for rank, rival in enumerate(("majority", "kmer linear", "nearest"))
        },
        "verdict": {
            "against": "kmer linear", "metric": "mcc", "difference": 0.041, "low": 0.01, "high": 0.07,
            "answer": "helped",
            "sentence": "Better than the best simple baseline: mcc differs by +0.041 from kmer linear.",
        },
        "environment": {"biograft": "9.8.7", "python": "3.99", "torch": "2.99", "platform": "Linux", "threads": 5},
        "recipe": {"table": "places.tsv", "label": "location", "mask": [], "seed": 11},
        "seconds": {"read": 0.3, "train": 12.4, "total": 12.7},
    }  # fmt: skip


def figures(classes: tuple[str, ...] = ("in", "out", "<b>")) -> Figures:
    size = len(classes)
    counts = np.arange(1, size * size + 1).reshape(size, size)
    loss = {"training": [(1, 2.0), (10, 1.0)], "validation": [(10, 1.5)]}
    return Figures(confusion=counts, classes=classes, loss=loss, nearest=np.array([0.0, 0.31, 0.32, 1.0]))


def evaluated() -> dict[str, Any]:
    """The report of a saved model on new data: no baselines, no verdict, no learning."""
    report = content()
    report["baselines"], report["model"], report["recipe"] = {}, {"backbone": "kmer"}, {}
    del report["verdict"], report["metrics"]["valid"]
    for name in ("n_train", "n_valid", "n_units_train", "n_units_valid", "n_unused", "split"):
        del report["data"][name]
    return report


def test_the_page_holds_every_number() -> None:
    report = content()
    words = " ".join(Page(render(report, figures())).words)
    for answer in (*report["metrics"].values(), *report["baselines"].values()):
        for found in answer.values():
            assert spoken(found["value"]) in words
            assert f"{spoken(found['low'])} to {spoken(found['high'])}" in words
    for row in report["per_class"]:
        assert " ".join(spoken(row[name]) for name in ("support", "precision", "recall", "f1")) in words
    for fact in (
        "location: kmer, frozen", "Better than the best simple baseline mcc differs by +0.041 from kmer linear.",
        "1,309",
        "1,001 records, 555 families", "102 records, 66 families", "203 records, 156 families", "777 at 40% identity",
        "found by shared words", "homology", "lower case: 19", "27.1 % 18.2 % 9.3 % 5.4 % 0.0 %", "84,017", "0.654",
        "of step 610 of 990", "Solved exactly.", "3.99", "2.99", "12.4 s", "2026-01-02 03:04 UTC", "biograft 9.8.7",
    ):  # fmt: skip
        assert fact in words


@pytest.mark.parametrize("report", [content(), evaluated()], ids=["fit", "evaluate"])
def test_the_page_is_whole_and_needs_nothing_else(report: dict[str, Any]) -> None:
    made = render(report, figures())
    page = Page(made)
    assert made.lstrip().startswith("<!doctype html>")
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.seen}
    assert not re.search(r"https?:|url\(|@import|src=", made)
    assert all(found["aria-label"] for found in page.elements("svg"))
    assert "None" not in " ".join(page.words)


def test_a_page_without_baselines_leads_with_the_metric() -> None:
    words = Page(render(evaluated(), figures())).words
    assert "mcc 0.400 (0.300 to 0.500)" in words
    assert not {"majority", "Better than the best simple baseline", "Recipe", "beside simple answers"} & set(words)


def test_any_name_is_safe() -> None:
    nasty = ("<b>", "\"><script>alert('x')</script>", "a&b")
    report = content(nasty)
    report["title"] = report["data"]["source"] = "<i>t</i>"
    report["data"]["notes"] = ["<u>note</u>"]
    report["baselines"]["<s>"] = report["baselines"].pop("nearest")
    page = Page(render(report, figures(nasty)))
    assert not {"b", "script", "u", "s"} & {tag for tag, _ in page.seen}
    assert {*nasty, "<i>t</i>", "<u>note</u>", "<s>"} <= set(page.words)
    assert page.open == []


def test_what_is_undefined_is_a_dash() -> None:
    report = content()
    report["metrics"]["test"]["mcc"] = report["baselines"]["majority"]["roc_auc"] = dict.fromkeys(interval(0))
    report["per_class"][0] |= {"precision": None, "f1": None}
    words = Page(render(report, figures())).words
    assert words.count("–") == 5  # our mcc in the figure and the table, the rival's area, two numbers of a class
    assert "–" in text(report)
    nothing = deepcopy(report)
    for found in (nothing["metrics"]["test"], *nothing["baselines"].values()):
        found["mcc"] = dict.fromkeys(interval(0))
    assert Page(render(nothing, figures())).open == []


@pytest.mark.parametrize(("answer", "kind"), [("helped", "helped"), ("hurt", "hurt"), ("cannot tell", "cannot-tell")])
def test_the_verdict_stands_out(answer: str, kind: str) -> None:
    report = content()
    report["verdict"] |= {"answer": answer, "sentence": f"In short {answer}: the rest: of it."}
    assert headline(report) == (f"In short {answer}", "the rest: of it.")
    page = Page(render(report, figures()))
    assert len(page.elements("div", f"verdict {kind}")) == 1
    assert any(f"In short {answer}" in words for words in page.words)


def test_leaks_and_unseen_classes_are_warned_of() -> None:
    report = content()
    assert cautions(report) == []
    report["data"]["leaks"] |= {"exact_copies": 43, "near_identical": 2}
    report["data"] |= {"unseen_in_training": 7, "notes": ["A note."]}
    assert cautions(report) == [
        "43 of 203 test records (21.2 %) are exact copies of training records.",
        "2 of 203 test records (1.0 %) are at least 95 % identical to training records. "
        "On these the model may remember instead of predict.",
        "7 test labels are of classes that training never had; they count as missed. Add records of further families "
        "of these classes, or leave the classes out.",
        "A note.",
    ]
    report["data"]["unseen_classes"] = ["p", "q"]
    assert "classes that training never had (p, q); they count as missed." in cautions(report)[2]
    report["data"] |= {"unseen_in_training": 1, "unseen_classes": ["p"]}
    assert "1 test label is of a class that training never had (p); it counts as missed." in cautions(report)[2]
    words = Page(render(report, figures())).words
    assert set(cautions(report)) <= set(words)


def test_many_classes_are_capped_and_say_so() -> None:
    names = tuple(f"fold {row}" for row in range(100))
    page = Page(render(content(names), figures(names)))
    words = " ".join(page.words)
    assert "The 60 classes with most test labels of 100" in words
    assert "71 others" in words
    assert len(page.elements("rect", "diagonal")) == 30


def test_numbers_of_a_class_have_intervals_where_the_report_holds_them() -> None:
    report = content()
    found = {
        "precision": {"low": 0.41, "high": 0.83},
        "recall": {"low": None, "high": None},
        "f1": {"low": 0.5, "high": 1.0},
    }
    report["per_class"][1]["intervals"] = found
    words = " ".join(Page(render(report, figures())).words)
    assert "61 0.701 0.410 to 0.830 0.801 0.901 0.500 to 1.000" in words
    assert Page(render(report, figures())).elements("section", "stacked")  # too wide for half a page
    assert not Page(render(content(), figures())).elements("section", "stacked")
    (line,) = [line for line in text(report).splitlines() if line.startswith("out ")]
    assert re.split(r"  +", line) == ["out", "61", "0.701 (0.410 to 0.830)", "0.801", "0.901 (0.500 to 1.000)"]


def test_the_terminal_lists_few_classes_and_never_many() -> None:
    assert "test labels  precision  recall  f1" in text(content())
    assert "test labels  precision" not in text(content(tuple(f"fold {row}" for row in range(13))))


def test_the_summary_for_the_terminal() -> None:
    report = content()
    report["data"]["notes"] = ["A note."]
    lines = text(report).splitlines()
    assert lines[0] == "location: kmer, frozen"
    assert lines[1] == (
        "training 1,001 records, 555 families, validation 102 records, 66 families, test 203 records, 156 families"
    )
    assert lines[3].split() == ["mcc", "accuracy", "balanced_accuracy"]
    assert re.split(r"  +", lines[4])[:2] == ["model", "0.400 (0.300 to 0.500)"]
    assert [re.split(r"  +", line)[0] for line in lines[5:9]] == [
        "majority", "kmer linear", "nearest", "model, validation part",
    ]  # fmt: skip
    assert lines[-5:] == [
        "Better than the best simple baseline: mcc differs by +0.041 from kmer linear.",
        "",
        "Solved exactly.",
        "",
        "Note: A note.",
    ]
    report["auto"] = {"notes": ["Solved exactly."]}  # which the command that chose tells below
    assert "Solved exactly." not in text(report)
    assert "Transfer" not in text(evaluated())


def test_residues_are_counted_in_words() -> None:
    report = content()
    report["data"] |= {"n_test": 1, "n_units_test": 30_000, "n_units_counted_test": 29_000, "families_test": 1}
    assert "test 1 record, 30,000 residues, 29,000 of them count, 1 family" in text(report)


def test_numbers_for_people() -> None:
    assert [spoken(number) for number in (0, 0.0, 0.12345, -1.5, 12.345, 123.45, 12345.6)] == [
        "0", "0.000", "0.123", "-1.500", "12.35", "123.5", "12,345.6",
    ]  # fmt: skip
    assert [spoken(number) for number in (None, np.nan, np.inf, 0.00012345, 83427)] == [
        "–",
        "–",
        "–",
        "0.00012",
        "83,427",
    ]
    assert Dot("mean", -0.001, -0.006, -5.1e-06).text == "-0.001 (-0.006 to 0.000)"
    assert Dot("mean", 2e-5, 1e-5, 3e-5).text == "2e-05 (1e-05 to 3e-05)"
    assert Dot("mean", 2.0, None, None).text == "2.000"


def test_an_axis_maps_and_ticks() -> None:
    axis = Axis(0.0, 10.0, 100.0, 0.0)
    assert [axis(value) for value in (0.0, 2.5, 10.0)] == [100.0, 75.0, 0.0]
    assert axis.ticks(5) == [(0, "0"), (2, "2"), (4, "4"), (6, "6"), (8, "8"), (10, "10")]
    assert [tick for _, tick in Axis(-0.11, 0.32, 0, 1).ticks(4)] == ["0.0", "0.2"]
    around = Axis.around(np.array([3.0, np.nan, 3.0]), 0.0, 100.0)
    assert around(3.0) == pytest.approx(50.0)
    assert Axis.around(np.array([]), 0.0, 1.0).low < 0


def number(found: dict[str, str | None], name: str) -> float:
    return float(found[name] or "nan")


def test_a_dot_lies_on_its_interval() -> None:
    page = Page(dots([Dot("ours", 0.5, 0.4, 0.6, ours=True), Dot("flat", None, None, None)], "mcc"))
    (dot,), (span,) = page.elements("circle"), page.elements("line", "span")
    assert number(dot, "cx") == pytest.approx((number(span, "x1") + number(span, "x2")) / 2, abs=0.01)
    assert number(span, "x1") < number(dot, "cx") < number(span, "x2")
    assert page.words[-5:] == ["ours", "0.500 (0.400 to 0.600)", "flat", "–", "mcc"]


def test_points_lie_where_their_values_are() -> None:
    page = Page(scatter(np.array([0.0, 10.0, 5.0, np.nan]), np.array([0.0, 10.0, 2.5, 1.0])))
    low, high, third = page.elements("circle", "point")
    assert number(third, "cx") == pytest.approx((number(low, "cx") + number(high, "cx")) / 2)
    assert number(third, "cy") == pytest.approx(0.75 * number(low, "cy") + 0.25 * number(high, "cy"), abs=0.01)
    (diagonal,) = page.elements("line", "guide")
    slope = (number(diagonal, "y2") - number(diagonal, "y1")) / (number(diagonal, "x2") - number(diagonal, "x1"))
    for point in (low, high):
        on_it = number(diagonal, "y1") + slope * (number(point, "cx") - number(diagonal, "x1"))
        assert number(point, "cy") == pytest.approx(on_it, abs=0.02)


def test_many_points_are_shaded_cells() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=50_000)
    made = scatter(truth, truth + 0.1 * rng.normal(size=50_000))
    page = Page(made)
    assert page.elements("circle") == []
    assert len(page.elements("path", "area")) == 6
    assert len(made) < 60_000
    same = Page(scatter(np.full(3000, 2.0), np.full(3000, 2.0)))
    assert "1 to 3,000 per cell, shaded by logarithm" in same.words
    assert sum((path["d"] or "").count("M") for path in same.elements("path")) == 1


def test_no_finite_value_makes_an_empty_figure() -> None:
    for truth in (np.zeros(0), np.array([np.nan])):
        assert Page(scatter(truth, truth)).elements("circle") == []


def test_a_confusion_matrix_counts_and_shades() -> None:
    page = Page(matrix(np.array([[3, 1], [0, 1200]]), ("in", "out")))
    cells = page.elements("rect", "cell")
    assert [number(cell, "fill-opacity") for cell in cells] == pytest.approx(
        [0.06 + 0.94 * 0.75, 0.06 + 0.94 * 0.25, 1.0], abs=0.01
    )
    assert [word for word in page.words if word.replace(",", "").isdigit()] == ["3", "1", "1,200"]
    assert number(cells[0], "x") == number(page.elements("rect", "diagonal")[0], "x")
    assert number(cells[1], "x") > number(cells[0], "x")
    assert number(cells[1], "y") == number(cells[0], "y")
    assert "in predicted as out: 1 (25.0%)" in page.words


def test_classes_fold_without_losing_a_count() -> None:
    counts = np.array([[5, 0, 1, 0], [0, 1, 0, 0], [2, 0, 9, 0], [0, 1, 1, 1]])
    folded, names = fold(counts, ("a", "b", "c", "d"), 3)
    assert names == ("a", "c", "2 others")
    np.testing.assert_array_equal(folded, [[5, 1, 0], [2, 9, 0], [0, 1, 3]])
    same, all_names = fold(counts, ("a", "b", "c", "d"), 4)
    assert same is counts
    assert all_names == ("a", "b", "c", "d")


def test_curves_fall_as_the_loss_does() -> None:
    page = Page(curves({"training": [(0, 2.0), (50, 1.0), (100, 0.0)], "validation": [(100, 1.0)]}, chosen=50))
    train, valid = (
        [tuple(map(float, point.split(","))) for point in (line["points"] or "").split()]
        for line in page.elements("polyline")
    )
    assert [x for x, _ in train] == pytest.approx([52.0, 245.0, 438.0])
    assert train[0][1] < train[1][1] < train[2][1]  # down the page
    assert valid == [(train[2][0], train[1][1])]
    assert [number(line, "x1") for line in page.elements("line", "guide")] == [train[1][0]]
    long = Page(curves({"training": [(step, 1.0) for step in range(100_000)]}))
    assert len((long.elements("polyline")[0]["points"] or "").split()) == 240


def test_a_histogram_counts_every_record_once() -> None:
    identity = np.array([0.0, 0.0, 0.05, 0.3, 0.349, 0.95, 1.0])
    page = Page(histogram(identity, family=0.4))
    told = [word for word in page.words if re.fullmatch(r".+: \d+", word) and not word.endswith(": 0")]
    assert told == ["none found: 2", "5% to 10%: 1", "30% to 35%: 2", "95% to 100%: 2"]
    heights = [number(bar, "height") for bar in page.elements("rect", "bar")]
    assert heights[0] == heights[7] == heights[20] == max(heights)
    assert len(page.elements("rect", "near")) == 12
