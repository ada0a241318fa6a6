"""What is measured of audio, once for all alarms: twice a second, of many channels at once.

One spectrum a step serves the loudness filter, the tone and the hiss.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from rtclassify.alarms.loop import LoopFinders
from rtclassify.alarms.loudness import CELL_S, STEP_CELLS, Energies, LoudnessMeters, k_weighting
from rtclassify.alarms.steps import Step, Stepper
from rtclassify.clock import Line
from rtclassify.events import Loudness
from rtclassify.labels import DITHERED_ZERO
from rtclassify.overlap import Numbers
from rtclassify.rounds import rounds
from rtclassify.stream import AudioBlock, Legs, Samples

Spectra = NDArray[np.complexfloating]
Figures = NDArray[np.float64]
"""Shape (channels,) or (channels, figures); not a number where a figure means nothing."""

FIGURES = (
    "digital-silence", "silence", "clipping", "leg-missing", "out-of-phase", "test-tone", "hiss",
)  # fmt: skip
"""The kinds of alarms that judge a step by a figure, in the order of `Reading.figures`."""

BATCH = 32
"""Channels whose spectra are computed at once: about what a core has at hand."""

CLIPPED_STEPS = 20
"""Only what is loud clips, so clipping comes and goes with every syllable."""

TONE_HZ = 28.0
"""Half the width that a steady tone fills in the spectrum of a step that begins and ends hard."""

SAME_TONE_HZ = 4.0
LOWEST_TONE_HZ = 20.0
BANDS, LOWEST_BAND_HZ, HIGHEST_BAND = 12, 150.0, 0.45
TONAL, SMOOTH = 0.5, 0.75
"""What one peak dominates, and what is smoother than noise can be, a click or a hum, is no hiss."""

STEADY_DB = 1.5
"""How much bands of noise change from step to step, at most; speech and music change by more."""

AUDIBLE = 1e-6
"""Mean square; below, neither tone nor noise nor legs are judged."""

CANCELLED = 1e-3
"""The mix of legs that cancel each other holds less of their energy and cannot stand for them."""

NO_PAIR = (np.nan, np.nan, np.nan)


class Reading(NamedTuple):
    """What one step of one channel is.

    Args:
        start: First sample.
        end: The index after the last one.
        line: Dates samples; None for recordings.
        figures: Those of `FIGURES`, not a number where they mean nothing. Whether it is digital
            zero, dither allowed, 0 or 1; RMS in dBFS, of the legs where they are known; percent of
            the last ten seconds that stand still at full scale; dB by which one leg is below the
            other; correlation of the two legs, -1 to 1; share of the energy in one steady tone, 0
            to 1; flatness of the spectrum, 0 for tones to 0.56 for noise. The last two are 0 if
            they change or it is quiet.
        tone_hz: Frequency of the tone.
        likeness: To what was heard before, up to 1; not a number if that was not looked for.
        period_s: How long ago that was.
    """

    start: int
    end: int
    line: Line | None
    figures: Sequence[float]
    tone_hz: float
    likeness: float
    period_s: float


class Meters:
    """Measure many channels' audio.

    Owned by one thread.

    Args:
        channels: Their names.
        rate: Samples per second, at least 8,000.
    """

    def __init__(self, channels: Sequence[str], rate: int) -> None:
        count, self._cell = len(channels), round(rate * CELL_S)
        self._step = self._cell * STEP_CELLS
        self._response = _response(rate, self._step)
        self._tail = 2 * (len(self._response) - 1) - self._step
        self._bin_hz = rate / (self._tail + self._step)
        edges = np.geomspace(LOWEST_BAND_HZ, HIGHEST_BAND * rate, BANDS + 1) / self._bin_hz
        self._edges = edges.astype(int)
        self._widths = np.diff(self._edges)
        self._numbers = {name: number for number, name in enumerate(channels)}
        self._steppers = [Stepper(step=self._step, tail=self._tail) for _ in channels]
        self._loudness = LoudnessMeters(count, cell=self._cell)
        self._loops = LoopFinders(count)
        self._clipped = np.full((count, CLIPPED_STEPS), np.nan)
        self._tones_hz = np.zeros(count)
        self._bands = np.full((count, BANDS), np.nan, np.float32)

    @property
    def loudness(self) -> list[Loudness]:
        """How loud each channel is."""
        return self._loudness.values

    def push(self, blocks: Sequence[AudioBlock]) -> list[list[Reading]]:
        """Take the next blocks of any channels; return the readings that each of them completes.

        A block that is not contiguous with its channel's one before begins anew.
        """
        steps: list[Step] = []
        numbers: list[int] = []
        counts: list[int] = []
        for block in blocks:
            number = self._numbers[block.channel]
            mine = self._steppers[number].push(block)
            steps += mine
            numbers += [number] * len(mine)
            counts.append(len(mine))
        readings: list[Reading | None] = [None] * len(steps)
        for places in rounds(numbers):
            for first in range(0, len(places), BATCH):
                batch = places[first : first + BATCH]
                read = self._read(np.array(numbers)[batch], [steps[place] for place in batch])
                for place, reading in zip(batch, read, strict=True):
                    readings[place] = reading
        told = iter(reading for reading in readings if reading is not None)
        return [[next(told) for _ in range(count)] for count in counts]

    def _read(self, channels: Numbers, steps: Sequence[Step]) -> list[Reading]:
        """Read a step of each of some distinct channels."""
        self._forget(channels[[step.fresh for step in steps]])
        audio = np.stack([step.audio for step in steps])
        heard = audio[:, self._tail :]
        square = np.einsum("ij,ij->i", heard, heard) / self._step
        means, greatest = _squares([step.legs for step in steps], square.tolist())
        peak = np.maximum(np.maximum(heard.max(axis=1), -heard.min(axis=1)), np.sqrt(greatest))
        zero = peak <= DITHERED_ZERO
        pairs = np.array([_pair(step.legs) for step in steps])
        spectra = scipy.fft.rfft(audio)
        cells = self._weighted(spectra)
        cells = np.where(zero[:, np.newaxis], 0.0, _of_both_legs(cells, pairs))
        tone, flatness = self._colours(channels, spectra, ~zero & (square > AUDIBLE))
        starts = np.array([step.start for step in steps])
        self._loudness.add(channels, starts, cells)
        likeness, period_s = self._loops.add(channels, cells)
        pairs[greatest <= AUDIBLE] = np.nan
        figures = np.stack(
            [
                zero, np.where(zero, np.nan, _decibels(means)), self._clipping(channels, steps),
                _balance_db(pairs), _correlation(pairs), tone, flatness,
            ],
            axis=1,
        )  # fmt: skip
        said = (figures, self._tones_hz[channels], likeness, period_s)
        return [
            Reading(step.start, step.start + self._step, step.line, *of_one)
            for step, *of_one in zip(steps, *(each.tolist() for each in said), strict=True)
        ]

    def _forget(self, channels: Numbers) -> None:
        """Forget what came before: what follows is not contiguous with it."""
        if len(channels):
            self._loudness.restart(channels)
            self._loops.restart(channels)
            self._clipped[channels] = np.nan
            self._tones_hz[channels] = 0.0
            self._bands[channels] = np.nan

    def _weighted(self, spectra: Spectra) -> Energies:
        """Return the K-weighted energies of each step's cells."""
        weighted = scipy.fft.irfft(spectra * self._response, self._tail + self._step)
        cells = weighted[:, self._tail :].reshape(-1, STEP_CELLS, self._cell)
        return np.asarray(np.einsum("nij,nij->ni", cells, cells), np.float64) / self._cell

    def _colours(
        self, channels: Numbers, spectra: Spectra, audible: NDArray[np.bool_]
    ) -> tuple[Figures, Figures]:
        """Return how much of each step is one steady tone, and how flat its spectrum is."""
        power = np.asarray(spectra.real**2 + spectra.imag**2, np.float32)
        power[:, : int(LOWEST_TONE_HZ / self._bin_hz)] = 0.0
        peaks, width = power.argmax(axis=1), int(TONE_HZ / self._bin_hz)
        total = power.sum(axis=1)
        near = peaks[:, np.newaxis] + np.arange(-width, width + 1)
        within = (near >= 0) & (near < power.shape[1])
        at_peak = np.take_along_axis(power, np.where(within, near, 0), axis=1)
        share = np.where(within, at_peak, 0.0).sum(axis=1) / np.maximum(total, 1e-30)
        tones_hz = peaks * self._bin_hz
        steady = np.abs(tones_hz - self._tones_hz[channels]) < SAME_TONE_HZ
        bands, flatness = self._flatness(power)
        change = np.abs(np.log10(bands / self._bands[channels])).sum(axis=1) * 10
        is_noise = (change <= STEADY_DB * BANDS) & (share < TONAL) & (flatness < SMOOTH)
        heard = channels[audible]
        self._tones_hz[heard], self._bands[heard] = tones_hz[audible], bands[audible]
        return np.where(audible & steady, share, 0.0), np.where(audible & is_noise, flatness, 0.0)

    def _flatness(self, power: Samples) -> tuple[Samples, Figures]:
        """Return the mean power of each spectrum's bands, and the median of their flatness."""
        first, last = self._edges[0], self._edges[-1]
        within, edges = power[:, first:last] + np.float32(1e-12), self._edges[:-1] - first
        bands = np.asarray(np.add.reduceat(within, edges, axis=1) / self._widths, np.float32)
        geometric = np.exp(np.add.reduceat(np.log(within), edges, axis=1) / self._widths)
        return bands, np.sort(geometric / bands, axis=1)[:, BANDS // 2]

    def _clipping(self, channels: Numbers, steps: Sequence[Step]) -> Figures:
        """Return how much of the last steps, of which the inputs are known, is clipped."""
        known = [place for place, step in enumerate(steps) if step.legs]
        percent = np.full(len(steps), np.nan)
        if known:
            mine = channels[known]
            self._clipped[mine, :-1] = self._clipped[mine, 1:]
            self._clipped[mine, -1] = [legs.clipped for step in steps if (legs := step.legs)]
            percent[known] = 100.0 * np.nanmean(self._clipped[mine], axis=1)
        return percent


@functools.cache
def _response(rate: int, step: int) -> Spectra:
    """Return the K-weighting's spectrum, for steps that follow a tail of an even total."""
    response = k_weighting(rate)
    size = len(response) + step
    return np.asarray(scipy.fft.rfft(response, size + size % 2))


def _squares(legs: Sequence[Legs | None], mixed: Sequence[float]) -> tuple[Figures, Figures]:
    """Return mean and greatest of the inputs' mean squares; of the mix where they are unknown."""
    squares = [each.squares if each else (mix,) for each, mix in zip(legs, mixed, strict=True)]
    return np.array([sum(of) / len(of) for of in squares]), np.array([max(of) for of in squares])


def _pair(legs: Legs | None) -> tuple[float, float, float]:
    """Return the mean squares of the two legs and their mean product."""
    return NO_PAIR if legs is None or legs.product is None else (*legs.squares, legs.product)  # type: ignore[return-value]


def _of_both_legs(cells: Energies, pairs: Figures) -> Energies:
    """Scale a mix's energies to the sum of its two legs; those that cancel go unweighted."""
    both = pairs[:, 0] + pairs[:, 1]
    mixed = (both + 2 * pairs[:, 2]) / 4
    scale = np.divide(both, mixed, out=np.ones_like(both), where=mixed > 0)
    cancel = mixed < CANCELLED * both
    return np.where(cancel[:, np.newaxis], both[:, np.newaxis], cells * scale[:, np.newaxis])


def _balance_db(pairs: Figures) -> Figures:
    quiet, loud = pairs[:, :2].min(axis=1), pairs[:, :2].max(axis=1)
    return np.asarray(10.0 * np.log10(loud / np.maximum(quiet, loud * 1e-12)))


def _correlation(pairs: Figures) -> Figures:
    squares = pairs[:, 0] * pairs[:, 1]
    return np.where(squares > 0, pairs[:, 2] / np.sqrt(np.where(squares > 0, squares, 1.0)), np.nan)


def _decibels(squares: Figures) -> Figures:
    return 10.0 * np.log10(squares, out=np.full(len(squares), np.nan), where=squares > 0)
