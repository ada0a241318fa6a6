"""Loudness as EBU R128 measures it: K-weighted, over 400 ms, over 3 s, and gated.

ITU-R BS.1770-4 gives the weighting as two filters at 48 kHz. Here it is one finite impulse
response, made for any rate from the same analogue prototypes and applied by overlap-save, so that
numpy does it, a hop at a time, at a fifth of the cost of the recursion. What is cut off the
response's end weighs less than -100 dB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtclassify.events import Loudness
from rtclassify.overlap import Numbers

Energies = NDArray[np.float64]

CELL_S, STEP_CELLS = 0.01, 50
MOMENTARY, SHORT_TERM, BLOCK_STEP = 40, 300, 10
"""In cells of 10 ms: windows, and from one gating block, of 400 ms, to the next."""
WINDOWS = MOMENTARY, SHORT_TERM
KEPT = SHORT_TERM + STEP_CELLS

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


class LoudnessMeters:
    """Follow the loudness of many channels, cell by cell.

    Owned by one thread.

    Args:
        channels: How many; they are called by number.
        cell: Samples in a cell of 10 ms.
    """

    def __init__(self, channels: int, *, cell: int) -> None:
        self._hour = HOUR_CELLS * cell
        self._since = np.zeros(channels, int)
        self._heard = np.zeros((channels, KEPT))
        self._loudest = np.zeros((len(WINDOWS), channels))
        self._filled = np.zeros(channels, int)
        self._of_hour = np.zeros(channels, int)
        self._counts = np.zeros((channels, BINS))
        self._sums = np.zeros((channels, BINS))

    def restart(self, channels: Numbers) -> None:
        """Forget the last three seconds: what follows is not contiguous with them."""
        self._filled[channels] = self._of_hour[channels] = 0

    def add(self, channels: Numbers, starts: Numbers, energies: Energies) -> None:
        """Take K-weighted energies, mean squares of cells, of some distinct channels.

        Args:
            channels: Which.
            starts: First sample of each, multiples of the cell's samples.
            energies: Shape (channels, STEP_CELLS).
        """
        begins = starts >= self._since[channels] + self._hour
        hours = channels[begins]
        self._since[hours] = starts[begins] // self._hour * self._hour
        self._counts[hours] = self._sums[hours] = self._of_hour[hours] = 0
        self._loudest[:, hours] = 0
        heard = np.concatenate([self._heard[channels, STEP_CELLS:], energies], axis=1)
        self._heard[channels] = heard
        self._gate(channels, heard)
        self._compare(channels, heard)
        for filled in (self._filled, self._of_hour):
            filled[channels] = np.minimum(filled[channels] + STEP_CELLS, KEPT)

    def _gate(self, channels: Numbers, heard: Energies) -> None:
        """Count the gating blocks that end in the newest step and lie in the running hour."""
        newest = heard[:, -(MOMENTARY - BLOCK_STEP + STEP_CELLS) :]
        steps = newest.reshape(len(heard), -1, BLOCK_STEP).sum(axis=2)
        blocks = np.lib.stride_tricks.sliding_window_view(steps, MOMENTARY // BLOCK_STEP, axis=1)
        energies = blocks.sum(axis=2) / MOMENTARY
        ends = np.arange(BLOCK_STEP, STEP_CELLS + 1, BLOCK_STEP)
        whole = self._of_hour[channels, np.newaxis] + ends >= MOMENTARY
        rows, columns = np.nonzero(whole & (energies > QUIETEST))
        loud = energies[rows, columns]
        bins = ((_lufs(loud) - ABSOLUTE_GATE_LUFS) / BIN_LU).astype(int)
        at = channels[rows], np.minimum(bins, BINS - 1)
        np.add.at(self._counts, at, 1)
        np.add.at(self._sums, at, loud)

    def _compare(self, channels: Numbers, heard: Energies) -> None:
        """Remember the loudest of the windows that end in the newest step of the running hour."""
        sums = np.pad(heard.cumsum(axis=1), ((0, 0), (1, 0)))
        ends = np.arange(KEPT - STEP_CELLS, KEPT) + 1
        filled = self._of_hour[channels, np.newaxis] + ends - ends[0] + 1
        for loudest, cells in zip(self._loudest, WINDOWS, strict=True):
            energies = (sums[:, ends] - sums[:, ends - cells]) / cells
            energies[(filled < cells) | (energies <= QUIETEST)] = 0.0
            loudest[channels] = np.maximum(loudest[channels], energies.max(axis=1))

    @property
    def values(self) -> list[Loudness]:
        """The loudness of each channel now."""
        told = (
            self._mean_lufs(MOMENTARY), self._mean_lufs(SHORT_TERM), self._integrated(),
            *map(_told, self._loudest), self._since.tolist(),
        )  # fmt: skip
        return [Loudness(*of_one) for of_one in zip(*told, strict=True)]

    def _mean_lufs(self, cells: int) -> list[float | None]:
        energies = self._heard[:, -cells:].mean(axis=1)
        return _told(np.where(self._filled >= cells, energies, 0.0))

    def _integrated(self) -> list[float | None]:
        whole = _means(self._sums.sum(axis=1), self._counts.sum(axis=1))
        first = np.ceil((_lufs(whole) + RELATIVE_GATE_LU - ABSOLUTE_GATE_LUFS) / BIN_LU)
        above = np.arange(BINS) >= np.minimum(first, BINS - 1)[:, np.newaxis]
        counts, sums = (np.einsum("ij,ij->i", above, each) for each in (self._counts, self._sums))
        return _told(_means(sums, counts))


def _means(sums: Energies, counts: Energies) -> Energies:
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def _told(energies: Energies) -> list[float | None]:
    return [
        told if energy > 0.0 else None
        for told, energy in zip(_lufs(energies).tolist(), energies.tolist(), strict=True)
    ]


def _lufs(energies: Energies) -> Energies:
    return 10.0 * np.log10(np.maximum(energies, 1e-30)) + OFFSET_LU
