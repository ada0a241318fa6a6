"""What the inputs of a mix are, measured before they are mixed.

A stereo pair whose legs cancel each other, one that lost a leg, and audio that was clipped before
it was resampled cannot be told from the mix any more. So a few sums of each quarter of a second go
along with the audio; the frames themselves stay behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rtclassify.stream import Legs, Samples

CELL_S = 0.25
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
        index: Turns the index of a native frame into that of a delivered sample.
    """

    def __init__(
        self,
        mixes: Sequence[Sequence[int]],
        *,
        inputs: int,
        rate: int,
        start: int,
        index: Callable[[int], int],
    ) -> None:
        self._mixes = [tuple(mix) for mix in mixes]
        pairs = [mix for mix in mixes if len(mix) == STEREO]
        self._left, self._right = (columns([pair[leg] for pair in pairs]) for leg in range(STEREO))
        self._length = round(CELL_S * rate)
        self._cell: Samples = np.empty((self._length, inputs), np.float32)
        self._filled = 0
        self._peak = 0.0
        self._end = start
        self._index = index

    def push(self, frames: Samples, *, peak: float) -> list[list[Legs]]:
        """Take the next frames, shape (n, inputs), none of them above `peak` in magnitude.

        Returns:
            For each cell that they complete what the inputs of each mix are.
        """
        cells = []
        while len(frames):
            taken = frames[: self._length - self._filled]
            frames = frames[len(taken) :]
            self._cell[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            self._peak = max(self._peak, peak)
            self._end += len(taken)
            if self._filled == self._length:
                cells.append(self._measured())
                self._filled, self._peak = 0, 0.0
        return cells

    def _measured(self) -> list[Legs]:
        end, cell, clipped = self._index(self._end), self._cell, self._peak >= FULL_SCALE
        squares = _mean_product(cell, cell)
        products = iter(_mean_product(cell[:, self._left], cell[:, self._right]))
        return [
            Legs(
                end,
                tuple([squares[leg] for leg in mix]),
                next(products) if len(mix) == STEREO else None,
                _clipped(cell[:, mix]) if clipped else 0.0,
            )
            for mix in self._mixes
        ]


Columns = slice | list[int]


def columns(numbers: list[int]) -> Columns:
    """Return evenly spaced numbers as a slice, which takes a view where a list takes a copy."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if numbers and step > 0 and numbers == [*range(numbers[0], numbers[-1] + 1, step)]:
        return slice(numbers[0], numbers[-1] + 1, step)
    return numbers


def _mean_product(left: Samples, right: Samples) -> list[float]:
    """Return the mean of the products of each column; a library's product would take all cores."""
    means: list[float] = (np.einsum("ij,ij->j", left, right) / len(left)).tolist()
    return means


def _clipped(legs: Samples) -> float:
    full = np.abs(legs) >= FULL_SCALE
    runs = full[:-2] & full[1:-1] & full[2:]
    return float(runs.any(axis=1).mean())
