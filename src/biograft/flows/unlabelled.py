"""Records of the domain in which a model will be used: sequences alone, whatever else their file holds."""

from dataclasses import dataclass, replace

import numpy as np

from biograft.data.alphabet import Alphabet
from biograft.data.examples import Examples, ExampleStream
from biograft.data.nearest import nearest
from biograft.data.readers import read_for
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.files import digest
from biograft.flows.recipe import Recipe
from biograft.model import Model
from biograft.strategies.strategy import Strategy

__all__ = ["UNLABELLED", "Unlabelled", "check_unlabelled", "digest_of"]

UNLABELLED = "unlabelled"
FEWEST = 16  # records of each domain in a batch, on average: covariances of fewer say little


def _sequences_alone(recipe: Recipe, alphabet: Alphabet) -> Records:
    """The unlabelled records of a recipe, without any column: what else their file holds is out of reach."""
    found = read_for(
        alphabet, recipe.unlabelled or "", sequence=recipe.sequence, alphabet=recipe.alphabet, unknown=recipe.unknown,
        reader="the backbone",
    )  # fmt: skip
    return replace(found, columns={})


def digest_of(recipe: Recipe, alphabet: Alphabet) -> str | None:
    """Of ids and sequences in the file, not of labels; None without a file.

    Raises BiograftError if it isn't what the recipe says.
    """
    if not recipe.unlabelled:
        return None
    records = _sequences_alone(recipe, alphabet)
    found = digest(*records.ids, *records.sequences)
    if recipe.unlabelled_digest not in (None, found):
        raise BiograftError(
            f"The unlabelled records in '{recipe.unlabelled}' have changed since the recipe was made. Remove "
            "unlabelled_digest to use them."
        )
    return found


def check_unlabelled(recipe: Recipe, strategy: Strategy) -> None:
    """Raise BiograftError where there are unlabelled records and no use for them, or the other way round."""
    wanted = UNLABELLED in strategy.streams
    if wanted and not recipe.unlabelled:
        raise BiograftError(
            f"Strategy '{strategy.name}' needs sequences of the domain in which the model will be used: got no "
            "--unlabelled FILE. Name one, or choose --strategy full."
        )
    if recipe.unlabelled and not wanted:
        raise BiograftError(
            f"Strategy '{strategy.name}' has no use for unlabelled records: got --unlabelled {recipe.unlabelled}. "
            "Choose --strategy adversarial or coral, or leave the file out."
        )


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Unlabelled records beside the training part.

    Attributes:
        records: without columns.
        domains: ``(records,)`` 0 for a record of the training part, 1 for an unlabelled one.
        examples: of both; the target of a unit is the domain of its record.
    """

    records: Records
    domains: np.ndarray
    examples: Examples

    @property
    def model(self) -> None:
        """There is no task of their own."""
        return None

    @classmethod
    def of(cls, recipe: Recipe, model: Model, train: Examples) -> "Unlabelled":
        """Read and encode them. Raises BiograftError where the model can't read records of such lengths."""
        records = _sequences_alone(recipe, model.backbone.alphabet)
        length = getattr(model.level, "length", None)
        if length is not None and set(records.lengths.tolist()) != {length}:
            raise BiograftError(
                f"The sequences of the training part are read position by position: got lengths "
                f"{sorted(set(records.lengths.tolist()))[:5]} in '{records.source}', expected {length}. "
                "Give sequences of that length, or choose --pool mean."
            )
        rows = [*train.rows, *(model.backbone.encode(sequence) for sequence in records.sequences)]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        domains = np.repeat([0, 1], [len(train), len(records)])
        units = model.level.count(lengths)
        targets = np.repeat(domains, units)
        families = np.arange(len(rows))
        return cls(records, domains, Examples(rows, targets, np.ones(len(targets), dtype=bool), units, families))

    def stream(self, budget: int, seed: int) -> ExampleStream:
        """Batches of both domains in turn, twice as large as those of one."""
        usual = int(self.examples.costs.mean())
        return ExampleStream(self.examples, max(2 * budget, 2 * FEWEST * usual), seed, self.domains)

    def told(self, test: Records, identity: float) -> list[str]:
        """For the report: how many there were, and what they share with the test part."""
        near = nearest(test.sequences, self.records.sequences, test.alphabet).identity
        copies, alike = int((near >= 1).sum()), int((near >= identity).sum())
        text = (
            f"Beside the training part, {len(self.records):,} unlabelled sequences were read ({self.records.source}). "
            f"{alike:,} of the {len(test):,} test records are {100 * identity:g} % or more alike to one of them, "
            f"{copies:,} are copies"
        )
        seen = ": the model has seen these sequences, but no label of theirs" if copies else ""
        return [f"{text}{seen}."]
