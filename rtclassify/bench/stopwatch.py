"""Where time goes, stage by stage: what a stage calls of another one counts for that one alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Stopwatch:
    """Add up wall-clock seconds by stage; owned by one thread."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the ``with`` for a stage, but for the stages within it."""
        self._note()
        self._running.append(name)
        try:
            yield
        finally:
            self._note()
            self._running.pop()

    def timed(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """Return `function` with its time counted for a stage."""

        def within(*args: P.args, **named: P.kwargs) -> R:
            with self.stage(name):
                return function(*args, **named)

        return within

    def taken(self) -> dict[str, float]:
        """Return the seconds of each stage since the last call."""
        spent, self._spent = dict(self._spent), defaultdict(float)
        return spent

    def _note(self) -> None:
        now = time.perf_counter()
        if self._running:
            self._spent[self._running[-1]] += now - self._since
        self._since = now
