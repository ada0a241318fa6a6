"""A stuck loop: the same audio again and again, with any period up to a minute and a half.

The loudness of the last twenty seconds is laid over all that was heard before it, by one
correlation every five seconds. Audio that comes again fits to a thousandth; music with a beat
comes close, but a bar that is played anew is another one.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from rtclassify.alarms.loudness import CELL_S, STEP_CELLS, Energies
from rtclassify.stream import Samples

NEWEST_S, LONGEST_S, SHORTEST_S = 20, 90, 0.5
CELLS_PER_S = round(1 / CELL_S)
NEWEST = NEWEST_S * CELLS_PER_S
KEPT = NEWEST + LONGEST_S * CELLS_PER_S
COARSE, NEAR = 2, 8
"""Cells in a frame of the search; the best match is then sought so many cells around."""

EVERY_STEPS = 10
"""Steps from one search to the next."""

SMOOTHING = np.hanning(10)[1:-1] / np.hanning(10).sum()
"""Over cells of 10 ms: a loop's period is no multiple of them, and this makes that matter less."""

FLOOR_DB = -40.0
"""Below the loudest moment; what lies deeper is the noise of the way here."""

LIVELY_DB = 0.1
"""Standard deviation from which there is anything to recognise: a hum is no loop."""


class LoopFinder:
    """Tell how alike the newest audio of one channel is to what was heard before.

    Owned by one thread.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything: what follows is not contiguous with it."""
        self._cells = np.zeros(len(SMOOTHING) - 1)
        self._heard: deque[Samples] = deque(maxlen=KEPT // STEP_CELLS)
        self._steps = 0
        self.period_s = 0.0

    def add(self, cells: Energies) -> float | None:
        """Take the energies of a step's cells of 10 ms.

        Returns:
            How alike, up to 1, when a search is due and enough was heard; `period_s` then says
            how long ago it was. 0 where there is nothing to recognise.
        """
        cells = np.concatenate([self._cells, cells])
        self._cells = cells[1 - len(SMOOTHING) :]
        levels = 10.0 * np.log10(np.convolve(cells, SMOOTHING, "valid") + 1e-12)
        self._heard.append(levels.astype(np.float32))
        self._steps += 1
        if self._steps % EVERY_STEPS or len(self._heard) < 2 * NEWEST // STEP_CELLS:
            return None
        return self._search()

    def _search(self) -> float:
        levels = np.concatenate(self._heard).astype(np.float64)
        np.maximum(levels, levels[-NEWEST:].max() + FLOOR_DB, out=levels)
        newest = levels[-NEWEST:]
        if newest.std() < LIVELY_DB:
            return 0.0
        earlier = levels[: -round(SHORTEST_S * CELLS_PER_S)]
        alike = _correlation(newest[::COARSE], earlier[::COARSE])
        first = max(0, COARSE * int(alike.argmax()) - NEAR)
        alike = _correlation(newest, earlier[first : first + 2 * NEAR + NEWEST])
        best = int(alike.argmax())
        self.period_s = (len(levels) - NEWEST - first - best) / CELLS_PER_S
        return _between(alike, best)


def _correlation(newest: Energies, heard: Energies) -> Energies:
    """Return Pearson's correlation of `newest` with every stretch of `heard` of its length."""
    count, length = len(newest), len(heard)
    size = 1 << (length + count).bit_length()
    newest, heard = newest - newest.mean(), heard - heard.mean()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(newest, size))
    products = np.fft.irfft(spectrum, size)[: length - count + 1]
    sums, squares = (np.cumsum(np.concatenate([[0.0], x])) for x in (heard, heard * heard))
    total = sums[count:] - sums[:-count]
    variance = (squares[count:] - squares[:-count]) - total * total / count
    scale = np.sqrt(np.maximum(variance, count * LIVELY_DB**2) * (newest @ newest))
    return np.asarray(products / scale)


def _between(alike: Energies, best: int) -> float:
    """Return the top of the parabola through the best match and its neighbours."""
    if not 0 < best < len(alike) - 1:
        return float(alike[best])
    before, at, after = (float(value) for value in alike[best - 1 : best + 2])
    bend = before - 2 * at + after
    return min(1.0, at - (before - after) ** 2 / (8 * bend)) if bend else at
