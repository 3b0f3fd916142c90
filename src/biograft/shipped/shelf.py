"""Names of what the package brings along: each is a folder beside this file.

An encoder's folder holds ``config.json`` and ``card.json``, a model's ``model.json``, whose card it carries. Cards are
read, never weights: listing them costs nothing. A shipped name goes before a folder of the same name; ``./NAME`` is
the folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biograft.errors import BiograftError
from biograft.files import read_json

__all__ = ["Shipped", "backbones", "find", "models"]

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Shipped:
    """An encoder or a model of the package.

    Attributes:
        name: what users type.
        folder: where its files are.
        card: how it was made, what was measured, whose data it saw.
    """

    name: str
    folder: Path
    card: dict[str, Any]

    @property
    def megabytes(self) -> float:
        """Of all its files, in millions of bytes."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file()) / 1e6

    @property
    def summary(self) -> str:
        """One line about it."""
        try:
            return self._of_encoder() if (self.folder / "config.json").is_file() else self._of_model()
        except (KeyError, TypeError) as fault:
            raise BiograftError(
                f"The card of '{self.name}' in '{self.folder}' is damaged ({fault!r}). Install biograft again."
            ) from None

    def text(self) -> str:
        """The model card."""
        path = self.folder / "MODEL_CARD.md"
        if not path.is_file():
            raise BiograftError(f"'{self.folder}' holds no MODEL_CARD.md: got a part only. Install biograft again.")
        return path.read_text(encoding="utf-8")

    def _of_encoder(self) -> str:
        made = self.card["encoder"]
        return (
            f"shipped: width {made['width']}, {made['layers']} blocks, {made['parameters'] / 1e6:.1f} million "
            f"parameters, {self.megabytes:.1f} MB, weights {self.card['licence']}"
        )

    def _of_model(self) -> str:
        found = self.card["measured"]
        bounds = "" if found["low"] is None else f" ({found['low']:.3f} to {found['high']:.3f})"
        number = f"{found['metric']} {found['value']:.3f}{bounds} on {found['records']} {found['on']}"
        if related := self.card.get("related"):
            number += (
                f", none with a near relative in training; accuracy {related['metrics']['accuracy']['value']:.3f} on "
                f"{related['records']:,} further ones, {related['named']:.0%} of which have one"
            )
        encoder = self.card["encoder"]
        stands = f"{'from' if encoder.get('moved') else 'on'} {encoder['name']}"
        return f"{self.card['question']}; {number}; {stands}, {self.megabytes:.1f} MB, weights {self.card['licence']}"


def backbones() -> list[Shipped]:
    """Encoders, by name."""
    return [Shipped(folder.name, folder, read_json(folder / "card.json")) for folder in _holding("config.json")]


def models() -> list[Shipped]:
    """Models that answer, by name."""
    return [
        Shipped(folder.name, folder, read_json(folder / "model.json").get("card", {}))
        for folder in _holding("model.json")
    ]


def find(name: str, among: list[Shipped]) -> Shipped | None:
    """The one of that name."""
    return next((shipped for shipped in among if shipped.name == name), None)


def _holding(file: str) -> list[Path]:
    return sorted(path.parent for path in ROOT.glob(f"*/{file}"))
