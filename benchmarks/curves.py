"""How often learning curves are drawn on rightly: the interval of what 200 more labels would bring, against the truth.

python benchmarks/curves.py

Curves are generated: three runs, 40 families with luck of their own, four to six numbers of labels, 40 repetitions.
Ends with 1 if less than 90 % of the intervals hold the true gain where a curve is a power law, straight in log n, or
flat.
"""

import sys
from collections.abc import Callable

import numpy as np

from biograft.evaluation.comparison import Measured
from biograft.evaluation.learning_curve import Growth, Luck, Point, growth

REPEATS, DRAWS, RUNS, FAMILIES, MORE = 40, 400, 3, 40, 200
LUCK = {"families": 0.25, "runs": 0.04, "runs within families": 0.15}  # standard deviations
TRUTHS: dict[str, tuple[Callable[[float], float], bool]] = {
    "power law, n^-.5": (lambda labels: 0.9 - 2 * labels**-0.5, True),
    "power law, n^-.2": (lambda labels: 0.9 - 1.2 * labels**-0.2, True),
    "straight in log n": (lambda labels: 0.1 * float(np.log(labels)) - 0.2, True),
    "flat": (lambda labels: 0.5, True),
    "levelled off, n^-1.5": (lambda labels: 0.7 - 5 * labels**-1.5, True),
    "S-shaped, middle at 200": (lambda labels: 0.8 / (1 + (labels / 200) ** -2.0), False),
}
LABELS = ((50, 100, 200, 400), (25, 50, 100, 250, 500), (25, 50, 100, 200, 400, 800))


def curve(truth: Callable[[float], float], labels: tuple[int, ...], random: np.random.Generator) -> list[Point]:
    """Runs on families; the luck of a family is the same at every point."""
    families = LUCK["families"] * random.normal(size=FAMILIES)
    weights = random.multinomial(FAMILIES, np.full(FAMILIES, 1 / FAMILIES), size=DRAWS) / FAMILIES
    points = []
    for count in labels:
        units = truth(count) + families + LUCK["runs"] * (100 / count) ** 0.3 * random.normal(size=(RUNS, 1))
        units = units + LUCK["runs within families"] * random.normal(size=(RUNS, FAMILIES))
        points.append(Point(count, Measured(units.mean(axis=1), units @ weights.T, FAMILIES), tuple(range(RUNS))))
    return points


def main() -> int:
    """Print a table; 1 if too many intervals are wrong."""
    print("| curve | labels | true gain | told | of these right | median width | mean error |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    missed = False
    for labels in LABELS:
        for name, (truth, lawful) in TRUTHS.items():
            random, told = np.random.default_rng(0), list[Growth]()
            for repeat in range(REPEATS):
                found = growth(curve(truth, labels, random), Luck.of(range(RUNS), DRAWS, repeat), 1.0, MORE, 1.0)
                told += [] if found.reason else [found]
            gain = truth(labels[-1] + MORE) - truth(labels[-1])
            right = sum(one.low - 1e-3 <= gain <= one.high + 1e-3 for one in told)
            missed |= lawful and right < 0.9 * len(told)
            width = f"{np.median([one.high - one.low for one in told]):.3f}" if told else "–"
            error = f"{np.mean([one.value - gain for one in told]):+.3f}" if told else "–"
            shown = ", ".join(map(str, labels))
            print(f"| {name} | {shown} | {gain:+.3f} | {len(told)} of {REPEATS} | {right} | {width} | {error} |")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
