"""A comparison for people: one self-contained page, and the lines that a terminal shows.

Both say what ``comparison.json`` holds and nothing else. The style sheet is the one of a run's report.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from biograft.evaluation.comparison import BETTER
from biograft.evaluation.curve_page import STYLE, curve_lines, curve_section
from biograft.evaluation.drawing import spoken, tag
from biograft.evaluation.figures import Dot, dots
from biograft.evaluation.front_page import front_lines, front_section

__all__ = ["lines", "render"]

SIDES = (("against_scratch", "against scratch"), ("against_baseline", "against the best baseline"))
HOW = (
    "Values are means over the runs, with 95 % intervals. Differences are paired on the same test records and runs; "
    "intervals count the luck of the families in the test part and, from two runs on, that of the training runs. The "
    "answers hold for all comparisons of a column together (Holm's correction). The test part has chosen nothing: the "
    "winner and the best baseline are those of the validation part."
)


ON_SPLITS = (
    "Values are means over the splits, differences are paired within each, and intervals are those of the corrected t "
    "test (Nadeau and Bengio 2003): they count the luck of the split, of families and of training runs together. The "
    "answers hold for all comparisons of a column together (Holm's correction). Test parts have chosen nothing: the "
    "winner and the best baseline are those of the validation parts."
)


def lines(content: Mapping[str, Any]) -> list[str]:
    """The table, the winner, every verdict in a sentence, and the notes."""
    data = content["data"]
    parts = ", ".join(f"{name} {data[f'n_{name}']:,}" for name in ("train", "valid", "test"))
    told = [f"{content['title']}; {parts} records", "", *_table(content), "", _winner(content)]
    told += [*(f"{row['name']} {took}." for row in content["candidates"] if (took := _took(row))), ""]
    for key, title in SIDES:
        rows = [row for row in content["candidates"] if row[key]]
        if rows:
            rival = f": {content['best_baseline']}" if key == "against_baseline" else ""
            told += [f"{title.capitalize()}{rival}", *(f"  {row['name']}: {row[key]['sentence']}" for row in rows), ""]
    told += [*curve_lines(content), *front_lines(content)]
    told += [f"Failed: {row['name']}: {row['fault']}" for row in content["candidates"] if row["fault"]]
    told += [f"Note: {note}" for note in content["notes"]]
    return told if told[-1] else told[:-1]


def _table(content: Mapping[str, Any]) -> list[str]:
    metric = content["metric"]["name"]
    rows = [["", f"{metric}, test", f"{metric}, valid", "against scratch", "against baseline", "runs", "s/run"]]
    for row in _rows(content):
        sides = [_short(row, key) for key, _ in SIDES]
        work = [f"{row['runs']}", f"{row['seconds']:.1f}"] if "runs" in row else ["", ""]
        rows.append([_named(content, row), _dot(row["test"]).text, spoken(row["valid"]["value"]), *sides, *work])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rows(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from content["candidates"]
    yield from content["baselines"]


def _named(content: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Baselines stand in brackets, the winner has a star."""
    if "strategy" not in row:
        return f"({row['name']})"
    return f"{row['name']} *" if row["name"] == content["winner"] else str(row["name"])


def _took(row: Mapping[str, Any]) -> str:
    """Which strategies the runs of a candidate took that chooses among several; '' for others."""
    seeds: dict[str, list[str]] = {}
    for seed, strategy in (row.get("took") or {}).items():
        seeds.setdefault(strategy, []).append(seed)
    parts = [f"{name} (seed{'s' if len(own) > 1 else ''} {', '.join(own)})" for name, own in seeds.items()]
    return f"took {', '.join(parts)}" if parts else ""


def _short(row: Mapping[str, Any], key: str) -> str:
    """Difference and answer; against a baseline it is not transfer that is judged."""
    found = row.get(key)
    if not found:
        return ""
    answer = found["answer"] if key == "against_scratch" else BETTER[found["answer"]]
    return answer if found["difference"] is None else f"{found['difference']:+.3f} {answer}"


def _winner(content: Mapping[str, Any]) -> str:
    if content["winner"] is None:
        return "No winner is named: there is no validation part to name it by."
    return f"* Best on the validation part: {content['winner']}."


def _dot(found: Mapping[str, Any], name: str = "", ours: bool = False) -> Dot:
    return Dot(name, found.get("value"), found.get("low"), found.get("high"), ours)


def render(content: Mapping[str, Any]) -> str:
    """One self-contained HTML page: no outside resources, no scripts."""
    data = content["data"]
    title = escape(content["title"])
    about = (
        f"{content['task']['label_kind']} per {content['task']['level']} · {data['source']} · {data['n_train']:,} "
        f"training, {data['n_valid']:,} validation, {data['n_test']:,} test records "
        f"({data['families_test']:,} families) · {content['created'][:16].replace('T', ' ')} UTC · "
        f"biograft {content['biograft']}"
    )
    header = tag("header", tag("h1", title) + tag("p", escape(about), class_="quiet"))
    body = [header, _banner(content), _cautions(content["notes"]), _figures(content), _big_table(content)]
    body += [
        _sentences(content),
        curve_section(content),
        front_section(content),
        tag("footer", escape(ON_SPLITS if "splits" in content else HOW)),
    ]
    meta = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
    )
    head = tag("head", meta + tag("title", title) + tag("style", _style()))
    return f'<!doctype html>\n<html lang="en">{head}{tag("body", "".join(body))}</html>\n'


def _style() -> str:
    text = files("biograft.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    return text.partition("<style>")[2].partition("</style>")[0] + STYLE


def _banner(content: Mapping[str, Any]) -> str:
    """The winner, and what may be said of it."""
    name = content["winner"]
    row = next((row for row in content["candidates"] if row["name"] == name), None)
    if row is None:
        return tag("div", tag("strong", escape(_winner(content))), class_="verdict plain")
    metric = content["metric"]["name"]
    said = [f"Best on the validation part ({metric} {spoken(row['valid']['value'])}); on the test part "
            f"{metric} {_dot(row['test']).text}."]  # fmt: skip
    said += [f"{title.capitalize()}, {row[key]['against']}: {row[key]['sentence']}" for key, title in SIDES if row[key]]
    found = row["against_scratch"] or row["against_baseline"]
    kind = found["answer"].replace(" ", "-") if found else "plain"
    return tag("div", tag("strong", escape(name)) + "".join(tag("p", escape(one)) for one in said),
               class_=f"verdict {kind}")  # fmt: skip


def _cautions(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    listed = tag("ul", "".join(tag("li", escape(note)) for note in notes))
    return tag("div", tag("h3", "Before you trust the numbers") + listed, class_="cautions")


def _figures(content: Mapping[str, Any]) -> str:
    metric = content["metric"]
    direction = "more" if metric["greater_is_better"] else "less"
    rows = [
        _dot(row["test"], _named(content, row), row["name"] == content["winner"])
        for row in _rows(content)
        if row["test"]["value"] is not None
    ]
    drawn = dots(rows, f"{metric['name']}: {metric['summary']}, {direction} is better")
    each = "splits" if "splits" in content else "runs"
    told = f"Dots are means over the {each}, bars their 95 % intervals. Baselines stand in brackets."
    figures = [_figure("Test part", drawn, told)]
    for key, title in SIDES:
        found = [(row["name"], row[key]) for row in content["candidates"]
                 if row[key] and row[key]["difference"] is not None]  # fmt: skip
        if found:
            zero = Dot("no difference", 0.0, None, None, True)
            sides = [Dot(name, side["difference"], side["low"], side["high"]) for name, side in found]
            drawn = dots([zero, *sides], f"difference in {metric['name']}, to the right is better")
            figures.append(_figure(f"Difference {title}", drawn, "95 % intervals of each comparison alone."))
    return tag("section", "".join(figures), class_="pair")


def _figure(title: str, drawn: str, told: str) -> str:
    return tag("figure", tag("h2", escape(title)) + drawn + tag("figcaption", escape(told)))


def _big_table(content: Mapping[str, Any]) -> str:
    others = [name for name in content["task"]["metrics"] if name != content["metric"]["name"]][:2]
    metric = content["metric"]["name"]
    titles = ["", f"{metric}, test", f"{metric}, valid", *others, *(title for _, title in SIDES), "runs", "s per run"]
    head = tag("thead", tag("tr", "".join(tag("th", escape(title)) for title in titles)))
    body = tag("tbody", "".join(_line(content, row, others) for row in _rows(content)))
    table = tag("div", tag("table", head + body), class_="scroll")
    return tag("section", tag("h2", "All candidates, and simple baselines") + table)


def _line(content: Mapping[str, Any], row: Mapping[str, Any], others: Sequence[str]) -> str:
    dot = _dot(row["test"])
    cells = [escape(dot.middle) + tag("small", escape(dot.span)), escape(spoken(row["valid"]["value"]))]
    means = row.get("other_metrics", {})
    cells += [escape(spoken(means[name])) if means.get(name) is not None else "–" for name in others]
    for key, _ in SIDES:
        found = row.get(key) or {"low": None}
        span = "" if found["low"] is None else f"{found['low']:+.3f} to {found['high']:+.3f}"
        cells.append(escape(_short(row, key) or "–") + (tag("small", span) if span else ""))
    cells += [escape(str(row["runs"])), f"{row['seconds']:.1f}"] if "runs" in row else ["–", "–"]
    name = escape(_named(content, row))
    for text in (_took(row), row.get("fault")):
        name += tag("small", escape(text)) if text else ""
    kind = {"class_": "ours"} if row["name"] == content["winner"] else {}
    return tag("tr", tag("th", name) + "".join(tag("td", cell, **kind) for cell in cells))


def _sentences(content: Mapping[str, Any]) -> str:
    parts = []
    for key, title in SIDES:
        rows = [row for row in content["candidates"] if row[key]]
        if rows:
            rival = f": {content['best_baseline']}" if key == "against_baseline" else ""
            told = "".join(
                tag("p", tag("b", escape(f"{row['name']}: ")) + escape(row[key]["sentence"])) for row in rows
            )
            parts.append(tag("div", tag("h2", escape(f"{title.capitalize()}{rival}")) + told))
    return tag("section", "".join(parts), class_="pair") if parts else ""
