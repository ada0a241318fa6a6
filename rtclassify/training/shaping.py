"""What sounds are made with: white noise, filters, rooms, chance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Samples

Hertz = NDArray[np.float64]

WHITE_SAMPLES = 1 << 21
GRID = 200


def white(samples: int, rng: np.random.Generator) -> Samples:
    """White noise of unit RMS: a random place in a table, as drawing it anew would cost most."""
    at = int(rng.integers(WHITE_SAMPLES - samples))
    return _white_table()[at : at + samples]


@cache
def _white_table() -> Samples:
    return np.random.default_rng(0).standard_normal(WHITE_SAMPLES, np.float32)


def shaped(audio: Samples, rate: int, curve: Callable[[Hertz], Hertz]) -> Samples:
    """Filter by a magnitude curve over frequency in Hz, without delay."""
    hz, grid = _bins(len(audio), rate)
    response = np.interp(hz, grid, curve(grid)).astype(np.float32)
    return np.fft.irfft(np.fft.rfft(audio) * response, len(audio)).astype(np.float32)


@cache
def _bins(samples: int, rate: int) -> tuple[Hertz, Hertz]:
    """Return the frequencies of ``rfft``'s bins, and a coarse grid, on which curves are cheap."""
    hz: Hertz = np.fft.rfftfreq(samples, 1 / rate).astype(np.float64)
    return hz, np.geomspace(10.0, rate / 2, GRID)


def roomy(audio: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Put the window into a room: decaying noise after each sound, far or near."""
    decay_s, wet = rng.uniform(0.15, 0.9), rng.uniform(0.1, 1.5)
    time = np.arange(int(decay_s * rate), dtype=np.float32) / rate
    tail = white(len(time), rng) * np.exp(-6.9 * time / decay_s)
    tail *= wet / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1.0
    size = 1 << (len(audio) + len(tail) - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(tail, size), size)
    return heard[: len(audio)].astype(np.float32)


def happens(rng: np.random.Generator, odds: float) -> bool:
    """Say yes with probability `odds`."""
    return bool(rng.random() < odds)
