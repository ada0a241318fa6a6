"""Processes of this machine that work units off, one at a time each.

They are spawned, so that nothing of the parent's threads and descriptors is in them. One that
dies is replaced, whatever it died of: a signal, the system's want of memory, a defect. They end
with their parent, however that ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from rtclassify.archive.units import Outcome, Unit
from rtclassify.errors import RtclassifyError, WorkerError

Work = Callable[[Unit], Outcome]


def outcomes(
    units: Sequence[Unit], prepare: Callable[[], Work], *, jobs: int
) -> Generator[tuple[Unit, Outcome]]:
    """Yield each unit with its outcome as soon as it has one.

    A unit whose worker dies is tried once more. Closing the iterator ends the workers at once.

    Args:
        units: What is to be done.
        prepare: Makes a worker ready, in its own process; it is pickled on the way there.
        jobs: Workers at most.

    Raises:
        RtclassifyError: What `prepare` or the work raised.
        WorkerError: If a worker dies before it is ready.
    """
    waiting, retried = deque(units), set[Unit]()
    workers = [_Worker(prepare) for _ in range(min(jobs, len(units)))]
    try:
        while workers:
            for worker in _speaking(workers):
                unit, outcome = worker.unit, worker.hear()
                if worker.dead and unit and unit not in retried:
                    retried.add(unit)
                    waiting.appendleft(unit)
                    outcome = None
                if not waiting:
                    workers.remove(worker)
                    worker.end()
                elif worker.dead:
                    workers[workers.index(worker)] = _Worker(prepare)
                else:
                    worker.give(waiting.popleft())
                if unit and outcome:
                    yield unit, outcome
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process: getting ready, with a unit in hand, or dead."""

    def __init__(self, prepare: Callable[[], Work]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, prepare), daemon=True)
        with _uninterrupted():
            self._process.start()
        theirs.close()
        self.unit: Unit | None = None
        self.dead = False

    def give(self, unit: Unit) -> None:
        """Put a unit in its hands; one that has just died is heard of in `hear`."""
        self.unit = unit
        with contextlib.suppress(OSError):
            self.connection.send(unit)

    def hear(self) -> Outcome | None:
        """Return the outcome of the unit in its hands, or None if it had none yet.

        That of a worker which died is that there are no labels.

        Raises:
            RtclassifyError: What was raised over there.
            WorkerError: If it died before it was ready.
        """
        try:
            said: Outcome | RtclassifyError | None = self.connection.recv()
        except (EOFError, OSError):
            return self._died()
        if isinstance(said, RtclassifyError):
            raise said
        return said

    def _died(self) -> Outcome:
        self.dead = True
        self._process.join()
        cause = _cause(self._process.exitcode or 0)
        if self.unit is None:
            raise WorkerError(
                f"A worker {cause} before it was ready; where memory is short, use fewer --jobs."
            )
        return Outcome(error=f"{self.unit.name} cannot be labelled: its worker {cause}, twice.")

    def end(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _speaking(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait for workers that have something to say; those that died have."""
    speaking = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in speaking]


def _cause(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back; a process that is started meanwhile never hears of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, prepare: Callable[[], Work]) -> None:
    """Be a worker, until the parent is gone or says nothing more."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work = prepare()
        connection.send(None)
        while True:
            connection.send(work(connection.recv()))
    except RtclassifyError as error:
        connection.send(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
