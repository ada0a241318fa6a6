"""A process that works for this one: a pipe to it for what is small, memory it shares for audio."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from rtclassify.errors import RtclassifyError, WorkerError
from rtclassify.memory import loaded_for_good
from rtclassify.stream import Samples

PATIENCE_S = 5.0
"""For a process that was told to end."""

ROOM = 3 << 19
"""Samples that a question may share: half a second of 128 channels at 22,050 Hz, and some."""

Answer = Callable[[Any, Samples], Any]
"""Answers a question, which comes with shared audio of shape (ROOM,), valid until it returns."""


class Asked:
    """A question and, once it is told, its answer.

    Args:
        receive: Waits for the next answer to any question.
    """

    def __init__(self, receive: Callable[[], None]) -> None:
        self._receive = receive
        self._answer: Any = None
        self.told = False

    def tell(self, answer: Any) -> None:
        """Take the answer."""
        self._answer, self.told = answer, True

    def wait(self) -> Any:
        """Return the answer.

        Raises:
            WorkerError: If the process dies before.
        """
        while not self.told:
            self._receive()
        return self._answer


class Worker:
    """A process that answers questions in order, some of them asked ahead.

    It ends with this one, and takes no signals of the terminal or the service manager. Used by one
    thread.

    Args:
        name: What it works at, for people.
        make: Makes over there what answers; what can be pickled.
        ahead: Questions that may wait for their answers at once.

    Raises:
        RtclassifyError: What `make` raises.
        WorkerError: If the process dies.
    """

    def __init__(self, name: str, make: Callable[[], Answer], *, ahead: int) -> None:
        self._name = name
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        shared = context.RawArray("f", ahead * ROOM)
        self._audio = _rooms(shared)
        self._count = 0
        self._waiting: deque[Asked] = deque()
        self._process = context.Process(target=_work, args=(theirs, shared, make), name=name)
        self._process.start()
        theirs.close()
        try:
            self._await()
        except BaseException:
            self.close()
            raise

    def _await(self) -> None:
        """Wait until it can answer."""
        with self._missing():
            error: RtclassifyError | None = self._pipe.recv()
        if error is not None:
            raise error

    def close(self) -> None:
        """End it."""
        self._pipe.close()
        self._process.join(PATIENCE_S)
        self._process.kill()
        self._process.join()

    def ask(self, question: object, audio: Sequence[Samples] = ()) -> Asked:
        """Ask, with parts of audio of at most `ROOM` samples.

        Waits for the first answer if as many are waited for as may be.

        Raises:
            WorkerError: If the process has died.
        """
        if len(self._waiting) == len(self._audio):
            self._receive()
        room = self._count % len(self._audio)
        if audio:
            np.concatenate(audio, out=self._audio[room, : sum(map(len, audio))])
        with self._missing():
            self._pipe.send((room, question))
        self._count += 1
        asked = Asked(self._receive)
        self._waiting.append(asked)
        return asked

    def collect(self) -> None:
        """Receive the answers that are there.

        Raises:
            WorkerError: If the process has died.
        """
        while self._waiting and self._pipe.poll():
            self._receive()

    def _receive(self) -> None:
        with self._missing():
            answer = self._pipe.recv()
        self._waiting.popleft().tell(answer)

    @contextmanager
    def _missing(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self._process.join(PATIENCE_S)
            raise WorkerError(
                f"The process of the {self._name} has ended (exit code {self._process.exitcode}); "
                "see the system's log for why, most often memory that ran out, and start again."
            ) from error


def batches(sizes: Sequence[int]) -> Iterator[slice]:
    """Yield which parts of so many samples each fit into `ROOM` together, in order."""
    first = held = 0
    for place, size in enumerate(sizes):
        if held + size > ROOM and held:
            yield slice(first, place)
            first, held = place, 0
        held += size
    if sizes:
        yield slice(first, len(sizes))


def parted(audio: Samples, sizes: Sequence[int]) -> list[Samples]:
    """Return the parts of shared audio, of so many samples each."""
    return np.split(audio[: sum(sizes)], np.cumsum(sizes)[:-1])


def _work(pipe: Connection, shared: Any, make: Callable[[], Answer]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            answer = make()
        except RtclassifyError as error:
            pipe.send(error)
            return
        pipe.send(None)
        audio = _rooms(shared)
        with loaded_for_good():
            while True:
                room, question = pipe.recv()
                pipe.send(answer(question, audio[room]))


def _rooms(shared: Any) -> Samples:
    return np.frombuffer(shared, np.float32).reshape(-1, ROOM)
