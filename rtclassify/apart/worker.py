"""A process that works for this one, and the pipe to it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from rtclassify.errors import WorkerError

PATIENCE_S = 5.0
"""For a process that was told to end."""

T = TypeVar("T")


class Worker:
    """A process that serves one pipe.

    It ends with this one, and takes no signals of the terminal or the service manager. Used by one
    thread at a time.

    Args:
        name: What it works at, for people.
        serve: Runs over there, until the pipe closes; what can be pickled.
    """

    def __init__(self, name: str, serve: Callable[[Connection], None]) -> None:
        self._name = name
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, serve), name=name)
        self._process.start()
        theirs.close()

    def close(self) -> None:
        """End it."""
        self._pipe.close()
        self._process.join(PATIENCE_S)
        self._process.kill()
        self._process.join()

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Return what `question` makes of the pipe.

        Raises:
            WorkerError: If the process dies.
        """
        try:
            return question(self._pipe)
        except (EOFError, OSError) as error:
            self._process.join(PATIENCE_S)
            raise WorkerError(
                f"The process of the {self._name} has ended (exit code {self._process.exitcode}); "
                "see the system's log for why, most often memory that ran out, and start again."
            ) from error


def _work(pipe: Connection, serve: Callable[[Connection], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(pipe)
