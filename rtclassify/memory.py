"""Memory of a process that has loaded what it needs and works for months."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SELDOM = 100_000
"""Objects that have come and not gone, at which the garbage collector looks for rings of them."""

KEPT_BYTES = 1 << 27
"""Freed memory that is not given back."""
MALLOC_OPTIONS = {-1: KEPT_BYTES, -3: 1 << 25}
"""`M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of glibc, which moves each unless both are set."""


@contextmanager
def loaded_for_good() -> Iterator[None]:
    """Spare the garbage collector what was loaded: a walk through TensorFlow takes 150 ms.

    It looks at the rest seldom too: what the events of a turn are made of goes as it came, and
    walking through it takes a fifth of the thinking thread's time at 800 channels. What is freed is
    kept for what comes next, from now on.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(SELDOM, *before[1:])
    _keep_freed()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _keep_freed() -> None:
    """Tell the C library, if it can be told, to keep what is freed.

    Megabytes that are given back and asked for again come as pages of zeros, one by one: two fifths
    of the time that measuring many channels for alarms took.
    """
    with suppress(AttributeError):
        for option, value in MALLOC_OPTIONS.items():
            ctypes.CDLL(None).mallopt(option, value)
