"""Batches of windows, and making them ahead of their use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Full, Queue
from threading import Event, Thread
from typing import NamedTuple

from rtclassify.stream import Samples

QUEUED = 8
PATIENCE_S = 0.2


class Batch(NamedTuple):
    """Windows and what they should score.

    Args:
        sound: What the graph makes frames of: audio, shape (n, window), or magnitudes, shape (n,
            frames, bands).
        present: What is heard when, shape (n, ticks, labels): 1, 0 or `UNHEARD`. The ticks divide
            the window evenly; one speaks of all of it.
    """

    sound: Samples
    present: Samples


@contextmanager
def ahead(batches: Iterator[Batch]) -> Iterator[Iterator[Batch]]:
    """Make batches in a thread of their own, a few ahead, until the ``with`` is left.

    An exception in that thread comes out where the batch would have.
    """
    queue: Queue[Batch | BaseException] = Queue(QUEUED)
    left = Event()

    def put(item: Batch | BaseException) -> None:
        while not left.is_set():
            with suppress(Full):
                queue.put(item, timeout=PATIENCE_S)
                return

    def work() -> None:
        try:
            while not left.is_set():
                put(next(batches))
        except BaseException as error:  # noqa: BLE001 - it is raised again by whoever takes
            put(error)

    def taken() -> Iterator[Batch]:
        while True:
            item = queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = Thread(target=work, name="windows", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        left.set()
        thread.join()
