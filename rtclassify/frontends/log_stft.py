"""The product's front end: log-magnitude STFT, pooled into mel bands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf


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
    length: int = 512
    step: int = 200
    bands: int = 64
    low_hz: float = 60.0
    high_hz: float = 7_800.0
    floor: float = 1e-3

    def frames(self, audio: tf.Tensor) -> tf.Tensor:
        """Compute frames of shape (n, t, bands); see `Frontend.frames`."""
        spectrum = tf.abs(tf.signal.stft(audio, self.length, self.step, self.length))
        mel = tf.signal.linear_to_mel_weight_matrix(
            self.bands, self.length // 2 + 1, self.rate, self.low_hz, self.high_hz
        )
        return tf.math.log(tf.matmul(spectrum, mel) + self.floor)

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"name": "log_stft", **asdict(self)}
