"""The bands of a front end, and what can be done with power in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rtclassify.frontends.log_stft import LogStft
from rtclassify.training.spectra import Listener, Power, of_frames, power

Hertz = NDArray[np.float64]

WHITE_S = 60


class Bands:
    """The bands of a front end, and what can be done with power in them.

    Args:
        frontend: Whose bands they are.
    """

    def __init__(self, frontend: LogStft) -> None:
        self.count = frontend.bands
        self.step_s = frontend.step / frontend.rate
        self.hz = _centres(frontend)
        noise = np.random.default_rng(0).standard_normal(WHITE_S * frontend.rate, np.float32)
        white = power(Listener(frontend).keep(noise))
        self.full_scale = float(of_frames(white).mean())
        self._white = white / np.float32(self.full_scale)

    def white(self, frames: int, rng: np.random.Generator) -> Power:
        """White noise of unit power a frame: a random place in a table."""
        at = int(rng.integers(len(self._white) - frames))
        return self._white[at : at + frames]

    def shaped(self, frames: Power, curve: Callable[[Hertz], Hertz]) -> Power:
        """Filter by a magnitude curve over frequency in Hz."""
        return frames * np.square(curve(self.hz)).astype(np.float32)

    def shifted(self, frames: Power, factor: float) -> Power:
        """Multiply all frequencies by a factor; nothing comes from beyond the highest band."""
        places = np.interp(self.hz / factor, self.hz, np.arange(self.count))
        at = np.minimum(places.astype(int), self.count - 2)
        part = (places - at).astype(np.float32)
        moved = frames[:, at] * (1 - part) + frames[:, at + 1] * part
        moved[:, self.hz / factor > self.hz[-1]] *= np.float32(1e-4)
        return moved


def _centres(frontend: LogStft) -> Hertz:
    """Return the frequency in the middle of each band."""
    bins = frontend.length // 2 + 1
    weights = tf.signal.linear_to_mel_weight_matrix(
        frontend.bands, bins, frontend.rate, frontend.low_hz, frontend.high_hz
    ).numpy()
    hz = np.linspace(0, frontend.rate / 2, bins)
    return (hz @ weights) / np.maximum(weights.sum(axis=0), 1e-9)
