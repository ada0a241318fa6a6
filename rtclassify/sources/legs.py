"""What the inputs of a mix are, measured before they are mixed.

A stereo pair whose legs cancel each other, one that lost a leg, and audio that was clipped before
it was resampled cannot be told from the mix any more. So a few sums of each tenth of a second go
along with the audio; the frames themselves stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtclassify.stream import Legs, Samples

CELL_S = 0.1
FULL_SCALE = 0.999
STANDS_STILL = 3
"""Samples at full scale in a row: one is a peak, three are a ceiling."""

STEREO = 2


class LegMeter:
    """Measure the inputs of each mix of one source.

    Sums are made of whole cells, so how the frames were cut into blocks never shows.

    Args:
        mixes: The inputs of each mix, counted from 0.
        inputs: Samples in a frame.
        rate: Frames per second.
        start: Index of the first frame.
    """

    def __init__(
        self, mixes: Sequence[Sequence[int]], *, inputs: int, rate: int, start: int
    ) -> None:
        self._mixes = [list(mix) for mix in mixes]
        self._cell: Samples = np.empty((round(CELL_S * rate), inputs), np.float32)
        self._filled = 0
        self._end = start

    def push(self, frames: Samples) -> list[list[Legs]]:
        """Take the next frames, shape (n, inputs).

        Returns:
            For each cell that they complete what the inputs of each mix are; `Legs.end` is the
            index of the native frame after it.
        """
        cells = []
        while len(frames):
            taken, frames = np.split(frames, [len(self._cell) - self._filled])
            self._cell[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            self._end += len(taken)
            if self._filled == len(self._cell):
                self._filled = 0
                cells.append([_measured(self._cell[:, mix], self._end) for mix in self._mixes])
        return cells


def _measured(frames: Samples, end: int) -> Legs:
    count, inputs = frames.shape
    products = (frames.T @ frames / count).tolist()
    squares = tuple(products[n][n] for n in range(inputs))
    product = products[0][1] if inputs == STEREO else None
    return Legs(end, count, squares, product, _clipped(frames))


def _clipped(frames: Samples) -> float:
    if max(float(frames.max()), -float(frames.min())) < FULL_SCALE:
        return 0.0
    full = np.abs(frames) >= FULL_SCALE
    runs = np.logical_and.reduce(
        [full[n : len(full) - STANDS_STILL + 1 + n] for n in range(STANDS_STILL)]
    )
    return float(runs.any(axis=1).mean())
