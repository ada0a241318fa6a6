"""Sounds in a window, each with its span, and what is heard when.

A pause inside speech belongs to the speech. Of a sound that is there, what is silent, or what
nobody would hear under the rest, is not taught: music 30 dB under a voice is not "both". Where a
sound is not, it is absent, silence included. A fade begins or ends a sound in its middle. All this
is as where programmes are judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtclassify.corpus.dataset import LABELS
from rtclassify.evaluation.trial import UNHEARD
from rtclassify.stream import Samples
from rtclassify.training.spectra import Power, of_frames

SILENT_DB = -45.0
"""A frame this far below the window's loudest is silent."""
AUDIBLE_DB = 20.0
"""A sound further below the rest than this, for `AROUND` to both sides, is masked."""
AROUND = 25
"""Frames: half a second."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One sound in a window.

    Args:
        power: The window's length of it, shape (frames, bands).
        labels: What it is.
        start: Where it is heard, as a share of the window.
        end: Where that ends.
        fade_in: How long it takes to come, as a share of the window.
        fade_out: How long it takes to go.
    """

    power: Power
    labels: frozenset[str]
    start: float = 0.0
    end: float = 1.0
    fade_in: float = 0.0
    fade_out: float = 0.0

    def heard(self) -> Power:
        """Return the power, none outside its span."""
        if (self.start, self.end) == (0.0, 1.0):
            return self.power
        place = (np.arange(len(self.power)) + 0.5) / len(self.power)
        gain = _ramp(place - self.start, self.fade_in) * _ramp(self.end - place, self.fade_out)
        return self.power * np.square(gain).astype(np.float32)[:, None]


def _ramp(inside: NDArray[np.float64], fade: float) -> NDArray[np.float64]:
    """Rise from 0 at the edge to 1 where the fade is over."""
    return np.clip(inside / fade, 0.0, 1.0) if fade else (inside >= 0).astype(np.float64)


Scene = list[Layer]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A window and what is heard in it.

    Args:
        power: Shape (frames, bands).
        present: Whether each label is heard in each frame, shape (frames, labels): 1, 0, or
            `UNHEARD` where it is there, but silent or masked.
    """

    power: Power
    present: Samples


def mix(layers: Scene) -> Mixture:
    """Add up layers, and work out what can be heard when."""
    sounds = [layer.heard() for layer in layers]
    total = sum(sounds[1:], sounds[0])
    energy = of_frames(total)
    silent = energy <= energy.max() * 10 ** (SILENT_DB / 10)
    middle = (np.arange(len(total)) + 0.5) / len(total)
    present = np.zeros((len(total), len(LABELS)), np.float32)
    loudest = np.zeros_like(present)
    for layer, sound in zip(layers, sounds, strict=True):
        for column, label in enumerate(LABELS):
            if label in layer.labels:
                begun, over = layer.start + layer.fade_in / 2, layer.end - layer.fade_out / 2
                present[(begun <= middle) & (middle < over), column] = 1.0
                np.maximum(loudest[:, column], of_frames(sound), out=loudest[:, column])
    audible = around(loudest) >= around(energy[:, None]) * 10 ** (-AUDIBLE_DB / 10)
    told = (audible & ~silent[:, None]) | (present == 0)
    return Mixture(total, np.where(told, present, np.float32(UNHEARD)))


def around(energies: Samples) -> Samples:
    """Return the loudest frame within `AROUND` of each, along the first axis."""
    loudest = np.pad(energies, ((AROUND, AROUND), (0, 0)))
    reached, wanted = 1, 2 * AROUND + 1
    while reached < wanted:
        further = min(reached, wanted - reached)
        loudest = np.maximum(loudest[:-further], loudest[further:])
        reached += further
    return loudest


def levelled(power: Power) -> Power:
    """Bring the mean energy of the louder half of the frames to 1, so that pauses don't count."""
    energy = of_frames(power)
    half = len(energy) // 2
    loud = np.partition(energy, half)[half:].mean()
    return power * np.float32(1 / (loud + 1e-12))


def quieter(layer: Layer, decibels: float) -> Layer:
    """Return the layer that much quieter."""
    return replace(layer, power=layer.power * np.float32(10 ** (-decibels / 10)))


def ducked(record: Power, voice: Power, depth_db: float) -> Power:
    """Turn the record down while the voice is heard, as a desk does, within half a second."""
    energy = of_frames(voice)
    held = around((energy > 0.05 * energy.max()).astype(np.float32)[:, None])[:, 0]
    ramp = np.convolve(held, np.full(11, 1 / 11), mode="same")
    return record * (10 ** (-depth_db * ramp / 10)).astype(np.float32)[:, None]
