"""How often verdicts over several runs are wrong, and how often a difference of the stated size is found.

python benchmarks/verdicts.py

Differences between two candidates are generated: what families, runs, and runs within families add to them. With no
true difference any answer but "cannot tell" is false; with one of the size that each comparison states as detectable,
about half of the answers should be "helped". Exits 1 if more than a tenth are false with three or more runs.
"""

import sys

import numpy as np

from biograft.evaluation.comparison import Difference, Measured, difference, judged
from biograft.tasks.metrics import METRICS

METRIC = METRICS["mcc"]
REPEATS, DRAWS = 400, 300
MIXTURES = {  # standard deviations: of families, of runs, of runs within a family
    "families": (1.0, 0.0, 1.0),
    "families, some luck of runs": (1.0, 0.1, 1.0),
    "runs matter": (1.0, 0.3, 1.0),
    "runs matter most": (0.2, 0.3, 1.0),
    "runs differ within families": (0.2, 0.0, 2.0),
    "runs decide": (0.5, 0.5, 0.5),
}


def one(generator: np.random.Generator, runs: int, families: int, spread: tuple[float, float, float]) -> Measured:
    """Mean differences of all families, and on draws of them."""
    shapes = ((1, families), (runs, 1), (runs, families))
    units = sum(size * generator.normal(size=shape) for size, shape in zip(spread, shapes, strict=True))
    weights = generator.multinomial(families, np.full(families, 1 / families), size=DRAWS) / families
    return Measured(units.mean(axis=1), units @ weights.T, families)


def against_nothing(found: Measured, shift: float = 0.0) -> Difference:
    return difference(found, Measured(np.array([-shift]), np.full((1, DRAWS), -shift), found.families), METRIC)


def answers(found: Difference) -> tuple[str, float]:
    told = judged({"it": found}, {"it": "nothing"}, METRIC)["it"].verdict
    return told.answer, told.detectable


def percentiles(found: Measured, generator: np.random.Generator) -> bool:
    """Whether plain percentiles of draws of runs and families leave zero out: what is not done here, and why."""
    runs = len(found.values)
    chosen = generator.integers(runs, size=(runs, DRAWS))
    low, high = np.quantile(found.draws[chosen, np.arange(DRAWS)].mean(axis=0), [0.025, 0.975])
    return bool(low > 0 or high < 0)


def main() -> int:
    """Print a table; 1 if too many answers are false."""
    print("| runs | families | what varies | false answers | by plain percentiles | found at the stated size |")
    print("| --- | --- | --- | --- | --- | --- |")
    worst = 0.0
    for runs in (1, 2, 3, 5):
        for families in (12, 40):
            for name, spread in MIXTURES.items():
                if runs == 1 and spread[1]:
                    continue  # one run cannot tell its luck, and says so
                generator = np.random.default_rng([runs, families, *(round(10 * size) for size in spread)])
                made = [one(generator, runs, families, spread) for _ in range(REPEATS)]
                told = [answers(against_nothing(found)) for found in made]
                false = np.mean([answer != "cannot tell" for answer, _ in told])
                size = float(np.median([detectable for _, detectable in told]))
                seen = np.mean([answers(against_nothing(found, size))[0] == "helped" for found in made])
                plain = np.mean([percentiles(found, generator) for found in made])
                print(f"| {runs} | {families} | {name} | {false:.1%} | {plain:.1%} | {seen:.0%} |")
                worst = max(worst, float(false)) if runs >= 3 else worst
    return int(worst > 0.1)


if __name__ == "__main__":
    sys.exit(main())
