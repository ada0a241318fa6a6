"""The magnitude STFT, computed in two ways that agree to about 1e-5 of the largest value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Stft = Callable[..., tf.Tensor]
"""From audio, shape (n, samples), the length of a frame, its step, the FFT's length and how many
of its bins are wanted, from the lowest (all, if that is not said), to magnitudes, shape
(n, frames, bins). Frames are Hann-weighted."""


def by_fft(
    audio: tf.Tensor, length: int, step: int, fft_length: int, bins: int | None = None
) -> tf.Tensor:
    """Compute magnitudes with `tf.signal.stft`, which drops what the FFT is too short for."""
    spectrum = tf.signal.stft(audio, length, step, fft_length)[..., :bins]
    return _magnitude(tf.math.real(spectrum), tf.math.imag(spectrum))


def by_convolution(
    audio: tf.Tensor, length: int, step: int, fft_length: int, bins: int | None = None
) -> tf.Tensor:
    """Compute magnitudes as a convolution with cosines and sines.

    TensorFlow Lite has no FFT whose length is not a power of two.
    """
    kept = np.arange(min(length, fft_length))
    with tf.init_scope():
        window = tf.signal.hann_window(length).numpy()[kept]
    angles = 2 * np.pi * np.outer(kept, np.arange(1 + fft_length // 2)[:bins]) / fft_length
    waves = window[:, None] * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    kernel = tf.constant(waves[:, None, :], tf.float32)
    heard = tf.expand_dims(audio[:, : len(kept) - length or None], -1)
    real, imaginary = tf.split(tf.nn.conv1d(heard, kernel, step, "VALID"), 2, axis=-1)
    return _magnitude(real, imaginary)


def _magnitude(real: tf.Tensor, imaginary: tf.Tensor) -> tf.Tensor:
    """Return what `tf.abs` would of complex numbers, which are far from overflow, in less time."""
    return tf.sqrt(real * real + imaginary * imaginary)
