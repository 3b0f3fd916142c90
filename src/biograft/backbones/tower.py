"""All layers of a backbone at once, so that one pass shows which of them suits a task."""

from typing import Any, ClassVar, Self

from biograft.backbones.backbone import Backbone
from biograft.data.packed import Packed

__all__ = ["Tower"]


class Tower(Backbone):
    """Layers side by side: vectors ``(tokens, heights * width)`` of a backbone at rest, bottom to top.

    A choice made on them is carried out with :meth:`Backbone.lower`; a tower itself is no part of any model.
    """

    name: ClassVar[str] = "tower"

    def __init__(self, resting: Backbone) -> None:
        super().__init__()
        self.resting = resting
        self.alphabet, self.resolution, self.max_length = resting.alphabet, resting.resolution, resting.max_length
        self.width = resting.heights * resting.width
        self.pretrained, self.standardise = resting.pretrained, resting.standardise

    def encode(self, sequence: str) -> Any:
        """As the backbone does."""
        return self.resting.encode(sequence)

    def forward(self, batch: Packed) -> Packed:
        """Packed codes ``(tokens,)`` -> packed vectors of all layers."""
        return self.resting.all_layers(batch)

    def configuration(self) -> dict[str, Any]:
        """Name and configuration of the backbone."""
        return {"of": self.resting.name, **self.resting.configuration()}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any]) -> Self:
        """Refused: a tower is built on a backbone."""
        raise TypeError("A tower stands on a backbone and can't be rebuilt from a configuration.")
