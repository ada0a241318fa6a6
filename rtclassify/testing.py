"""Doubles for tests of this program and of programs built on it: no TensorFlow, no sleeping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from rtclassify.events import Event
from rtclassify.stream import Item, Samples, Window

LOUD = 0.5


class ManualClock:
    """A clock that moves when told.

    Args:
        start_s: The first reading.
        utc: The UTC of that reading.
    """

    def __init__(
        self, start_s: float = 1000.0, utc: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    ) -> None:
        self._now_s = start_s
        self._epoch = utc - timedelta(seconds=start_s)

    def now(self) -> float:
        """Return the reading."""
        return self._now_s

    def utc(self, at: float) -> datetime:
        """Return the UTC of the reading `at`."""
        return self._epoch + timedelta(seconds=at)

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._now_s += seconds


class ScriptedSource:
    """A source that plays a script: each read returns the next line of it.

    Args:
        script: What successive reads return.
        channels: Names of the channels that the script mentions.
    """

    def __init__(self, script: Iterable[Sequence[Item]], channels: Sequence[str]) -> None:
        self._script = list(script)
        self._channels = tuple(channels)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self._channels

    @property
    def ended(self) -> bool:
        """Whether the script is over."""
        return not self._script

    def __enter__(self) -> Self:
        """Open nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def read(self) -> Sequence[Item]:
        """Return the next line of the script."""
        return self._script.pop(0) if self._script else ()


class MemorySink:
    """Keeps every event in `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __enter__(self) -> Self:
        """Open nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def send(self, events: Sequence[Event]) -> None:
        """Remember the events."""
        self.events += events


class EnvelopeClassifier:
    """A classifier whose answer can be computed by hand.

    ``speech`` is the share of positive samples in a cell and ``music`` the share of samples above
    one half in magnitude, so tests can write audio that means what they want.

    Args:
        rate: Samples per second.
        window: Samples in a window.
        hop: Samples from one window to the next, a multiple of `cell`.
        cell: Samples that one score speaks for.
    """

    name = "envelope@000000000000"
    labels = ("speech", "music")
    tails_s = (0.0, 0.0)

    def __init__(
        self, *, rate: int = 100, window: int = 500, hop: int = 50, cell: int = 10
    ) -> None:
        self.rate = rate
        self.window = window
        self.hop = hop
        self.cell = cell

    def reset(self) -> None:
        """Forget nothing: there is no state."""

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each cell of each window; see the class."""
        cells = self.window // self.cell
        audio = np.stack([window.samples[-cells * self.cell :] for window in windows])
        audio = audio.reshape(len(windows), cells, self.cell)
        shares = [np.mean(audio > 0, axis=2), np.mean(np.abs(audio) > LOUD, axis=2)]
        return np.stack(shares, axis=2).astype(np.float32)
