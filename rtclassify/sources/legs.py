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
"""Three samples at it in a row are a ceiling; one is a peak."""

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
        everything = list(range(inputs))
        # A slice is a view; a list would be a copy of every frame.
        self._mixes = [slice(None) if [*mix] == everything else [*mix] for mix in mixes]
        self._length = round(CELL_S * rate)
        self._cell: Samples = np.empty((inputs, self._length), np.float32)
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
            taken = frames[: self._length - self._filled]
            frames = frames[len(taken) :]
            self._cell[:, self._filled : self._filled + len(taken)] = taken.T
            self._filled += len(taken)
            self._end += len(taken)
            if self._filled == self._length:
                self._filled = 0
                cells.append([_measured(self._cell[mix], self._end) for mix in self._mixes])
        return cells


def _measured(legs: Samples, end: int) -> Legs:
    inputs, count = legs.shape
    products = (legs @ legs.T / count).tolist()
    squares = tuple(products[n][n] for n in range(inputs))
    product = products[0][1] if inputs == STEREO else None
    return Legs(end, count, squares, product, _clipped(legs))


def _clipped(legs: Samples) -> float:
    if max(float(legs.max()), -float(legs.min())) < FULL_SCALE:
        return 0.0
    full = np.abs(legs) >= FULL_SCALE
    runs = full[:, :-2] & full[:, 1:-1] & full[:, 2:]
    return float(runs.any(axis=0).mean())
