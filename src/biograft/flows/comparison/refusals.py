"""What can be known before anything is learned: choices that fit together in no run, candidates that can't begin."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from biograft.data.alphabet import Alphabet
from biograft.data.readers import read_for
from biograft.errors import BiograftError
from biograft.flows.auto import PROBE
from biograft.flows.comparison.candidates import Candidate
from biograft.flows.comparison.field import Field
from biograft.flows.prepare import Prepared
from biograft.flows.recipe import Recipe
from biograft.flows.unlabelled import digest_of
from biograft.flows.workshop import Workshop, check_choices
from biograft.hardware import Hardware
from biograft.progress import Clock

__all__ = ["check_choices_of_all", "check_companions", "refused"]


def check_choices_of_all(recipe: Recipe, entrants: Field) -> None:
    """Raise BiograftError where choices of a comparison don't fit together, before any table is read."""
    if entrants.limits and recipe.train_limit is not None:
        raise BiograftError(
            f"--limits and --train-limit both choose training records: got {', '.join(entrants.limits)} and "
            f"{recipe.train_limit}. Leave one of them out."
        )
    if entrants.weights and not recipe.source:
        raise BiograftError(
            f"--lambda weighs the target against a source: got {', '.join(entrants.weights)} and no --source. Add one."
        )
    named = [Candidate("auto", strategy, options=options) for strategy, options in entrants.named]
    shared = replace(recipe, lambda_="")
    for one in named:
        check_choices(one.recipe(shared, recipe.seed))
    if recipe.unlabelled and not any(one.draws_unlabelled for one in named):
        raise BiograftError(
            f"No strategy of the comparison reads unlabelled records: got --unlabelled {recipe.unlabelled}. Add "
            "adversarial or coral to --strategies, or leave the file out."
        )


def check_companions(recipe: Recipe, alphabet: Alphabet) -> None:
    """Raise BiograftError where what is learned beside the table can't be read: each run would end with that."""
    if recipe.source:
        source = read_for(alphabet, recipe.source, unknown=recipe.unknown)
        for name in (recipe.source_label, *recipe.source_mask):
            source.column(name)
    digest_of(recipe, alphabet)


def refused(
    everyone: Sequence[Candidate], shared: Recipe, entrants: Field, prepared: Prepared, hardware: Hardware
) -> dict[Candidate, str]:
    """Candidates that can't begin on these parts, and why.

    Raises:
        BiograftError: nobody can begin, or nobody of a strategy that was asked for by name.
    """
    reasons: dict[tuple[str, str, tuple[str, ...]], str] = {}
    for one in everyone:
        key = (one.backbone, one.strategy, one.options)
        if key not in reasons:  # another λ changes nothing
            reasons[key] = _reason(one, shared, prepared, hardware)
    found = {one: why for one in everyone if (why := reasons[one.backbone, one.strategy, one.options])}
    if len(found) == len(everyone):
        raise BiograftError(f"No candidate of the comparison can begin. The first one: {found[everyone[0]]}")
    for named in entrants.named:
        theirs = [one for one in everyone if (one.strategy, one.options) == named]
        if all(one in found for one in theirs):
            raise BiograftError(
                f"Strategy '{' '.join([named[0], *named[1]])}' would be refused in every run. {found[theirs[0]]}"
            )
    return found


def _reason(one: Candidate, shared: Recipe, prepared: Prepared, hardware: Hardware) -> str:
    """Why it can't begin; '' where it can."""
    try:
        recipe = one.recipe(shared, shared.seed)
        check_choices(recipe)
        with torch.random.fork_rng():
            shop = Workshop(recipe, prepared, hardware, Clock(), shared.seed)
            shop.rehearse(PROBE if one.chooses else one.strategy)
    except BiograftError as fault:
        return str(fault)
    return ""
