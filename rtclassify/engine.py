"""The engine: which audio is new, one batch for all channels, scores back to their windows.

A window that follows its channel's previous one by a hop needs trunk columns of the hop alone;
the others are kept from before. Every batch is made of *rows* of the same length, each the audio
behind one hop's columns, so a first window is merely several rows. What computes is two functions
of a *runtime*; nothing here knows which.
"""

from __future__ import annotations

from collections import Counter
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
        self.description = description
        self.grid = grid
        self.graphs = graphs
        self._fresh = fresh_columns(grid, hop)
        self._row = grid.row(self._fresh)
        last = grid.columns - self._fresh
        self._newest, self._whole = (last,), (*range(0, last, self._fresh), last)
        self._seats: dict[str, int] = {}
        self._starts: list[int | None] = []
        self._warm_up()
        self._kept = np.empty((0, grid.columns, *self._values), np.float32)

    def reset(self) -> None:
        """Forget all audio."""
        self._starts = [None] * len(self._seats)

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each window; see `Classifier.scores`."""
        seats = np.array([self._seat(window.channel) for window in windows])
        firsts = self._plan(windows, seats.tolist())
        rows = [
            window.samples[first * self.cell : first * self.cell + self._row]
            for window, mine in zip(windows, firsts, strict=True)
            for first in mine
        ]
        made = _batched(self.graphs.columns_of, np.stack(rows))
        ends = np.cumsum([len(mine) for mine in firsts])
        columns = np.empty((len(windows), *self._kept.shape[1:]), np.float32)
        for window, mine, end in zip(columns, firsts, ends.tolist(), strict=True):
            for first, fresh in zip(mine[:-1], made[end - len(mine) : end - 1], strict=True):
                window[first : first + self._fresh] = fresh
        columns[:, -self._fresh :] = made[ends - 1]
        for places in _rounds(seats.tolist()):
            follow = [place for place in places if firsts[place] is not self._whole]
            columns[follow, : -self._fresh] = self._kept[seats[follow], self._fresh :]
            self._kept[seats[places]] = columns[places]
        return self.grid.per_cell(_batched(self.graphs.answers_of, columns))

    def _seat(self, channel: str) -> int:
        """Return where a channel's columns are kept; a new channel gets a place of its own."""
        seat = self._seats.setdefault(channel, len(self._seats))
        if seat == len(self._starts):
            self._starts.append(None)
        if seat == len(self._kept):
            more = np.zeros((max(1, seat), *self._kept.shape[1:]), np.float32)
            self._kept = np.concatenate([self._kept, more])
        return seat

    def _plan(self, windows: Sequence[Window], seats: Sequence[int]) -> list[Sequence[int]]:
        """Say which columns of each window must be computed: the first column of each row."""
        plan: list[Sequence[int]] = []
        for window, seat in zip(windows, seats, strict=True):
            follows = self._starts[seat] == window.start - self.hop
            plan.append(self._newest if follows else self._whole)
            self._starts[seat] = window.start
        return plan

    def _warm_up(self) -> None:
        """Call both graphs, so that the first window is as fast as the others."""
        columns = self.graphs.columns_of(np.zeros((1, self._row), np.float32))
        self._values = columns.shape[2:]
        self.graphs.answers_of(np.zeros((1, self.grid.columns, *self._values), np.float32))


def _rounds(seats: Sequence[int]) -> list[list[int]]:
    """Part the places of windows so that no channel is twice in one part, in order."""
    rounds: list[list[int]] = []
    seen: Counter[int] = Counter()
    for place, seat in enumerate(seats):
        if seen[seat] == len(rounds):
            rounds.append([])
        rounds[seen[seat]].append(place)
        seen[seat] += 1
    return rounds


def _batched(graph: Callable[[Samples], Samples], rows: Samples) -> Samples:
    return np.concatenate([graph(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)])
