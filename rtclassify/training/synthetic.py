"""Noise that is made, not recorded: it is neither speech nor music.

Each maker returns `samples` at roughly unit RMS; the caller sets the level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtclassify.stream import Samples
from rtclassify.training.shaping import Hertz, happens, shaped, white

Maker = Callable[[int, int, np.random.Generator], Samples]


def coloured(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Noise whose spectrum falls or rises, with a band that stands out now and then."""
    slope = rng.uniform(-0.3, 2.0) / 2
    centre = np.exp(rng.uniform(np.log(80), np.log(rate / 2.5)))
    width, flat = rng.uniform(0.1, 1.5), rng.choice([0.02, 1.0])

    def curve(hz: Hertz) -> Hertz:
        peak = np.exp(-0.5 * (np.log(hz / centre) / width) ** 2)
        return (hz + 20.0) ** -slope * (flat + peak)

    return shaped(white(samples, rng), rate, curve)


def gusts(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Coloured noise whose level wanders: wind, surf, passing cars, static."""
    points = rng.integers(3, 40)
    level_db = np.interp(
        np.linspace(0, points - 1, samples), np.arange(points), rng.uniform(-25, 0, points)
    )
    return coloured(samples, rate, rng) * (10 ** (level_db / 20)).astype(np.float32)


def hum(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Mains or a motor: harmonics of a low note that hardly moves, in noise."""
    time = np.arange(samples, dtype=np.float32) / rate
    base = rng.choice([50.0, 60.0, rng.uniform(25.0, 180.0)])
    wobble = rng.uniform(0, 0.02) * np.sin(2 * np.pi * rng.uniform(0.1, 3.0) * time)
    phase = 2 * np.pi * base * (time + wobble / 10)
    audio = np.zeros(samples, np.float32)
    for harmonic in range(1, int(rng.integers(2, 12))):
        audio += rng.uniform(0, 1) / harmonic * np.sin(harmonic * phase + rng.uniform(0, 6))
    return audio + rng.uniform(0.02, 0.6) * _unit(coloured(samples, rate, rng))


def lines(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """The steady whine of screens, fans and converters: a few lines that do not move, in noise."""
    time = np.arange(samples, dtype=np.float32) / rate
    audio = rng.uniform(0.1, 3.0) * _unit(coloured(samples, rate, rng))
    for _ in range(rng.integers(1, 7)):
        hz = np.exp(rng.uniform(np.log(50.0), np.log(rate / 2.1)))
        audio += rng.uniform(0.05, 1.0) * np.sin(2 * np.pi * hz * time + rng.uniform(0, 6))
    return audio


def beeps(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Test tones, dial tones, sirens and sweeps."""
    time = np.arange(samples, dtype=np.float32) / rate
    low, high = np.exp(rng.uniform(np.log(150), np.log(rate / 3), 2))
    move = rng.choice([0.0, 0.5, 1.0])
    turn = (1 + np.sin(2 * np.pi * rng.uniform(0.1, 4.0) * time)) / 2
    audio = np.sin(2 * np.pi * np.cumsum(low + move * (high - low) * turn) / rate)
    if happens(rng, 0.5):
        audio *= np.sin(2 * np.pi * rng.uniform(0.3, 4.0) * time) > rng.uniform(-0.6, 0.6)
    return (audio + 0.01 * white(samples, rng)).astype(np.float32)


def impulses(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Clicks from a few to thousands a second: steps, crackle, rain, applause."""
    per_s = np.exp(rng.uniform(np.log(1.0), np.log(3000.0)))
    audio = np.zeros(samples, np.float32)
    at = rng.integers(0, samples, max(1, int(per_s * samples / rate)))
    audio[at] = rng.standard_normal(len(at)) * rng.uniform(0.2, 1.0, len(at)) ** 2
    decay = int(rate * np.exp(rng.uniform(np.log(0.001), np.log(0.06))))
    ring = rng.standard_normal(4 * decay) * np.exp(-np.arange(4 * decay) / decay)
    size = samples + len(ring)
    rung = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(ring.astype(np.float32), size), size)
    return rung[:samples].astype(np.float32) + 0.003 * white(samples, rng)


def calls(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Birds, barks, cries, zaps, squeaks: short gliding sounds in no scale and no metre."""
    audio = (10 ** rng.uniform(-3.5, -1.0) * _unit(coloured(samples, rate, rng))).astype(np.float32)
    middle_hz, span = np.exp(rng.uniform(np.log(120), np.log(rate / 4))), rng.uniform(0.1, 2.0)
    longest_s, gap_s = np.exp(rng.uniform(np.log(0.04), np.log(0.9))), rng.uniform(0.02, 1.5)
    rough, partials = rng.choice([0.0, rng.uniform(0, 1)]), int(rng.integers(1, 9))
    fall, at = rng.uniform(0.5, 2.0), int(rng.uniform(0, gap_s) * rate)
    while at < samples:
        length = max(32, int(longest_s * rng.uniform(0.3, 1.0) * rate))
        place = np.linspace(0, 1, length)
        bends = rng.uniform(-span, span, 4)
        hz = middle_hz * 2 ** np.interp(place, np.linspace(0, 1, 4), bends)
        phase = 2 * np.pi * np.cumsum(np.minimum(hz, rate / 2.2)) / rate
        tone = sum(
            np.sin(order * phase) * (order * hz < rate / 2.1) / order**fall
            for order in range(1, partials + 1)
        )
        sound = (1 - rough) * tone + rough * white(length, rng)
        shape = np.minimum(1, place / rng.uniform(0.01, 0.5)) * (1 - place) ** rng.uniform(0.3, 3)
        end = min(samples, at + length)
        audio[at:end] += (rng.uniform(0.2, 1) * sound * shape)[: end - at].astype(np.float32)
        at = end + int(rng.exponential(gap_s) * rate)
    return audio


def blows(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Doors, shots, thunder, steps, things that fall: bursts, each with a colour of its own."""
    audio = (10 ** rng.uniform(-3.5, -1.0) * _unit(coloured(samples, rate, rng))).astype(np.float32)
    at, gap_s = 0, np.exp(rng.uniform(np.log(0.1), np.log(3.0)))
    decays_s = np.sort(np.exp(rng.uniform(np.log(0.01), np.log(2.0), 2)))
    while at < samples:
        decay_s = rng.uniform(*decays_s)
        length = min(samples - at, int(4 * decay_s * rate) + 16)
        fades = np.exp(-np.arange(length) / (decay_s * rate))
        burst = _unit(coloured(max(length, 256), rate, rng))[:length] * fades
        audio[at : at + length] += (rng.uniform(0.2, 1) * burst).astype(np.float32)
        at += int(rng.exponential(gap_s) * rate) + 1
    return audio


MAKERS: tuple[Maker, ...] = (coloured, gusts, hum, lines, beeps, impulses, calls, blows)
ODDS = (0.17, 0.18, 0.11, 0.08, 0.08, 0.17, 0.1, 0.11)
BEDS: tuple[Maker, ...] = (hum, lines, coloured)


def make(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Make noise of a kind drawn at random."""
    maker = MAKERS[rng.choice(len(MAKERS), p=ODDS)]
    return _unit(maker(samples, rate, rng))


def bed(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Make what lies under a recording from end to end: hum, whine or hiss."""
    return _unit(BEDS[rng.integers(len(BEDS))](samples, rate, rng))


def _unit(audio: Samples) -> Samples:
    return audio / (np.sqrt(np.mean(np.square(audio))) + 1e-9).astype(np.float32)
