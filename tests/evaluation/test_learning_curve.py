"""Learning curves with known answers: what rivals need, what more labels bring, and when that can't be told."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.isotonic import IsotonicRegression

from biograft.evaluation.comparison import Measured
from biograft.evaluation.learning_curve import (
    Growth,
    Luck,
    Needed,
    Point,
    growth,
    monotone,
    needed,
    power_law,
    replicates,
)

LABELS = (25, 50, 100, 250, 500)
DRAWS = 300


def exact(labels: int, value: float, runs: int = 3, families: int = 40) -> Point:
    """A point without any luck."""
    return Point(labels, Measured(np.full(runs, value), np.full((runs, DRAWS), value), families), tuple(range(runs)))


def noisy(
    truth: Callable[[float], float], random: np.random.Generator, labels: tuple[int, ...] = LABELS
) -> list[Point]:
    """A curve of three runs on 40 families; families and runs have their luck."""
    weights = random.multinomial(40, np.full(40, 1 / 40), size=DRAWS) / 40
    families = 0.25 * random.normal(size=40)
    points = []
    for count in LABELS:
        units = truth(count) + families + 0.03 * random.normal(size=(3, 1)) + 0.15 * random.normal(size=(3, 40))
        points.append(Point(count, Measured(units.mean(axis=1), units @ weights.T, 40), (0, 1, 2)))
    return points


def luck(seed: int = 0, runs: int = 3, draws: int = DRAWS) -> Luck:
    return Luck.of(range(runs), draws, seed)


def test_the_luck_of_few_runs_is_spread_as_students_t() -> None:
    values = np.array([0.1, 0.4, 0.3])
    found = luck(draws=40_000).of_mean(values, (0, 1, 2))
    error = values.std(ddof=1) / np.sqrt(3)
    for share in (0.75, 0.9, 0.975):
        assert np.quantile(found, share) == pytest.approx(error * stats.t.ppf(share, 2), rel=0.08)
    assert not luck().of_mean(np.array([0.3]), (0,)).any(), "one run says nothing of it"
    assert not luck().of_mean(np.array([0.3, 0.3]), (0, 1)).any()


def test_runs_of_one_seed_are_lucky_together() -> None:
    fell = luck()
    values = np.array([0.1, 0.4, 0.3])
    assert fell.of_mean(values + 1, (0, 1, 2)) == pytest.approx(fell.of_mean(values, (0, 1, 2)))
    assert fell.of_mean(values[[2, 0, 1]], (2, 0, 1)) == pytest.approx(fell.of_mean(values, (0, 1, 2)))


def test_curves_never_fall_once_made_monotone() -> None:
    curves = np.random.default_rng(0).normal(size=(50, 6))
    for curve, found in zip(curves, monotone(curves), strict=True):
        assert found == pytest.approx(IsotonicRegression().fit_transform(np.arange(6), curve))


def test_labels_are_interpolated_on_a_logarithmic_scale() -> None:
    curve, values = np.array([0.2, 0.4, 0.6]), np.array([0.3, 0.3])
    found = needed((25, 100, 400), curve, np.stack([curve, curve]), 0.3, values)
    assert (found.value, found.low, found.high) == pytest.approx((50, 50, 50))
    assert found.text == "50 (50 to 50)"
    assert found.reached == 1


def test_what_lies_outside_the_measured_labels_is_not_made_up() -> None:
    curve = np.array([0.2, 0.4, 0.6])
    values = np.linspace(0.1, 0.8, 101)
    found = needed((25, 100, 400), curve, np.tile(curve, (101, 1)), 0.61, values)
    assert found.text == "more than 400 (at most 25 to more than 400)"
    assert found.reached == pytest.approx((values <= 0.6).mean())
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert (told["value"], told["low"], told["high"]) == (None, None, None)
    assert Needed(0, 0, 0, 25, 400, 1.0).text == "at most 25"
    assert Needed(np.inf, np.inf, np.inf, 25, 400, 0.0).text == "more than 400"


def test_a_curve_that_falls_again_is_read_at_its_monotone_form() -> None:
    curve = np.array([0.2, 0.6, 0.4])
    found = needed((25, 100, 400), curve, curve[None], 0.5, np.array([0.5]))
    assert found.value == pytest.approx(100), "both later points are .5 together"


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.5])
def test_a_power_law_is_found_again(exponent: float) -> None:
    curve = 0.9 - 2 * np.array(LABELS, dtype=float) ** -exponent
    top, fall, found = power_law(LABELS, curve[None], np.full(5, 0.02))[0]
    assert found == pytest.approx(exponent, abs=0.05)
    assert top == pytest.approx(curve[-1], abs=0.002)
    assert fall >= 0


def test_what_more_labels_bring_follows_from_the_law() -> None:
    curve = [0.9 - 2 * labels**-0.5 for labels in LABELS]
    points = noisy(lambda labels: 0.9 - 2 * labels**-0.5, np.random.default_rng(0))
    found = growth([exact(*pair) for pair in zip(LABELS, curve, strict=True)], luck(), 1.0, 200, 1.0)
    assert found.value == pytest.approx(2 * 500**-0.5 - 2 * 700**-0.5, abs=0.002)
    told = growth(points, luck(), 1.0, 200, 1.0)
    assert told.low <= 0.014 <= told.high
    assert "200 more labels (500 to 700) would bring about" in told.sentence("mcc")
    json.dumps(told.as_dict("mcc"), allow_nan=False)


def test_intervals_hold_the_truth_where_curves_are_power_laws_or_flat() -> None:
    for truth in (lambda labels: 0.9 - 2 * labels**-0.5, lambda labels: 0.5, lambda labels: 0.9 - 1.2 * labels**-0.2):
        random, held, told = np.random.default_rng(1), 0, 0
        gain = truth(700.0) - truth(500.0)
        for repeat in range(25):
            found = growth(noisy(truth, random), luck(repeat), 1.0, 200, 1.0)
            told += not found.reason
            held += found.low - 1e-3 <= gain <= found.high + 1e-3
        assert told >= 20
        assert held >= told - 3


def test_no_value_is_beyond_what_the_metric_can_have() -> None:
    curve = [0.5, 0.66, 0.82, 0.97]
    found = growth([exact(*pair) for pair in zip((50, 100, 200, 400), curve, strict=True)], luck(), 1.0, 200, 1.0)
    assert found.value == pytest.approx(0.03, abs=0.01)
    assert found.high <= 0.04


def s_shaped(labels: float) -> float:
    return float(0.8 / (1 + np.exp(-2 * (np.log(labels) - np.log(400)))))


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([exact(25, 0.1), exact(50, 0.2), exact(100, 0.3)], "3 points are too few for a curve, 4 are needed"),
        ([exact(labels, 0.1, runs=1) for labels in LABELS], "one run at a point does not show how much is luck"),
        ([exact(labels, 0.1, families=5) for labels in LABELS], "the test part has fewer than 6 families"),
        ([exact(labels, 0.1) for labels in (25, 30, 35, 40)], "240 lie further beyond 40 than these beyond 25"),
        ([exact(labels, np.nan) for labels in LABELS], "the metric is undefined at a point"),
        (noisy(s_shaped, np.random.default_rng(0)), "so far each doubling brought more than the one before"),
        (
            [exact(labels, value) for labels, value in zip(LABELS, (0.1, 0.6, 0.2, 0.7, 0.5), strict=True)],
            "the points do not follow a power law",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_not_told(points: list[Point], says: str) -> None:
    found = growth(points, luck(), 1.0, 200, 1.0)
    assert says in found.reason
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.sentence("mcc").startswith("It cannot be told what 200 more labels would bring: ")
    assert found.as_dict("mcc")["gain"] is None


def test_less_is_better_is_turned() -> None:
    points = [exact(labels, 1 + 2 * labels**-0.5) for labels in LABELS]
    curve, curves = replicates(points, luck(), -1.0)
    assert (np.diff(curve) > 0).all()
    assert curves.shape == (DRAWS, 5)
    found: Growth = growth(points, luck(), -1.0, 200, 0.0)
    assert found.value == pytest.approx(2 * 500**-0.5 - 2 * 700**-0.5, abs=0.002)
