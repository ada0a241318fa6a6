"""The one queue between capture and classification.

A live source writes here from its own thread; the thinking thread reads. The ring never blocks
the writer: when full it drops the oldest frames, and the next read starts late. A reader
therefore learns of loss from a jump in ``start``, which becomes a `Gap`; nothing is lost in
silence.

Each block is copied once and handed on as it is, so a ring takes the memory of what waits in it:
a thousand channels that keep up hold half a second each, not thirty. See docs/real-time.md.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from rtclassify.stream import Samples


class Wakeup:
    """One bell for many rings: writers ring it, the thinking thread waits for it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        """Wake the waiting thread, now or when it next waits; never blocks."""
        self._event.set()

    def wait(self, timeout_s: float) -> None:
        """Return when the bell has rung since the last call, or after `timeout_s`."""
        self._event.wait(timeout_s)
        self._event.clear()


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one read of a ring returned.

    Args:
        start: Index of the first frame since the ring was made, lost frames included.
        frames: Shape (n, channels), float32; never written again.
        lost: Frames lost between the previous chunk and this one.
    """

    start: int
    frames: Samples
    lost: int


class Ring:
    """Bounded buffer of interleaved audio frames; when full, the oldest make room.

    One writer thread, one reader thread. `captured` = frames written and skipped so far;
    conservation holds at all times: frames read + frames lost + frames waiting = captured.

    Args:
        capacity: Frames that can wait to be read.
        wakeup: Rung after each write, once there are as many frames as `await_frame` said.
    """

    def __init__(self, capacity: int, wakeup: Wakeup) -> None:
        self._capacity = capacity
        self._wakeup = wakeup
        self._lock = threading.Lock()
        self._blocks: deque[tuple[int, Samples]] = deque()
        self._written = 0
        self._read = 0
        self._lost = 0
        self._awaited = 0

    @property
    def captured(self) -> int:
        """Frames written or skipped so far: the index that the next written frame gets."""
        return self._written

    @property
    def lost(self) -> int:
        """Frames that no read has returned or will return, as far as reads have got."""
        return self._lost

    def await_frame(self, index: int) -> None:
        """Ring for nothing before frame `index` is there: the reader has no use for less."""
        self._awaited = index

    def write(self, frames: Samples) -> None:
        """Append a copy of `frames`, shape (n, channels); the oldest make room when full."""
        block = np.array(frames[-self._capacity :], np.float32)
        with self._lock:
            self._written += len(frames)
            if len(block):
                self._blocks.append((self._written - len(block), block))
            self._make_room()
        if self._written >= self._awaited:
            self._wakeup.ring()

    def skip(self, frames: int) -> None:
        """Count `frames` that the device dropped: their place stays, their audio is lost."""
        with self._lock:
            self._written += max(0, frames)

    def read(self, most: int) -> Chunk | None:
        """Return up to `most` waiting frames, never across a loss; None when none wait.

        Whole blocks as long as they fit, so that one that fits alone is handed on as it is.
        """
        with self._lock:
            self._make_room()
            if not self._blocks:
                return None
            start = max(self._blocks[0][0], self._read, self._written - self._capacity)
            end, parts = start, list[Samples]()
            while self._blocks and self._blocks[0][0] <= end < start + most:
                first, block = self._blocks[0]
                if parts and first + len(block) > start + most:
                    break
                parts.append(block[end - first : start + most - first])
                end += len(parts[-1])
                if end == first + len(block):
                    self._blocks.popleft()
            lost = start - self._read
            self._read = end
            self._lost += lost
        return Chunk(start, parts[0] if len(parts) == 1 else np.concatenate(parts), lost)

    def _make_room(self) -> None:
        oldest = self._written - self._capacity
        while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= oldest:
            self._blocks.popleft()
