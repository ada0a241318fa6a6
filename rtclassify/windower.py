"""Cut one channel's audio into hops, and into the windows that end with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtclassify.clock import Line
from rtclassify.labels import Hop, measure
from rtclassify.stream import Samples, Window


@dataclass(frozen=True, slots=True, eq=False)
class HeardHop:
    """A hop of the grid, the window that ends with it if one is due, and the line that dates it."""

    hop: Hop
    window: Window | None
    line: Line | None


class Windower:
    """Cut one channel's blocks into hops and windows on a grid anchored at sample 0.

    Windows start at multiples of `hop` and never span a gap. Hops are laid so that every window
    ends with one: they start at multiples of `hop` plus ``window % hop``.

    Args:
        channel: The configured name.
        window: Samples in a window, at least `hop`.
        hop: Samples from one window to the next.
    """

    def __init__(self, channel: str, *, window: int, hop: int) -> None:
        self._channel = channel
        self._window = window
        self._hop = hop
        self._buffer: Samples = np.empty(2 * (window + hop), np.float32)
        self._first = 0
        self._count = 0

    @property
    def end(self) -> int:
        """The index that the next contiguous block starts at."""
        return self._first + self._count

    def restart(self, start: int) -> None:
        """Begin anew at `start`: what came before is not contiguous with what follows."""
        self._buffer = np.empty_like(self._buffer)
        self._first, self._count = start, 0

    def push(self, samples: Samples, line: Line | None) -> list[HeardHop]:
        """Append contiguous audio; return the hops that it completes, in order."""
        heard: list[HeardHop] = []
        while len(samples):
            take = self._hop - (self.end - self._window) % self._hop
            taken, samples = samples[:take], samples[take:]
            self._append(taken)
            start = self.end - self._hop
            if len(taken) == take and start >= self._first:
                hop = measure(self._view(start), start=start)
                heard.append(HeardHop(hop, self._due(), line))
        return heard

    def _append(self, samples: Samples) -> None:
        if self._count + len(samples) > len(self._buffer):
            # Windows that were handed out look into the old buffer, so it is left as it is.
            fresh = np.empty_like(self._buffer)
            kept = min(self._count, self._window)
            fresh[:kept] = self._buffer[self._count - kept : self._count]
            self._buffer, self._first, self._count = fresh, self.end - kept, kept
        self._buffer[self._count : self._count + len(samples)] = samples
        self._count += len(samples)

    def _due(self) -> Window | None:
        start = self.end - self._window
        return Window(self._channel, start, self._view(start)) if start >= self._first else None

    def _view(self, start: int) -> Samples:
        return self._buffer[start - self._first : self._count]
