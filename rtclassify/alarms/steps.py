"""Cut one channel's audio into steps of half a second, on a fixed grid.

Steps start at multiples of their length from sample 0, so how audio is cut into blocks never shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtclassify.clock import Line
from rtclassify.stream import AudioBlock, Legs, Samples


class Step(NamedTuple):
    """A step of one channel.

    Args:
        start: Its first sample.
        line: Dates samples; None for recordings.
        audio: Its samples and, before them, the tail of what came before.
        legs: The mean of what is known of the inputs; None if nothing is.
        fresh: Whether it is not contiguous with the step before.
    """

    start: int
    line: Line | None
    audio: Samples
    legs: Legs | None
    fresh: bool


class Stepper:
    """Collect the blocks of one channel.

    Owned by one thread.

    Args:
        step: Samples in a step.
        tail: Samples that precede it.
    """

    def __init__(self, *, step: int, tail: int) -> None:
        self._step, self._tail = step, tail
        self._begin(0)

    def _begin(self, start: int) -> None:
        self.end = start
        self._start = self._first = -(-start // self._step) * self._step
        self._parts: list[Samples] = [np.zeros(self._tail, np.float32)]
        self._held = 0
        self._legs: list[Legs] = []
        self._fresh = True

    def push(self, block: AudioBlock) -> list[Step]:
        """Take the next block; return the steps that it completes.

        A block that is not contiguous with the one before begins anew. Its memory is not kept.
        """
        if block.start != self.end:
            self._begin(block.start)
        self._legs += block.legs
        self.end = block.end
        samples = block.samples[max(0, self._first - block.start) :]
        self._held += len(samples)
        if self._held < self._step:
            self._parts.append(samples.copy())
            return []
        self._parts.append(samples)
        audio, steps = np.concatenate(self._parts), []
        while self._held >= self._step:
            start, self._start = self._start, self._start + self._step
            heard = audio[: self._tail + self._step]
            steps.append(Step(start, block.line, heard, self._legs_until(self._start), self._fresh))
            audio = audio[self._step :]
            self._held -= self._step
            self._fresh = False
        self._parts = [audio]
        return steps

    def _legs_until(self, end: int) -> Legs | None:
        """Return the mean of what is known of the legs up to `end`, and forget it."""
        count = next((n for n, legs in enumerate(self._legs) if legs.end > end), len(self._legs))
        known, self._legs = self._legs[:count], self._legs[count:]
        return _mean(known) if known else None


def _mean(known: Sequence[Legs]) -> Legs:
    """Return the mean over stretches, all of which have the same length."""
    count = len(known)
    squares = tuple(
        [sum(of_one) / count for of_one in zip(*[k.squares for k in known], strict=True)]
    )
    pair = known[0].product is not None
    product = sum([k.product or 0.0 for k in known]) / count if pair else None
    return Legs(known[-1].end, squares, product, sum([k.clipped for k in known]) / count)
