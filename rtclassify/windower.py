"""Cut one channel's audio into hops, and into the windows that end with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtclassify.clock import Line
from rtclassify.labels import Hop, measure
from rtclassify.stream import Samples, Window

KEPT_HOPS = 8
"""How many hops the buffer holds besides a window: what is kept is moved once in so many."""


@dataclass(frozen=True, slots=True, eq=False)
class HeardHop:
    """A hop of the grid, the window that ends with it if one is due, and the line that dates it."""

    hop: Hop
    window: Window | None
    line: Line | None


class Windower:
    """Cut one channel's blocks into hops and windows on a grid anchored at sample `phase`.

    Windows start at `phase` plus multiples of `hop` and never span a gap. Hops are laid so that
    every window ends with one: they start ``window % hop`` later.

    Args:
        channel: The configured name.
        window: Samples in a window, at least `hop`.
        hop: Samples from one window to the next.
        phase: Where the grid begins, less than `hop`.
    """

    def __init__(self, channel: str, *, window: int, hop: int, phase: int = 0) -> None:
        self._channel = channel
        self._window = window
        self._hop = hop
        self._anchor = phase + window
        self._room = window + KEPT_HOPS * hop
        self._buffer: Samples = np.empty(self._room, np.float32)
        self._first = 0
        self._count = 0

    @property
    def end(self) -> int:
        """The index that the next contiguous block starts at."""
        return self._first + self._count

    def restart(self, start: int) -> None:
        """Begin anew at `start`: what came before is not contiguous with what follows."""
        self._buffer = np.empty(self._room, np.float32)
        self._first, self._count = start, 0

    def push(self, samples: Samples, line: Line | None) -> list[HeardHop]:
        """Append contiguous audio; return the hops that it completes, in order."""
        next_end = self.end + self._hop - (self.end - self._anchor) % self._hop
        self._append(samples)
        heard: list[HeardHop] = []
        for end in range(next_end, self.end + 1, self._hop):
            if end - self._hop >= self._first:
                hop = measure(self._view(end - self._hop, end), start=end - self._hop)
                heard.append(HeardHop(hop, self._due(end), line))
        return heard

    def _append(self, samples: Samples) -> None:
        if self._count + len(samples) > len(self._buffer):
            # Windows that were handed out look into the old buffer, so it is left as it is.
            kept = self._buffer[max(0, self._count - self._window) : self._count]
            room = max(self._room, len(kept) + len(samples))
            self._buffer = np.empty(room, np.float32)
            self._buffer[: len(kept)] = kept
            self._first, self._count = self.end - len(kept), len(kept)
        self._buffer[self._count : self._count + len(samples)] = samples
        self._count += len(samples)

    def _due(self, end: int) -> Window | None:
        start = end - self._window
        return (
            Window(self._channel, start, self._view(start, end)) if start >= self._first else None
        )

    def _view(self, start: int, end: int) -> Samples:
        return self._buffer[start - self._first : end - self._first]
