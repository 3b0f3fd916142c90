"""Several runs on one test part: known answers for differences, their errors, and many comparisons at once."""

import json
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from biograft.errors import BiograftError
from biograft.evaluation.comparison import Difference, Measured, difference, judged, measured
from biograft.evaluation.intervals import bootstrap
from biograft.tasks.metrics import METRICS, Predicted

MAE, MCC = METRICS["mae"], METRICS["mcc"]
FAMILIES = 30


def answers(spread: float, runs: int, seed: int, truth: np.ndarray) -> list[Predicted]:
    random = np.random.default_rng(seed)
    return [Predicted(values=truth + spread * random.normal(size=len(truth))) for _ in range(runs)]


@pytest.fixture
def part() -> tuple[np.ndarray, np.ndarray]:
    """Truth of 120 units in 30 families, and the families."""
    return np.random.default_rng(0).normal(size=120), np.repeat(np.arange(FAMILIES), 4)


def judge(found: dict[str, Difference], metric: object = MAE) -> dict[str, str]:
    return {name: one.verdict.answer for name, one in judged(found, dict.fromkeys(found, "rival"), metric).items()}


def plain(value: float, error: float, families: int = FAMILIES) -> Difference:
    """A difference of one run, with the errors it is made to have."""
    random = np.random.default_rng(1).normal(size=400)
    draws = value + error * (random - random.mean()) / random.std(ddof=1)
    nothing = Measured(np.zeros(1), np.zeros((1, 400)), families)
    return difference(Measured(np.array([value]), draws[None], families), nothing, MCC)


def test_equal_answers_cannot_be_told(part: tuple[np.ndarray, np.ndarray]) -> None:
    truth, groups = part
    one = measured(MAE, truth, answers(1.0, 3, 0, truth), groups)
    found = difference(one, one, MAE)
    assert (found.interval.value, found.interval.low, found.interval.high, found.p) == (0, 0, 0, 1)
    told = judged({"a": found}, {"a": "rival"}, MAE)["a"]
    assert told.verdict.answer == "cannot tell"
    assert told.sentence() == "cannot tell: mae is the same in every draw."


def test_much_better_helped_and_much_worse_hurt(part: tuple[np.ndarray, np.ndarray]) -> None:
    truth, groups = part
    good, poor = (measured(MAE, truth, answers(spread, 3, seed, truth), groups) for spread, seed in ((0.3, 1), (1, 2)))
    better, worse = difference(good, poor, MAE), difference(poor, good, MAE)
    assert judge({"a": better}) == {"a": "helped"}
    assert judge({"a": worse}) == {"a": "hurt"}
    assert better.interval.value == pytest.approx(poor.value - good.value), "smaller errors count as better"
    assert (worse.interval.low, worse.interval.high) == pytest.approx((-better.interval.high, -better.interval.low))
    assert sum(better.values) / 3 == pytest.approx(better.interval.value)


def test_one_run_has_the_interval_of_its_report(part: tuple[np.ndarray, np.ndarray]) -> None:
    truth, groups = part
    (answer,) = answers(1.0, 1, 0, truth)
    alone = bootstrap([MAE], truth, answer, groups, draws=300, seed=5)["mae"]
    assert measured(MAE, truth, [answer], groups, draws=300, seed=5).interval() == alone


def test_copies_within_a_family_tell_nothing_new(part: tuple[np.ndarray, np.ndarray]) -> None:
    truth, groups = part
    sides = [answers(spread, 1, seed, truth)[0].values for spread, seed in ((0.8, 1), (1.0, 2))]

    def error(copies: int, families: np.ndarray) -> float:
        ours, theirs = (
            measured(MAE, np.tile(truth, copies), [Predicted(values=np.tile(side, copies))], families)
            for side in sides
            if side is not None
        )
        return difference(ours, theirs, MAE).errors.total

    assert error(9, np.tile(groups, 9)) == pytest.approx(error(1, groups))
    assert error(9, np.arange(9 * 120)) < 0.5 * error(1, groups)


def test_the_luck_of_runs_is_counted() -> None:
    draws = np.random.default_rng(0).normal(scale=0.01, size=500)
    values = np.array([0.1, 0.4, 0.7])
    found = difference(
        Measured(values, values[:, None] + draws, FAMILIES), Measured(np.zeros(1), np.zeros((1, 500)), FAMILIES), MCC
    )
    assert found.errors.of_runs == pytest.approx(0.3 / sqrt(3))
    assert found.errors.of_families == pytest.approx(draws.std(ddof=1))
    assert found.errors.freedom == pytest.approx(2, abs=0.05), "known from three runs alone"
    assert found.interval.half_width == pytest.approx(stats.t.ppf(0.975, 2) * 0.3 / sqrt(3), rel=0.02)
    assert judge({"a": found}, MCC) == {"a": "cannot tell"}
    one = Measured(values[1:2], values[1:2, None] + draws, FAMILIES)
    nothing = Measured(np.zeros(1), np.zeros((1, 500)), FAMILIES)
    assert difference(one, nothing, MCC).errors.of_runs == 0, "one run says nothing of the luck of runs"
    assert judge({"a": difference(one, nothing, MCC)}, MCC) == {"a": "helped"}


def test_several_runs_widen_the_interval_of_a_value() -> None:
    draws = np.random.default_rng(0).normal(scale=0.01, size=500)
    values = np.array([0.3, 0.4, 0.5])
    wide = Measured(values, values[:, None] + draws, FAMILIES).interval()
    alike = Measured(np.full(3, 0.4), 0.4 + np.tile(draws, (3, 1)), FAMILIES).interval()
    assert wide.half_width > 5 * alike.half_width
    assert wide.value == pytest.approx(alike.value)


@pytest.mark.parametrize(("name", "least"), [("spearman", -1.0), ("mae", 0.0)])
def test_no_interval_reaches_beyond_what_there_can_be(name: str, least: float) -> None:
    truth, noise = np.linspace(0.0, 1.0, 40), np.random.default_rng(0).normal(size=(2, 40))
    other = -truth if name == "spearman" else truth + 3.0
    runs = [Predicted(values=answer + error / 5) for answer, error in zip((truth, other), noise, strict=True)]
    found = measured(METRICS[name], truth, runs, np.arange(40), draws=200).interval()
    assert found.low == least and found.high == (1.0 if name == "spearman" else pytest.approx(found.high))


def test_useless_candidates_are_rarely_called_anything() -> None:
    """Families, runs and their interaction all vary; percentiles of draws would call a fifth of them."""
    random = np.random.default_rng(3)
    false = 0
    for _ in range(200):
        units = 0.5 * (random.normal(size=(1, 40)) + random.normal(size=(3, 1)) + random.normal(size=(3, 40)))
        weights = random.multinomial(40, np.full(40, 1 / 40), size=200) / 40
        ours = Measured(units.mean(axis=1), units @ weights.T, 40)
        found = difference(ours, Measured(np.zeros(1), np.zeros((1, 200)), 40), MCC)
        false += judge({"a": found}, MCC)["a"] != "cannot tell"
    assert false <= 20


def test_many_comparisons_are_corrected() -> None:
    error = 0.1
    value = error * stats.t.ppf(1 - 0.03 / 2, FAMILIES - 1)  # p = 0.03
    alone = judged({"a": plain(value, error)}, {"a": "rival"}, MCC)["a"]
    assert (alone.p, alone.adjusted) == pytest.approx((0.03, 0.03))
    assert alone.verdict.answer == "helped"
    several = {"a": plain(value, error), "b": plain(0.0, error), "c": plain(10.0, error)}
    told = judged(several, dict.fromkeys(several, "rival"), MCC)
    assert {name: one.verdict.answer for name, one in told.items()} == {
        "a": "cannot tell",
        "b": "cannot tell",
        "c": "helped",
    }
    assert told["a"].adjusted == pytest.approx(0.06)
    assert told["a"].verdict.difference == alone.verdict.difference, "the interval is of this comparison alone"
    assert "p 0.06 after correction for 3 comparisons" in told["a"].sentence()
    assert "; a difference of less than" in told["a"].sentence()


def test_what_could_have_been_seen() -> None:
    """Half the width of the interval at the level of Holm's first step: just beyond it, the answer is given."""
    for count in (1, 4):
        seen = 0.1 * stats.t.ppf(1 - 0.025 / count, FAMILIES - 1)
        for size, answer in ((1.01, "helped"), (0.99, "cannot tell")):
            rest = {f"other {number}": plain(0.0, 0.1) for number in range(count - 1)}
            told = judged({"a": plain(size * seen, 0.1), **rest}, dict.fromkeys(["a", *rest], "rival"), MCC)["a"]
            assert told.verdict.detectable == pytest.approx(seen)
            assert told.verdict.answer == answer


def test_few_families_and_undefined_metrics_say_nothing(part: tuple[np.ndarray, np.ndarray]) -> None:
    assert judge({"a": plain(10.0, 0.1, families=5)}, MCC) == {"a": "cannot tell"}
    truth, groups = part
    (answer,) = answers(1.0, 1, 0, truth)
    broken = Predicted(values=np.full(120, np.nan))
    found = difference(*(measured(MAE, truth, [side], groups) for side in (broken, answer)), MAE)
    told = judged({"a": found}, {"a": "rival"}, MAE)["a"]
    assert (told.p, told.verdict.answer) == (1, "cannot tell")
    assert told.sentence() == "cannot tell: undefined for this set."
    one = difference(*(measured(MAE, truth, [side], np.zeros(120)) for side in (answer, answer)), MAE)
    assert judged({"a": one}, {"a": "rival"}, MAE)["a"].sentence() == "cannot tell: one family: no interval."
    json.dumps(told.as_dict(), allow_nan=False)


def test_words_for_rivals_that_differ_in_more_than_transfer() -> None:
    told = judged({"a": plain(1.0, 0.1)}, {"a": "k-mers"}, MCC)["a"]
    assert told.as_dict()["sentence"].startswith("helped: mcc +1 (95 % interval")
    assert told.as_dict(transfer=False)["sentence"].startswith("better: mcc +1 (95 % interval")
    assert told.as_dict(transfer=False)["answer"] == "helped"
    assert judged({}, {}, MCC) == {}


def test_runs_without_partners_are_refused() -> None:
    three, two = (Measured(np.zeros(runs), np.zeros((runs, 10)), 8) for runs in (3, 2))
    with pytest.raises(BiograftError, match="got 3 against 2 runs"):
        difference(three, two, MCC)


def test_a_run_that_gives_one_value_for_all_counts_as_chance(part: tuple[np.ndarray, np.ndarray]) -> None:
    truth, groups = part
    spearman, flat = METRICS["spearman"], Predicted(values=np.full(len(truth), 0.3))
    good = answers(0.5, 2, 0, truth)
    found = measured(spearman, truth, [*good, flat], groups)
    assert found.values[2] == 0 and (found.draws[2] == 0).all()
    assert found.value == pytest.approx(sum(spearman(truth, one) for one in good) / 3)
    assert np.isfinite(found.interval().low)
    assert np.isnan(measured(spearman, np.ones(len(truth)), [flat], groups).value)  # nothing to be ranked
    for defined in (MAE, METRICS["r2"]):  # one value for all has its own number there, which may be worse than chance
        assert measured(defined, truth, [flat], groups).value == pytest.approx(defined(truth, flat))
