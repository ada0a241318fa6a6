"""An engine in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

import numpy as np

from rtclassify.apart.worker import Worker
from rtclassify.engine import Engine, loaded_for_good
from rtclassify.errors import RtclassifyError
from rtclassify.stream import Samples, Window

Said = tuple[str, int, int]
"""Of a window its channel, its start and how many of its samples come."""


class _Facts(NamedTuple):
    """What is asked of an engine besides scores."""

    runs_on: str
    name: str
    labels: tuple[str, ...]
    rate: int
    window: int
    hop: int
    cell: int
    news: slice


class EngineApart:
    """A `Classifier` whose engine lives in another process, opened by ``with``.

    Audio goes there and scores come back through a pipe; of a window that follows its channel's
    one before by a hop only what is new. Used by one thread at a time.

    Args:
        open_engine: Opens the engine over there; what can be pickled.

    Raises:
        RtclassifyError: What opening the engine raises.
        WorkerError: If the other process dies.
    """

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._worker = Worker("network", partial(_serve, open_engine))
        self._starts: dict[str, int] = {}
        try:
            facts = self._introduced()
        except BaseException:
            self._worker.close()
            raise
        self.runs_on, self.name, self.labels = facts.runs_on, facts.name, facts.labels
        self.rate, self.window = facts.rate, facts.window
        self.hop, self.cell, self._news = facts.hop, facts.cell, facts.news

    def __enter__(self) -> Self:
        """Be there already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the other process."""
        self._worker.close()

    def reset(self) -> None:
        """Forget all audio."""
        self._starts.clear()
        self._worker.ask(lambda pipe: pipe.send(None))

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each window; see `Classifier.scores`."""
        parts = []
        for window in windows:
            follows = self._starts.get(window.channel) == window.start - self.hop
            self._starts[window.channel] = window.start
            parts.append(window.samples[self._news] if follows else window.samples)
        said = [(w.channel, w.start, len(part)) for w, part in zip(windows, parts, strict=True)]
        scores = np.frombuffer(self._worker.ask(partial(_scored, said, parts)), np.float32)
        return scores.reshape(len(windows), -1, len(self.labels))

    def _introduced(self) -> _Facts:
        told: _Facts | RtclassifyError = self._worker.ask(Connection.recv)
        if isinstance(told, RtclassifyError):
            raise told
        return told


def _scored(said: list[Said], parts: Sequence[Samples], pipe: Connection) -> bytes:
    pipe.send(said)
    pipe.send_bytes(np.concatenate(parts).data)
    return pipe.recv_bytes()


def _serve(open_engine: Callable[[], Engine], pipe: Connection) -> None:
    """Score what comes."""
    try:
        engine = open_engine()
    except RtclassifyError as error:
        pipe.send(error)
        return
    facts = {name: getattr(engine, name) for name in _Facts._fields}
    pipe.send(_Facts(**facts))
    with loaded_for_good():
        while True:
            said: list[Said] | None = pipe.recv()
            if said is None:
                engine.reset()
            else:
                scores = engine.scores(_windows(said, pipe.recv_bytes()))
                pipe.send_bytes(np.ascontiguousarray(scores).data)


def _windows(said: Sequence[Said], audio: bytes) -> list[Window]:
    """Return the windows that came, those that follow others with nothing but what is new."""
    samples, windows, first = np.frombuffer(audio, np.float32), [], 0
    for channel, start, count in said:
        windows.append(Window(channel, start, samples[first : first + count]))
        first += count
    return windows
