"""How far an archive is: a bar on a terminal, a line each half minute elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from rtclassify.archive.units import Outcome, Unit
from rtclassify.clock import Clock

LINE_EVERY_S = 30.0
HOUR_S = 3600


class Headway:
    """Count what is done, and tell.

    What is left is guessed from bytes: how long a recording is, is known once it is read.

    Args:
        terminal: Where to tell.
        todo: What is to be done.
        done: How many recordings were done before.
        clock: Tells how long it takes.
    """

    def __init__(self, terminal: Console, todo: Sequence[Unit], *, done: int, clock: Clock) -> None:
        self._terminal = terminal
        self._clock = clock
        self._before = done
        self._todo = len(todo)
        self._bytes_left = sum(unit.size for unit in todo)
        self._bytes = 0
        self._seconds = 0.0
        self._labelled = 0
        self.failed = 0
        self._began = self._told = self._clock.now()
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
        if not self._terminal.is_terminal and self._clock.now() > self._told + LINE_EVERY_S:
            self._told = self._clock.now()
            self.say(state)

    def _state(self) -> str:
        done = self._before + self._labelled + self.failed
        said = f"{done:,} of {self._before + self._todo:,} recordings"
        if not self._bytes:
            return said
        left_s = self._bytes_left / self._bytes * (self._clock.now() - self._began)
        return f"{said}, {self._speed()}, {timedelta(seconds=round(left_s))} left"

    def _sum(self) -> str:
        left = self._todo - self._labelled - self.failed
        counts = {
            "labelled": self._labelled,
            "could not be": self.failed,
            "were before": self._before,
            "left for the next run": left,
        }
        told = [
            f"{count:,} {what}" for what, count in counts.items() if count or what == "labelled"
        ]
        return f"{', '.join(told)}: {self._speed()}."

    def _speed(self) -> str:
        passed_s = max(self._clock.now() - self._began, 1e-3)
        hours = f"{self._seconds / HOUR_S:,.1f} hours"
        return f"{hours}, {self._seconds / passed_s:,.0f} × real time"
