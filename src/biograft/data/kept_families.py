"""Families that were found before: a large table takes minutes, and is read again with every other strategy."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from biograft.data.alphabet import Alphabet
from biograft.data.clusters import WITHOUT, Families, families
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
    if sum(map(len, sequences)) <= SMALL:
        return families(sequences, alphabet, identity, progress=progress)
    about = (str(METHOD), alphabet.name, repr(float(identity)), _helper())
    path = cached("families", f"{digest(*about, *sequences)}.npz")
    found = _read(path, len(sequences), identity)
    if found is None:
        found = families(sequences, alphabet, identity, progress=progress)
        if WITHOUT not in found.program:  # what failed now may go well another time
            with atomic(path) as part, part.open("wb") as stream:
                np.savez_compressed(stream, labels=found.labels, program=np.array(found.program))
    return found


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
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None
    return Families(labels, program, identity) if labels.shape == (rows,) else None
