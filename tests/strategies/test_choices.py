"""Choices of a strategy as users write them."""

import math

import pytest

from biograft.errors import BiograftError
from biograft.strategies.choices import strategy_of
from biograft.strategies.joint import Joint


def test_text_becomes_what_the_field_is() -> None:
    made = strategy_of("joint", ["weight=inf", "project=true", "schedule=rising", "learning_rate=1e-4"])
    assert made == Joint(weight=math.inf, project=True, schedule="rising", learning_rate=1e-4)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("ful", "dropout=0", "Unknown strategy: got 'ful'.*Did you mean 'full'"),
        ("full", "dropout", "A choice of a strategy is NAME=VALUE: got 'dropout'"),
        ("full", "head=knn", "has no choice 'head'.*It is a choice of frozen"),
        ("full", "learning_rat=1", "has no choice 'learning_rat'.*Did you mean 'learning_rate'"),
        ("full", "dropout=much", "Choice 'dropout' of strategy 'full' is a number: got 'much'"),
        ("joint", "project=maybe", "is true or false: got 'maybe'"),
        ("joint", "schedule=falling", "got 'falling', expected one of fixed, rising, learned"),
        ("joint", "weight=0", "λ weighs the target against the source: got 0"),
    ],
)
def test_what_cannot_be_chosen_is_refused(name: str, option: str, message: str) -> None:
    with pytest.raises(BiograftError, match=message):
        strategy_of(name, [option])
