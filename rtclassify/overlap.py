"""What overlapping windows agree on: one answer for each cell of audio, of many channels at once.

A cell is heard by every window that reaches over it. In the middle of a window its column has
heard what comes before and what comes after; at an edge it has heard one side alone. The answers
are therefore averaged with weights that grow from the edges to the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Samples

Answers = NDArray[np.float64]
Numbers = NDArray[np.intp]
"""Of channels, counted from 0."""


class Agreed(NamedTuple):
    """What windows agree on so far, of channels that wait for equally much.

    Args:
        which: Places of the channels among those that were asked about.
        answers: Oldest first, shape (channels, cells, labels): those that became final, and what
            is known of the cells after them.
        final: How many became final.
    """

    which: Numbers
    answers: Answers
    final: int


class Overlap:
    """The weighted mean, cell by cell, of the windows over stretches of contiguous audio.

    Each window begins a hop after its channel's one before. A hop's answer is *final*, and handed
    out once, when the window that ends `lag` hops after it was added. Hops are counted backwards
    from a window's end; cells that precede the first window's first whole hop get no answer.

    Args:
        channels: How many there are.
        cells: Cells in a window.
        hop: Cells in a hop.
        lag: Hops of later audio that a hop waits for; a window holds at least `lag` + 1 hops.
        labels: Scores of a cell.
    """

    def __init__(self, channels: int = 1, *, cells: int, hop: int, lag: int, labels: int) -> None:
        to_edge = np.minimum(np.arange(cells), np.arange(cells)[::-1])
        self._weights = 1.0 + to_edge[:, np.newaxis]
        self._hop = hop
        self._first = cells // hop * hop
        self._kept = lag * hop
        self._sums = np.zeros((channels, cells, labels))
        self._windows = np.zeros(channels, int)
        # What the windows over each cell of the newest one weigh, after so many of them.
        self._weights_of = np.zeros((1 + -(-cells // hop), cells, 1))
        for before, after in pairwise(self._weights_of):
            after[:] = self._moved(before[np.newaxis]) + self._weights
        self._waiting = np.zeros(channels, int)

    def reset(self, channel: int = 0) -> None:
        """Forget a channel's windows: what follows does not overlap with them."""
        self._sums[channel] = self._windows[channel] = self._waiting[channel] = 0

    def add(self, channels: Numbers, scores: Samples) -> Iterator[Agreed]:
        """Take the next window of each of some channels; whole hops become final.

        Args:
            channels: Distinct.
            scores: Shape (channels, cells, labels).
        """
        windows = self._windows[channels]
        self._waiting[channels] += np.where(windows, self._hop, self._first)
        self._windows[channels] = np.minimum(windows + 1, len(self._weights_of) - 1)
        self._sums[channels] = self._moved(self._sums[channels]) + self._weights * scores
        return self._take(channels, keep=self._kept)

    def flush(self, channel: int = 0) -> Agreed:
        """Hand out, as final, what of a channel waits for later audio."""
        return next(self._take(np.array([channel]), keep=0))

    def _take(self, channels: Numbers, *, keep: int) -> Iterator[Agreed]:
        waiting = self._waiting[channels]
        self._waiting[channels] = np.minimum(keep, waiting)
        for count in sorted(set(waiting.tolist())):
            which = np.flatnonzero(waiting == count)
            mine, known = channels[which], np.s_[:, self._sums.shape[1] - count :]
            answers = self._sums[mine][known] / self._weights_of[self._windows[mine]][known]
            yield Agreed(which, answers, count - min(keep, count))

    def _moved(self, rows: Answers) -> Answers:
        """Drop the oldest cells and append zeros for new ones."""
        moved = np.zeros_like(rows)
        moved[:, : -self._hop] = rows[:, self._hop :]
        return moved
