"""Families that were found before: a large table takes minutes, and is read again with every other strategy."""

import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from biograft.data.alphabet import Alphabet
from biograft.data.clusters import SECOND_SEARCH, WITHOUT, Families, families
from biograft.data.mmseqs import MMseqs2
from biograft.errors import BiograftError
from biograft.files import atomic, cached, digest
from biograft.progress import Progress

__all__ = ["kept_families"]

SMALL = 200_000  # letters that are faster searched than worth a file
METHOD = 1  # one more whenever the same sequences would fall into other families


def kept_families(
    sequences: Sequence[str], alphabet: Alphabet, identity: float = 0.4, progress: Progress | None = None
) -> Families:
    """As :func:`families`, from the user's cache if exactly these sequences were asked for before.

    Raises BiograftError for a threshold outside (0, 1].
    """
    letters = sum(map(len, set(sequences)))  # copies are collapsed before anything is searched
    if letters <= SMALL:
        return families(sequences, alphabet, identity, progress=progress)
    helper = _helper() if alphabet.name == "protein" and letters <= SECOND_SEARCH else "not asked"
    about = (str(METHOD), alphabet.name, repr(float(identity)), helper)
    path = cached("families", f"{digest(*about, *sequences)}.npz")
    found = _read(path, len(sequences), identity)
    if found is None:
        found = families(sequences, alphabet, identity, progress=progress)
        if WITHOUT not in found.program:  # what failed now may go well another time
            _keep(path, found)
    return found


def _keep(path: Path, found: Families) -> None:
    """Where the cache can't be written, the same is found anew another time: no reason to lose the work of now."""
    with suppress(OSError), atomic(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, labels=found.labels, program=np.array(found.program))


def _helper() -> str:
    """The second search, which has a say in what is found."""
    try:
        return str(MMseqs2.find() or "none")
    except BiograftError as fault:  # the search itself goes on without it, and says so
        return str(fault)


def _read(path: Path, rows: int, identity: float) -> Families | None:
    """None where nothing is kept, or what is kept is damaged: it is then found anew."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            labels, program = kept["labels"], str(kept["program"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error):
        return None
    return Families(labels, program, identity) if labels.shape == (rows,) else None
