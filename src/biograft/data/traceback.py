"""Smith-Waterman with its path in little memory, for pairs too long to keep every cell of the table.

Rows at every ``BLOCK``-th letter are kept; walking back, one block at a time is computed again with its choices.
"""

import numpy as np

__all__ = ["Rows", "path"]

BLOCK = 128


class Rows:
    """The table row by row (affine gaps, Gotoh, doi:10.1016/0022-2836(82)90398-9): best, and best ending in a gap."""

    def __init__(self, query: np.ndarray, reference: np.ndarray, table: np.ndarray, opening: int, extend: int) -> None:
        self.query, self.profile = query, table[:, reference]
        self.opening, self.extend = opening, extend
        self.slope = np.arange(len(reference) + 1, dtype=np.int32) * extend

    def first(self) -> tuple[np.ndarray, np.ndarray]:
        """Row zero: nothing aligned."""
        width = self.profile.shape[1] + 1
        return np.zeros(width, np.int32), np.full(width, -(2**29), np.int32)

    def next(
        self, row: int, best: np.ndarray, down: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(best, down, across, diagonal) of the row after letter ``row`` of the query."""
        down = np.maximum(down - self.extend, best - self.opening)
        diagonal = np.zeros_like(best)
        diagonal[1:] = best[:-1] + self.profile[self.query[row]]
        reach = np.maximum(np.maximum(diagonal, down), 0)
        across = np.full_like(best, -(2**29))
        # a gap from k to j costs opening + (j - k - 1) * extend: a running maximum over k
        across[1:] = np.maximum.accumulate(reach + self.slope)[:-1] - self.opening - self.slope[:-1]
        return np.maximum(reach, across), down, across, diagonal


def path(
    query: np.ndarray, reference: np.ndarray, table: np.ndarray, opening: int, extend: int
) -> tuple[int, str, tuple[int, int]]:
    """Score, columns (M identical, X other, D gap in the reference, I gap in the query) and where both begin.

    ``query`` and ``reference`` are codes into ``table``; a gap of k letters costs ``opening + (k - 1) * extend``.
    """
    rows = Rows(query, reference, table, opening, extend)
    best, down = rows.first()
    kept = {}
    score, end = 0, (0, 0)
    for row in range(len(query)):
        if row % BLOCK == 0:
            kept[row] = best, down
        best, down, _, _ = rows.next(row, best, down)
        peak = int(best.argmax())
        if best[peak] > score:
            score, end = int(best[peak]), (row + 1, peak)
    columns, start = _back(rows, kept, end, reference) if score else ("", (0, 0))
    return score, columns, start


def _back(
    rows: Rows, kept: dict[int, tuple[np.ndarray, np.ndarray]], end: tuple[int, int], reference: np.ndarray
) -> tuple[str, tuple[int, int]]:
    """Columns and start: walk from the end to the zero where the alignment starts."""
    i, j = end
    columns: list[str] = []
    state = "best"
    block = -1
    while True:
        if i == 0 or j == 0:
            break
        if (i - 1) // BLOCK != block:
            block = (i - 1) // BLOCK
            first = block * BLOCK
            best, down = kept[first]
            cells = {first: (best, down, best, best)}
            for row in range(first, i):
                best, down, across, diagonal = rows.next(row, best, down)
                cells[row + 1] = best, down, across, diagonal
        best, down, across, diagonal = cells[i]
        if state == "best":
            if best[j] <= 0:
                break
            if best[j] == diagonal[j]:
                columns.append("M" if rows.query[i - 1] == reference[j - 1] else "X")
                i, j = i - 1, j - 1
            else:
                state = "down" if best[j] == down[j] else "across"
        elif state == "down":
            columns.append("D")
            if down[j] == cells[i - 1][0][j] - rows.opening:
                state = "best"
            i -= 1
        else:
            columns.append("I")
            if across[j] == best[j - 1] - rows.opening:
                state = "best"
            j -= 1
    return "".join(reversed(columns)), (i, j)
