"""Audio as the front end sees it before its logarithm, where mixing is adding up.

Sounds that have nothing to do with each other add in power, band by band. What would take
milliseconds with samples (a room, a filter, another speed) takes microseconds with a window's
frames, so that training never waits for its windows. Held-out audio is mixed as samples: it would
show if this way of training taught anything else.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rtclassify.corpus.decode import FULL_SCALE, Stored
from rtclassify.frontends import Frontend, frame_count
from rtclassify.stream import Samples

Power = NDArray[np.float32]
"""Squared magnitudes, shape (frames, bands)."""
Hertz = NDArray[np.float64]
Kept = NDArray[np.float16]
"""Logarithms of magnitudes, shape (frames, bands): half the memory, and all the ear's range."""

LEAST = 1e-6
AT_ONCE_S = 60


@runtime_checkable
class Mixable(Frontend, Protocol):
    """A front end whose frames are made of magnitudes, so that sounds can be added up before."""

    def heard_hz(self) -> list[Hertz]:
        """Return where magnitudes lie, kind by kind: mel bands, then what there is beside them."""

    def magnitudes(self, audio: tf.Tensor) -> tf.Tensor:
        """Compute the magnitudes of audio of shape (n, samples), of shape (n, t, magnitudes)."""

    def compressed(self, magnitudes: tf.Tensor) -> tf.Tensor:
        """Make frames of them, of shape (n, t, bands)."""


class Listener:
    """Turns audio into what is kept of it, and that into power.

    Args:
        frontend: Whose frames they are.
    """

    def __init__(self, frontend: Mixable) -> None:
        self._frontend = frontend
        self._count = sum(map(len, frontend.heard_hz()))

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
        def logarithms(audio: tf.Tensor) -> tf.Tensor:
            magnitudes = frontend.magnitudes(audio[None])[0]
            return tf.cast(tf.math.log(magnitudes + LEAST), tf.float16)

        self._logarithms = logarithms

    def keep(self, audio: Stored | Samples) -> Kept:
        """Return the frames of audio of any length, 16-bit or nominally in [-1, 1]."""
        frontend = self._frontend
        frames = max(0, frame_count(frontend, len(audio)))
        kept = np.empty((frames, self._count), np.float16)
        at_once = AT_ONCE_S * frontend.rate // frontend.step
        for at in range(0, frames, at_once):
            some = min(at_once, frames - at)
            start = at * frontend.step
            piece = audio[start : start + (some - 1) * frontend.step + frontend.length]
            scale = FULL_SCALE if piece.dtype == np.int16 else 1
            kept[at : at + some] = self._logarithms(piece.astype(np.float32) / np.float32(scale))
        return kept


def power(kept: Kept) -> Power:
    """Return the power of what was kept."""
    logarithms = kept.astype(np.float32)
    logarithms *= 2
    return np.exp(logarithms, out=logarithms)


def of_frames(power: Power) -> Samples:
    """Return the power of each frame, in all bands together."""
    return power @ np.ones(power.shape[1], np.float32)
