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
        answers: After each of some windows, shape (channels, windows, cells, labels): those that
            became final, oldest first, and what is known of the cells after them.
        final: How many became final with each window.
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
            after[:] = self._weights
            after[:-hop] += before[hop:]
        self._waiting = np.zeros(channels, int)

    def reset(self, channel: int = 0) -> None:
        """Forget a channel's windows: what follows does not overlap with them."""
        self._sums[channel] = self._windows[channel] = self._waiting[channel] = 0

    def add(self, channels: Numbers, scores: Samples) -> list[Agreed]:
        """Take the next windows of some channels, equally many of each; whole hops become final.

        Args:
            channels: Distinct.
            scores: Shape (channels, windows, cells, labels), of at least one window.

        Returns:
            What is agreed on, in order for each channel.
        """
        later, before = np.arange(scores.shape[1]), self._windows[channels]
        windows = np.minimum(before[:, np.newaxis] + 1 + later, len(self._weights_of) - 1)
        waiting = self._waiting[channels] + np.where(before, self._hop, self._first)
        waits = np.minimum(waiting[:, np.newaxis] + self._hop * later, self._kept + self._hop)
        waits[:, 0] = waiting
        sums, said = self._sums[channels], self._weights * scores
        for window in later:
            said[:, window, : -self._hop] += sums[:, self._hop :]
            sums = said[:, window]
        self._sums[channels], self._windows[channels] = sums, windows[:, -1]
        self._waiting[channels] = np.minimum(waits[:, -1], self._kept)
        return [*self._parted(waits, said / self._weights_of[windows])]

    def flush(self, channel: int = 0) -> Agreed:
        """Hand out, as final, what of a channel waits for later audio."""
        count, self._waiting[channel] = int(self._waiting[channel]), 0
        known = np.s_[self._sums.shape[1] - count :]
        answers = self._sums[channel][known] / self._weights_of[self._windows[channel]][known]
        return Agreed(np.zeros(1, int), answers[np.newaxis, np.newaxis], count)

    def _parted(self, waits: Numbers, answers: Answers) -> Iterator[Agreed]:
        """Part channels and windows, both shapes beginning with them, by how many cells wait."""
        changes = np.flatnonzero((waits[:, 1:] != waits[:, :-1]).any(axis=0)) + 1
        for begin, end in pairwise([0, *changes.tolist(), waits.shape[1]]):
            for count in sorted(set(waits[:, begin].tolist())):
                which = np.flatnonzero(waits[:, begin] == count)
                known = answers[which, begin:end, answers.shape[2] - count :]
                yield Agreed(which, known, count - min(self._kept, count))
