"""How the daemon drives the loop: threads that help, turns that are shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

HELPERS = 2
"""One runs the network while channels are watched, one reads sources ahead."""

PACE_S = 0.05
"""What comes due meanwhile shares a turn, and a batch of the network."""


@contextmanager
def helpers() -> Iterator[Callable[[Callable[[], T]], Callable[[], T]]]:
    """Yield what begins work in another thread and returns what waits for it: see `Pipeline`."""
    with ThreadPoolExecutor(HELPERS, "helper") as threads:
        yield lambda work: threads.submit(work).result


def paced(turn: Callable[[], bool]) -> Callable[[], bool]:
    """Let no turn begin sooner than `PACE_S` after the one before."""
    began_s = 0.0

    def late_enough() -> bool:
        nonlocal began_s
        time.sleep(max(0.0, began_s + PACE_S - time.monotonic()))
        began_s = time.monotonic()
        return turn()

    return late_enough
