"""How the daemon drives the loop: a thread that helps, turns that are shared."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PACE_S = 0.03
"""What comes due meanwhile shares a turn, and a batch of the network."""


@contextmanager
def helper() -> Iterator[Callable[[Callable[[], T]], Callable[[], T]]]:
    """Yield what begins work in another thread and returns what waits for it: see `Pipeline`.

    It is one thread, so that pieces of work are done in order.
    """
    with ThreadPoolExecutor(1, "helper") as thread:
        yield lambda work: thread.submit(work).result


def spare_cores() -> int:
    """Return how many cores the network may use, so that one is left for all else."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def paced(turn: Callable[[], bool]) -> Callable[[], bool]:
    """Let no turn begin sooner than `PACE_S` after the one before."""
    began_s = 0.0

    def late_enough() -> bool:
        nonlocal began_s
        time.sleep(max(0.0, began_s + PACE_S - time.monotonic()))
        began_s = time.monotonic()
        return turn()

    return late_enough
