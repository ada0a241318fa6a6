"""From native frames to mono audio at the pipeline's rate: the only down-mix and resampler.

The resampler is soxr at its high quality: what a file at the pipeline's own rate sounds like to
the model, the same programme sounds like from a card at any other rate. Its filter runs in blocks,
so live audio waits in it for 6 to 37 ms, 21 ms in the mean (48 to 16 kHz, as measured); the low
quality would save half of that and lose the top fifth of the band.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import soxr

from rtclassify.clock import Line
from rtclassify.errors import SourceError
from rtclassify.sources import Tap
from rtclassify.sources.legs import LegMeter
from rtclassify.stream import AudioBlock, Gap, Item, Legs, Samples

QUALITY = "HQ"

log = logging.getLogger(__name__)


def missing_input(tap: Tap, inputs: int) -> str | None:
    """Say which input `tap` wants of a source that has only `inputs`; None if it has them all."""
    for index in tap.inputs:
        if index >= inputs:
            return f"input {index + 1} is wanted and there are {inputs}"
    return None


class Converter:
    """Turn one source's frames into blocks of every tap, with indices that stay true.

    Native frame n is delivered sample ``origin + round(n * rate / rate_in)``. How the frames were
    cut into blocks never shows in the samples. Equal rates pass bit for bit. After a loss the
    resampler starts anew, so nothing is smeared across it, and the `Gap` covers exactly the
    samples that are missing.

    Owned by one thread.

    Args:
        taps: The channels to deliver.
        source: The source's name, for messages.
        inputs: Samples in a native frame.
        rate_in: Native frames per second.
        rate: Samples per second to deliver.
        origin: Delivered index of native frame 0.

    Raises:
        SourceError: If a tap wants an input that does not exist.
    """

    def __init__(
        self,
        taps: Sequence[Tap],
        *,
        source: str,
        inputs: int,
        rate_in: int,
        rate: int,
        origin: int = 0,
    ) -> None:
        for tap in taps:
            if missing := missing_input(tap, inputs):
                raise SourceError(
                    f"{source}: {missing}; give channel {tap.channel!r} others, counted from 1."
                )
        self._taps = tuple(taps)
        self._mixes = [tap.inputs or tuple(range(inputs)) for tap in taps]
        self._source = source
        self._rate_in, self._rate, self._origin = rate_in, rate, origin
        self._inputs = inputs
        self._next = 0
        self._end = origin
        self._resampler = soxr.ResampleStream(rate_in, rate, len(taps), quality=QUALITY)
        self._warned = False
        self._legs: list[list[Legs]] = [[] for _ in taps]
        self._leg_meter = self._measure_from(0)

    @property
    def end(self) -> int:
        """The delivered index after the last block or gap."""
        return self._end

    def delivered(self, line: Line) -> Line:
        """Return `line`, which speaks of native frames, for delivered samples."""
        return line.delivered(self._rate / self._rate_in, origin=self._origin)

    def push(self, start: int, frames: Samples, line: Line | None) -> list[Item]:
        """Take the frames from native index `start` on; return what they complete.

        Args:
            start: At least the index after the frames pushed before; frames between are lost.
            frames: Shape (n, inputs); copied. What is not finite counts as zero.
            line: Dates native frames; None for recordings.
        """
        items = self.lose(start, "audio was lost on its way") if start > self._next else []
        self._next += len(frames)
        frames = self._finite(frames)
        self._measure(frames)
        mixed = self._mix(frames)
        if self._rate_in != self._rate:
            mixed = self._resampler.resample_chunk(mixed)
        return [*items, *self._blocks(mixed, line)]

    def lose(self, end: int, reason: str) -> list[Item]:
        """Note that the frames up to native index `end` will never come."""
        items: list[Item] = [*self.finish()]
        start, self._end = self._end, self._index(end)
        self._next = end
        self._leg_meter = self._measure_from(end)
        if self._end > start:
            items += [Gap(tap.channel, start, self._end, reason) for tap in self._taps]
        return items

    def finish(self) -> list[AudioBlock]:
        """Return what the resampler still holds; frames that follow are not joined to it."""
        if self._rate_in == self._rate or self._end == self._index(self._next):
            return []
        nothing = np.empty((0, len(self._taps)), np.float32)
        tail = self._resampler.resample_chunk(nothing, last=True)
        self._resampler.clear()
        return self._blocks(tail[: self._index(self._next) - self._end], None)

    def _index(self, native: int) -> int:
        return self._origin + (2 * native * self._rate + self._rate_in) // (2 * self._rate_in)

    def _measure_from(self, start: int) -> LegMeter:
        return LegMeter(self._mixes, inputs=self._inputs, rate=self._rate_in, start=start)

    def _measure(self, frames: Samples) -> None:
        """Note what the inputs are, to go along with the audio that it speaks of."""
        for of_taps in self._leg_meter.push(frames):
            for known, legs in zip(self._legs, of_taps, strict=True):
                known.append(replace(legs, end=self._index(legs.end)))

    def _finite(self, frames: Samples) -> Samples:
        if not np.isfinite(frames).all():
            frames = np.where(np.isfinite(frames), frames, np.float32(0.0))
            if not self._warned:
                log.warning("%s: samples that are not numbers count as silence", self._source)
            self._warned = True
        return frames

    def _mix(self, frames: Samples) -> Samples:
        mixed = np.empty((len(frames), len(self._taps)), np.float32)
        for column, inputs in enumerate(self._mixes):
            # One after the other: numpy's own sum would depend on the block's length.
            total = np.zeros(len(frames), np.float32)
            for index in inputs:
                total += frames[:, index]
            mixed[:, column] = total / np.float32(len(inputs))
        return mixed

    def _blocks(self, mixed: Samples, line: Line | None) -> list[AudioBlock]:
        if not len(mixed):
            return []
        start = self._end
        self._end += len(mixed)
        dated = self.delivered(line) if line else None
        return [
            AudioBlock(
                tap.channel, start, np.ascontiguousarray(mixed[:, column]), dated,
                self._legs_until_end(column),
            )
            for column, tap in enumerate(self._taps)
        ]  # fmt: skip

    def _legs_until_end(self, column: int) -> tuple[Legs, ...]:
        """Hand out what is known of a tap's inputs up to the end of its audio."""
        known = self._legs[column]
        self._legs[column] = [legs for legs in known if legs.end > self._end]
        return tuple(legs for legs in known if legs.end <= self._end)
