"""The product's front end: log-magnitude STFT, pooled into mel bands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rtclassify.frontends.stft import Stft, by_fft

Hertz = NDArray[np.float64]


@dataclass(frozen=True)
class LogStft:
    """Log of the magnitude STFT in mel bands (`tf.signal`; HTK mel scale).

    The floor is added before the logarithm, so digital silence is a finite, constant frame. It
    lies near the noise of 16-bit audio.

    Args:
        rate: Samples per second.
        window: Samples in a window.
        length: Samples in a frame, Hann-weighted; also the FFT's length, so none are dropped.
        step: Samples from one frame to the next.
        bands: Mel bands.
        low_hz: Lower edge of the lowest band.
        high_hz: Upper edge of the highest band, at most half of `rate`.
        floor: Added to each band's magnitude.
    """

    rate: int = 16_000
    window: int = 80_000
    length: int = 640
    step: int = 320
    bands: int = 64
    low_hz: float = 50.0
    high_hz: float = 7_800.0
    floor: float = 1e-3

    views = 1

    def frames(self, audio: tf.Tensor, stft: Stft = by_fft) -> tf.Tensor:
        """Compute frames of shape (n, t, bands); see `Frontend.frames`."""
        return self.compressed(self.magnitudes(audio, stft))

    def magnitudes(self, audio: tf.Tensor, stft: Stft = by_fft) -> tf.Tensor:
        """Compute the magnitude in each band, of the same shape."""
        spectrum = stft(audio, self.length, self.step, self.length)
        return tf.matmul(spectrum, self._mel())

    def compressed(self, magnitudes: tf.Tensor) -> tf.Tensor:
        """Take the logarithm of magnitudes, above the floor."""
        return tf.math.log(magnitudes + self.floor)

    def heard_hz(self) -> list[Hertz]:
        """Return the middle of each band in Hz, as `HarmonicStft.heard_hz` does."""
        mel = self._mel().numpy()
        hz = np.linspace(0, self.rate / 2, len(mel))
        return [(hz @ mel) / np.maximum(mel.sum(axis=0), 1e-9)]

    def _mel(self) -> tf.Tensor:
        return tf.signal.linear_to_mel_weight_matrix(
            self.bands, self.length // 2 + 1, self.rate, self.low_hz, self.high_hz
        )

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"name": "log_stft", **asdict(self)}
