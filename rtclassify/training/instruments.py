"""How the notes of a made-up piece sound: timbres, the voices that play them, drums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Samples
from rtclassify.training.shaping import happens, shaped, white

Curve = NDArray[np.floating]
"""A value for each sample of a piece, or for each step of a pattern."""

PARTIALS, HIGHEST = (1, 20), 0.45
"""How many partials a timbre has, and the share of the rate below which they lie."""
LATE_S, DRUM_LATE_S = 0.004, 0.003
"""How far from the beat people play."""
RELEASE_S = 0.02


@dataclass(frozen=True, slots=True)
class Note:
    """A note between two steps, fractions allowed, in semitones above the tonic."""

    start: float
    end: float
    pitch: int


@dataclass(frozen=True, slots=True)
class Beat:
    """The time of a piece.

    Args:
        samples: In all.
        step: Samples in a step, of which four make a beat.
        rate: Samples per second.
    """

    samples: int
    step: float
    rate: int

    @property
    def steps(self) -> float:
        """How many there are."""
        return self.samples / self.step


@dataclass(frozen=True, slots=True, eq=False)
class Timbre:
    """How a part sounds.

    Args:
        ratios: Of its partials' frequencies to the note's.
        levels: Of its partials.
        attack_s: How long a note takes to come.
        decay_s: How long it takes to fall to a third, while it is held.
        damping: How much faster the upper partials fall than the lowest.
        glide_s: How long the pitch takes from one note to the next.
        vibrato: Its depth in semitones.
        sweep: How far, in octaves, a filter opens and closes; 0 for no filter.
        bend: How strongly the phase is bent by a second wave, as in FM.
    """

    ratios: NDArray[np.float64]
    levels: NDArray[np.float64]
    attack_s: float
    decay_s: float
    damping: float
    glide_s: float
    vibrato: float
    sweep: float
    bend: float


def any_timbre(rng: np.random.Generator) -> Timbre:
    """Draw one: struck or held, harmonic or not, steady or gliding, filtered or bent."""
    count = int(rng.integers(*PARTIALS))
    order = np.arange(1, count + 1, dtype=np.float64)
    if happens(rng, 0.25):  # clarinets, square waves
        order = 2 * order - 1
    ratios = order * np.sqrt(1 + rng.choice([0.0, 0.0, 4e-4, 2e-3]) * order**2)
    if happens(rng, 0.1):  # bells, bars, gongs
        ratios = np.sort(np.append(1.0, rng.uniform(1.2, 12.0, count - 1)))
    levels = order ** -rng.uniform(0.3, 2.0) * rng.uniform(0.3, 1.0, count)
    struck = happens(rng, 0.5)
    return Timbre(
        ratios,
        levels,
        attack_s=rng.uniform(0.001, 0.01) if struck else rng.uniform(0.01, 0.2),
        decay_s=np.exp(rng.uniform(np.log(0.08), np.log(2.0))) if struck else 30.0,
        damping=rng.uniform(0.0, 0.6) if struck else 0.0,
        glide_s=rng.choice([0.002, rng.uniform(0.02, 0.15)], p=[0.75, 0.25]),
        vibrato=rng.uniform(0.1, 0.8) * happens(rng, 0.25),
        sweep=rng.uniform(1.0, 5.0) * happens(rng, 0.35),
        bend=rng.uniform(0.3, 4.0) * happens(rng, 0.2),
    )


def voiced(
    notes: Sequence[Note], timbre: Timbre, beat: Beat, tonic_hz: float, rng: np.random.Generator
) -> Samples:
    """Play notes one after the other; one that begins ends the one before."""
    at, rate = np.arange(beat.samples), beat.rate
    starts = np.array([note.start for note in notes]) * beat.step
    starts += rng.normal(0, LATE_S, len(notes)) * rate
    starts = np.maximum.accumulate(np.maximum(starts, 0)).astype(int)
    now = np.maximum(np.searchsorted(starts, at, side="right") - 1, 0)
    since = np.maximum((at - starts[now]) / rate, 0).astype(np.float32)
    left = (np.array([note.end for note in notes])[now] * beat.step - at) / rate
    loud = rng.uniform(0.5, 1.0, len(notes))[now] * (at >= starts[0])
    rise, fall = np.clip(since / timbre.attack_s, 0, 1), np.clip(left / RELEASE_S, 0, 1)
    pitch = _eased(np.array([note.pitch for note in notes])[now], int(timbre.glide_s * rate))
    turning = np.sin(2 * np.pi * rng.uniform(4, 7) * at / rate)
    pitch += timbre.vibrato * turning * np.clip(since / 0.4, 0, 1)
    hz = tonic_hz * 2 ** (pitch / 12)
    tone = _tone(hz, since, timbre, rate, rng)
    return tone * (rise * fall * loud * np.exp(-since / timbre.decay_s)).astype(np.float32)


def _tone(hz: Curve, since: Curve, timbre: Timbre, rate: int, rng: np.random.Generator) -> Samples:
    """Add up the partials that lie low enough."""
    phase = 2 * np.pi * np.cumsum(hz) / rate
    if timbre.bend:
        second = np.sin(phase * rng.choice([0.5, 1, 2, 3.5]))
        phase = phase + timbre.bend * np.exp(-2 * since) * second
    opened = _opened(timbre, since, rate, rng)
    tone = np.zeros(len(hz), np.float32)
    for ratio, level in zip(timbre.ratios, timbre.levels, strict=True):
        if ratio * hz.max() < HIGHEST * rate:
            gain = level * np.exp(-timbre.damping * (ratio - 1) * since)
            if timbre.sweep:
                gain /= 1 + (ratio / opened) ** 4
            tone += (gain * np.sin(ratio * phase)).astype(np.float32)
    return tone


def _opened(timbre: Timbre, since: Curve, rate: int, rng: np.random.Generator) -> Curve:
    """Return up to which partial a filter lets through: it follows each note, or a slow wave."""
    if happens(rng, 0.5):
        moved = np.exp(-since / rng.uniform(0.05, 0.5))
    else:
        time_s = np.arange(len(since)) / rate
        moved = (1 + np.sin(2 * np.pi * rng.uniform(0.1, 3.0) * time_s)) / 2
    return np.asarray(rng.uniform(1.0, 3.0) * 2 ** (timbre.sweep * moved), np.float32)


def _eased(values: NDArray[np.int_], width: int) -> NDArray[np.float64]:
    """Round off steps by a mean over `width` samples."""
    width = max(1, width)
    sums = np.cumsum(np.pad(values.astype(np.float64), (width, 0), mode="edge"))
    return np.asarray((sums[width:] - sums[:-width]) / width)


def drummed(pattern: Curve, beat: Beat, rng: np.random.Generator) -> Samples:
    """Play one drum, drawn at random, as loud as `pattern` says of each step, over and over."""
    hit = drum(beat.rate, rng)
    audio = np.zeros(beat.samples, np.float32)
    for number in range(int(beat.steps) + 1):
        start = int(number * beat.step + max(0, rng.normal(0, DRUM_LATE_S)) * beat.rate)
        loud = np.float32(pattern[number % len(pattern)])
        if loud and start < beat.samples:
            audio[start : start + len(hit)] += loud * hit[: beat.samples - start]
    return audio


def drum(rate: int, rng: np.random.Generator) -> Samples:
    """Make one hit: a falling tone, a burst of noise, or both."""
    decay_s = np.exp(rng.uniform(np.log(0.012), np.log(0.2)))
    time_s = np.arange(int(4 * decay_s * rate), dtype=np.float32) / rate
    low_hz, high_hz = np.sort(np.exp(rng.uniform(np.log(45), np.log(700), 2)))
    falling = low_hz + (high_hz - low_hz) * np.exp(-time_s / rng.uniform(0.01, 0.08))
    tone = np.sin(2 * np.pi * np.cumsum(falling) / rate)
    above_hz = np.exp(rng.uniform(np.log(100), np.log(rate / 3)))
    burst = unit(shaped(white(len(time_s), rng), rate, lambda hz: 1 / (1 + (above_hz / hz) ** 4)))
    share = rng.choice([0.0, 1.0, rng.uniform(0, 1)])
    hit = (share * tone + (1 - share) * burst) * np.exp(-time_s / decay_s)
    return np.asarray(hit, np.float32)


def unit(audio: Samples) -> Samples:
    """Bring audio to unit RMS; silence stays silent."""
    return audio / (np.sqrt(np.mean(np.square(audio))) + 1e-9).astype(np.float32)
