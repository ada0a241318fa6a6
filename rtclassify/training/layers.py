"""Sounds in a window, each with its span, and what the window should score.

The target of an answer is the share of the window's time that is not silent in which the answer
is present. A window of one thing is 0 or 1, and where one thing turns into another the target
crosses one half in the middle, so that boundaries are dated right. A pause inside speech belongs
to the speech. What nobody would hear under the rest is not taught: music 30 dB under a voice is
not "both".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rtclassify.stream import Samples
from rtclassify.training.dataset import LABELS
from rtclassify.training.feed import UNHEARD

TICK_S = 0.1
SILENT_DB = -45.0
"""A tick this far below the window's loudest is silent."""
AUDIBLE_DB = 20.0
"""A sound further below the rest than this, for `AROUND_S` to both sides, is masked."""
AROUND_S = 0.5
LEVEL = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One sound in a window.

    Args:
        audio: The window's length of it.
        labels: What it is.
        start: Where it is heard, as a share of the window.
        end: Where that ends.
        fade_in: How long it takes to come, as a share of the window.
        fade_out: How long it takes to go.
    """

    audio: Samples
    labels: frozenset[str]
    start: float = 0.0
    end: float = 1.0
    fade_in: float = 0.0
    fade_out: float = 0.0

    def heard(self) -> Samples:
        """Return the audio, silent outside its span."""
        if (self.start, self.end) == (0.0, 1.0):
            return self.audio
        place = np.linspace(0.0, 1.0, len(self.audio), dtype=np.float32)
        least = 1 / len(self.audio)
        rise = (place - self.start) / max(self.fade_in, least)
        fall = (self.end - place) / max(self.fade_out, least)
        return self.audio * np.clip(np.minimum(rise, fall), 0.0, 1.0)


Scene = list[Layer]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A window and what it should score.

    Args:
        audio: Shape (window,).
        share: Of the time that is not silent, for each label, shape (labels,).
        ticks: Whether each label is present in each tenth of a second, shape (ticks, labels):
            1, 0, or `UNHEARD` where it is silent or masked.
    """

    audio: Samples
    share: Samples
    ticks: Samples


def mix(layers: Scene, rate: int) -> Mixture:
    """Add up layers, and work out what can be heard when."""
    sounds = [layer.heard() for layer in layers]
    audio = sum(sounds, np.zeros((), np.float32))
    energy = _ticks(audio, rate)
    count = len(energy)
    silent = energy <= energy.max() * 10 ** (SILENT_DB / 10)
    middle = (np.arange(count) + 0.5) / count
    present = np.zeros((count, len(LABELS)), np.float32)
    loudest = np.zeros((count, len(LABELS)), np.float32)
    for layer, sound in zip(layers, sounds, strict=True):
        for column, label in enumerate(LABELS):
            if label in layer.labels:
                present[(layer.start <= middle) & (middle < layer.end), column] = 1.0
                np.maximum(loudest[:, column], _ticks(sound, rate), out=loudest[:, column])
    audible = _around(loudest) >= _around(energy[:, None]) * 10 ** (-AUDIBLE_DB / 10)
    masked = (present > 0) & ~audible
    told = ~masked & ~silent[:, None]
    share = np.sum(present, axis=0, where=told) / np.maximum(1, told.sum(axis=0))
    return Mixture(audio, share.astype(np.float32), np.where(told, present, np.float32(UNHEARD)))


def _ticks(audio: Samples, rate: int) -> Samples:
    """Return the energy of each tick."""
    tick = int(TICK_S * rate)
    count = len(audio) // tick
    return np.square(audio[: count * tick]).reshape(count, tick).mean(axis=1)


def _around(energies: Samples) -> Samples:
    """Return the loudest tick within `AROUND_S` of each, along the first axis."""
    reach = int(AROUND_S / TICK_S)
    padded = np.pad(energies, ((reach, reach), (0, 0)))
    return sliding_window_view(padded, 2 * reach + 1, axis=0).max(axis=-1)


def levelled(audio: Samples) -> Samples:
    """Bring the RMS of the louder half of the ticks to `LEVEL`, so that pauses do not count."""
    parts = np.square(audio[: len(audio) // 50 * 50]).reshape(50, -1).mean(axis=1)
    loud = np.sqrt(np.sort(parts)[25:].mean())
    return audio * np.float32(LEVEL / (loud + 1e-6))


def quieter(layer: Layer, decibels: float) -> Layer:
    """Return the layer that much quieter."""
    return replace(layer, audio=layer.audio * np.float32(10 ** (-decibels / 20)))


def ducked(record: Samples, voice: Samples, depth: float) -> Samples:
    """Turn the record down while the voice is heard, as a desk does, within half a second."""
    parts = np.abs(voice[: len(voice) // 50 * 50]).reshape(50, -1).max(axis=1)
    held = np.convolve(parts > 0.3 * parts.max(), np.ones(5), mode="same") > 0
    level = np.interp(np.linspace(0, 49, len(record)), np.arange(50), 1.0 - depth * held)
    return record * level.astype(np.float32)
