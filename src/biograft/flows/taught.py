"""What a test part shares with the records that a trained backbone learned its own task from.

Transfer in two steps leaks as joint learning does: a model that has seen a test protein's relatives under another label
is no witness for new families.
"""

from typing import Any

import numpy as np

from biograft.bundle import nearest_of
from biograft.data.records import Records
from biograft.files import digest
from biograft.flows.baselines import Shared
from biograft.origins import training_of

__all__ = ["taught"]


def taught(backbone: str, asked: Records, identity: float, shared: Shared | None = None) -> dict[str, Any] | None:
    """For ``report.json``: what a test part shares with them; None where the backbone is no trained model. No label is
    looked at.

    Args:
        backbone: as users name it.
        asked: the test part.
        shared: with other runs on the same test part; None: nothing is kept.
    """
    known = training_of(backbone, asked.alphabet.name)
    if known is None:
        return None

    def search() -> dict[str, np.ndarray]:
        return {"identity": nearest_of(known, asked).identity}

    about = digest("taught", backbone, *known.ids, *asked.ids, *asked.sequences)
    near = (shared.once(about, search) if shared else search())["identity"]
    alike, copies = int((near >= identity).sum()), int((near >= 1).sum())
    return {
        "records": len(known),
        "alike": alike,
        "copies": copies,
        "sentence": f"The backbone learned from {len(known):,} records before: {alike:,} of the {len(asked):,} test "
        f"records are {100 * identity:g} % or more alike to one of them, {copies:,} are copies.",
    }
