"""What is measured of a channel's audio, once for all monitors: twice a second, on a fixed grid.

Steps of half a second start at multiples of their length from sample 0, so how audio is cut into
blocks never shows. One spectrum a step serves the loudness filter, the tone and the hiss.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtclassify.alarms.loudness import CELL_S, STEP_CELLS, Energies, k_weighting
from rtclassify.clock import Line
from rtclassify.labels import DITHERED_ZERO
from rtclassify.stream import AudioBlock, Legs, Samples

Spectrum = NDArray[np.complexfloating]

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


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What one step of audio is; figures are None where they mean nothing.

    Args:
        start: First sample.
        end: The index after the last one.
        line: Dates samples; None for recordings.
        level_dbfs: RMS, of the legs where they are known; None for exact zeros.
        zero: Whether it is digital zero, dither allowed.
        cells: K-weighted energies of cells of 10 ms, summed over legs, shape (STEP_CELLS,).
        tone: Share of the energy in one steady tone, 0 to 1; 0 if its pitch moves or it is quiet.
        tone_hz: Its frequency.
        flatness: Of the spectrum, 0 for tones to 0.56 for noise; 0 if it changes or it is quiet.
        balance_db: How far one leg is below the other.
        correlation: Of the two legs, -1 to 1.
        clipped_percent: Share of the last ten seconds that stands still at full scale.
    """

    start: int
    end: int
    line: Line | None
    level_dbfs: float | None
    zero: bool
    cells: Energies
    tone: float
    tone_hz: float
    flatness: float
    balance_db: float | None
    correlation: float | None
    clipped_percent: float | None


class Meter:
    """Measure one channel's audio.

    Owned by one thread.

    Args:
        rate: Samples per second, at least 8,000.
    """

    def __init__(self, rate: int) -> None:
        self.cell = round(rate * CELL_S)
        self.step = self.cell * STEP_CELLS
        self._response = _response(rate, self.step)
        self._tail = 2 * (len(self._response) - 1) - self.step
        self._bin_hz = rate / (self._tail + self.step)
        edges = np.geomspace(LOWEST_BAND_HZ, HIGHEST_BAND * rate, BANDS + 1) / self._bin_hz
        self._edges = edges.astype(int)
        self._widths = np.diff(self._edges)
        self._begin(0)

    def _begin(self, start: int) -> None:
        self.end = start
        self._start = self._first = -(-start // self.step) * self.step
        self._parts: list[Samples] = [np.zeros(self._tail, np.float32)]
        self._held = 0
        self._legs: list[Legs] = []
        self._clipped: deque[float] = deque(maxlen=CLIPPED_STEPS)
        self._tone_hz = 0.0
        self._bands: NDArray[np.floating] | None = None

    def push(self, block: AudioBlock) -> list[Reading]:
        """Take the next block; return the readings that it completes.

        A block that is not contiguous with the one before begins anew.
        """
        if block.start != self.end:
            self._begin(block.start)
        self._legs += block.legs
        self.end = block.end
        samples = block.samples[max(0, self._first - block.start) :]
        self._parts.append(samples)
        self._held += len(samples)
        if self._held < self.step:
            return []
        audio, readings = np.concatenate(self._parts), []
        while self._held >= self.step:
            readings.append(self._read(audio[: self._tail + self.step], block.line))
            audio = audio[self.step :]
            self._held -= self.step
        self._parts = [audio]
        return readings

    def _read(self, audio: Samples, line: Line | None) -> Reading:
        """Read a step of audio, which the tail of what came before precedes."""
        start, self._start = self._start, self._start + self.step
        heard = audio[self._tail :]
        legs = self._legs_until(self._start)
        square = float(heard @ heard) / self.step
        squares = legs.squares if legs else (square,)
        level_dbfs = _decibels(sum(squares) / len(squares))
        peak = max(float(heard.max()), -float(heard.min()), math.sqrt(max(squares)))
        zero = peak <= DITHERED_ZERO
        cells, tone, flatness = np.zeros(STEP_CELLS), 0.0, 0.0
        if not zero:
            spectrum = np.fft.rfft(audio)
            cells = _of_both_legs(self._weighted(spectrum), legs)
            if square > AUDIBLE:
                tone, flatness = self._colour(spectrum)
        pair = legs if max(squares) > AUDIBLE else None
        return Reading(
            start, self._start, line, level_dbfs, zero, cells, tone, self._tone_hz, flatness,
            _balance_db(pair), _correlation(pair), self._clipped_percent(legs),
        )  # fmt: skip

    def _legs_until(self, end: int) -> Legs | None:
        """Return the mean of what is known of the legs up to `end`, and forget it."""
        count = next((n for n, legs in enumerate(self._legs) if legs.end > end), len(self._legs))
        known, self._legs = self._legs[:count], self._legs[count:]
        return _mean(known) if known else None

    def _clipped_percent(self, legs: Legs | None) -> float | None:
        if legs is None:
            return None
        self._clipped.append(legs.clipped)
        return 100.0 * sum(self._clipped) / len(self._clipped)

    def _weighted(self, spectrum: Spectrum) -> Energies:
        weighted = np.fft.irfft(spectrum * self._response, self._tail + self.step)[self._tail :]
        cells = weighted.reshape(STEP_CELLS, self.cell)
        return np.asarray(np.einsum("ij,ij->i", cells, cells), np.float64) / self.cell

    def _colour(self, spectrum: Spectrum) -> tuple[float, float]:
        """Return how much of the step is one steady tone, and how flat its spectrum is."""
        power = spectrum.real**2 + spectrum.imag**2
        power[: int(LOWEST_TONE_HZ / self._bin_hz)] = 0.0
        peak, width = int(power.argmax()), int(TONE_HZ / self._bin_hz)
        total = float(power.sum())
        share = (
            float(power[max(0, peak - width) : peak + width + 1].sum()) / total if total else 0.0
        )
        before, self._tone_hz = self._tone_hz, peak * self._bin_hz
        flatness = self._flatness(power)
        return (
            share if abs(self._tone_hz - before) < SAME_TONE_HZ else 0.0,
            flatness if share < TONAL and flatness < SMOOTH else 0.0,
        )

    def _flatness(self, power: NDArray[np.floating]) -> float:
        first, last = self._edges[0], self._edges[-1]
        within, edges = power[first:last] + np.float32(1e-12), self._edges[:-1] - first
        bands = np.add.reduceat(within, edges) / self._widths
        before, self._bands = self._bands, bands
        if before is None or np.abs(np.log10(bands / before)).sum() * 10 > STEADY_DB * BANDS:
            return 0.0
        geometric = np.exp(np.add.reduceat(np.log(within), edges) / self._widths)
        return float(sorted((geometric / bands).tolist())[BANDS // 2])


@functools.cache
def _response(rate: int, step: int) -> Spectrum:
    """Return the K-weighting's spectrum, for steps that follow a tail of an even total."""
    response = k_weighting(rate)
    size = len(response) + step
    return np.fft.rfft(response, size + size % 2)


def _mean(known: Sequence[Legs]) -> Legs:
    frames = sum(legs.frames for legs in known)
    inputs = range(len(known[0].squares))
    squares = tuple(sum(k.squares[n] * k.frames for k in known) / frames for n in inputs)
    product = None
    if known[0].product is not None:
        product = sum((k.product or 0.0) * k.frames for k in known) / frames
    clipped = sum(k.clipped * k.frames for k in known) / frames
    return Legs(known[-1].end, frames, squares, product, clipped)


def _of_both_legs(cells: Energies, legs: Legs | None) -> Energies:
    """Scale a mix's energies to the sum of its two legs; those that cancel go unweighted."""
    if legs is None or legs.product is None:
        return cells
    both = sum(legs.squares)
    mixed = (both + 2 * legs.product) / 4
    if mixed < CANCELLED * both:
        return np.full(STEP_CELLS, both)
    return cells * (both / mixed) if mixed else cells


def _balance_db(legs: Legs | None) -> float | None:
    if legs is None or legs.product is None:
        return None
    quiet, loud = sorted(legs.squares)
    return 10.0 * math.log10(loud / max(quiet, loud * 1e-12))


def _correlation(legs: Legs | None) -> float | None:
    if legs is None or legs.product is None or not all(legs.squares):
        return None
    return legs.product / math.sqrt(math.prod(legs.squares))


def _decibels(square: float) -> float | None:
    return 10.0 * math.log10(square) if square > 0.0 else None
