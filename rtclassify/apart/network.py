"""An engine in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Self

import numpy as np

from rtclassify.apart.worker import Answer, Worker, batches, parted
from rtclassify.engine import Engine
from rtclassify.stream import Samples, Window

AHEAD = 4
"""Questions of two batches: one is computed while the next one waits, and large ones take two."""

Said = tuple[str, int, int]
"""Of a window its channel, its start and how many of its samples come."""


class _Facts(NamedTuple):
    """What is asked of an engine besides scores."""

    runs_on: str
    name: str
    labels: tuple[str, ...]
    tails_s: tuple[float, ...]
    rate: int
    window: int
    hop: int
    cell: int
    news: slice


class EngineApart:
    """A `Classifier` whose engine lives in another process, opened by ``with``.

    Of a window that follows its channel's one before by a hop only what is new goes there. Used by
    one thread.

    Args:
        open_engine: Opens the engine over there; what can be pickled.

    Raises:
        RtclassifyError: What opening the engine raises.
        WorkerError: If the other process dies.
    """

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._worker = Worker("network", partial(_opened, open_engine), ahead=AHEAD)
        self._starts: dict[str, int] = {}
        facts: _Facts = self._worker.ask(None).wait()
        self.runs_on, self.name, self.labels = facts.runs_on, facts.name, facts.labels
        self.tails_s, self.rate, self.window = facts.tails_s, facts.rate, facts.window
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
        self._worker.ask(None).wait()

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each window; see `Classifier.scores`."""
        return self.begin(windows)()

    def begin(self, windows: Sequence[Window]) -> Callable[[], Samples]:
        """Begin to score windows; return what waits for their scores."""
        parts = []
        for window in windows:
            follows = self._starts.get(window.channel) == window.start - self.hop
            self._starts[window.channel] = window.start
            parts.append(window.samples[self._news] if follows else window.samples)
        sizes = [len(part) for part in parts]
        said = [(w.channel, w.start, size) for w, size in zip(windows, sizes, strict=True)]
        waiting = [self._worker.ask(said[some], parts[some]) for some in batches(sizes)]
        return lambda: np.concatenate([scores.wait() for scores in waiting])


def _opened(open_engine: Callable[[], Engine]) -> Answer:
    engine = open_engine()

    def answer(said: list[Said] | None, audio: Samples) -> Samples | _Facts:
        """Score what comes, or forget all audio and say what the engine is."""
        if said is None:
            engine.reset()
            facts = {name: getattr(engine, name) for name in _Facts._fields}
            return _Facts(**facts)
        parts = parted(audio, [size for *_, size in said])
        return engine.scores([Window(*of[:2], part) for of, part in zip(said, parts, strict=True)])

    return answer
