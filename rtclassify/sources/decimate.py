"""Resampling by a whole factor, such as 48 to 16 kHz, of many channels at once.

A filter with a linear phase, as matrix products over interleaved channels. Up to 0.91 of the new
band it is flat within 0.02 dB, as soxr's high quality is; from 1.03 on it is 60 dB down or more. Of
many channels it costs half of soxr and holds back three milliseconds at most instead of 37; see
docs/decisions/0022-a-process-for-the-network.md.
"""

from __future__ import annotations

import numpy as np

from rtclassify.stream import Samples

REACH = 35
"""Samples, at the new rate, that the filter reaches to either side."""

CUT, SHAPE = 0.96875, 6.0
"""Where it halves the amplitude, relative to the new band, and its Kaiser window's shape."""

AT_ONCE = 16
"""Samples that one product makes of each channel."""


class Decimator:
    """Keep one sample of `factor`, of channels that are interleaved.

    Sample n is what the input was at frame n * `factor`; before the first frame was silence. How
    frames were cut never shows in the samples.

    Args:
        factor: At least 2.
        channels: Samples in a frame.

    Attributes:
        delay: Frames that are held back, at most.
    """

    def __init__(self, factor: int, channels: int) -> None:
        response = _response(factor)
        self._reach, self._step = len(response) // 2, AT_ONCE * factor
        self.delay = self._reach + self._step
        self._filter = np.zeros((AT_ONCE, self._step - factor + len(response)), np.float32)
        for row, first in zip(self._filter, range(0, self._step, factor), strict=True):
            row[first : first + len(response)] = response
        self._channels = channels
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._waiting = np.zeros((self._reach, self._channels), np.float32)

    def resample_chunk(self, frames: Samples, *, last: bool = False) -> Samples:
        """Take the next frames, shape (n, channels); return the samples that they complete.

        At the `last` ones, what silence after them completes too, and up to 15 samples more.
        """
        if last:
            silence = np.zeros((self.delay, self._channels), np.float32)
            frames = np.concatenate([frames, silence])
        held = np.concatenate([self._waiting, frames])
        span = self._filter.shape[1]
        if len(held) < span:
            self._waiting = held
            return np.empty((0, self._channels), np.float32)
        count = (len(held) - span) // self._step + 1
        frame, sample = held.strides
        # As sliding_window_view does, whose checks took a twentieth of the thinking thread.
        windows: Samples = np.ndarray(
            (count, span, self._channels), np.float32, held, 0, (self._step * frame, frame, sample)
        )
        self._waiting = held[count * self._step :]
        made: Samples = np.matmul(self._filter, windows)
        return made.reshape(-1, self._channels)


def _response(factor: int) -> Samples:
    """Return the filter's impulse response."""
    times = np.arange(-REACH * factor, REACH * factor + 1) * (CUT / factor)
    response = np.sinc(times) * np.kaiser(len(times), SHAPE)
    return np.asarray(response / response.sum(), np.float32)
