"""Pieces that are made up: a few parts that play notes over a beat, each with a timbre of its own.

Recorded pieces are few, and each has its style. A network that knows nothing else takes a drum
machine for noise, a gliding synthesizer for a voice, and one instrument alone for either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Samples
from rtclassify.training.instruments import Beat, Note, any_timbre, drummed, unit, voiced
from rtclassify.training.shaping import happens, roomy

BPM, STEPS = (70.0, 180.0), 16
"""Beats a minute; steps of a quarter of a beat in a bar."""
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 3, 5, 7, 10))
TONIC_HZ = (55.0, 110.0)
PARTS_ODDS = {"chords": 0.55, "bass": 0.55, "melody": 0.6, "arpeggio": 0.3, "drone": 0.12}
DRUMS_ODDS, ROOM_ODDS, DRIVE_ODDS, ECHO_ODDS = 0.55, 0.4, 0.25, 0.3
LEVEL_DB, DRUMS_DB, DRUM_DB = (-12.0, 0.0), (-14.0, 2.0), (-12.0, 0.0)

Spans = list[tuple[float, float]]


def played(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Return a piece of music of unit RMS, shape (samples,), in any style.

    Args:
        samples: At least a bar, which takes up to three and a half seconds.
        rate: Samples per second.
        rng: Style, notes and timbres are drawn from it.
    """
    beat = Beat(samples, rate * 15 / rng.uniform(*BPM), rate)
    piece = np.zeros(samples, np.float32)
    tonic_hz = rng.uniform(*TONIC_HZ)
    scale = SCALES[rng.integers(len(SCALES))]
    harmony = Harmony(scale, rng.integers(0, len(scale), 4))
    chosen = [name for name, odds in PARTS_ODDS.items() if happens(rng, odds)]
    for name in chosen:
        timbre, gain = any_timbre(rng), _gain(LEVEL_DB, rng)
        for notes in PARTS[name](harmony, beat.steps, rng):
            piece += gain * unit(voiced(notes, timbre, beat, tonic_hz, rng))
    if not chosen or happens(rng, DRUMS_ODDS):
        piece += _gain(DRUMS_DB, rng) * unit(_drums(beat, rng))
    return unit(_finished(piece, beat, rng))


def _finished(piece: Samples, beat: Beat, rng: np.random.Generator) -> Samples:
    """Overdrive it, let it echo in time, put it into a room."""
    if happens(rng, DRIVE_ODDS):
        piece = np.tanh(rng.uniform(1.0, 8.0) * unit(piece)).astype(np.float32)
    if happens(rng, ECHO_ODDS):
        later, kept = int(beat.step * rng.choice([2, 3, 4])), np.float32(rng.uniform(0.2, 0.6))
        for start in range(later, len(piece), later):
            left = len(piece) - start
            piece[start : start + later] += kept * piece[start - later : start][:left]
    return roomy(piece, beat.rate, rng) if happens(rng, ROOM_ODDS) else piece


@dataclass(frozen=True, slots=True, eq=False)
class Harmony:
    """A scale, in semitones within an octave, and the degrees of it that chords stand on."""

    scale: tuple[int, ...]
    roots: NDArray[np.int_]

    def semitones(self, degree: int) -> int:
        """Return how far a degree of the scale, of any octave, is above the tonic."""
        octave, tone = divmod(int(degree), len(self.scale))
        return 12 * octave + self.scale[tone]

    def root(self, step: float, each: int = STEPS) -> int:
        """Return the chord at a step, where each lasts so many."""
        return int(self.roots[int(step / each) % len(self.roots)])


def _rhythm(steps: float, rng: np.random.Generator) -> Spans:
    """Return where notes begin and end: a bar's pattern, over and over."""
    density = rng.uniform(0.15, 0.8)
    pattern = rng.random(STEPS) < density * np.tile([1.0, 0.4, 0.8, 0.4], STEPS // 4)
    pattern[0] |= not pattern.any()
    starts = [at for at in range(int(steps) + 1) if pattern[at % STEPS]]
    held = rng.uniform(0.4, 1.0)
    ends = [*starts[1:], steps + 1]
    return [(start, start + held * (end - start)) for start, end in zip(starts, ends, strict=True)]


def _even(steps: float, each: int) -> Spans:
    return [(float(at), float(at + each)) for at in range(0, int(steps) + 1, each)]


def _octave(rng: np.random.Generator) -> int:
    return 12 * int(rng.integers(1, 4))


Part = Callable[[Harmony, float, np.random.Generator], list[list[Note]]]
"""Writes a part: takes the harmony and how many steps there are, returns its voices' notes."""


def _chords(harmony: Harmony, steps: float, rng: np.random.Generator) -> list[list[Note]]:
    each, octave = int(rng.choice([8, 16, 32])), _octave(rng)
    spans = _rhythm(steps, rng) if happens(rng, 0.5) else _even(steps, each)
    return [
        [Note(a, b, octave + harmony.semitones(harmony.root(a, each) + above)) for a, b in spans]
        for above in (0, 2, 4)[: int(rng.integers(2, 4))]
    ]


def _bass(harmony: Harmony, steps: float, rng: np.random.Generator) -> list[list[Note]]:
    leaps = rng.choice([0, 0, 0, len(harmony.scale), 4], STEPS)
    return [
        [
            Note(a, b, harmony.semitones(harmony.root(a) + int(leaps[int(a) % STEPS])))
            for a, b in _rhythm(steps, rng)
        ]
    ]


def _melody(harmony: Harmony, steps: float, rng: np.random.Generator) -> list[list[Note]]:
    spans, octave = _rhythm(steps, rng), _octave(rng)
    walk = np.cumsum(np.round(rng.normal(0, 1.5, len(spans)))) % (2 * len(harmony.scale))
    repeated = len(spans) // int(rng.integers(1, 5)) or 1
    return [
        [
            Note(a, b, octave + harmony.semitones(int(walk[index % repeated])))
            for index, (a, b) in enumerate(spans)
        ]
    ]


def _arpeggio(harmony: Harmony, steps: float, rng: np.random.Generator) -> list[list[Note]]:
    each, octave = int(rng.choice([1, 2])), _octave(rng)
    tones = rng.choice([0, 2, 4, len(harmony.scale)], int(rng.integers(3, 9)))
    return [
        [
            Note(a, b, octave + harmony.semitones(harmony.root(a) + int(tones[index % len(tones)])))
            for index, (a, b) in enumerate(_even(steps, each))
        ]
    ]


def _drone(harmony: Harmony, steps: float, rng: np.random.Generator) -> list[list[Note]]:
    root = harmony.semitones(harmony.root(0.0))
    octaves = rng.integers(0, 3, 3)
    return [
        [Note(0.0, steps + 1, root + above + 12 * int(octave))]
        for above, octave in zip((0, 4, 7), octaves, strict=True)
    ]


PARTS: dict[str, Part] = {
    "chords": _chords,
    "bass": _bass,
    "melody": _melody,
    "arpeggio": _arpeggio,
    "drone": _drone,
}


def _drums(beat: Beat, rng: np.random.Generator) -> Samples:
    """Play up to five drums, each a pattern of its own."""
    length = STEPS * int(rng.choice([1, 1, 2]))
    accents = np.tile([1.0, 0.25, 0.6, 0.25], length // 4)
    audio = np.zeros(beat.samples, np.float32)
    for _ in range(rng.integers(1, 6)):
        struck = rng.random(length) < rng.uniform(0.1, 0.9) * accents
        struck[0] |= not struck.any()
        audio += _gain(DRUM_DB, rng) * drummed(struck * rng.uniform(0.4, 1, length), beat, rng)
    return audio


def _gain(range_db: tuple[float, float], rng: np.random.Generator) -> np.float32:
    return np.float32(10 ** (rng.uniform(*range_db) / 20))
