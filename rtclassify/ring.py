"""The one queue between capture and classification.

A live source writes here from its own thread; the thinking thread reads. The ring never blocks
the writer: when full it overwrites the oldest frames, and the next read starts late. A reader
therefore learns of loss from a jump in ``start``, which becomes a `Gap`; nothing is lost in
silence.

Both sides hold the lock only for a copy. See docs/real-time.md.
"""

from __future__ import annotations

import threading
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
        frames: A copy, shape (n, channels), float32.
        lost: Frames lost between the previous chunk and this one.
    """

    start: int
    frames: Samples
    lost: int


class Ring:
    """Bounded, overwrite-oldest buffer of interleaved audio frames.

    One writer thread, one reader thread. `captured` = frames written and skipped so far;
    conservation holds at all times: frames read + frames lost + frames waiting = captured.

    Args:
        capacity: Frames that can wait to be read.
        channels: Samples in a frame.
        wakeup: Rung after each write.
    """

    def __init__(self, capacity: int, channels: int, wakeup: Wakeup) -> None:
        self._frames = np.zeros((capacity, channels), np.float32)
        self._wakeup = wakeup
        self._lock = threading.Lock()
        self._written = 0
        self._read = 0
        self._holes: list[tuple[int, int]] = []
        self._lost = 0

    @property
    def captured(self) -> int:
        """Frames written or skipped so far: the index that the next written frame gets."""
        return self._written

    @property
    def lost(self) -> int:
        """Frames that no read has returned or will return, as far as reads have got."""
        return self._lost

    def write(self, frames: Samples) -> None:
        """Append a copy of `frames`, shape (n, channels), over the oldest ones when full."""
        capacity = len(self._frames)
        with self._lock:
            kept = frames[-capacity:]
            first = (self._written + len(frames) - len(kept)) % capacity
            ahead = min(len(kept), capacity - first)
            self._frames[first : first + ahead] = kept[:ahead]
            self._frames[: len(kept) - ahead] = kept[ahead:]
            self._written += len(frames)
        self._wakeup.ring()

    def skip(self, frames: int) -> None:
        """Count `frames` that the device dropped: their place stays, their audio is lost."""
        if frames <= 0:
            return
        with self._lock:
            self._holes.append((self._written, self._written + frames))
            self._written += frames

    def read(self, most: int) -> Chunk | None:
        """Return up to `most` waiting frames, never across a loss; None when none wait."""
        capacity = len(self._frames)
        with self._lock:
            start = max(self._read, self._written - capacity)
            end = self._written
            for hole_start, hole_end in self._holes:
                if hole_start <= start < hole_end:
                    start = hole_end
                elif hole_start > start:
                    end = hole_start
                    break
            lost = start - self._read
            end = min(end, start + most)
            if end <= start:
                return None
            first, count = start % capacity, end - start
            ahead = min(count, capacity - first)
            parts = (self._frames[first : first + ahead], self._frames[: count - ahead])
            frames = np.concatenate(parts)
            self._read = end
            self._holes = [hole for hole in self._holes if hole[1] > end]
            self._lost += lost
        return Chunk(start, frames, lost)
