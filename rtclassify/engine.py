"""The engine: which audio is new, one batch for all channels, scores back to their windows.

A window that follows its channel's previous one by a hop needs the frames and columns of that hop
alone; older ones are kept, in one array for all channels. The columns of a hop look at a *row* of
frames; a window that follows none is made of several rows. What computes is three functions of a
*runtime*; nothing here knows which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtclassify.description import Description
from rtclassify.grid import Grid
from rtclassify.rounds import rounds
from rtclassify.stream import Samples, Window

BATCH = 64
"""Rows in one call of the network: more gain nothing on a CPU and cost memory."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """What a runtime computes, in float32, for batches of any size from 1 to `BATCH`.

    Args:
        frames_of: Audio, shape (n, samples), to its frames, shape (n, frames, bands).
        columns_of: Rows of frames, shape (n, frames, bands), to their columns, shape
            (n, columns, *values).
        answers_of: Columns of whole windows, shape (n, `Grid.columns`, *values), to probabilities,
            shape (n, columns, labels) or (n, 1, labels).
    """

    frames_of: Callable[[Samples], Samples]
    columns_of: Callable[[Samples], Samples]
    answers_of: Callable[[Samples], Samples]


class Engine:
    """A `Classifier` that keeps frames and columns between windows.

    Owned by one thread; serves one pipeline at a time.

    Args:
        description: What the bundle says of itself.
        grid: What its frames and columns hear.
        graphs: What computes them.
        hop: Samples from one window to the next, a multiple of the bundle's `hop_unit`.
        runs_on: One line about the runtime and the device, for people.

    Attributes:
        news: What is new in a window that follows its channel's one before by a hop: `scores`
            takes such a window with nothing else, too.
    """

    def __init__(
        self, description: Description, grid: Grid, graphs: Graphs, *, hop: int, runs_on: str
    ) -> None:
        self.runs_on = runs_on
        self.name = description.tag
        self.labels = description.labels
        self.tails_s = description.tails_s
        self.rate = description.rate
        self.window = grid.window
        self.hop = hop
        self.cell = grid.cell
        self.description = description
        self.grid = grid
        self.graphs = graphs
        self._fresh = min(hop // grid.cell, grid.columns)
        self._row = grid.frames(self._fresh)
        self._new = min(hop // grid.step, self._row)
        last = grid.columns - self._fresh
        self._newest, self._whole = (last,), (*range(0, last, self._fresh), last)
        end = last * grid.cell + grid.samples(self._row)
        self.news = slice(end - grid.samples(self._new), end)
        self._seats: dict[str, int] = {}
        self._starts: list[int | None] = []
        self._warm_up()

    def _warm_up(self) -> None:
        """Compute a window, so that the first one is as fast as the others."""
        for samples in (self.grid.samples(self._new), self.grid.samples(self._row)):
            frames = self.graphs.frames_of(np.zeros((1, samples), np.float32))
        columns = self.graphs.columns_of(frames)
        window = (self.grid.columns, *columns.shape[2:])
        self.graphs.answers_of(np.zeros((1, *window), np.float32))
        self._frames = np.empty((0, self._row - self._new, *frames.shape[2:]), np.float32)
        self._columns = np.empty((0, *window), np.float32)

    def reset(self) -> None:
        """Forget all audio."""
        self._seats.clear()
        self._starts.clear()

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each window; see `Classifier.scores`."""
        seats = np.array([self._seat(window.channel) for window in windows])
        firsts = self._plan(windows, seats.tolist())
        follows = np.array([mine is self._newest for mine in firsts])
        ends = np.cumsum([len(mine) for mine in firsts])
        parts = [np.array(places) for places in rounds(seats.tolist())]
        rows = self._heard(windows, firsts, follows)
        newest = ends - 1
        for places in parts:
            late = places[follows[places]]
            rows[newest[late], : -self._new] = self._frames[seats[late]]
            self._frames[seats[places]] = rows[newest[places], self._new :]
        made = _batched(self.graphs.columns_of, rows)
        columns = np.empty((len(windows), *self._columns.shape[1:]), np.float32)
        for place in np.flatnonzero(~follows).tolist():
            mine = firsts[place]
            for first, fresh in zip(mine, made[ends[place] - len(mine) : ends[place]], strict=True):
                columns[place, first : first + self._fresh] = fresh
        for places in parts:
            late = places[follows[places]]
            columns[late, : -self._fresh] = self._columns[seats[late], self._fresh :]
            columns[late, -self._fresh :] = made[newest[late]]
            self._columns[seats[places]] = columns[places]
        return self.grid.per_cell(_batched(self.graphs.answers_of, columns))

    def _heard(
        self, windows: Sequence[Window], firsts: Sequence[Sequence[int]], follows: NDArray[np.bool_]
    ) -> Samples:
        """Return the rows of all windows; where one follows another, only its new frames are set.

        Those are the last ones of its row.
        """
        late: list[Samples] = []
        whole: list[Samples] = []
        row = self.grid.samples(self._row)
        for window, mine in zip(windows, firsts, strict=True):
            if mine is self._newest:
                is_whole = len(window.samples) == self.window
                late.append(window.samples[self.news] if is_whole else window.samples)
            else:
                starts = [first * self.cell for first in mine]
                whole += [window.samples[start : start + row] for start in starts]
        is_late = np.repeat(follows, [len(mine) for mine in firsts])
        rows = np.empty((len(is_late), self._row, *self._frames.shape[2:]), np.float32)
        if late:
            rows[is_late, -self._new :] = _batched(self.graphs.frames_of, late)
        if whole:
            rows[~is_late] = _batched(self.graphs.frames_of, whole)
        return rows

    def _seat(self, channel: str) -> int:
        """Return where a channel's columns are kept; a new channel gets a place of its own."""
        if channel not in self._seats:
            self._seats[channel] = len(self._seats)
            self._starts.append(None)
            if len(self._seats) > len(self._columns):
                self._frames, self._columns = _roomier(self._frames), _roomier(self._columns)
        return self._seats[channel]

    def _plan(self, windows: Sequence[Window], seats: Sequence[int]) -> list[Sequence[int]]:
        """Say which columns of each window must be computed: the first column of each row."""
        plan: list[Sequence[int]] = []
        for window, seat in zip(windows, seats, strict=True):
            follows = self._starts[seat] == window.start - self.hop
            plan.append(self._newest if follows else self._whole)
            self._starts[seat] = window.start
        return plan


def _roomier(kept: Samples) -> Samples:
    """Return an array with room for twice as many channels, at least one."""
    return np.concatenate([kept, np.zeros((max(1, len(kept)), *kept.shape[1:]), np.float32)])


def _batched(graph: Callable[[Samples], Samples], rows: Sequence[Samples] | Samples) -> Samples:
    batches = range(0, len(rows), BATCH)
    return np.concatenate([graph(np.asarray(rows[at : at + BATCH])) for at in batches])
