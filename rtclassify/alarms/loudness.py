"""Loudness as EBU R128 measures it: K-weighted, over 400 ms, over 3 s, and gated.

ITU-R BS.1770-4 gives the weighting as two filters at 48 kHz. Here it is one finite impulse
response, made for any rate from the same analogue prototypes and applied by overlap-save, so that
numpy does it, a hop at a time, at a fifth of the cost of the recursion. What is cut off the
response's end weighs less than -100 dB.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Loudness

Energies = NDArray[np.float64]

CELL_S, STEP_CELLS = 0.01, 50
MOMENTARY, SHORT_TERM, BLOCK_STEP = 40, 300, 10
"""In cells of 10 ms: windows, and from one gating block, of 400 ms, to the next."""

HOUR_CELLS = 360_000
OFFSET_LU, REFERENCE_HZ = -0.691, 997.0
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
QUIETEST = 10 ** ((ABSOLUTE_GATE_LUFS - OFFSET_LU) / 10)
BIN_LU, BINS = 0.1, 900
"""Gating blocks are counted by loudness, so that an hour of them needs no more memory than one."""

RESPONSE_S = 0.06


def k_weighting(rate: int) -> NDArray[np.float32]:
    """Return the impulse response of the K-weighting at `rate`.

    The filters are the standard's as functions of the rate (Brecht De Man, "Evaluation of
    implementations of the EBU R128 loudness measurement", 2018), with the gain at 997 Hz that
    `OFFSET_LU` makes up for.
    """
    impulse = np.zeros(round(RESPONSE_S * rate))
    impulse[0] = 1.0
    response = _recursion(_recursion(impulse, *_shelf(rate)), *_high_pass(rate))
    turns = np.exp(-2j * np.pi * REFERENCE_HZ / rate * np.arange(len(response)))
    gain = 10 ** (-OFFSET_LU / 20) / abs(response @ turns)
    return np.asarray(response * gain, np.float32)


Triple = tuple[float, float, float]
Coefficients = tuple[Triple, Triple]


def _shelf(rate: int) -> Coefficients:
    k, q = np.tan(np.pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    forward = (high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k)
    return forward, (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)


def _high_pass(rate: int) -> Coefficients:
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    return (1.0, -2.0, 1.0), (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)


def _recursion(
    samples: Energies,
    forward: Triple,
    back: Triple,
) -> Energies:
    """Filter by a biquad; slow, for the impulse response alone."""
    padded = np.concatenate([np.zeros(2), samples])
    result = np.zeros_like(padded)
    for n in range(2, len(padded)):
        fed = sum(c * padded[n - i] for i, c in enumerate(forward))
        result[n] = (fed - back[1] * result[n - 1] - back[2] * result[n - 2]) / back[0]
    return result[2:]


class LoudnessMeter:
    """Follow the loudness of one channel, cell by cell.

    Owned by one thread.

    Args:
        cell: Samples in a cell of 10 ms.
    """

    def __init__(self, *, cell: int) -> None:
        self._cell = cell
        self._since = 0
        self._heard: deque[float] = deque(maxlen=SHORT_TERM)
        self._steps: deque[float] = deque(maxlen=MOMENTARY // BLOCK_STEP)
        self._counts = [0] * BINS
        self._sums = [0.0] * BINS

    def restart(self) -> None:
        """Forget the last three seconds: what follows is not contiguous with them."""
        self._heard.clear()
        self._steps.clear()

    def add(self, start: int, energies: Energies) -> None:
        """Take K-weighted energies, mean squares of cells, from sample `start` on.

        Args:
            start: A multiple of the cell's samples.
            energies: Shape (cells,), a multiple of `BLOCK_STEP` of them.
        """
        hour = HOUR_CELLS * self._cell
        if start >= self._since + hour:
            self._since = start // hour * hour
            self._counts, self._sums = [0] * BINS, [0.0] * BINS
            self._steps.clear()
        self._heard.extend(energies.tolist())
        for energy in energies.reshape(-1, BLOCK_STEP).sum(axis=1).tolist():
            self._steps.append(energy)
            if len(self._steps) == self._steps.maxlen:
                self._gate(sum(self._steps) / MOMENTARY)

    def _gate(self, energy: float) -> None:
        if energy > QUIETEST:
            number = min(int((_lufs(energy) - ABSOLUTE_GATE_LUFS) / BIN_LU), BINS - 1)
            self._counts[number] += 1
            self._sums[number] += energy

    @property
    def value(self) -> Loudness:
        """The loudness now."""
        heard = list(self._heard)
        return Loudness(
            _mean_lufs(heard[-MOMENTARY:], MOMENTARY),
            _mean_lufs(heard, SHORT_TERM),
            self._integrated(),
            self._since,
        )

    def _integrated(self) -> float | None:
        count = sum(self._counts)
        if not count:
            return None
        gate = _lufs(sum(self._sums) / count) + RELATIVE_GATE_LU
        first = max(0, math.ceil((gate - ABSOLUTE_GATE_LUFS) / BIN_LU))
        return _lufs(sum(self._sums[first:]) / sum(self._counts[first:]))


def _mean_lufs(cells: list[float], wanted: int) -> float | None:
    total = sum(cells)
    if len(cells) < wanted or total <= 0.0:
        return None
    return _lufs(total / wanted)


def _lufs(energy: float) -> float:
    return 10.0 * math.log10(energy) + OFFSET_LU
