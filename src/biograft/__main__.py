"""``python -m biograft`` is the command line."""

from biograft.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
