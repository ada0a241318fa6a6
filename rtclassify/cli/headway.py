"""How far an archive is: a bar on a terminal, a line each half minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from rtclassify.archive.units import Outcome, Unit

LINE_EVERY_S = 30.0
HOUR_S = 3600


class Headway:
    """Count what is done, and tell.

    What is left is guessed from bytes: how long a recording is, is known once it is read.

    Args:
        terminal: Where to tell.
        todo: What is to be done.
        done: How many recordings were done before.
    """

    def __init__(self, terminal: Console, todo: Sequence[Unit], *, done: int) -> None:
        self._terminal = terminal
        self._before = done
        self._todo = len(todo)
        self._bytes_left = sum(unit.size for unit in todo)
        self._bytes = 0
        self._seconds = 0.0
        self._labelled = 0
        self.failed = 0
        self._began = self._told = time.monotonic()
        self._bar = Progress(
            BarColumn(complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.description}", style="dim", markup=False),
            console=terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not terminal.is_terminal,
        )
        self._task = self._bar.add_task(self._state(), total=self._bytes_left)

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar, and sum up."""
        self._bar.stop()
        if error is None or self._labelled:
            self.say(self._sum())

    def say(self, sentence: str) -> None:
        """Write a line above the bar."""
        line = f"rtclassify: {sentence}"
        self._terminal.print(line, highlight=False, markup=False, soft_wrap=True)

    def count(self, unit: Unit, outcome: Outcome) -> None:
        """Take what became of a unit."""
        for sentence in (*outcome.warnings, outcome.error):
            if sentence:
                self.say(sentence)
        if outcome.error:
            self.failed += 1
        else:
            self._labelled += 1
        self._seconds += outcome.seconds
        self._bytes += unit.size
        self._bytes_left -= unit.size
        self._tell()

    def _tell(self) -> None:
        state = self._state()
        self._bar.update(self._task, completed=self._bytes, description=state)
        if not self._terminal.is_terminal and time.monotonic() > self._told + LINE_EVERY_S:
            self._told = time.monotonic()
            self.say(state)

    def _state(self) -> str:
        done = self._before + self._labelled + self.failed
        said = f"{done:,} of {self._before + self._todo:,} recordings, {self._speed()}"
        if self._bytes:
            left_s = self._bytes_left / self._bytes * (time.monotonic() - self._began)
            said += f", {timedelta(seconds=round(left_s))} left"
        return said

    def _sum(self) -> str:
        before = f"{self._before:,} before, " if self._before else ""
        failed = f", {self.failed:,} could not be" if self.failed else ""
        left = self._todo - self._labelled - self.failed
        again = f", {left:,} are left for the next run" if left else ""
        return f"{before}{self._labelled:,} recordings labelled{failed}{again}: {self._speed()}."

    def _speed(self) -> str:
        passed_s = max(time.monotonic() - self._began, 1e-3)
        hours = f"{self._seconds / HOUR_S:,.1f} hours"
        return f"{hours}, {self._seconds / passed_s:,.0f} × real time"
