"""The one exception that users meet: something they can mend. Anything else that escapes is a fault of ours."""

__all__ = ["BiograftError"]


class BiograftError(Exception):
    """Input or arguments are wrong. The message says what, where, what is allowed and what to do (exit code 2)."""
