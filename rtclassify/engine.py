"""The engine: which audio is new, one batch for all channels, scores back to their windows.

A window that follows its channel's previous one by a hop needs trunk columns of the hop alone;
the others are kept from before. Every batch is made of *rows* of the same length, each the audio
behind one hop's columns, so a first window is merely several rows. What computes is two functions
of a *runtime*; nothing here knows which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtclassify.description import Description
from rtclassify.grid import Grid
from rtclassify.stream import Samples, Window

BATCH = 64
"""Rows in one call of the network: more gain nothing on a CPU and cost memory."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """What a runtime computes, in float32, for batches of any size from 1 to `BATCH`.

    Args:
        columns_of: Rows of audio, shape (n, `Grid.row` of a hop's columns), to their columns,
            shape (n, columns of the hop, *values).
        answers_of: Columns of whole windows, shape (n, `Grid.columns`, *values), to probabilities,
            shape (n, columns, labels) or (n, 1, labels).
    """

    columns_of: Callable[[Samples], Samples]
    answers_of: Callable[[Samples], Samples]


def fresh_columns(grid: Grid, hop: int) -> int:
    """Return how many columns of a window are new after a hop of `hop` samples."""
    return min(hop // grid.cell, grid.columns)


class Engine:
    """A `Classifier` that keeps the trunk's columns between windows.

    Owned by one thread; serves one pipeline at a time.

    Args:
        description: What the bundle says of itself.
        grid: Where its columns stand.
        graphs: What computes them, for rows of `fresh_columns` columns.
        hop: Samples from one window to the next, a multiple of the bundle's `hop_unit`.
        runs_on: One line about the runtime and the device, for people.
    """

    def __init__(
        self, description: Description, grid: Grid, graphs: Graphs, *, hop: int, runs_on: str
    ) -> None:
        self.runs_on = runs_on
        self.name = description.tag
        self.labels = description.labels
        self.rate = description.rate
        self.window = grid.window
        self.hop = hop
        self.cell = grid.cell
        self._grid = grid
        self._graphs = graphs
        self._fresh = fresh_columns(grid, hop)
        self._row = grid.row(self._fresh)
        self._kept: dict[str, tuple[int, Samples]] = {}
        self._warm_up()

    def reset(self) -> None:
        """Forget all audio."""
        self._kept.clear()

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each window; see `Classifier.scores`."""
        offsets = self._plan(windows)
        rows = [
            window.samples[first * self.cell : first * self.cell + self._row]
            for window, firsts in zip(windows, offsets, strict=True)
            for first in firsts
        ]
        fresh = iter(_batched(self._graphs.columns_of, np.stack(rows)))
        columns = []
        for window, firsts in zip(windows, offsets, strict=True):
            _, before = self._kept.get(window.channel, (0, None))
            now = np.empty((self._grid.columns, *self._values), np.float32)
            if len(firsts) == 1 and before is not None:
                now[: -self._fresh] = before[self._fresh :]
            for first in firsts:
                now[first : first + self._fresh] = next(fresh)
            self._kept[window.channel] = (window.start, now)
            columns.append(now)
        return self._grid.per_cell(_batched(self._graphs.answers_of, np.stack(columns)))

    def _plan(self, windows: Sequence[Window]) -> list[Sequence[int]]:
        """Say which columns of each window must be computed: the first column of each row."""
        last = self._grid.columns - self._fresh
        whole = [*range(0, last, self._fresh), last]
        previous = {channel: start for channel, (start, _) in self._kept.items()}
        plan: list[Sequence[int]] = []
        for window in windows:
            follows = previous.get(window.channel) == window.start - self.hop
            plan.append([last] if follows else whole)
            previous[window.channel] = window.start
        return plan

    def _warm_up(self) -> None:
        """Call both graphs, so that the first window is as fast as the others."""
        columns = self._graphs.columns_of(np.zeros((1, self._row), np.float32))
        self._values = columns.shape[2:]
        self._graphs.answers_of(np.zeros((1, self._grid.columns, *self._values), np.float32))


def _batched(graph: Callable[[Samples], Samples], rows: Samples) -> Samples:
    return np.concatenate([graph(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)])
