"""Locks of files that one program alone may serve or write."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Hold the lock beside `path`.

    The lock file stays: who removed it could remove that of the next owner.

    Raises:
        BlockingIOError: If another program holds it.
        OSError: If it cannot be made.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o660)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
