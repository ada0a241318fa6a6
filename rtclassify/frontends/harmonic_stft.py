"""A front end of two views: mel bands, and how much each pitch is there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from rtclassify.frontends.log_stft import Hertz, LogStft
from rtclassify.frontends.stft import Stft, by_fft
from rtclassify.stream import Samples

LOBE = 2.0
"""Bins to either side over which a steady tone spreads."""


@dataclass(frozen=True)
class HarmonicStft:
    """The bands of `LogStft`, and beside them pitches, of longer frames of the same middle.

    Voices that speak glide, those that sing stay or step, and which of the two is told by
    harmonics that mel bands blur. The salience of a pitch is the mean, over its harmonics below
    `harmonics_hz`, of how far the log-magnitude at the harmonic stands above that of all from
    halfway to the one below to halfway to the one above; nearer harmonics weigh more. It says
    nothing about level. In a frame, the values of a band and of a pitch take turns.

    Harmonic summation: Hermes, "Measurement of pitch by subharmonic summation", JASA 83(1), 1988.

    Args:
        rate: Samples per second.
        window: Samples in a window.
        length: Samples in a frame, a power of two: those that pitches are heard in.
        step: Samples from one frame to the next.
        mel_length: Samples, in the middle of a frame, that mel bands are heard in.
        count: Mel bands, and pitches.
        low_hz: Lower edge of the lowest band.
        high_hz: Upper edge of the highest band, at most half of `rate`.
        lowest_hz: The lowest pitch.
        highest_hz: The highest pitch; those between are evenly spread in their logarithm.
        harmonics_hz: Harmonics are looked for up to here.
        floor: Added to each magnitude before its logarithm.
    """

    rate: int = 16_000
    window: int = 80_000
    length: int = 1_024
    step: int = 320
    mel_length: int = 640
    count: int = 64
    low_hz: float = 50.0
    high_hz: float = 7_800.0
    lowest_hz: float = 80.0
    highest_hz: float = 900.0
    harmonics_hz: float = 2_500.0
    floor: float = 1e-3

    views = 2

    @property
    def bands(self) -> int:
        """Values in a frame."""
        return self.views * self.count

    def frames(self, audio: tf.Tensor, stft: Stft = by_fft) -> tf.Tensor:
        """Compute frames of shape (n, t, bands); see `Frontend.frames`."""
        return self.compressed(self.magnitudes(audio, stft))

    def magnitudes(self, audio: tf.Tensor, stft: Stft = by_fft) -> tf.Tensor:
        """Compute magnitudes, of mel bands first, then of the FFT's bins up to `harmonics_hz`."""
        around = (self.length - self.mel_length) // 2
        bands = self._mel.magnitudes(audio[:, around : -around or None], stft)
        return tf.concat([bands, stft(audio, self.length, self.step, self.length, self._bins)], -1)

    def compressed(self, magnitudes: tf.Tensor) -> tf.Tensor:
        """Make frames of magnitudes."""
        logarithms = tf.math.log(magnitudes + self.floor)
        saliences = tf.matmul(logarithms[..., self.count :], self._combs)
        views = tf.stack([logarithms[..., : self.count], saliences], -1)
        return tf.reshape(views, tf.concat([tf.shape(magnitudes)[:-1], [self.bands]], 0))

    def heard_hz(self) -> list[Hertz]:
        """Return where magnitudes lie: those of the bands, and those of the bins."""
        return [*self._mel.heard_hz(), np.maximum(self._hz[: self._bins], self._hz[1] / 2)]

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"name": "harmonic_stft", **asdict(self)}

    @cached_property
    def _mel(self) -> LogStft:
        return LogStft(
            self.rate, self.window, self.mel_length, self.step, self.count, self.low_hz,
            self.high_hz, self.floor,
        )  # fmt: skip

    @property
    def _hz(self) -> Hertz:
        return np.linspace(0, self.rate / 2, 1 + self.length // 2)

    @property
    def _bins(self) -> int:
        return int(np.count_nonzero(self._hz <= self.harmonics_hz))

    @cached_property
    def _combs(self) -> Samples:
        """What each bin gives to each pitch, shape (bins, pitches)."""
        pitches = np.geomspace(self.lowest_hz, self.highest_hz, self.count)
        return np.stack([self._comb(pitch) for pitch in pitches], -1).astype(np.float32)

    def _comb(self, pitch: float) -> Hertz:
        """What each bin gives to a pitch: teeth at its harmonics; all in all, nothing."""
        hz, lobe = self._hz[: self._bins], LOBE * self.rate / self.length
        harmonics = np.arange(1, 1 + max(1, int(self.harmonics_hz / pitch - 0.5)))
        weights = harmonics**-0.5
        comb = np.zeros(self._bins)
        for harmonic, weight in zip(harmonics, weights, strict=True):
            apart = np.abs(hz - harmonic * pitch)
            tooth = np.maximum(0.0, 1 - apart / min(lobe, pitch / 2))
            around = apart <= pitch / 2
            comb += weight * (tooth / tooth.sum() - around / around.sum())
        return comb / weights.sum()
