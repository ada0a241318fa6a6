"""A stuck loop: the same audio again and again, with any period up to a minute and a half.

The loudness of the last twenty seconds is laid over all that was heard before it, by one
correlation every five seconds. Audio that comes again fits to a thousandth; music with a beat
comes close, but a bar that is played anew is another one.
"""

from __future__ import annotations

import numpy as np
import scipy.fft

from rtclassify.alarms.loudness import CELL_S, STEP_CELLS, Energies
from rtclassify.overlap import Numbers

NEWEST_S, LONGEST_S, SHORTEST_S = 20, 90, 0.5
CELLS_PER_S = round(1 / CELL_S)
NEWEST = NEWEST_S * CELLS_PER_S
KEPT = NEWEST + LONGEST_S * CELLS_PER_S
COARSE, NEAR = 4, 8
"""Cells in a frame of the search; the best match is then sought so many cells around."""

FEW = 50
"""Lags up to which sums cost less than transforms."""

EVERY_STEPS = 10
"""Steps from one search to the next."""

LEAST_STEPS = 2 * NEWEST // STEP_CELLS
"""What must have been heard before anything can be told."""

SMOOTHING = np.hanning(10)[1:-1] / np.hanning(10).sum()
"""Over cells of 10 ms: a loop's period is no multiple of them, and this makes that matter less."""

FLOOR_DB = -40.0
"""Below the loudest moment; what lies deeper is the noise of the way here."""

LIVELY_DB = 0.1
"""Standard deviation from which there is anything to recognise: a hum is no loop."""


class LoopFinders:
    """Tell how alike the newest audio of each channel is to what was heard before.

    Owned by one thread. Channels take turns, so that their searches do not all come at once.

    Args:
        channels: How many; they are called by number.
    """

    def __init__(self, channels: int) -> None:
        self._cells = np.zeros((channels, len(SMOOTHING) - 1))
        self._levels = np.zeros((channels, KEPT), np.float32)
        self._steps = np.zeros(channels, int)
        self._periods_s = np.zeros(channels)

    def restart(self, channels: Numbers) -> None:
        """Forget everything: what follows is not contiguous with it."""
        self._cells[channels] = self._steps[channels] = self._periods_s[channels] = 0

    def add(self, channels: Numbers, cells: Energies) -> tuple[Energies, Energies]:
        """Take the energies of a step's cells of 10 ms, of some distinct channels.

        Args:
            channels: Which.
            cells: Shape (channels, STEP_CELLS).

        Returns:
            How alike, up to 1, and how many seconds before. Not a number where no search is due or
            too little was heard; 0 where there is nothing to recognise.
        """
        cells = np.concatenate([self._cells[channels], cells], axis=1)
        self._cells[channels] = cells[:, -self._cells.shape[1] :]
        smooth = np.lib.stride_tricks.sliding_window_view(cells, len(SMOOTHING), axis=1) @ SMOOTHING
        steps = self._steps[channels]
        # The oldest is written over: a search puts the rest in order.
        places = steps[:, np.newaxis] * STEP_CELLS % KEPT + np.arange(STEP_CELLS)
        self._levels[channels[:, np.newaxis], places] = 10.0 * np.log10(smooth + 1e-12)
        self._steps[channels] = steps + 1
        alike = np.full(len(channels), np.nan)
        due = (steps + 1 >= LEAST_STEPS) & ((steps + 1 + channels) % EVERY_STEPS == 0)
        for place in np.flatnonzero(due).tolist():
            channel = channels[place]
            alike[place], self._periods_s[channel] = self._search(channel)
        return alike, self._periods_s[channels]

    def _search(self, channel: int) -> tuple[float, float]:
        end = self._steps[channel] * STEP_CELLS
        heard = self._levels[channel]
        heard = np.roll(heard, -end) if end > KEPT else heard[:end]
        levels = np.maximum(heard, heard[-NEWEST:].max() + np.float32(FLOOR_DB), dtype=np.float64)
        newest = levels[-NEWEST:]
        if newest.std() < LIVELY_DB:
            return 0.0, 0.0
        earlier = levels[: -round(SHORTEST_S * CELLS_PER_S)]
        alike = _correlation(newest[::COARSE], earlier[::COARSE])
        first = max(0, COARSE * int(alike.argmax()) - NEAR)
        alike = _correlation(newest, earlier[first : first + 2 * NEAR + NEWEST])
        best = int(alike.argmax())
        return _between(alike, best), (len(levels) - NEWEST - first - best) / CELLS_PER_S


def _correlation(newest: Energies, heard: Energies) -> Energies:
    """Return Pearson's correlation of `newest` with every stretch of `heard` of its length."""
    count = len(newest)
    newest, heard = newest - newest.mean(), heard - heard.mean()
    sums, squares = (np.cumsum(np.concatenate([[0.0], x])) for x in (heard, heard * heard))
    total = sums[count:] - sums[:-count]
    variance = (squares[count:] - squares[:-count]) - total * total / count
    scale = np.sqrt(np.maximum(variance, count * LIVELY_DB**2) * (newest @ newest))
    return np.asarray(_products(newest, heard) / scale)


def _products(newest: Energies, heard: Energies) -> Energies:
    """Return the sum of products of `newest` with every stretch of `heard` of its length."""
    lags = len(heard) - len(newest) + 1
    if lags < FEW:
        return np.correlate(heard, newest, "valid")
    size = scipy.fft.next_fast_len(len(heard), real=True)
    spectrum = scipy.fft.rfft(heard, size) * np.conj(scipy.fft.rfft(newest, size))
    return np.asarray(scipy.fft.irfft(spectrum, size)[:lags])


def _between(alike: Energies, best: int) -> float:
    """Return the top of the parabola through the best match and its neighbours."""
    if not 0 < best < len(alike) - 1:
        return float(alike[best])
    before, at, after = (float(value) for value in alike[best - 1 : best + 2])
    bend = before - 2 * at + after
    return min(1.0, at - (before - after) ** 2 / (8 * bend)) if bend else at
