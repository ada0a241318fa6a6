"""The article's front end, kept as a reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from rtclassify.frontends.stft import Stft, by_fft


@dataclass(frozen=True)
class ArticleFrontend:
    """Log-magnitude STFT with the article's numbers: 212 frames of 129 values in 5 seconds.

    Two of the article's faults live here. The logarithm of zero is mended by `floor`. An FFT
    shorter than the frame makes `tf.signal.stft` drop seven eighths of each frame without a word;
    that is kept, because the article's (129, 212) is made of it: see docs/training.md.

    Args:
        floor: The smallest magnitude that the logarithm sees.
    """

    floor: float = 1e-6

    rate = 22_050
    window = 110_250
    length = 2_048
    step = 512
    bands = 129
    views = 1
    fft_length = 256

    def frames(self, audio: tf.Tensor, stft: Stft = by_fft) -> tf.Tensor:
        """Compute frames of shape (n, t, 129); see `Frontend.frames`."""
        spectrum = stft(audio, self.length, self.step, self.fft_length)
        return tf.math.log(tf.maximum(spectrum, self.floor))

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"name": "article", **asdict(self)}
