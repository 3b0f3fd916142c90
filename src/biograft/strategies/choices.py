"""``NAME=VALUE``, as users write it, for the fields of a strategy; types are those of its dataclass."""

import difflib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

from biograft import catalog
from biograft.errors import BiograftError
from biograft.strategies.strategy import Strategy

__all__ = ["strategy_of"]

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}


def strategy_of(name: str, options: Sequence[str] = ()) -> Strategy:
    """The strategy of a name, with options such as ``learning_rate=1e-4``.

    Raises BiograftError for an unknown name or field, a value of another type, or one that the strategy refuses.
    """
    kind = catalog.resolve("strategies", name)
    types = get_type_hints(kind)
    known = {field.name.rstrip("_"): types[field.name] for field in fields(kind)}  # ``head`` is a method's name too
    values = {}
    for option in options:
        field, mark, text = option.partition("=")
        if not mark:
            raise BiograftError(f"A choice of a strategy is NAME=VALUE: got '{option}'. Write learning_rate=1e-4, say.")
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else _owners(field)
            raise BiograftError(
                f"Strategy '{name}' has no choice '{field}': expected one of {', '.join(known)}.{hint} Mend it."
            )
        values[field] = _value(name, field, text, known[field])
    made: Strategy = kind(
        **{field.name: values[field.name.rstrip("_")] for field in fields(kind) if field.name.rstrip("_") in values}
    )
    return made


def _owners(field: str) -> str:
    """Which strategies have that choice, as a sentence; '' if none has."""
    found = [
        entry.name
        for entry in catalog.entries("strategies")
        if field in {known.name.rstrip("_") for known in fields(entry.load())}
    ]
    return f" It is a choice of {', '.join(found)}." if found else ""


def _value(strategy: str, field: str, text: str, kind: Any) -> Any:
    """The text as the field's type reads it."""
    if get_origin(kind) not in (None, type):  # Literal, or a type that may also be None
        choices = [choice for choice in get_args(kind) if choice is not type(None)]
        if text.lower() == "none" and type(None) in get_args(kind):
            return None
        if all(isinstance(choice, str) for choice in choices):
            if text not in choices:
                raise BiograftError(
                    f"Choice '{field}' of strategy '{strategy}': got '{text}', expected one of {', '.join(choices)}. "
                    "Choose one of them."
                )
            return text
        kind = choices[0]
    try:
        return _TRUTH[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise BiograftError(
            f"Choice '{field}' of strategy '{strategy}' is {_WORDS.get(kind, 'a value')}: got '{text}'. Mend it."
        ) from None
