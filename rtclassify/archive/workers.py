"""Processes of this machine that work units off, one at a time each.

They are spawned, so that nothing of the parent's threads and descriptors is in them. One that
dies is replaced, whatever it died of: a signal, the system's want of memory, a defect. They end
with their parent, however that ends. `concurrent.futures` would give up whatever is in hand when
one worker dies, and waits for the others to finish when it is told to end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from rtclassify.archive.units import Outcome, Unit
from rtclassify.errors import RtclassifyError, WorkerError

Work = Callable[[Unit], Outcome]

GRACE_S = 2.0
"""How long an idle worker may take to end until it is killed."""


def outcomes(
    units: Sequence[Unit], prepare: Callable[[], Work], *, jobs: int
) -> Generator[tuple[Unit, Outcome]]:
    """Yield each unit with its outcome as soon as it has one.

    A unit whose worker dies is tried once more. Closing the iterator ends the workers,
    whatever they do.

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
        while busy := [worker for worker in workers if not worker.idle]:
            for worker in _speaking(busy):
                unit, outcome = worker.unit, worker.hear()
                if worker.dead:
                    workers.remove(worker)
                if worker.dead and unit and unit not in retried:
                    retried.add(unit)
                    waiting.appendleft(unit)
                    outcome = None
                if waiting and worker.dead:
                    workers.append(_Worker(prepare))
                elif waiting:
                    worker.give(waiting.popleft())
                if unit and outcome:
                    yield unit, outcome
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()


class _Worker:
    """One process: getting ready, with a unit in hand, idle, or dead."""

    def __init__(self, prepare: Callable[[], Work]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, prepare), daemon=True)
        with _uninterrupted():
            self._process.start()
        theirs.close()
        self.unit: Unit | None = None
        self.idle = False
        self.dead = False

    def give(self, unit: Unit) -> None:
        """Put a unit in its hands; if it has just died, `hear` will tell."""
        self.unit, self.idle = unit, False
        with contextlib.suppress(OSError):
            self.connection.send(unit)

    def hear(self) -> Outcome | None:
        """Return the outcome of the unit in its hands; None if it was getting ready.

        That of a unit whose worker died is that there are no labels.

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
        self.unit, self.idle = None, True
        return said

    def _died(self) -> Outcome:
        self.dead = True
        self.connection.close()
        self._process.join()
        cause = _cause(self._process.exitcode or 0)
        if self.unit is None:
            raise WorkerError(
                f"A worker {cause} before it was ready; where memory is short, use fewer --jobs."
            )
        return Outcome(error=f"{self.unit.name} cannot be labelled: its worker {cause}, twice.")

    def stop(self) -> None:
        """Let it go if it is idle, and end it at once if not."""
        self.connection.close()
        if not self.idle:
            self._process.kill()

    def join(self) -> None:
        """Wait for its end, and do not wait long."""
        self._process.join(GRACE_S)
        self._process.kill()
        self._process.join()


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
    # Left to itself, multiprocessing starts this first and lets Ctrl-C through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, prepare: Callable[[], Work]) -> None:
    """Be a worker, until the parent hangs up or is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work = prepare()
        _tell(connection, None)
        for unit in _given(connection):
            _tell(connection, work(unit))
    except RtclassifyError as error:
        _tell(connection, error)


def _given(connection: Connection) -> Iterator[Unit]:
    """Yield what the parent sends, as long as there is one."""
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            yield connection.recv()


def _tell(connection: Connection, said: Outcome | RtclassifyError | None) -> None:
    """Tell the parent; where it is gone, `_given` ends."""
    with contextlib.suppress(ConnectionError):
        connection.send(said)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
