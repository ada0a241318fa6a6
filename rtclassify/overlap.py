"""What overlapping windows agree on: one answer for each cell of audio.

A cell is heard by every window that reaches over it. In the middle of a window its column has
heard what comes before and what comes after; at an edge it has heard one side alone. The answers
are therefore averaged with weights that grow from the edges to the middle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Samples

Answers = NDArray[np.float64]


class Agreed(NamedTuple):
    """What windows agree on so far.

    Args:
        answers: Oldest first, shape (cells, labels): those that became final, and what is known of
            the cells after them.
        final: How many became final.
    """

    answers: Answers
    final: int


class Overlap:
    """The weighted mean, cell by cell, of the windows over one stretch of contiguous audio.

    Each window begins a hop after the one before it. A hop's answer is *final*, and handed out
    once, when the window that ends `lag` hops after it was added. Hops are counted backwards from
    a window's end; cells that precede the first window's first whole hop get no answer.

    Args:
        cells: Cells in a window.
        hop: Cells in a hop.
        lag: Hops of later audio that a hop waits for; a window holds at least `lag` + 1 hops.
        labels: Scores of a cell.
    """

    def __init__(self, *, cells: int, hop: int, lag: int, labels: int) -> None:
        to_edge = np.minimum(np.arange(cells), np.arange(cells)[::-1])
        self._weights = 1.0 + to_edge[:, np.newaxis]
        self._hop = hop
        self._kept = lag * hop
        self._labels = labels
        self.reset()

    def reset(self) -> None:
        """Forget all windows: what follows does not overlap with them."""
        cells = len(self._weights)
        self._sums = np.zeros((cells, self._labels))
        self._heard = np.zeros((cells, 1))
        self._waiting = 0

    def add(self, scores: Samples) -> Agreed:
        """Take the next window's scores, shape (cells, labels); whole hops become final."""
        if self._heard.any():
            self._waiting += self._hop
        else:
            self._waiting = len(scores) // self._hop * self._hop
        self._sums = _moved(self._sums, self._hop) + self._weights * scores
        self._heard = _moved(self._heard, self._hop) + self._weights
        return self._take(keep=self._kept)

    def flush(self) -> Agreed:
        """Hand out, as final, what waits for later audio."""
        return self._take(keep=0)

    def _take(self, *, keep: int) -> Agreed:
        keep = min(keep, self._waiting)
        final = self._waiting - keep
        known = slice(len(self._sums) - self._waiting, None)
        self._waiting = keep
        return Agreed(self._sums[known] / self._heard[known], final)


def _moved(rows: Answers, by: int) -> Answers:
    """Drop the oldest rows and append zeros for new ones."""
    return np.concatenate([rows[by:], np.zeros_like(rows[:by])])
