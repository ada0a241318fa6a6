"""From native frames to mono audio at the pipeline's rate: the only down-mix and resampler.

The resampler is soxr at its high quality: what a file at the pipeline's own rate sounds like to
the model, the same programme sounds like from a card at any other rate. Its filter runs in blocks,
so live audio waits in it for 6 to 37 ms, 21 ms in the mean (48 to 16 kHz, as measured); the low
quality would save half of that and lose the top fifth of the band. Many channels of one card, at a
multiple of the pipeline's rate, go through a `Decimator`, which costs less for them.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import soxr

from rtclassify.clock import Line
from rtclassify.errors import SourceError
from rtclassify.sources import Tap
from rtclassify.sources.decimate import Decimator
from rtclassify.sources.legs import Columns, LegMeter, columns
from rtclassify.stream import AudioBlock, Gap, Item, Legs, Samples

QUALITY = "HQ"

HELD_S = 0.02
"""What soxr holds back in the mean, of common rates."""

MANY = 8
"""Channels from which on a product of matrices costs less than soxr."""

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
        legs: Whether to say what the inputs are, which alarms and loudness want to know.

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
        legs: bool = False,
    ) -> None:
        for tap in taps:
            if missing := missing_input(tap, inputs):
                raise SourceError(
                    f"{source}: {missing}; give channel {tap.channel!r} others, counted from 1."
                )
        self._taps = tuple(taps)
        self._mixes = [tap.inputs or tuple(range(inputs)) for tap in taps]
        self._sums = _sums(self._mixes)
        self._source = source
        self._rate_in, self._rate, self._origin = rate_in, rate, origin
        self._inputs = inputs
        self._next = 0
        self._end = origin
        self._resampler, self._delay = _resampler(rate_in, rate, len(taps))
        self._nothing = np.empty((0, len(taps)), np.float32)
        self._done: list[Samples] = []
        self._line: Line | None = None
        self._warned = False
        self._legs: deque[list[Legs]] = deque()
        self._leg_meter = self._measure_from(0) if legs else None

    @property
    def end(self) -> int:
        """The delivered index after the last block or gap."""
        return self._end

    def delivered(self, line: Line) -> Line:
        """Return `line`, which speaks of native frames, for delivered samples."""
        return line.delivered(self._rate / self._rate_in, origin=self._origin)

    def frames_for(self, end: int) -> int:
        """Return about how many native frames deliver everything before index `end`."""
        return math.ceil((end - self._origin) * self._rate_in / self._rate + self._delay)

    def push(self, start: int, frames: Samples, line: Line | None) -> list[Item]:
        """Take the frames from native index `start` on; return what they complete.

        Args:
            start: At least the index after the frames pushed before; frames between are lost.
            frames: Shape (n, inputs); copied. What is not finite counts as zero.
            line: Dates native frames; None for recordings.
        """
        return [*self.take(start, frames, line), *self.hand_over()]

    def take(self, start: int, frames: Samples, line: Line | None) -> list[Item]:
        """As `push`, but keep what the frames complete for `hand_over`; return what a loss ends."""
        items = self.lose(start, "audio was lost on its way") if start > self._next else []
        self._next += len(frames)
        self._line = self.delivered(line) if line else None
        frames, peak = self._finite(frames)
        if self._leg_meter:
            self._legs += self._leg_meter.push(frames, peak=peak)
        mixed = self._mix(frames)
        if self._rate_in == self._rate:
            self._done.append(mixed.copy())
        else:
            self._done.append(self._resampler.resample_chunk(mixed))
        return items

    def hand_over(self) -> list[AudioBlock]:
        """Return a block of each tap, of all that was completed since the last time."""
        done, self._done = np.concatenate([self._nothing, *self._done]), []
        if not len(done):
            return []
        start = self._end
        self._end += len(done)
        rows, legs = np.array(done.T, order="C"), self._legs_until_end()
        return [
            AudioBlock(tap.channel, start, samples, self._line, of_tap)
            for tap, samples, of_tap in zip(self._taps, rows, legs, strict=True)
        ]

    def lose(self, end: int, reason: str) -> list[Item]:
        """Note that the frames up to native index `end` will never come."""
        items: list[Item] = [*self.finish()]
        start, self._end = self._end, self._index(end)
        self._next = end
        if self._leg_meter:
            self._leg_meter = self._measure_from(end)
        if self._end > start:
            items += [Gap(tap.channel, start, self._end, reason) for tap in self._taps]
        return items

    def finish(self) -> list[AudioBlock]:
        """Return what the resampler still holds; frames that follow are not joined to it."""
        missing = self._index(self._next) - self._end - sum(map(len, self._done))
        if self._rate_in != self._rate and missing:
            tail = self._resampler.resample_chunk(self._nothing, last=True)
            self._resampler.clear()
            self._done.append(tail[:missing])
        return self.hand_over()

    def _index(self, native: int) -> int:
        return self._origin + (2 * native * self._rate + self._rate_in) // (2 * self._rate_in)

    def _measure_from(self, start: int) -> LegMeter:
        return LegMeter(
            self._mixes, inputs=self._inputs, rate=self._rate_in, start=start, index=self._index
        )

    def _finite(self, frames: Samples) -> tuple[Samples, float]:
        """Return the frames as numbers, and the greatest magnitude among them."""
        peak = _peak(frames)
        if not math.isfinite(peak):
            frames = np.where(np.isfinite(frames), frames, np.float32(0.0))
            peak = _peak(frames)
            if not self._warned:
                log.warning("%s: samples that are not numbers count as silence", self._source)
            self._warned = True
        return frames, peak

    def _mix(self, frames: Samples) -> Samples:
        """Return each tap's mean, shape (n, taps); it may be a view of the frames."""
        if len(self._sums) == 1:
            return _mean(frames, self._sums[0][1:])
        mixed = np.empty((len(frames), len(self._taps)), np.float32)
        for places, *inputs in self._sums:
            mixed[:, places] = _mean(frames, inputs)
        return mixed

    def _legs_until_end(self) -> Sequence[tuple[Legs, ...]]:
        """Hand out what is known of each tap's inputs up to the end of its audio."""
        known: list[list[Legs]] = []
        while self._legs and self._legs[0][0].end <= self._end:
            known.append(self._legs.popleft())
        return [*zip(*known, strict=True)] or [()] * len(self._taps)


def _resampler(
    rate_in: int, rate: int, channels: int
) -> tuple[soxr.ResampleStream | Decimator, float]:
    """Return a resampler and how many native frames it holds back."""
    factor, rest = divmod(rate_in, rate)
    if factor > 1 and not rest and channels >= MANY:
        decimator = Decimator(factor, channels)
        return decimator, decimator.delay
    delay = 0.0 if rate_in == rate else HELD_S * rate_in
    return soxr.ResampleStream(rate_in, rate, channels, quality=QUALITY), delay


def _sums(mixes: Sequence[Sequence[int]]) -> list[list[Columns]]:
    """Group mixes of equally many inputs: their places, and the first, second, … inputs."""
    groups: dict[int, list[int]] = {}
    for place, mix in enumerate(mixes):
        groups.setdefault(len(mix), []).append(place)
    return [
        [columns(places), *(columns([mixes[p][n] for p in places]) for n in range(count))]
        for count, places in groups.items()
    ]


def _mean(frames: Samples, inputs: Sequence[Columns]) -> Samples:
    """Add one after the other: numpy's own sum would depend on how many frames there are."""
    total = frames[:, inputs[0]]
    for more in inputs[1:]:
        total = total + frames[:, more]
    return total / np.float32(len(inputs)) if len(inputs) > 1 else total


def _peak(frames: Samples) -> float:
    return max(float(frames.max(initial=0.0)), -float(frames.min(initial=0.0)))
