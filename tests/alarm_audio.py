"""Audio that is made up to be wrong in one way, and what a watch says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.readings import Reading
from rtclassify.alarms.watch import Watch
from rtclassify.events import Alarm, Loudness
from rtclassify.sources import Tap
from rtclassify.sources.convert import Converter
from rtclassify.stream import AudioBlock, Samples
from rtclassify.testing import ManualClock

RATE, STEP = 16_000, 8_000


def sine(level_dbfs: float, seconds: float, hz: float = 1000.0) -> Samples:
    """Return a sine whose peak is at `level_dbfs`, as EBU Tech 3341 gives levels."""
    turns = hz * np.arange(round(seconds * RATE)) / RATE
    return (10 ** (level_dbfs / 20) * np.sin(2 * np.pi * turns)).astype(np.float32)


def noise(level_dbfs: float, seconds: float, seed: int = 0) -> Samples:
    """Return white noise of the given RMS."""
    samples = np.random.default_rng(seed).normal(
        0.0, 10 ** (level_dbfs / 20), round(seconds * RATE)
    )
    return np.asarray(samples, np.float32)


def pink(level_dbfs: float, seconds: float) -> Samples:
    """Return pink noise of the given RMS."""
    spectrum = np.fft.rfft(noise(0.0, seconds))
    samples = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)))
    return np.asarray(samples / samples.std() * 10 ** (level_dbfs / 20), np.float32)


def programme(seconds: float, seed: int = 0) -> Samples:
    """Return something like speech: noise in syllables of changing strength and colour."""
    rng = np.random.default_rng(seed)
    syllables: list[NDArray[np.float64]] = []
    while sum(len(syllable) for syllable in syllables) < seconds * RATE:
        length = int(rng.integers(1_500, 6_000))
        colour = rng.normal(0.0, 1.0, int(rng.integers(2, 30)))
        syllable = np.convolve(rng.normal(0.0, 1.0, length), colour, "same") * np.hanning(length)
        syllables.append(10 ** rng.uniform(-2.0, -0.9) * syllable / np.abs(syllable).max())
    return np.concatenate(syllables)[: round(seconds * RATE)].astype(np.float32)


def stereo(left: Samples, right: Samples | None = None) -> Samples:
    """Return frames of two legs, alike unless given."""
    return np.stack([left, left if right is None else right], axis=1)


def blocks(frames: Samples, *, length: int = STEP) -> list[AudioBlock]:
    """Return what a source at the pipeline's rate makes of frames, shape (n, inputs)."""
    convert = Converter(
        [Tap("a", ())], source="test", inputs=frames.shape[1], rate_in=RATE, rate=RATE, legs=True
    )
    pieces = range(0, len(frames), length)
    items = [item for at in pieces for item in convert.push(at, frames[at : at + length], None)]
    return [item for item in items if isinstance(item, AudioBlock)]


def watch(settings: AlarmSettings | None = None) -> Watch:
    """Return the watch over a channel that is called a."""
    return Watch({"a": settings or AlarmSettings()}, rate=RATE, utc=ManualClock().utc)


def judged(watching: Watch, block: AudioBlock) -> Iterator[tuple[Reading, list[Alarm]]]:
    """Yield each reading that a block completes, and what is made of it."""
    for reading in watching.measure([block])[0]:
        yield reading, watching["a"].judge(reading)


def heard(frames: Samples, watching: Watch | None = None) -> tuple[list[Alarm], list[Loudness]]:
    """Return the alarms that audio raises and clears, and its loudness each half second."""
    watching = watching or watch()
    alarms: list[Alarm] = []
    loudness = []
    for block in blocks(frames):
        for _, of_reading in judged(watching, block):
            alarms += of_reading
            loudness += watching.loudness
    return alarms, loudness


def said(alarms: Sequence[Alarm]) -> list[tuple[str, bool, float]]:
    """Return kind, whether it is raised, and since when in seconds."""
    return [(alarm.kind, alarm.raised, alarm.since / RATE) for alarm in alarms]
